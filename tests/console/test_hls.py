"""Our playlists in a player that others made: hls.js (Apache-2.0), in Chromium."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route

from proof import filmed
from proof.browser import window
from proof.desk import OWNER
from proof.filmed import Filmed
from proof.platform import until
from proof.world import World
from rtcc.video.v1 import footage_pb2
from rtcc_chassis.clock import utc_now
from rtcc_standalone.development.checks import console_player

_PLAY = """async ([url, headers, live]) => {
    window.player?.hls.destroy();
    document.querySelector('video.theirs')?.remove();
    const video = document.createElement('video');
    video.className = 'theirs';
    video.muted = true;
    document.body.append(video);
    const setup = (xhr) => { for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value); };
    const hls = new Hls({enableWorker: false, xhrSetup: setup, lowLatencyMode: live});
    window.player = {hls, video, fatal: [], numbers: []};
    const failed = new Promise((_, reject) => hls.on(Hls.Events.ERROR, (_, told) => {
        if (told.fatal) { window.player.fatal.push(told.details); reject(new Error(told.details)); }
    }));
    failed.catch(() => undefined);
    hls.on(Hls.Events.FRAG_LOADED, (_, {frag}) => { if (frag.sn !== 'initSegment') window.player.numbers.push(frag.sn); });
    hls.loadSource(url);
    hls.attachMedia(video);
    await Promise.race([failed, new Promise((parsed) => hls.once(Hls.Events.MANIFEST_PARSED, parsed))]);
    await Promise.race([failed, video.play()]);
}"""
_STATE = """() => {
    const {hls, video, fatal, numbers} = window.player;
    const details = hls.latestLevelDetails;
    return {at: video.currentTime, length: video.duration, frames: video.getVideoPlaybackQuality().totalVideoFrames, live: details?.live,
            date: hls.playingDate?.getTime() ?? 0, fatal, numbers,
            soundBytes: video.webkitAudioDecodedByteCount, soundTracks: hls.audioTracks.map(({name}) => name)};
}"""
_REASONS = {"Rtcc-Purpose": "investigation", "Rtcc-Case-Number": "26-0412"}


@pytest.fixture(scope="module")
def hls_js() -> str:
    """The player's source, as npm has it."""
    return console_player(Path(__file__).parents[2]).read_text(encoding="utf-8")


async def _play(page: Page, source: str, url: str, *, live: bool = False) -> None:
    if not await page.evaluate("'Hls' in window"):
        # through the debugger, so that the page's own policy stays strict
        await page.evaluate(source)
    await page.evaluate(_PLAY, [url, _REASONS, live])


async def _state(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = await page.evaluate(_STATE)
    assert found["fatal"] == []
    return found


@pytest.mark.timeout(400)
async def test_a_recorded_and_a_live_playlist_play_in_hls_js(desk: World, console_browser: Browser, four: Filmed, hls_js: str) -> None:
    camera_id = four.camera_ids[0]
    base = f"/v1/cameras/{camera_id}/footage/playlist"
    starts_at, ends_at = await until(lambda: _stretch(desk, camera_id), deadline_s=60, every_s=0.5)
    async with window(console_browser, desk, await desk.person(OWNER, "investigator"), "/playback") as page:
        await page.get_by_role("combobox", name="Add a camera").wait_for()
        await _play(page, hls_js, f"{base}?starts_at={_text(starts_at)}&ends_at={_text(ends_at)}")

        async def runs() -> dict[str, Any] | None:
            state = await _state(page)
            return state if state["at"] > 1 and state["frames"] > 10 else None

        recorded = await until(runs, deadline_s=30)
        assert recorded is not None
        assert recorded["live"] is False
        assert recorded["length"] > 8
        await page.evaluate("player.video.currentTime = player.video.duration - 2")
        # its time of day is the recording's: what it shows there was filmed then
        sought = await until(lambda: _sought(page, recorded["length"] - 2), deadline_s=60)
        assert ends_at.timestamp() - 12 < sought["date"] / 1000 < ends_at.timestamp() + 12
        (number,) = await page.evaluate(filmed.NUMBERS, "video.theirs")
        assert 0 <= number < filmed.PICTURES

        window_of = f"starts_at={_text(starts_at)}&ends_at={_text(ends_at)}"
        await _play(page, hls_js, f"{base}?{window_of}&rendition=FOOTAGE_RENDITION_WITH_SOUND")

        async def sounds() -> dict[str, Any] | None:
            state = await _state(page)
            return state if state["at"] > 1 and state["frames"] > 10 and state["soundBytes"] > 1000 else None

        assert (await until(sounds, deadline_s=30))["soundTracks"] == ["Microphone"]
        # four seconds of pictures without sound are shown, and not jumped over
        await page.route("**/playlist?**FOOTAGE_RENDITION_SOUND**", _silence_the_second)
        await _play(page, hls_js, f"{base}?{window_of}&rendition=FOOTAGE_RENDITION_WITH_SOUND")
        shown: set[int] = set()

        async def through() -> bool:
            shown.add(int((await _state(page))["at"] * 2))
            return max(shown) >= 17

        await until(through, deadline_s=40, every_s=0.1)
        assert max(after - before for before, after in pairwise(sorted(shown))) < 6, shown

        await _play(page, hls_js, base)

        async def goes_on() -> dict[str, Any] | None:
            state = await _state(page)
            # more segments than the first answer can have had
            return state if len(set(state["numbers"])) >= 6 and state["frames"] > 100 else None

        live = await until(goes_on, deadline_s=60)
        assert live is not None
        assert live["live"] is True
        loaded = sorted(set(live["numbers"]))
        assert loaded == list(range(loaded[0], loaded[0] + len(loaded)))
        assert abs(live["date"] / 1000 - utc_now().timestamp()) < 30


_OPEN = """async (cameraId) => {
    const answer = await fetch(`/v1/cameras/${cameraId}/hls`, {method: 'POST', headers: {'Rtcc-Request': '1'}});
    return (await answer.json()).viewer_id;
}"""
_END = "path => fetch(path, {method: 'DELETE', headers: {'Rtcc-Request': '1'}}).then((answer) => answer.status)"
_ASK = """async (path) => {
    const answer = await fetch(path);
    return [answer.status, answer.headers.get('content-type'), (await answer.text()).slice(0, 9)];
}"""
_LATENCY = """() => {
    const {hls, video, fatal} = window.player;
    const details = hls.latestLevelDetails;
    return {fatal, target: hls.targetLatency, date: hls.playingDate?.getTime() ?? 0, now: Date.now(), part: details?.partTarget,
            blocks: details?.canBlockReload, parts: details?.partList?.length ?? 0,
            frames: video.getVideoPlaybackQuality().totalVideoFrames};
}"""


# R16
@pytest.mark.timeout(400)
async def test_a_live_camera_plays_in_hls_js_by_parts(desk: World, console_browser: Browser, four: Filmed, hls_js: str) -> None:
    camera_id = four.camera_ids[1]
    async with window(console_browser, desk, await desk.person(OWNER, "operator"), "/wall") as page:
        viewer_id = await page.evaluate(_OPEN, camera_id)
        base = f"/v1/cameras/{camera_id}/hls/{viewer_id}"
        await _play(page, hls_js, f"{base}/playlist", live=True)
        numbers: set[int] = set()

        async def goes_on() -> dict[str, Any] | None:
            numbers.update(await page.evaluate(filmed.NUMBERS, "video.theirs"))
            state: dict[str, Any] = await page.evaluate(_LATENCY)
            assert state["fatal"] == []
            return state if state["frames"] > 60 and len(numbers) > 8 and state["date"] else None

        state = await until(goes_on, deadline_s=60)
        assert state is not None
        # it follows by parts: the playlist waits for the next, and what it shows was filmed a moment ago
        assert state["blocks"] and state["parts"] > 3 and state["part"] <= 0.35
        behind_s = (state["now"] - state["date"]) / 1000
        print(f"hls.js: {behind_s:.2f} s behind the relay, aims at {state['target']:.2f} s, parts of {state['part']} s")
        assert 0 < behind_s < 20
        hostile = {
            "playlist?_HLS_msn=x": 400, "playlist?_HLS_msn=-1": 400, "playlist?_HLS_msn=99999999999999999999": 400,
            "playlist?_HLS_part=1": 400, "playlist?_HLS_msn=4000000000&_HLS_part=0": 400, "playlist?_HLS_msn=0&_HLS_part=4294967296": 400,
            "playlist?hls_msn=1&_HLS_msn=1": 400, "playlist?sound=1": 400, "media/..%2F..%2Fetc": 400, "media/s%00": 400,
            "media/s123456789012": 404, "playlist?_HLS_skip=YES": 200,
        }  # fmt: skip
        for path, status in hostile.items():
            answered, kind, begins = await page.evaluate(_ASK, f"{base}/{path}")
            assert answered == status, path
            assert (begins == "#EXTM3U\n#") == (status == 200), kind
        ending = f"/v1/cameras/{camera_id}/viewers/{viewer_id}"
        assert await page.evaluate(_END, ending) == 200
        assert (await page.evaluate(_ASK, f"{base}/playlist"))[0] == 404


async def _silence_the_second(route: Route) -> None:
    answer = await route.fetch()
    first, second, *others = (await answer.text()).split("\nsound/")
    await route.fulfill(response=answer, body="\nsound/".join((first, second, f"silence-{others[0]}", *others[1:])))


async def _stretch(world: World, camera_id: str) -> tuple[datetime, datetime] | None:
    """The newest nine seconds without a hole: a busy machine may have kept the camera from sending for a moment."""
    request = footage_pb2.ListFootageRequest(camera_id=camera_id)
    request.starts_at.FromDatetime(utc_now() - timedelta(seconds=60))
    request.ends_at.FromDatetime(utc_now())
    segments = (await world.platform.ask("ListFootage", world.everything(OWNER), request)).segments
    if not segments:
        return None
    first = next((number for number in range(len(segments) - 1, 0, -1) if not segments[number].continues), 0)
    starts_at, ends_at = segments[first].started_at.ToDatetime(UTC), segments[-1].ended_at.ToDatetime(UTC)
    return (ends_at - timedelta(seconds=9), ends_at) if ends_at - starts_at >= timedelta(seconds=9) else None


async def _sought(page: Page, at_least: float) -> dict[str, Any] | None:
    state = await _state(page)
    return state if state["at"] >= at_least and state["date"] else None


def _text(moment: Any) -> str:
    return str(moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"))

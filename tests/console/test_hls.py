"""Our playlists in a player that others made: hls.js (Apache-2.0), in Chromium."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from proof import filmed
from proof.browser import window
from proof.desk import OWNER
from proof.filmed import Filmed
from proof.platform import until
from proof.world import World
from rtcc.video.v1 import footage_pb2
from rtcc_chassis.clock import utc_now
from rtcc_standalone.development.checks import console_player

_PLAY = """async ([url, headers]) => {
    window.player?.hls.destroy();
    document.querySelector('video.theirs')?.remove();
    const video = document.createElement('video');
    video.className = 'theirs';
    video.muted = true;
    document.body.append(video);
    const setup = (xhr) => { for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value); };
    const hls = new Hls({enableWorker: false, xhrSetup: setup});
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


async def _play(page: Page, source: str, url: str) -> None:
    if not await page.evaluate("'Hls' in window"):
        # through the debugger, so that the page's own policy stays strict
        await page.evaluate(source)
    await page.evaluate(_PLAY, [url, _REASONS])


async def _state(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = await page.evaluate(_STATE)
    assert found["fatal"] == []
    return found


@pytest.mark.timeout(180)
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
        sought = await until(lambda: _sought(page, recorded["length"] - 2), deadline_s=20)
        assert ends_at.timestamp() - 12 < sought["date"] / 1000 < ends_at.timestamp() + 12
        (number,) = await page.evaluate(filmed.NUMBERS, "video.theirs")
        assert 0 <= number < filmed.PICTURES

        window_of = f"starts_at={_text(starts_at)}&ends_at={_text(ends_at)}"
        await _play(page, hls_js, f"{base}?{window_of}&rendition=FOOTAGE_RENDITION_WITH_SOUND")

        async def sounds() -> dict[str, Any] | None:
            state = await _state(page)
            return state if state["at"] > 1 and state["frames"] > 10 and state["soundBytes"] > 1000 else None

        assert (await until(sounds, deadline_s=30))["soundTracks"] == ["Microphone"]

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

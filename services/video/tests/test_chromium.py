"""Real Chromium as the viewer: a page with the WHEP exchange of the console."""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright

from rtcc_chassis.testing import SOAK, free_port, poll
from rtcc_demo.rtsp_sound import TONE_HZ
from rtcc_video.engine.endpoint import Endpoint, EndpointSettings
from rtcc_video.engine.quality import Quality
from rtcc_video.engine.viewer import CloseReason
from rtcc_video.ice_servers import ice_servers
from rtcc_video.settings import VideoSettings

from .test_sound_view import Microphone

FLAGS = [
    "--no-sandbox",
    "--enable-unsafe-swiftshader",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

PAGE = r"""<!doctype html><video id=video autoplay muted playsinline></video><script>
const wanted = JSON.parse(decodeURIComponent(location.search.slice(1)) || '{}');
const connection = new RTCPeerConnection(wanted.connection);
const video = document.getElementById('video');
const facts = {};
if (wanted.audio) connection.addTransceiver('audio', { direction: 'recvonly' });
connection.addTransceiver('video', { direction: 'recvonly' });
connection.ontrack = (event) => {
  if (event.track.kind === 'audio') {
    // what the browser plays, measured
    const element = new Audio();
    element.srcObject = new MediaStream([event.track]);
    element.play();
    const context = new AudioContext();
    const analyser = new AnalyserNode(context, { fftSize: 8192 });
    context.createMediaStreamSource(element.srcObject).connect(analyser);
    window.loudestHz = () => {
      const levels = new Float32Array(analyser.frequencyBinCount);
      analyser.getFloatFrequencyData(levels);
      return (levels.indexOf(Math.max(...levels)) * context.sampleRate) / analyser.fftSize;
    };
    return;
  }
  video.srcObject = new MediaStream([event.track]);
};
video.requestVideoFrameCallback(() => { facts.firstFrameMs = performance.now(); });
async function start() {
  await connection.setLocalDescription();
  const answer = await fetch('/whep', { method: 'POST', body: connection.localDescription.sdp });
  await connection.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
}
async function restart() {
  const offer = await connection.createOffer({ iceRestart: true });
  await connection.setLocalDescription(offer);
  const [, ufrag] = offer.sdp.match(/a=ice-ufrag:(.*)\r/), [, password] = offer.sdp.match(/a=ice-pwd:(.*)\r/);
  const fragment = await (await fetch('/whep', { method: 'PATCH', body: `a=ice-ufrag:${ufrag}\r\na=ice-pwd:${password}\r\n` })).text();
  const ours = Object.fromEntries(['ice-ufrag', 'ice-pwd'].map((name) => [name, fragment.match(new RegExp(`a=${name}:(.*)`))[1].trim()]));
  let sdp = connection.remoteDescription.sdp;
  for (const [name, value] of Object.entries(ours)) sdp = sdp.replaceAll(new RegExp(`a=${name}:.*`, 'g'), `a=${name}:${value}`);
  await connection.setRemoteDescription({ type: 'answer', sdp });
  return ours['ice-ufrag'];
}
async function read() {
  const found = { ...facts, width: video.videoWidth, time: video.currentTime, state: connection.connectionState,
    dtls: connection.getReceivers().find((receiver) => receiver.track.kind === 'video').transport?.state };
  const reports = await connection.getStats();
  for (const report of reports.values()) {
    if (report.type === 'inbound-rtp' && report.kind === 'audio') Object.assign(found, { audioPackets: report.packetsReceived,
      audioLevel: report.audioLevel, audioEnergy: report.totalAudioEnergy, audioLost: report.packetsLost, hz: window.loudestHz?.(),
      // the sender's time of what is heard and seen now, by its reports
      heardMs: report.estimatedPlayoutTimestamp });
    if (report.type === 'inbound-rtp' && report.kind === 'video') found.seenMs = report.estimatedPlayoutTimestamp;
    if (report.type === 'inbound-rtp' && report.kind === 'video') Object.assign(found, { framesDecoded: report.framesDecoded,
      freezes: report.freezeCount, keyFrames: report.keyFramesDecoded, lost: report.packetsLost });
    const pair = report.type === 'transport' && reports.get(report.selectedCandidatePairId);
    if (!pair) continue;
    found.protocol = reports.get(pair.remoteCandidateId)?.protocol;
    found.by = reports.get(pair.localCandidateId)?.candidateType;
  }
  return found;
}
start();
</script>"""


@pytest_asyncio.fixture(scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=FLAGS, timeout=60_000)
        yield launched
        await launched.close()


@asynccontextmanager
async def watching(
    browser: Browser, player: Any, settings: EndpointSettings, only_tcp: bool = False, **wanted: Any
) -> AsyncIterator[tuple[Page, Endpoint]]:
    endpoint = Endpoint(settings)
    await endpoint.start()
    closed: list[CloseReason] = []

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def whep(request: web.Request) -> web.Response:
        offer = await request.text()
        _, answer = endpoint.open(f"v{time.monotonic_ns()}", player.stream, offer, lambda _, reason: closed.append(reason), may_hear=True)
        if only_tcp:
            answer = "".join(line for line in answer.splitlines(keepends=True) if " udp " not in line)
        return web.Response(text=answer, content_type="application/sdp")

    async def whep_update(request: web.Request) -> web.Response:
        fragment, _ = endpoint.update(endpoint.viewers[0].setup.viewer_id, "*", await request.text())
        return web.Response(text=fragment, content_type="application/trickle-ice-sdpfrag")

    application = web.Application()
    application.add_routes([web.get("/", page), web.post("/whep", whep), web.patch("/whep", whep_update)])
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    tab = await browser.new_page()
    tab.set_default_timeout(60_000)
    try:
        await tab.goto(f"http://127.0.0.1:{port}/?{quote(json.dumps(wanted))}")
        yield tab, endpoint
    finally:
        await tab.close()
        await runner.cleanup()
        await endpoint.stop()


async def facts_when(page: Page, condition: str, deadline_s: float = 40) -> dict[str, Any]:
    """The page's facts once `condition`, an expression of `facts`, holds."""
    ends = time.monotonic() + deadline_s
    while True:
        facts: dict[str, Any] = await page.evaluate("read()")
        if await page.evaluate(f"(facts) => Boolean({condition})", facts):
            return facts
        assert time.monotonic() < ends, f"{condition} not within {deadline_s} s: {facts}"
        await asyncio.sleep(0.05)


async def test_chromium_shows_the_stream_and_takes_udp(browser: Browser, player: Any) -> None:
    async with watching(browser, player, EndpointSettings()) as (page, _):
        first = await facts_when(page, "facts.firstFrameMs")
        later = await facts_when(page, f"facts.framesDecoded > {first.get('framesDecoded', 0) + 45} && facts.time > 1")
        print(f"first frame {first['firstFrameMs']:.0f} ms after page start; then {later}")
        assert later["width"] == 640
        # One may happen; the relay's own pauses would cost one a second.
        assert not SOAK or later["freezes"] <= 1
        # UDP wins over TCP by priority, if not with the very first pair that answers.
        await facts_when(page, "facts.protocol === 'udp'")


async def test_chromium_is_told_at_once_when_the_view_is_revoked(browser: Browser, player: Any) -> None:
    async with watching(browser, player, EndpointSettings()) as (page, endpoint):
        await facts_when(page, "facts.framesDecoded > 10")
        revoked_s = time.monotonic()
        for viewer in endpoint.viewers:
            endpoint.close(viewer.setup.viewer_id, CloseReason.REVOKED)
        await facts_when(page, "facts.dtls === 'closed'")
        print(f"the page knew {(time.monotonic() - revoked_s) * 1000:.0f} ms after revocation")

        async def decodes_no_more() -> bool:
            """Nothing new while the source plays on; what the browser still held in its buffer is decoded first."""
            decoded, total = (await page.evaluate("read()"))["framesDecoded"], player.stream.frames_total

            async def played_on() -> bool:
                return bool(player.stream.frames_total > total + 20)

            await poll(played_on)
            return bool((await page.evaluate("read()"))["framesDecoded"] == decoded)

        await poll(decodes_no_more, deadline_s=40)


async def test_chromium_plays_over_tcp_where_udp_is_blocked(browser: Browser, player: Any) -> None:
    async with watching(browser, player, EndpointSettings(), only_tcp=True) as (page, _):
        facts = await facts_when(page, "facts.framesDecoded > 45")
        assert facts["protocol"] == "tcp"
        assert facts["width"] == 640


async def test_chromium_restarts_ice_and_the_picture_goes_on(browser: Browser, player: Any) -> None:
    async with watching(browser, player, EndpointSettings()) as (page, endpoint):
        await facts_when(page, "facts.framesDecoded > 20")
        before = endpoint.viewers[0].credentials.ice_ufrag
        assert await page.evaluate("restart()") == endpoint.viewers[0].credentials.ice_ufrag != before
        decoded = (await page.evaluate("read()"))["framesDecoded"]
        facts = await facts_when(page, f"facts.framesDecoded > {decoded} + 45")
        assert facts["state"] == "connected"
        assert not SOAK or facts["freezes"] <= 1


async def test_chromium_on_a_bad_link_gets_key_pictures_and_then_everything_again(browser: Browser, player: Any) -> None:
    async with watching(browser, player, EndpointSettings()) as (page, endpoint):
        await facts_when(page, "facts.framesDecoded > 20")
        viewer = endpoint.viewers[0]
        viewer.outlet.choose(Quality.KEY_PICTURES)
        viewer.judge_link = lambda: viewer.link.verdict  # type: ignore[method-assign] # the link is good: only the choice is tried
        before = await page.evaluate("read()")
        facts = await facts_when(page, f"facts.keyFrames >= {before['keyFrames']} + 3")
        # What was left out leaves no gap: nothing counts as lost.
        assert facts["lost"] == before["lost"]
        assert facts["framesDecoded"] - before["framesDecoded"] < 45
        assert viewer.counters.pictures_left_out > 30
        viewer.outlet.choose(Quality.FULL)
        await facts_when(page, f"facts.framesDecoded > {facts['framesDecoded']} + 60")


async def test_a_player_that_also_offers_audio_gets_its_video_and_no_sound(browser: Browser, player: Any) -> None:
    async with watching(browser, player, EndpointSettings(), audio=True) as (page, _):
        facts = await facts_when(page, "facts.framesDecoded > 20")
        assert facts["width"] == 640
        assert not facts.get("audioPackets")
        sections = await page.evaluate("connection.remoteDescription.sdp")
        assert "m=audio 0 " in sections
        # refused for good: the browser has ended what it offered
        states = await page.evaluate("connection.getTransceivers().map((one) => [one.receiver.track.kind, one.currentDirection])")
        assert ["video", "recvonly"] in states
        assert ["audio", "recvonly"] not in states


@pytest.mark.parametrize("only_tcp", [False, True])
async def test_chromium_hears_the_camera_until_it_is_forbidden_and_goes_on_seeing(browser: Browser, player: Any, only_tcp: bool) -> None:
    microphone = Microphone(player.stream)
    microphone.start()
    async with watching(browser, player, EndpointSettings(), only_tcp=only_tcp, audio=True) as (page, endpoint):
        facts = await facts_when(page, "facts.framesDecoded > 20")
        assert not facts.get("audioPackets")
        (viewer,) = endpoint.viewers
        assert viewer.set_sound(True)
        # make_sound's tone of half the loudest
        loud = "facts.audioEnergy > 0.05 && facts.audioLevel > 0.3 && facts.audioLevel < 0.7"
        facts = await facts_when(page, f"{loud} && Math.abs(facts.hz - {TONE_HZ}) < 8")
        assert facts["audioLost"] <= 2
        assert viewer.outlet.in_lane or only_tcp
        # lips move with the words: later sound is noticed (ITU-R BT.1359)
        facts = await facts_when(page, "facts.heardMs && facts.seenMs && Math.abs(facts.heardMs - facts.seenMs) < 125")
        print(f"sound is {facts['heardMs'] - facts['seenMs']:.0f} ms ahead of the picture")
        player.stream.sound.allow(False)
        before = await facts_when(page, "facts.audioLevel < 0.01")
        facts = await facts_when(page, f"facts.framesDecoded > {before['framesDecoded']} + 45")
        assert facts["audioPackets"] == before["audioPackets"] and facts["state"] == "connected"
        assert not SOAK or facts["freezes"] <= 1
    await microphone.stop()


@pytest_asyncio.fixture
async def turn_port() -> AsyncIterator[int]:
    """A real TURN server (coturn) that shares the secret "word" with us; the test is skipped where none is installed."""
    program = shutil.which("turnserver")
    if program is None:
        pytest.skip("no TURN server on this machine: apt-get install coturn")
    port = free_port()
    command = [
        program, "-n", "--use-auth-secret", "--static-auth-secret=word", "--realm=rtcc", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1",
        f"--listening-port={port}", "--allow-loopback-peers", "--cli-password=unused", "--no-cli", "--no-tls", "--no-dtls",
        "--log-file=stdout", "--pidfile=/dev/null", "--userdb=:memory:",
    ]  # fmt: skip
    server = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    async def listening() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    await poll(listening, deadline_s=40)
    yield port
    server.kill()
    await server.wait()


async def test_chromium_that_may_only_use_turn_sees_the_stream_by_its_own_account(browser: Browser, player: Any, turn_port: int) -> None:
    settings = VideoSettings(ice_servers=(f"turn:127.0.0.1:{turn_port}?transport=udp",), turn_secret="word")
    servers = [
        {"urls": each.url, "username": each.username, "credential": each.credential} for each in ice_servers(settings, "v", time.time())
    ]
    connection = {"iceServers": servers, "iceTransportPolicy": "relay"}
    async with watching(browser, player, EndpointSettings(), connection=connection) as (page, _):
        facts = await facts_when(page, "facts.framesDecoded > 30")
        assert facts["by"] == "relay"

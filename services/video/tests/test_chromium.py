"""Real Chromium as the viewer: a page with the WHEP exchange of the console."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright

from rtcc_chassis.testing import poll
from rtcc_video.engine.endpoint import Endpoint, EndpointSettings
from rtcc_video.engine.viewer import CloseReason

FLAGS = [
    "--no-sandbox",
    "--enable-unsafe-swiftshader",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

PAGE = """<!doctype html><video id=video autoplay muted playsinline></video><script>
const connection = new RTCPeerConnection();
const video = document.getElementById('video');
const facts = {};
if (location.search === '?audio') connection.addTransceiver('audio', { direction: 'recvonly' });
connection.addTransceiver('video', { direction: 'recvonly' });
connection.ontrack = (event) => {
  video.srcObject = new MediaStream([event.track]);
};
video.requestVideoFrameCallback(() => { facts.firstFrameMs = performance.now(); });
async function start() {
  await connection.setLocalDescription();
  const answer = await fetch('/whep', { method: 'POST', body: connection.localDescription.sdp });
  await connection.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
}
async function read() {
  const found = { ...facts, width: video.videoWidth, time: video.currentTime, state: connection.connectionState,
    dtls: connection.getReceivers().find((receiver) => receiver.track.kind === 'video').transport?.state };
  const reports = await connection.getStats();
  for (const report of reports.values()) {
    if (report.type === 'inbound-rtp') Object.assign(found, { framesDecoded: report.framesDecoded, freezes: report.freezeCount,
      keyFrames: report.keyFramesDecoded, lost: report.packetsLost });
    const pair = report.type === 'transport' && reports.get(report.selectedCandidatePairId);
    if (pair) found.protocol = reports.get(pair.remoteCandidateId)?.protocol;
  }
  return found;
}
start();
</script>"""


@pytest_asyncio.fixture(scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        await launched.close()


@asynccontextmanager
async def watching(
    browser: Browser, player: Any, settings: EndpointSettings, only_tcp: bool = False, query: str = ""
) -> AsyncIterator[tuple[Page, Endpoint]]:
    endpoint = Endpoint(settings)
    await endpoint.start()
    closed: list[CloseReason] = []

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def whep(request: web.Request) -> web.Response:
        offer = await request.text()
        _, answer = endpoint.open(f"v{time.monotonic_ns()}", player.stream, offer, lambda _, reason: closed.append(reason))
        if only_tcp:
            answer = "".join(line for line in answer.splitlines(keepends=True) if " udp " not in line)
        return web.Response(text=answer, content_type="application/sdp")

    application = web.Application()
    application.add_routes([web.get("/", page), web.post("/whep", whep)])
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    tab = await browser.new_page()
    try:
        await tab.goto(f"http://127.0.0.1:{port}/{query}")
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
        # A busy machine may cost one; the relay's own pauses would cost one a second.
        assert later["freezes"] <= 1
        # UDP wins over TCP by priority, if not with the very first pair that answers.
        await facts_when(page, "facts.protocol === 'udp'")


async def test_chromium_is_told_at_once_when_the_view_is_revoked(browser: Browser, player: Any) -> None:
    async with watching(browser, player, EndpointSettings()) as (page, endpoint):
        await facts_when(page, "facts.framesDecoded > 10")
        revoked_s = time.monotonic()
        for viewer in endpoint.viewers:
            endpoint.close(viewer.setup.viewer_id, CloseReason.REVOKED)
        await facts_when(page, "facts.dtls === 'closed'", deadline_s=5)
        print(f"the page knew {(time.monotonic() - revoked_s) * 1000:.0f} ms after revocation")

        async def decodes_no_more() -> bool:
            """Nothing new while the source plays on; what the browser still held in its buffer is decoded first."""
            decoded, total = (await page.evaluate("read()"))["framesDecoded"], player.stream.frames_total

            async def played_on() -> bool:
                return bool(player.stream.frames_total > total + 20)

            await poll(played_on)
            return bool((await page.evaluate("read()"))["framesDecoded"] == decoded)

        await poll(decodes_no_more, deadline_s=20)


async def test_chromium_plays_over_tcp_where_udp_is_blocked(browser: Browser, player: Any) -> None:
    async with watching(browser, player, EndpointSettings(), only_tcp=True) as (page, _):
        facts = await facts_when(page, "facts.framesDecoded > 45")
        assert facts["protocol"] == "tcp"
        assert facts["width"] == 640


async def test_a_player_that_also_offers_audio_gets_its_video(browser: Browser, player: Any) -> None:
    async with watching(browser, player, EndpointSettings(), query="?audio") as (page, _):
        facts = await facts_when(page, "facts.framesDecoded > 20")
        assert facts["width"] == 640

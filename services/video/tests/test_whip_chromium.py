"""Real Chromium as publisher and, in another window, as viewer of what the first one sends."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from aiohttp import web
from playwright.async_api import Page, async_playwright

from rtcc_chassis.testing import poll
from rtcc_video.engine.endpoint import Endpoint, EndpointSettings
from rtcc_video.engine.stream import StreamLimits
from rtcc_video.engine.viewer import CloseReason
from rtcc_video.feed import Feed
from rtcc_video.publishing.offer import OurSide, build_publisher_answer, parse_publisher_offer
from rtcc_video.publishing.publisher import Publisher, PublisherSettings
from rtcc_video.publishing.receiver import receive_sound
from rtcc_video.sources.sound_conversion import SoundConverters
from rtcc_video.sources.sound_inlet import SoundWay
from rtcc_video.sources.source import Source

from .ears import listening, wave_of

FLAGS = [
    "--no-sandbox",
    "--enable-unsafe-swiftshader",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]

PUBLISH = r"""<!doctype html><script>
const connection = new RTCPeerConnection();
async function start() {
  const media = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480, frameRate: 20 }, audio: true });
  for (const track of media.getTracks()) connection.addTransceiver(track, { direction: 'sendonly', streams: [media] });
  await connection.setLocalDescription();
  const answer = await fetch('/whip', { method: 'POST', body: connection.localDescription.sdp });
  await connection.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
}
async function restart() {
  connection.restartIce();
  const offer = await connection.createOffer();
  await connection.setLocalDescription(offer);
  // as WHIP clients do: every section, and the refused microphone has credentials of its own
  const body = offer.sdp.split('\r\n').filter((line) => /^(m=|a=(group|mid|ice-ufrag|ice-pwd):)/.test(line)).join('\r\n');
  const fragment = await (await fetch('/whip', { method: 'PATCH', body })).text();
  let sdp = connection.remoteDescription.sdp;
  for (const name of ['ice-ufrag', 'ice-pwd']) {
    const [line] = fragment.match(new RegExp(`a=${name}:.*`));
    sdp = sdp.replaceAll(new RegExp(`a=${name}:.*`, 'g'), line.trim());
  }
  await connection.setRemoteDescription({ type: 'answer', sdp });
  return sdp.match(/a=ice-ufrag:(.*)/)[1].trim();
}
async function read() {
  const video = connection.getSenders().find((sender) => sender.track?.kind === 'video');
  const found = { state: connection.connectionState, dtls: video?.transport?.state };
  for (const report of (await connection.getStats()).values()) {
    if (report.type === 'outbound-rtp' && report.kind === 'audio') found.audioPackets = report.packetsSent;
    if (report.type !== 'outbound-rtp' || report.kind !== 'video') continue;
    Object.assign(found, { sent: report.framesEncoded, plis: report.pliCount });
  }
  return found;
}
start();
</script>"""

WATCH = """<!doctype html><video id=video autoplay muted playsinline></video><canvas id=canvas width=64 height=48></canvas><script>
const connection = new RTCPeerConnection();
const video = document.getElementById('video');
const looks = new Set();
connection.addTransceiver('video', { direction: 'recvonly' });
connection.ontrack = (event) => { video.srcObject = new MediaStream([event.track]); look(); };
function look() {
  const context = document.getElementById('canvas').getContext('2d');
  context.drawImage(video, 0, 0, 64, 48);
  const pixels = [...context.getImageData(0, 0, 64, 48).data];
  looks.add(pixels.reduce((sum, value, index) => (sum * 31 + value * (index % 7 + 1)) % 1000003, 7));
  video.requestVideoFrameCallback(look);
}
async function start() {
  await connection.setLocalDescription();
  const answer = await fetch('/whep', { method: 'POST', body: connection.localDescription.sdp });
  await connection.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
}
async function read() {
  const found = { width: video.videoWidth, looks: looks.size };
  for (const report of (await connection.getStats()).values()) {
    if (report.type === 'inbound-rtp') found.decoded = report.framesDecoded;
  }
  return found;
}
start();
</script>"""


async def _never() -> Source:
    raise AssertionError("a published camera opens nothing")


class Desk:
    """A relay with one published camera, and two pages."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.feed = Feed("c1", "east", _never, StreamLimits(), time.monotonic)
        self.feed.published = True
        self.publisher: Publisher | None = None
        self.closed: list[CloseReason] = []

    async def whip(self, request: web.Request) -> web.Response:
        intake = self.feed.stream.sound.open()
        offer = parse_publisher_offer(await request.text(), sound_allowed=intake is not None)
        sound = receive_sound(offer, None if intake is None else SoundWay(intake, SoundConverters(0), self.feed.sound_report))
        schedule = asyncio.get_running_loop().call_later
        name, identity = "p1" if self.publisher is None else "p2", self.endpoint.identity
        self.publisher = Publisher(name, offer, self.feed, PublisherSettings(), identity, time.monotonic, schedule, sound)
        self.endpoint.adopt(self.publisher, self.closed.append)
        self.feed.begin_publishing(self.publisher.ask_for_key_picture)
        addresses, port, tcp = self.endpoint.announced
        link = self.publisher.link
        ours = OurSide(link.ice_ufrag, link.ice_pwd, self.endpoint.identity.fingerprint_sha256, addresses, port, tcp)
        return web.Response(text=build_publisher_answer(offer, ours, 1), content_type="application/sdp")

    async def restarted(self, request: web.Request) -> web.Response:
        fragment, _ = self.endpoint.update("p1", "*", await request.text())
        return web.Response(text=fragment, content_type="application/trickle-ice-sdpfrag")

    async def whep(self, request: web.Request) -> web.Response:
        self.feed.want()
        _, answer = self.endpoint.open("v1", self.feed.stream, await request.text(), lambda *_: None)
        return web.Response(text=answer, content_type="application/sdp")


@pytest_asyncio.fixture
async def pages(chromium: str) -> AsyncIterator[tuple[Desk, Page, Page]]:
    endpoint = Endpoint(EndpointSettings())
    await endpoint.start()
    desk = Desk(endpoint)

    def page(text: str) -> Any:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(text=text, content_type="text/html")

        return answer

    application = web.Application()
    application.add_routes(
        [
            web.get("/publish", page(PUBLISH)),
            web.get("/watch", page(WATCH)),
            web.post("/whip", desk.whip),
            web.patch("/whip", desk.restarted),
            web.post("/whep", desk.whep),
        ]
    )
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS, timeout=60_000)
        publishing, watching = await browser.new_page(), await (await browser.new_context()).new_page()
        for tab in (publishing, watching):
            tab.set_default_timeout(60_000)
        await publishing.goto(f"{url}/publish")
        await facts_when(publishing, "facts.sent > 5")
        await watching.goto(f"{url}/watch")
        yield desk, publishing, watching
        await browser.close()
    await runner.cleanup()
    await endpoint.stop()


async def facts_when(page: Page, condition: str, deadline_s: float = 40) -> dict[str, Any]:
    ends = time.monotonic() + deadline_s
    while True:
        facts: dict[str, Any] = await page.evaluate("read()")
        if await page.evaluate(f"(facts) => Boolean({condition})", facts):
            return facts
        assert time.monotonic() < ends, f"{condition} not within {deadline_s} s: {facts}"
        await asyncio.sleep(0.1)


async def test_one_chromium_publishes_and_another_sees_moving_pictures(pages: tuple[Desk, Page, Page]) -> None:
    desk, publishing, watching = pages
    seen = await facts_when(watching, "facts.decoded > 30 && facts.looks > 10")
    assert seen["width"] == 640
    sent = await facts_when(publishing, "facts.plis >= 2")
    print(f"seen {seen}, sent {sent}; {desk.feed.measure(1)}")
    # a key picture each three seconds, although browsers send none by themselves
    assert len(desk.feed.stream.group) > 0
    # its microphone is on, and refused: nothing of it goes on the wire
    assert not sent.get("audioPackets")
    assert "m=audio 0 " in await publishing.evaluate("connection.remoteDescription.sdp")
    # ICE is restarted under it: the same session goes on, and who watches sees no end
    assert desk.publisher is not None
    path, before = desk.publisher.link.path, desk.publisher.link.ice_ufrag
    assert await publishing.evaluate("restart()") == desk.publisher.link.ice_ufrag != before

    async def moved() -> bool:
        # Chromium gathers anew: it sends from another port
        return desk.publisher is not None and desk.publisher.link.path is not path

    await poll(moved, deadline_s=40)
    decoded = (await watching.evaluate("read()"))["decoded"]
    await facts_when(watching, f"facts.decoded > {decoded} + 30")
    await facts_when(publishing, "facts.state === 'connected' && facts.dtls === 'connected'")
    assert not desk.closed
    # allowed now: the page sends anew, and its microphone (which beeps) is heard
    desk.feed.stream.sound.allow(True)
    ears = listening(desk.feed.stream.sound)
    await publishing.reload()
    await facts_when(publishing, "facts.audioPackets > 60 && facts.sent > 5")
    await ears.until(60)
    assert abs(wave_of(ears.heard)).max() > 1000
    assert desk.feed.sound_report.codec == "OPUS"
    already = len(desk.closed)
    await publishing.close()

    async def ended() -> bool:
        return len(desk.closed) > already

    await poll(ended, deadline_s=45)

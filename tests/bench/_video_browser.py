"""Chromium as the viewer of a measurement: a page that opens a view by WHEP at a click and tells what it sees."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from playwright.async_api import Browser, Page

from rtcc_video.engine.accelerator import HelperUnavailable, load
from rtcc_video.engine.endpoint import Endpoint, EndpointSettings
from rtcc_video.engine.stream import LiveStream

FLAGS = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--disable-background-networking", "--no-first-run"]
BLOCK_PX, BITS, SIZE = 40, 24, (1280, 720)
PAGE = (
    f"""<!doctype html><video id=video autoplay muted playsinline></video><script>
const block = {BLOCK_PX}, bits = {BITS}, width = block * bits;"""
    + """
let video = document.getElementById('video');
const canvas = new OffscreenCanvas(width, block);
const context = canvas.getContext('2d', { willReadFrequently: true });
let connection;
async function click() {
  const begun = performance.now();
  connection?.close();
  // An element of its own for each view: a picture of the one before counts for nothing.
  const fresh = video.cloneNode();
  fresh.srcObject = null;
  video.replaceWith(fresh);
  video = fresh;
  connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  connection.addTransceiver('video', { direction: 'recvonly' });
  const shown = new Promise((done) => video.requestVideoFrameCallback(() => done(performance.now() - begun)));
  connection.ontrack = (event) => { video.srcObject = new MediaStream([event.track]); };
  await connection.setLocalDescription(await connection.createOffer());
  const answer = await fetch('/whep', { method: 'POST', body: connection.localDescription.sdp });
  await connection.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
  return shown;
}
async function clockDelays(seconds) {
  const delays = [], ends = performance.now() + seconds * 1000;
  await new Promise((done) => {
    const look = (now) => {
      context.drawImage(video, 0, 0, width, block, 0, 0, width, block);
      const pixels = context.getImageData(0, block / 2, width, 1).data;
      let stamp = 0;
      for (let bit = 0; bit < bits; bit++) stamp = stamp * 2 + (pixels[(bit * block + block / 2) * 4] > 128 ? 1 : 0);
      const delay = ((performance.timeOrigin + now) % 2 ** bits) - stamp;
      if (delay > 0 && delay < 10_000) delays.push(delay);
      if (performance.now() < ends) video.requestVideoFrameCallback(look); else done();
    };
    video.requestVideoFrameCallback(look);
  });
  return delays;
}
async function gaps(seconds) {
  const found = [], ends = performance.now() + seconds * 1000;
  let before = performance.now();
  await new Promise((done) => {
    const look = (now) => {
      found.push(now - before);
      before = now;
      if (now < ends) video.requestVideoFrameCallback(look); else done();
    };
    video.requestVideoFrameCallback(look);
    setTimeout(() => { found.push(performance.now() - before); done(); }, seconds * 1000 + 5000);
  });
  const facts = {};
  for (const report of (await connection.getStats()).values()) if (report.type === 'inbound-rtp') Object.assign(facts, report);
  return { found, freezes: facts.freezeCount, lost: facts.packetsLost, received: facts.packetsReceived, nacks: facts.nackCount };
}
</script>"""
)


@asynccontextmanager
async def page_of(
    browser: Browser, stream_of: Callable[[], LiveStream], announced: Callable[[str, int], str] = lambda answer, _: answer
) -> AsyncIterator[tuple[Page, Endpoint]]:
    """A page whose click opens a view of the stream. `announced` changes the answer, given the relay's port: a link put between."""
    try:
        accelerator = load()
    except HelperUnavailable:
        accelerator = None
    endpoint = Endpoint(EndpointSettings(), accelerator=accelerator)
    await endpoint.start()

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def whep(request: web.Request) -> web.Response:
        _, answer = endpoint.open(f"v{time.monotonic_ns()}", stream_of(), await request.text(), lambda *_: None)
        return web.Response(text=announced(answer, endpoint.port), content_type="application/sdp")

    application = web.Application()
    application.add_routes([web.get("/", page), web.post("/whep", whep)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    tab = await browser.new_page()
    try:
        await tab.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/")
        yield tab, endpoint
    finally:
        await tab.close()
        await runner.cleanup()
        await endpoint.stop()

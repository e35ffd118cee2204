"""`./rtcc bench startup`: from the command to a living city.

Measured is the time from `./rtcc demo` to a signed-in console in Chromium on which units move and a camera plays decoded frames.
`warm_s`: everything installed and provisioned. `cold_s` (with --cold): a fresh clone of the checkout's last commit with empty caches and
an empty data folder, packages from the network included. `platform_rss_mb`: resident memory of all processes of the platform but the
feeders, shared pages counted once (proportional set size); `platform_rss_sum_mb` counts them in each process. MB = 10^6 bytes.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from rtcc_standalone.checkout import checkout_root
from rtcc_standalone.development.chromium import ensure_chromium
from rtcc_standalone.process_facts import descendants
from rtcc_standalone.terminal import Steps

_FLAGS = (
    "--no-sandbox",
    "--enable-unsafe-swiftshader",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_DEADLINE_S = 600.0
# plays an own camera through the public WHEP endpoint and answers how many frames were decoded
_PLAY = """async () => {
  const cameras = (await (await fetch('/v1/cameras')).json()).cameras.filter((camera) => camera.has_stream && camera.enabled);
  if (!cameras.length) return 0;
  if (!window.rtccProbe) {
    const peer = new RTCPeerConnection();
    peer.addTransceiver('video', { direction: 'recvonly' });
    const video = document.createElement('video');
    video.muted = true; video.autoplay = true;
    peer.ontrack = (event) => { video.srcObject = new MediaStream([event.track]); video.play(); };
    await peer.setLocalDescription();
    const answer = await fetch(`/v1/whep/${cameras[0].camera_id}`, {
      method: 'POST', headers: { 'Content-Type': 'application/sdp', 'Rtcc-Request': '1' }, body: peer.localDescription.sdp,
    });
    if (answer.status !== 201) return 0;
    await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
    window.rtccProbe = video;
  }
  return window.rtccProbe.getVideoPlaybackQuality().totalVideoFrames;
}"""


def run(argv: Sequence[str]) -> dict[str, Any]:
    """Figures for the bench verb."""
    parser = argparse.ArgumentParser(prog="./rtcc bench startup")
    parser.add_argument("--cold", action="store_true", help="measure a fresh clone with empty caches too (needs the network)")
    parser.add_argument("--picture", type=Path, help="keep a screenshot of the living console here")
    options = parser.parse_args(list(argv))
    steps = Steps()
    chromium = ensure_chromium(steps)
    if chromium is None:
        raise SystemExit("there is no Chromium to look with: install chromium, or set RTCC_CHROMIUM to one")
    figures: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(prefix="rtcc-bench-"))
    folder.chmod(0o711)
    try:
        if options.cold:
            figures |= _cold(folder, chromium, steps)
        figures |= _warm(folder, chromium, steps, options.picture)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return figures


def _cold(folder: Path, chromium: Path, steps: Steps) -> dict[str, Any]:
    clone, home = folder / "clone", folder / "home"
    home.mkdir()
    subprocess.run(["git", "clone", "--quiet", str(checkout_root()), str(clone)], check=True)
    caches = {
        "HOME": home,
        "UV_CACHE_DIR": home / "uv",
        "npm_config_cache": home / "npm",
        "PIP_CACHE_DIR": home / "pip",
        "XDG_CACHE_HOME": home,
    }
    # an index of the site may stand in a configuration below the real home
    environment = {**_without_ours(), **_site_configuration(), **{name: str(path) for name, path in caches.items()}}
    steps("cold start: fresh clone, empty caches")
    began = time.monotonic()
    link = _demo(clone, folder / "cold", environment)
    printed_s = time.monotonic() - began
    asyncio.run(_see_city(chromium, link, None))
    seconds = time.monotonic() - began
    _down(clone, folder / "cold", environment)
    return {"cold_s": round(seconds, 1), "cold_links_s": round(printed_s, 1)}


def _warm(folder: Path, chromium: Path, steps: Steps, picture: Path | None) -> dict[str, Any]:
    root, data, environment = checkout_root(), folder / "warm", _without_ours()
    steps("making the installation whose second start is measured")
    _demo(root, data, environment)
    _down(root, data, environment)
    steps("warm start")
    began = time.monotonic()
    link = _demo(root, data, environment)
    printed_s = time.monotonic() - began
    asyncio.run(_see_city(chromium, link, picture))
    seconds = time.monotonic() - began
    try:
        return {"warm_s": round(seconds, 1), "warm_links_s": round(printed_s, 1), **_memory(root, data, environment)}
    finally:
        _down(root, data, environment)


def _demo(root: Path, data: Path, environment: Mapping[str, str]) -> str:
    """Start it in the background; the first one-time link (an operator's)."""
    command = [str(root / "rtcc"), "demo", "--detach", "--data", str(data)]
    done = subprocess.run(command, env=dict(environment), stdout=subprocess.PIPE, text=True, check=False)
    found = re.search(r"https?://\S+/auth/demo/\S+", done.stdout)
    if done.returncode != 0 or found is None:
        raise SystemExit(f"./rtcc demo ended with {done.returncode} and no link:\n{done.stdout}")
    return found.group()


def _down(root: Path, data: Path, environment: Mapping[str, str]) -> None:
    subprocess.run([str(root / "rtcc"), "down", "--data", str(data)], env=dict(environment), check=False, stderr=subprocess.DEVNULL)


def _memory(root: Path, data: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    command = [str(root / "rtcc"), "status", "--json", "--data", str(data)]
    facts = json.loads(subprocess.run(command, env=dict(environment), stdout=subprocess.PIPE, text=True, check=True).stdout)
    processes = {name: process for name, process in facts["processes"].items() if name != "feeders"}
    shared_once = facts["supervisor_memory_mb"] + sum(process["memory_mb"] for process in processes.values())
    identifiers = [one for process in processes.values() for one in descendants(process["process_id"])]
    summed = sum(_resident_mb(one) for one in [facts["supervisor_process_id"], *identifiers])
    each = {f"{name}_mb": process["memory_mb"] for name, process in processes.items()}
    return {
        "platform_rss_mb": round(shared_once),
        "platform_rss_sum_mb": round(summed),
        **each,
        "supervisor_mb": facts["supervisor_memory_mb"],
    }


def _resident_mb(process_id: int) -> float:
    try:
        pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    except (OSError, ValueError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _without_ours() -> dict[str, str]:
    """The caller's environment without what this very process was started with."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("RTCC_", "VIRTUAL_ENV", "PYTHON"))}


def _site_configuration() -> dict[str, str]:
    """Where the site says which package index to use, and where other Pythons lie, found from the real home."""
    home = Path.home()
    found = {"PYENV_ROOT": home / ".pyenv", "UV_CONFIG_FILE": home / ".config/uv/uv.toml", "PIP_CONFIG_FILE": home / ".config/pip/pip.conf"}
    if not found["PIP_CONFIG_FILE"].is_file():
        found["PIP_CONFIG_FILE"] = home / ".pip/pip.conf"
    found["npm_config_userconfig"] = home / ".npmrc"
    return {name: str(path) for name, path in found.items() if path.exists() and name not in os.environ}


async def _see_city(chromium: Path, link: str, picture: Path | None) -> None:
    """Returns when the signed-in console shows moving units and frames are decoded."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(chromium), args=list(_FLAGS))
        try:
            page = await browser.new_page(viewport={"width": 1600, "height": 1000})
            await page.goto(link)
            await page.locator("[data-testid=map][data-ready]").wait_for(timeout=_DEADLINE_S * 1000)
            async with asyncio.timeout(_DEADLINE_S):
                await asyncio.gather(_units_move(page), _video_plays(page))
            if picture is not None:
                await page.screenshot(path=picture)
        finally:
            await browser.close()


async def _units_move(page: Page) -> None:
    canvas = page.locator("[data-testid=unit-canvas]")
    before = await canvas.screenshot()
    while before == await canvas.screenshot():
        await page.wait_for_timeout(100)


async def _video_plays(page: Page) -> None:
    first = 0
    while (frames := await page.evaluate(_PLAY)) < first + 10:
        first = first or frames
        await page.wait_for_timeout(100)


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1:])))

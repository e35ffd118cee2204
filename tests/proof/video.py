"""What the docked tiles of a console play."""

from playwright.async_api import Page

from proof.platform import until


async def decoded_frames(page: Page) -> dict[str, int]:
    """Of every docked tile, by camera; -1 while it has no stream."""
    script = """async () => {
        const found = {};
        for (const tile of document.querySelectorAll('figure.tile[data-camera-id]')) {
            const video = tile.querySelector('video');
            found[tile.dataset.cameraId] = video && video.srcObject ? video.getVideoPlaybackQuality().totalVideoFrames : -1;
        }
        return found;
    }"""
    frames: dict[str, int] = await page.evaluate(script)
    return frames


async def frames_rise(page: Page, camera_ids: set[str]) -> None:
    """Every one of these tiles, and no other, is there and decodes more and more frames."""

    async def all_there() -> dict[str, int] | None:
        frames = await decoded_frames(page)
        return frames if set(frames) == camera_ids and all(count > 5 for count in frames.values()) else None

    first = await until(all_there, deadline_s=60)
    assert first is not None

    async def grown() -> bool:
        now = await decoded_frames(page)
        return all(now.get(camera_id, -1) > count + 5 for camera_id, count in first.items())

    await until(grown, deadline_s=60)

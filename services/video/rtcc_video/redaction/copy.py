"""A redacted copy of an export: its clips through a process of their own, and what the new archive says about it (R28)."""

import asyncio
import contextlib
import hashlib
import json
import sys
import zipfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rtcc_video.children import environment_without_secrets
from rtcc_video.recording.export_archive import Archive, Order, head_of, time_text
from rtcc_video.recording.export_store import Export

REDACTED_CLIP: Final = "redacted.mp4"
_PART_BYTES: Final = 4 * 1024 * 1024
_SILENCE_LIMIT_S: Final = 120.0
_LONGEST_LINE: Final = 64 * 1024

# (offset, length) -> bytes of the original's archive.
type ReadPart = Callable[[int, int], Awaitable[bytes]]
# Percent done.
type Tell = Callable[[int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Copy:
    """The new clip, how it was made, and what the original's manifest said."""

    path: Path
    pictures: int
    encoder: str
    first_picture_at: datetime
    original: dict[str, Any]


async def make_copy(order: Order, original: Export, folder: Path, read: ReadPart, tell: Tell) -> Copy:
    """Fetches the original and redacts it, in `folder`. Raises `ValueError`, `OSError`."""
    archive = folder / "original.zip"
    digest = hashlib.sha256()
    with archive.open("wb") as file:
        for offset in range(0, original.size_bytes, _PART_BYTES):
            data = await read(offset, min(_PART_BYTES, original.size_bytes - offset))
            digest.update(data)
            await asyncio.to_thread(file.write, data)
    if digest.hexdigest() != original.sha256:
        raise ValueError("the export in the store isn't what was made: its SHA-256 is another one")
    manifest, clips = await asyncio.to_thread(_unpack, archive, folder)
    archive.unlink()
    await tell(5)
    output = folder / REDACTED_CLIP
    told = await _run(order, clips, output, tell)
    first = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(told["first_us"]))
    return Copy(output, int(told["pictures"]), str(told["encoder"])[:40], first, manifest)


def redacted_manifest(order: Order, original: Export, made: Copy, archive: Archive) -> dict[str, Any]:
    """What the archive holds, what can't be seen in it, and which original it was made from, by its hashes."""
    if order.redaction is None:
        raise ValueError("only of a redacted copy")
    segments = [{name: one[name] for name in ("segment_id", "sha256", "started_at", "ended_at")} for one in made.original["segments"]]
    return {
        **head_of(order),
        "method": "A redacted copy: pictures were decoded, changed as `redaction` says, and coded anew. Pictures before starts_at and "
        "after ends_at were left out. The original was not changed.",
        "redaction": {
            **order.redaction.as_dict(),
            "path": REDACTED_CLIP,
            "pictures": made.pictures,
            "encoder": made.encoder,
            "first_picture_at": time_text(made.first_picture_at),
            "original_export_id": original.order.export_id,
            "original_sha256": original.sha256,
            "original_segments": segments,
        },
        "sound": {"included": False, "method": "Sound is left out of every redacted copy."},
        "segments": [],
        "inits": [],
        "clips": [],
        "gaps": made.original["gaps"],
        "files": archive.listed,
    }


def redacted_readme(order: Order, original: Export) -> bytes:
    """What a receiver reads first."""
    return f"""REDACTED copy of recorded video of camera {order.camera.get("name") or order.camera_id},
{time_text(order.starts_at)} to {time_text(order.ends_at)}.

redacted.mp4       pictures in which some can't be seen, on purpose. They were decoded, changed and coded anew.
                   It has no sound: that is left out of every redacted copy.
manifest.json      what was hidden, where and when (redaction), why and by whom; and the hashes of the original, which was not changed:
                   export {original.order.export_id},
                   SHA-256 {original.sha256}.
custody.json       who touched the original, from the audit log of the agency.
verify.py          checks all of it: python3 verify.py <this archive>. It needs Python alone.
""".encode()


def _unpack(archive: Path, folder: Path) -> tuple[dict[str, Any], list[Path]]:
    """The manifest, and the clips in their order as files."""
    clips = []
    with zipfile.ZipFile(archive) as original:
        manifest: dict[str, Any] = json.loads(original.read("manifest.json"))
        for number, clip in enumerate(manifest["clips"]):
            path = folder / f"clip-{number}.mp4"
            with original.open(clip["path"]) as source, path.open("wb") as target:
                while data := source.read(1 << 20):
                    target.write(data)
            clips.append(path)
    return manifest, clips


async def _run(order: Order, clips: list[Path], output: Path, tell: Tell) -> dict[str, Any]:
    """What the process says at its end. Raises `ValueError` with its reason."""
    if order.redaction is None:
        raise ValueError("only of a redacted copy")
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "rtcc_video.redaction.child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=_LONGEST_LINE,
        # It decodes what a camera sent: it gets none of our secrets.
        env=environment_without_secrets(),
    )
    if child.stdin is None or child.stdout is None:
        raise ValueError("the process that redacts has no pipes")
    asked = {
        "inputs": [str(path) for path in clips],
        "output": str(output),
        "starts_us": round(order.starts_at.timestamp() * 1_000_000),
        "ends_us": round(order.ends_at.timestamp() * 1_000_000),
        "redaction": order.redaction.as_dict(),
    }
    try:
        child.stdin.write(json.dumps(asked).encode() + b"\n")
        await child.stdin.drain()
        while True:
            async with asyncio.timeout(_SILENCE_LIMIT_S):
                line = await child.stdout.readline()
            if not line:
                raise ValueError("the process that redacts ended without a word")
            told: dict[str, Any] = json.loads(line)
            if "failed" in told:
                raise ValueError(str(told["failed"])[:300])
            if "pictures" in told:
                return told
            await tell(5 + int(90 * min(1.0, max(0.0, float(told["done"])))))
    except TimeoutError:
        raise ValueError(f"the process that redacts said nothing for {_SILENCE_LIMIT_S:.0f} s") from None
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        await child.wait()

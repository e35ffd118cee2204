"""The local folder through which every segment goes: what is in it survives this process and an object store that is away.

A file is a line of JSON (the index row and the initialisation segment) and then the media bytes: the pictures, and the sound where there
is any. It is written aside and renamed, so what has its name is whole. All methods block: call them in a thread. A file that can't be
read is set aside, never deleted.
"""

import base64
import contextlib
import errno
import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from rtcc_video.recording.domain import Segment
from rtcc_video.recording.fmp4 import Init

_log = logging.getLogger(__name__)

_SUFFIX: Final = ".segment"
_BROKEN: Final = ".broken"
_LONGEST_HEAD: Final = 64 * 1024


class SpoolFull(Exception):
    """The bound of the spool, or the disk, is reached; the message says which."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """A segment in the spool, not yet read."""

    path: Path
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A segment read from the spool."""

    segment: Segment
    init: Init
    data: bytes
    sound: bytes = b""


class Spool:
    """At most `limit_bytes` on disk, whatever wrote them."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self.limit_bytes = limit_bytes
        self.used_bytes = 0

    def recover(self) -> list[Spooled]:
        """What an earlier life of this process left, oldest first; half-written files are removed. Raises `OSError`."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = []
        for path in sorted(self._folder.iterdir()):
            if path.suffix == _SUFFIX:
                found.append(Spooled(path, path.stat().st_size))
            elif path.suffix == ".part":
                path.unlink(missing_ok=True)
        self.used_bytes = sum(one.size_bytes for one in found)
        return found

    def put(self, segment: Segment, init: Init, data: bytes, sound: bytes = b"") -> Spooled:
        """Raises `SpoolFull`, `OSError`."""
        head = _head(segment, init)
        size = len(head) + len(data) + len(sound)
        if self.used_bytes + size > self.limit_bytes:
            raise SpoolFull(f"the spool holds {self.used_bytes >> 20} MiB of at most {self.limit_bytes >> 20} MiB")
        name = f"{int(segment.started_at.timestamp() * 1_000_000):020d}.{segment.segment_id}"
        aside = self._folder / f"{name}.part"
        try:
            with aside.open("wb") as file:
                file.write(head)
                file.write(data)
                file.write(sound)
            path = aside.with_suffix(_SUFFIX)
            aside.rename(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise SpoolFull("the spool's disk is full") from error
            raise
        self.used_bytes += size
        return Spooled(path, size)

    def read(self, spooled: Spooled) -> Taken | None:
        """None: the file isn't what was written; it is set aside under another name for a person to look at. Raises `OSError`."""
        with spooled.path.open("rb") as file:
            head, data = file.readline(_LONGEST_HEAD), file.read()
        try:
            taken = _taken(head, data)
        except (ValueError, KeyError, TypeError) as error:
            _log.error("the spooled segment %s can't be read and is set aside: %s", spooled.path.name, error)
            os.replace(spooled.path, spooled.path.with_suffix(_BROKEN))
            self.used_bytes -= spooled.size_bytes
            return None
        return taken

    def remove(self, spooled: Spooled) -> None:
        """Once it is stored and indexed."""
        spooled.path.unlink(missing_ok=True)
        self.used_bytes -= spooled.size_bytes


def _head(segment: Segment, init: Init) -> bytes:
    row = asdict(segment)
    for name in ("started_at", "ended_at", "camera_started_at"):
        row[name] = row[name].isoformat() if row[name] is not None else None
    sets = asdict(replace(init, data=b"")) | {"data": base64.b64encode(init.data).decode()}
    return json.dumps({"segment": row, "init": sets}, separators=(",", ":")).encode() + b"\n"


def _taken(head: bytes, data: bytes) -> Taken:
    body: dict[str, Any] = json.loads(head)
    row, sets = body["segment"], body["init"]
    for name in ("started_at", "ended_at", "camera_started_at"):
        row[name] = datetime.fromisoformat(row[name]) if row[name] is not None else None
    segment = Segment(**row)
    data, sound = data[: segment.size_bytes], data[segment.size_bytes :]
    told = (segment.sha256, segment.sound_sha256 or hashlib.sha256().hexdigest())
    if len(sound) != segment.sound_bytes or tuple(hashlib.sha256(one).hexdigest() for one in (data, sound)) != told:
        raise ValueError("its bytes don't have the hash that they had")
    return Taken(segment, Init(**(sets | {"data": base64.b64decode(sets["data"], validate=True)})), data, sound)

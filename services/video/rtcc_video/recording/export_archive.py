"""An export's archive: original segments, clips that join them, manifest, custody, certificate, signature, and the program that checks it.

The archive is the one that `verify_export` expects to the byte: files stored without compression, in order, no times, nothing between.
"""

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, BinaryIO, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rtcc_video.recording import verify_export as format_of
from rtcc_video.recording.domain import Gap, Segment
from rtcc_video.recording.fmp4 import Init
from rtcc_video.redaction.domain import Redaction

_CHUNK: Final = 1 << 20
SIZE_LIMIT_BYTES: Final = 2_000_000_000
SOUND_METHOD: Final = (
    "Opus as it came from the camera; of a camera that sends another kind of sound, what was made of it when it came. Stored beside the "
    "pictures and hashed when it was recorded. Times are those of arrival by the server's clock."
)
_CERTIFIED_SOUND: Final = """
   Sound is stored beside the pictures in the same way, as Opus: as it came from the camera, or made of the camera's
   other kind of sound when it came."""
_SOUND_README: Final = """sound/             the recorded sound of each segment, byte for byte; the clips have it as their second track.
"""


@dataclass(frozen=True, slots=True)
class Order:
    """What was ordered, by whom and why. `camera` is what the directory said of it."""

    export_id: str
    agency_id: str
    owner_agency_id: str
    camera_id: str
    camera: Mapping[str, Any]
    starts_at: datetime
    ends_at: datetime
    reason: str
    purpose: str
    case_number: str
    agreement_id: str
    created_by: str
    created_by_name: str
    created_at: datetime
    # of a redacted copy alone
    original_export_id: str = ""
    redaction: Redaction | None = None
    # never of a redacted copy
    with_sound: bool = False

    def sound_of(self, segment: Segment) -> str:
        """The hash of the segment's sound, where it has any and the export has it too; else empty."""
        return segment.sound_sha256 if self.with_sound else ""


@dataclass(slots=True)
class Archive:
    """Writes one archive to a file that can be read back."""

    file: BinaryIO
    _rows: list[tuple[str, int, int, int]] = field(default_factory=list)
    _at: int = 0
    listed: list[dict[str, Any]] = field(default_factory=list)
    _places: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, name: str, data: bytes, *, listed: bool = True) -> str:
        """The SHA-256 of what was added, in hex."""
        return self._add(name, len(data), zlib.crc32(data), iter((data,)), listed=listed)

    def add_file(self, name: str, path: Path) -> str:
        """As `add`, of a file that needn't fit into memory."""
        checksum = 0
        for data in _chunks(path):
            checksum = zlib.crc32(data, checksum)
        return self._add(name, path.stat().st_size, checksum, _chunks(path), listed=True)

    def join(self, name: str, parts: Sequence[str]) -> str:
        """Adds the files `parts` one after the other as one more file."""
        checksum, size = 0, 0
        for data in self._read(parts):
            checksum = zlib.crc32(data, checksum)
            size += len(data)
        return self._add(name, size, checksum, self._read(parts), listed=True)

    def finish(self) -> tuple[str, int]:
        """The SHA-256 of the whole and its size."""
        self.file.seek(self._at)
        self.file.write(format_of.directory(self._rows, self._at))
        size = self.file.tell()
        digest = hashlib.sha256()
        self.file.seek(0)
        while data := self.file.read(_CHUNK):
            digest.update(data)
        return digest.hexdigest(), size

    def _add(self, name: str, size: int, checksum: int, parts: Iterator[bytes], *, listed: bool) -> str:
        head, digest = format_of.local_header(name, checksum, size), hashlib.sha256()
        if self._at + len(head) + size > SIZE_LIMIT_BYTES:
            raise ValueError(f"the export would be larger than {SIZE_LIMIT_BYTES // 1_000_000} MB: choose a shorter time")
        place = self._at + len(head)
        self.file.seek(self._at)
        self.file.write(head)
        at = place
        for data in parts:
            digest.update(data)
            self.file.seek(at)
            self.file.write(data)
            at += len(data)
        self._rows.append((name, checksum, size, self._at))
        self._places[name] = (place, size)
        self._at = at
        if listed:
            self.listed.append({"path": name, "bytes": size, "sha256": digest.hexdigest()})
        return digest.hexdigest()

    def _read(self, names: Sequence[str]) -> Iterator[bytes]:
        for name in names:
            at, left = self._places[name]
            while left:
                self.file.seek(at)
                data = self.file.read(min(_CHUNK, left))
                yield data
                at, left = at + len(data), left - len(data)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            yield data


def segment_path(number: int, segment: Segment) -> str:
    """Where an original segment lies."""
    return f"segments/{number:05d}-{segment.segment_id}.m4s"


def init_path(init_id: str) -> str:
    """Where an initialisation segment lies."""
    return f"segments/init-{init_id[:16]}.mp4"


def sound_path(number: int, segment: Segment) -> str:
    """Where the sound of a segment lies."""
    return f"sound/{number:05d}-{segment.segment_id}.m4s"


def init_with_sound_path(init_id: str) -> str:
    """Where the initialisation segment of pictures and sound lies."""
    return f"sound/init-{init_id[:16]}.mp4"


def add_clips(archive: Archive, segments: Sequence[Segment], order: Order) -> list[dict[str, Any]]:
    """Playable files: stretches with the same initialisation segment, joined unchanged; with the marks in seconds from their start.

    A stretch with sound has it as a second track: the fragments of both stand one after the other.
    """
    stretches: list[list[tuple[int, Segment]]] = []
    for number, segment in enumerate(segments):
        if stretches and stretches[-1][-1][1].init_id == segment.init_id:
            stretches[-1].append((number, segment))
        else:
            stretches.append([(number, segment)])
    clips = []
    for number, stretch in enumerate(stretches):
        path = f"clip-{number + 1}.mp4"
        init_id, sounds = stretch[0][1].init_id, any(order.sound_of(segment) for _, segment in stretch)
        joins = [init_with_sound_path(init_id) if sounds else init_path(init_id)]
        for position, segment in stretch:
            joins.append(segment_path(position, segment))
            if order.sound_of(segment):
                joins.append(sound_path(position, segment))
        archive.join(path, joins)
        first, last = stretch[0][1], stretch[-1][1]
        clips.append(
            {
                "path": path,
                "joins": joins,
                "starts_at": time_text(first.started_at),
                "ends_at": time_text(last.ended_at),
                "mark_in_s": max(0.0, (order.starts_at - first.started_at) / timedelta(seconds=1)),
                "mark_out_s": min(order.ends_at, last.ended_at).timestamp() - first.started_at.timestamp(),
            }
        )
    return clips


def head_of(order: Order) -> dict[str, Any]:
    """What every manifest says of the order."""
    return {
        "format": format_of.FORMAT,
        "export_id": order.export_id,
        "camera": {"camera_id": order.camera_id, "agency_id": order.owner_agency_id, "name": "", **order.camera},
        "starts_at": time_text(order.starts_at),
        "ends_at": time_text(order.ends_at),
        "exported_by": {"person_id": order.created_by, "name": order.created_by_name, "agency_id": order.agency_id},
        "exported_at": time_text(order.created_at),
        "purpose": order.purpose,
        "case_number": order.case_number,
        "reason": order.reason,
        "agreement_id": order.agreement_id,
        "hash_algorithm": "SHA-256",
    }


def manifest_of(
    order: Order, segments: Sequence[Segment], gaps: Sequence[Gap], inits: Sequence[Init], clips: list[dict[str, Any]], archive: Archive
) -> dict[str, Any]:
    """What the archive holds and where it comes from."""
    return {
        **head_of(order),
        "method": "Coded pictures as the camera sent them, put into fragmented MP4 without transcoding; copied from the store and compared "
        "with the hash taken when they were recorded. Times are of the server's clock; clock_difference_ms is server minus camera.",
        "segments": [
            {
                "path": segment_path(number, segment),
                "segment_id": segment.segment_id,
                "init": init_path(segment.init_id),
                "sha256": segment.sha256,
                "bytes": segment.size_bytes,
                "started_at": time_text(segment.started_at),
                "ended_at": time_text(segment.ended_at),
                "camera_started_at": time_text(segment.camera_started_at) if segment.camera_started_at else None,
                "clock_difference_ms": segment.clock_difference_ms if segment.camera_started_at else None,
                "pictures": segment.pictures,
                "continues": segment.continues,
                "starts_with_key": segment.starts_with_key,
            }
            | _sound_row(number, segment, order)
            for number, segment in enumerate(segments)
        ],
        "inits": [{"path": init_path(one.init_id), "sha256": one.init_id, "codec": one.codec} for one in inits],
        "sound": {"included": order.with_sound} | ({"method": SOUND_METHOD} if order.with_sound else {}),
        "clips": clips,
        "gaps": [
            {"started_at": time_text(gap.started_at), "ended_at": time_text(gap.ended_at) if gap.ended_at else None, "kind": gap.kind.value,
             "reason": gap.reason}
            for gap in gaps
        ],
        "files": archive.listed,
    }  # fmt: skip


def _sound_row(number: int, segment: Segment, order: Order) -> dict[str, Any]:
    if not order.sound_of(segment):
        return {}
    return {"sound": {"path": sound_path(number, segment), "sha256": segment.sound_sha256, "bytes": segment.sound_bytes}}


def sign_and_finish(archive: Archive, manifest: Mapping[str, Any], key: Ed25519PrivateKey) -> tuple[str, int]:
    """Adds manifest and signature; the SHA-256 of the whole archive and its size."""
    body = json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True).encode()
    archive.add(format_of.MANIFEST, body, listed=False)
    archive.add(format_of.SIGNATURE, format_of.signature_text(key.public_key().public_bytes_raw(), key.sign(body)), listed=False)
    return archive.finish()


def verifier() -> bytes:
    """The program that goes with each export."""
    return files("rtcc_video.recording").joinpath("verify_export.py").read_bytes()


def certificate(order: Order, segments: Sequence[Segment], public_key: bytes) -> bytes:
    """A certificate to be completed and signed by a qualified person (FRE 902(11), (13) and (14)). Counsel has the last word."""
    digests = [(segment.sha256, segment_path(number, segment)) for number, segment in enumerate(segments)]
    digests += [(order.sound_of(one), sound_path(number, one)) for number, one in enumerate(segments) if order.sound_of(one)]
    rows = "\n".join(f"  {digest}  {path}" for digest, path in digests)
    text = files("rtcc_video.recording").joinpath("certificate_template.txt").read_text(encoding="utf-8")
    return (
        Template(text)
        .substitute(
            owner=order.owner_agency_id,
            camera=order.camera.get("name") or order.camera_id,
            camera_id=order.camera_id,
            made_at=time_text(order.created_at),
            person=order.created_by_name,
            person_id=order.created_by,
            agency=order.agency_id,
            starts_at=time_text(order.starts_at),
            ends_at=time_text(order.ends_at),
            case_number=order.case_number,
            purpose=order.purpose,
            public_key=public_key.hex(),
            digests=rows,
            sound=_CERTIFIED_SOUND if order.with_sound else "",
        )
        .encode()
    )


def readme(order: Order) -> bytes:
    """What a receiver reads first."""
    starts_at, ends_at = time_text(order.starts_at), time_text(order.ends_at)
    sounds = _SOUND_README if order.with_sound else ""
    return f"""Recorded video of camera {order.camera.get("name") or order.camera_id}, {starts_at} to {ends_at}.

clip-1.mp4 ...     what was recorded, to be played by any player. It begins and ends at the border of a segment; manifest.json has the exact
                   marks (mark_in_s, mark_out_s).
segments/          the recorded segments themselves, byte for byte.
{sounds}manifest.json      what is here, with hashes, times, clock difference, gaps, and who exported it why. manifest.sig is its signature.
custody.json       who touched these recordings, from the audit log of the agency.
certificate.txt    a certificate to be completed by a qualified person.
verify.py          checks all of it: python3 verify.py <this archive>. It needs Python alone.
""".encode()


def time_text(at: datetime) -> str:
    """RFC 3339 in milliseconds."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

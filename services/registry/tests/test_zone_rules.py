"""Zones in the air have heights, others don't."""

import math

import pytest

from rtcc.geo.v1.geo_pb2 import Coordinate, Polygon
from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.errors import InvalidInput
from rtcc_registry.domain.equipment import AIRSPACE_ADAPTERS, checked_source, checked_zone

SQUARE = Polygon(corners=[Coordinate(latitude_deg=y, longitude_deg=x) for y, x in ((60, 24), (60, 25), (61, 25), (61, 24))])


def zone(kind: str = "air", **heights: float) -> pb.Zone:
    return pb.Zone(name="Z", kind=kind, area=SQUARE, **heights)


@pytest.mark.parametrize("heights", [{}, {"floor_m": 0}, {"ceiling_m": 120}, {"floor_m": 50, "ceiling_m": 120}])
def test_heights_of_a_zone_in_the_air_are_kept(heights: dict[str, float]) -> None:
    checked = checked_zone(zone(**heights))
    assert {name: getattr(checked, name) for name in ("floor_m", "ceiling_m") if checked.HasField(name)} == heights


@pytest.mark.parametrize(
    ("heights", "field"),
    [
        ({"floor_m": -1}, "floor_m"),
        ({"ceiling_m": 20_001}, "ceiling_m"),
        ({"ceiling_m": math.nan}, "ceiling_m"),
        ({"floor_m": math.inf}, "floor_m"),
        ({"floor_m": 120, "ceiling_m": 120}, "ceiling_m"),
        ({"ceiling_m": 0}, "ceiling_m"),
    ],
)
def test_heights_that_make_no_zone_are_refused(heights: dict[str, float], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_zone(zone(**heights))
    assert f"zone.{field}" in {violation.field for violation in caught.value.violations}


def test_a_zone_on_the_ground_has_no_heights() -> None:
    with pytest.raises(InvalidInput, match="only zones of kind air"):
        checked_zone(zone("school", ceiling_m=10))


@pytest.mark.parametrize("adapter", sorted(AIRSPACE_ADAPTERS))
def test_receivers_are_sources(adapter: str) -> None:
    assert checked_source(pb.Source(name="Roof", adapter=adapter)).adapter == adapter

"""Rules about zones, sources and units."""

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.geometry import polygon_violations
from rtcc_registry.domain.findings import Findings

INTAKE_ADAPTERS = frozenset({"alarm", "cap", "cot", "eido", "gtfs_realtime", "gunshot", "mapped", "plate_read", "sensor", "tip"})
AIRSPACE_ADAPTERS = frozenset({"adsb", "mavlink", "remote_id"})
ADAPTERS = INTAKE_ADAPTERS | AIRSPACE_ADAPTERS
UNIT_KINDS = frozenset({"patrol", "officer", "drone", "command"})
AIR = "air"
ZONE_KINDS = frozenset({"district", "school", "event", "no_share", AIR})
HEIGHT_MOST_M = 20_000.0


def checked_zone(zone: pb.Zone) -> pb.Zone:
    found = Findings("zone")
    result = pb.Zone()
    result.CopyFrom(zone)
    result.name = found.text("name", zone.name)
    found.require(zone.kind in ZONE_KINDS, "kind", f"must be one of {', '.join(sorted(ZONE_KINDS))}")
    found.extend(polygon_violations(zone.area, "zone.area"))
    _check_heights(found, zone)
    found.chosen_identifier("zone_id", zone.zone_id)
    found.raise_if_any()
    return result


def _check_heights(found: Findings, zone: pb.Zone) -> None:
    for field in ("floor_m", "ceiling_m"):
        if zone.HasField(field):
            found.require(zone.kind == AIR, field, f"only zones of kind {AIR} have it")
            height_m = getattr(zone, field)
            found.require(0 <= height_m <= HEIGHT_MOST_M, field, f"must be 0 to {HEIGHT_MOST_M:.0f} m above ground")
    if zone.HasField("ceiling_m"):
        found.require(zone.ceiling_m > zone.floor_m, "ceiling_m", "must lie above the floor")


def checked_source(source: pb.Source) -> pb.Source:
    found = Findings("source")
    result = pb.Source()
    result.CopyFrom(source)
    result.name = found.text("name", source.name)
    found.require(source.adapter in ADAPTERS, "adapter", f"must be one of {', '.join(sorted(ADAPTERS))}")
    found.chosen_identifier("source_id", source.source_id)
    found.raise_if_any()
    result.enabled = True
    return result


def checked_unit(unit: pb.Unit) -> pb.Unit:
    """A new unit; the hash of its device key is set by the caller of this rule."""
    found = Findings("unit")
    result = pb.Unit()
    result.CopyFrom(unit)
    result.call_sign = found.text("call_sign", unit.call_sign, longest=40)
    found.require(unit.kind in UNIT_KINDS, "kind", f"must be one of {', '.join(sorted(UNIT_KINDS))}")
    found.chosen_identifier("unit_id", unit.unit_id)
    found.identifier("device_id", unit.device_id)
    found.raise_if_any()
    result.ClearField("device_key_sha256")
    result.enabled = True
    return result

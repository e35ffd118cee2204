"""Public transport: the vehicle positions of a GTFS-Realtime 2.0 feed (gtfs.org/realtime, protobuf)."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from rtcc.location.v1 import location_pb2
from rtcc_chassis.geometry import position_violations
from rtcc_intake.domain import NotUnderstood, check_occurred_at

if TYPE_CHECKING:
    from google.transit.gtfs_realtime_pb2 import FeedEntity

MAXIMUM_FEED_BYTES = 8 * 1024 * 1024
MAXIMUM_VEHICLES = 5_000
MAXIMUM_REASONS = 20
# a vehicle that said nothing for so long has left the road: agencies keep the last position of yesterday's buses in the feed
LONGEST_SILENCE = timedelta(minutes=30)


@dataclass(slots=True)
class VehicleFeed:
    """The vehicles of one fetch, and why some of its entities gave none (the first 20 reasons)."""

    vehicles: list[location_pb2.Vehicle] = field(default_factory=list)
    refused: int = 0
    reasons: list[str] = field(default_factory=list)

    def refuse(self, reason: str) -> None:
        self.refused += 1
        if len(self.reasons) < MAXIMUM_REASONS:
            self.reasons.append(reason)


def read_feed(body: bytes, received_at: datetime) -> VehicleFeed:
    """Raises NotUnderstood for what is no feed; one bad vehicle doesn't spoil the others."""
    # imported where it is needed: most installations have no such feed
    from google.transit.gtfs_realtime_pb2 import FeedMessage

    if len(body) > MAXIMUM_FEED_BYTES:
        raise NotUnderstood("document", f"has {len(body)} bytes, at most {MAXIMUM_FEED_BYTES} are taken")
    message = FeedMessage()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise NotUnderstood("document", f"is not a FeedMessage of GTFS-Realtime: {error}") from error
    if not message.header.gtfs_realtime_version:
        raise NotUnderstood("header.gtfs_realtime_version", "is missing: this is no GTFS-Realtime feed")
    if len(message.entity) > MAXIMUM_VEHICLES * 4:
        raise NotUnderstood("entity", f"{len(message.entity)} entities, at most {MAXIMUM_VEHICLES * 4} are taken")
    feed = VehicleFeed()
    seen: set[str] = set()
    for index, entity in enumerate(message.entity):
        if not entity.HasField("vehicle") or entity.is_deleted:
            continue
        try:
            vehicle = _vehicle(entity, message.header.timestamp, received_at, f"entity[{index}].vehicle")
        except NotUnderstood as error:
            feed.refuse(error.message)
            continue
        if vehicle is None or vehicle.vehicle_id in seen:
            continue
        if len(feed.vehicles) == MAXIMUM_VEHICLES:
            raise NotUnderstood("entity", f"holds more than {MAXIMUM_VEHICLES} vehicles")
        seen.add(vehicle.vehicle_id)
        feed.vehicles.append(vehicle)
    return feed


def _vehicle(entity: "FeedEntity", feed_time_s: int, received_at: datetime, place: str) -> location_pb2.Vehicle | None:
    """None: it has no position, or an old one."""
    said = entity.vehicle
    if not said.HasField("position"):
        return None
    vehicle_id = _text(said.vehicle.id or entity.id, f"{place}.vehicle.id")
    if not 1 <= len(vehicle_id) <= 128:
        raise NotUnderstood(f"{place}.vehicle.id", "must have 1 to 128 characters")
    fixed_at = check_occurred_at(
        _moment(said.timestamp or feed_time_s, received_at, f"{place}.timestamp"), received_at, f"{place}.timestamp"
    )
    if received_at - fixed_at > LONGEST_SILENCE:
        return None
    vehicle = location_pb2.Vehicle(vehicle_id=vehicle_id, label=_label(entity, vehicle_id, place))
    vehicle.fix.fixed_at.FromDatetime(fixed_at)
    position = vehicle.fix.position
    position.coordinate.latitude_deg, position.coordinate.longitude_deg = said.position.latitude, said.position.longitude
    if said.position.latitude == 0 and said.position.longitude == 0:
        raise NotUnderstood(f"{place}.position", "0,0 means an unknown position")
    if said.position.HasField("bearing") and 0 <= said.position.bearing <= 360:
        position.heading_deg = said.position.bearing % 360
    if said.position.HasField("speed") and 0 <= said.position.speed < 150:
        position.speed_mps = said.position.speed
    if violations := position_violations(position, f"{place}.position"):
        raise NotUnderstood(violations[0].field, violations[0].reason)
    return vehicle


def _text(value: str | bytes, place: str) -> str:
    """Trimmed. The format is proto2, whose strings Python gives as bytes where they aren't UTF-8."""
    if isinstance(value, bytes):
        raise NotUnderstood(place, "is not UTF-8")
    return value.strip()


def _label(entity: "FeedEntity", vehicle_id: str, place: str) -> str:
    """Route and what is painted on the vehicle: "550 1203"."""
    said = entity.vehicle
    parts = (_text(said.trip.route_id, f"{place}.trip.route_id"), _text(said.vehicle.label or vehicle_id, f"{place}.vehicle.label"))
    return " ".join(dict.fromkeys(part for part in parts if part))[:40]


def _moment(seconds: int, received_at: datetime, place: str) -> datetime:
    """Neither the vehicle nor the feed says when: now."""
    if not seconds:
        return received_at
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise NotUnderstood(place, f"{seconds} are not seconds since 1970") from error

"""GTFS-Realtime: vehicles with their names and times; one bad vehicle doesn't spoil a feed; what is no feed is refused."""

from datetime import UTC, datetime, timedelta

import pytest
from google.transit.gtfs_realtime_pb2 import FeedMessage
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcc_intake.adapters.gtfs_realtime import MAXIMUM_REASONS, MAXIMUM_VEHICLES, read_feed
from rtcc_intake.domain import NotUnderstood

NOW = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


def feed(vehicles: int = 1) -> FeedMessage:
    message = FeedMessage()
    message.header.gtfs_realtime_version = "2.0"
    message.header.timestamp = int(NOW.timestamp()) - 3
    for number in range(vehicles):
        entity = message.entity.add(id=f"entity-{number}")
        entity.vehicle.vehicle.id, entity.vehicle.vehicle.label = f"hsl/{1200 + number}", f"{1200 + number}"
        entity.vehicle.trip.route_id = "550"
        entity.vehicle.timestamp = int(NOW.timestamp()) - 8
        position = entity.vehicle.position
        position.latitude, position.longitude, position.bearing, position.speed = 60.1699, 24.9384, 271.0, 8.5
    return message


def test_a_bus_has_its_name_place_and_time() -> None:
    (vehicle,) = read_feed(feed().SerializeToString(), NOW).vehicles
    assert (vehicle.vehicle_id, vehicle.label) == ("hsl/1200", "550 1200")
    assert vehicle.fix.fixed_at.ToDatetime(UTC) == NOW - timedelta(seconds=8)
    position = vehicle.fix.position
    assert abs(position.coordinate.latitude_deg - 60.1699) < 1e-5
    assert (position.heading_deg, position.speed_mps) == (271.0, 8.5)


def test_the_feeds_time_counts_where_the_vehicle_says_none() -> None:
    message = feed()
    message.entity[0].vehicle.ClearField("timestamp")
    assert read_feed(message.SerializeToString(), NOW).vehicles[0].fix.fixed_at.ToDatetime(UTC) == NOW - timedelta(seconds=3)
    message.header.ClearField("timestamp")
    assert read_feed(message.SerializeToString(), NOW).vehicles[0].fix.fixed_at.ToDatetime(UTC) == NOW


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda vehicle: setattr(vehicle.position, "latitude", 91.0), "entity[1].vehicle.position.coordinate.latitude_deg"),
        (lambda vehicle: setattr(vehicle.position, "longitude", float("nan")), "entity[1].vehicle.position.coordinate.longitude_deg"),
        (
            lambda vehicle: (setattr(vehicle.position, "latitude", 0), setattr(vehicle.position, "longitude", 0)),
            "entity[1].vehicle.position",
        ),
        (lambda vehicle: setattr(vehicle, "timestamp", int(NOW.timestamp()) + 600), "entity[1].vehicle.timestamp"),
        (lambda vehicle: setattr(vehicle, "timestamp", 2**62), "entity[1].vehicle.timestamp"),
        (lambda vehicle: setattr(vehicle.vehicle, "id", "x" * 129), "entity[1].vehicle.vehicle.id"),
    ],
)
def test_one_bad_vehicle_is_named_and_the_others_are_taken(change, place: str) -> None:  # type: ignore[no-untyped-def] # a table of lambdas
    message = feed(3)
    change(message.entity[1].vehicle)
    read = read_feed(message.SerializeToString(), NOW)
    assert [vehicle.vehicle_id for vehicle in read.vehicles] == ["hsl/1200", "hsl/1202"]
    assert read.refused == 1
    assert read.reasons[0].startswith(place)


def test_a_name_that_is_no_utf_8_is_refused_and_the_others_are_taken() -> None:
    body = feed(2).SerializeToString().replace(b"hsl/1201", b"hsl/\xff\xfe01")
    read = read_feed(body, NOW)
    assert [vehicle.vehicle_id for vehicle in read.vehicles] == ["hsl/1200"]
    assert read.reasons == ["entity[1].vehicle.vehicle.id: is not UTF-8"]


def test_yesterdays_buses_deleted_ones_and_ones_without_a_place_are_left_out() -> None:
    message = feed(4)
    message.entity[0].vehicle.timestamp -= 3_600
    message.entity[1].is_deleted = True
    message.entity[2].vehicle.ClearField("position")
    read = read_feed(message.SerializeToString(), NOW)
    assert [vehicle.vehicle_id for vehicle in read.vehicles] == ["hsl/1203"]
    assert read.refused == 0


def test_what_is_no_feed_or_too_large_is_refused() -> None:
    for body in (b"<html>", b"", b"\xff" * 40, b"x" * (8 * 1024 * 1024 + 1), feed(MAXIMUM_VEHICLES + 1).SerializeToString()):
        with pytest.raises(NotUnderstood):
            read_feed(body, NOW)


def test_reasons_are_bounded() -> None:
    message = feed(200)
    for entity in message.entity:
        entity.vehicle.position.latitude = 95
    read = read_feed(message.SerializeToString(), NOW)
    assert (read.refused, len(read.reasons), read.vehicles) == (200, MAXIMUM_REASONS, [])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_damage_is_vehicles_on_the_globe_or_not_understood(data: st.DataObject) -> None:
    body = bytearray(feed(3).SerializeToString())
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(body) - 1))
        body[start : start + data.draw(st.integers(0, 8))] = data.draw(st.binary(min_size=1, max_size=8))
    try:
        read = read_feed(bytes(body), NOW)
    except NotUnderstood as error:
        assert error.reason
        return
    for vehicle in read.vehicles:
        assert abs(vehicle.fix.position.coordinate.latitude_deg) <= 90
        assert vehicle.fix.fixed_at.ToDatetime(UTC) <= NOW + timedelta(minutes=5)

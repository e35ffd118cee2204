"""Rows of the live state as the messages that others read."""

from collections.abc import Sequence
from datetime import datetime

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc.event.v1.event_pb2 import Event
from rtcc.geo.v1 import geo_pb2
from rtcc_airspace.domain.live import Head
from rtcc_airspace.domain.observations import (
    ACCURACY,
    ALTITUDE,
    EMERGENCY,
    FLAGS,
    HEADING,
    HEIGHT,
    LATITUDE,
    LONGITUDE,
    OBSERVED_AT,
    ON_GROUND,
    PILOT_LATITUDE,
    PILOT_LONGITUDE,
    PILOT_PLACE,
    RECEIVED_AT,
    SPEED,
    UNKNOWN_DM,
    UNKNOWN_HEADING_CDEG,
    UNKNOWN_SPEED_CMPS,
    UNKNOWN_VERTICAL_CMPS,
    VERTICAL,
    Integers,
    identity_message,
)
from rtcc_airspace.domain.visits import Visit
from rtcc_airspace.domain.zones import AirZone
from rtcc_chassis.identifiers import derived_id

DRONE_ALARM = "drone_alarm"


def track_message(head: Head, numbers: Integers | Sequence[int], now: datetime, agreement_id: str = "") -> pb.Track:
    """`numbers`: the 14 columns of its newest sighting."""
    row = [int(number) for number in numbers]
    track = pb.Track(
        track_id=head.track_id,
        agency_id=head.agency_id,
        source_id=head.subject.source_id,
        kind=pb.TrackKind.ValueType(head.subject.kind),
        identity=identity_message(head.subject.identity),
        position=position_message(row),
        pilot_place=pb.PilotPlace.ValueType(row[PILOT_PLACE]),
        on_ground=bool(row[FLAGS] & ON_GROUND),
        emergency=bool(row[FLAGS] & EMERGENCY),
        zone_ids=head.zone_ids,
        age_s=max(0.0, now.timestamp() - row[OBSERVED_AT] / 1e6),
        agreement_id=agreement_id,
    )
    if row[HEIGHT] != UNKNOWN_DM:
        track.height_m = row[HEIGHT] / 10
    if row[VERTICAL] != UNKNOWN_VERTICAL_CMPS:
        track.vertical_mps = row[VERTICAL] / 100
    if track.pilot_place:
        track.pilot.CopyFrom(coordinate(row[PILOT_LATITUDE], row[PILOT_LONGITUDE]))
    track.first_observed_at.FromMicroseconds(head.first_observed_us)
    track.observed_at.FromMicroseconds(row[OBSERVED_AT])
    track.received_at.FromMicroseconds(row[RECEIVED_AT])
    return track


def position_message(row: Sequence[int]) -> geo_pb2.Position:
    """`row`: the 14 columns."""
    position = geo_pb2.Position(coordinate=coordinate(row[LATITUDE], row[LONGITUDE]), accuracy_m=row[ACCURACY] / 10)
    if row[ALTITUDE] != UNKNOWN_DM:
        position.altitude_m = row[ALTITUDE] / 10
    if row[HEADING] != UNKNOWN_HEADING_CDEG:
        position.heading_deg = row[HEADING] / 100
    if row[SPEED] != UNKNOWN_SPEED_CMPS:
        position.speed_mps = row[SPEED] / 100
    return position


def coordinate(latitude_e7: int, longitude_e7: int) -> geo_pb2.Coordinate:
    return geo_pb2.Coordinate(latitude_deg=latitude_e7 / 1e7, longitude_deg=longitude_e7 / 1e7)


def alarm_event(visit: Visit, head: Head, newest: Integers, zone: AirZone) -> Event:
    """The event of a stay: where the drone was when it came in, and what is known of drone and pilot by now. Its id follows the stay's."""
    entered, now = [int(number) for number in visit.entered], [int(number) for number in newest]
    event = Event(
        event_id=derived_id("event", visit.visit_id),
        agency_id=visit.agency_id,
        source_id=head.subject.source_id,
        kind=DRONE_ALARM,
        position=position_message(entered),
    )
    event.occurred_at.FromMicroseconds(visit.entered_at_us)
    event.received_at.FromMicroseconds(entered[RECEIVED_AT])
    alarm = event.drone_alarm
    alarm.track_id, alarm.visit_id = head.track_id, visit.visit_id
    alarm.zone_id, alarm.zone_name = zone.zone_id, zone.name
    alarm.identity.CopyFrom(identity_message(head.subject.identity))
    alarm.pilot_place = pb.PilotPlace.ValueType(now[PILOT_PLACE])
    if alarm.pilot_place:
        alarm.pilot.CopyFrom(coordinate(now[PILOT_LATITUDE], now[PILOT_LONGITUDE]))
    if entered[HEIGHT] != UNKNOWN_DM:
        alarm.height_m = entered[HEIGHT] / 10
    return event

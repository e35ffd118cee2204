"""Airspace as receivers, operators and other services meet it, on real servers."""

import json
from datetime import UTC, timedelta
from typing import Any

import pytest

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc.geo.v1.geo_pb2 import BoundingBox, Coordinate, Polygon
from rtcc.registry.v1 import registry_pb2
from rtcc_airspace.domain.live import LiveTracks
from rtcc_airspace.domain.visits import Visits
from rtcc_airspace.service import _recovered
from rtcc_airspace.store import AirspaceStore
from rtcc_chassis.clock import utc_now
from rtcc_chassis.errors import InvalidInput, Refused, RtccError, Unauthenticated
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.scope import Scope
from rtcc_chassis.signature import sign
from rtcc_chassis.streams import QUARANTINE, TRACKS
from rtcc_chassis.testing import person, poll

from .conftest import EAST, GATEWAY, NEIGHBOUR, RECEIVER, SERIAL, WEST, Airspace, Drone, document

HERE = (60.165, 24.93, 60.175, 24.95)


async def test_a_drone_is_durable_when_it_is_answered_and_shown_with_pilot_model_and_operator(airspace: Airspace) -> None:
    sent_at = utc_now()
    answer = await airspace.submit(document(Drone().frame()))
    assert (answer.accepted, answer.rejected) == (1, 0)
    (batch,) = await airspace.stored(TRACKS, "track.east", pb.TrackBatch)
    assert (list(batch.latitude_e7), list(batch.height_dm)) == ([601_700_000], [500])
    (track,) = await airspace.tracks()
    identity = track.identity
    assert track.kind == pb.TRACK_KIND_DRONE
    assert (identity.serial_number, identity.manufacturer, identity.model) == (SERIAL, "OpenRTCC demo", "Kestrel (simulated)")
    assert (identity.operator_id, identity.description, identity.aircraft_type) == ("FIN87astrdge12k8", "Roof inspection", "multirotor")
    assert (track.position.coordinate.latitude_deg, track.position.speed_mps, track.height_m) == (60.17, 5.0, 50.0)
    # drones tell the time in tenths of a second
    assert 0 <= track.age_s <= (utc_now() - sent_at).total_seconds() + 0.1


@pytest.mark.parametrize(
    ("told", "place"),
    [(0, pb.PILOT_PLACE_TAKE_OFF), (1, pb.PILOT_PLACE_PILOT), (2, pb.PILOT_PLACE_FIXED)],
    ids=["take-off point", "pilot", "typed in"],
)
async def test_a_take_off_point_is_never_called_the_pilot(airspace: Airspace, told: int, place: pb.PilotPlace) -> None:
    await airspace.submit(document(Drone(pilot_place=told).frame()))
    (track,) = await airspace.tracks()
    assert (track.pilot_place, track.pilot.latitude_deg) == (place, 60.168)


async def test_an_unknown_prefix_stays_unknown(airspace: Airspace) -> None:
    await airspace.submit(document(Drone(serial="ZZZZF00000000000001").frame()))
    (track,) = await airspace.tracks()
    assert (track.identity.manufacturer, track.identity.model) == ("", "")


async def test_only_what_the_source_signed_just_now_is_taken(airspace: Airspace) -> None:
    body = document(Drone().frame())
    source_id, secret = airspace.sources["remote_id"]
    old = str(int((utc_now() - timedelta(minutes=6)).timestamp()))
    words = set()
    changes: dict[str, Any]
    for changes in (
        {"signature": sign("wrong", "1", "d", body)},
        {"source_id": "nobody"},
        {"body": document(Drone(latitude_deg=61.0).frame()), "signature": sign(secret, "1", "d", body)},
    ):
        with pytest.raises(Unauthenticated) as caught:
            await airspace.submit(**({"body": body} | changes))
        words.add(caught.value.message)
    assert len(words) == 1
    with pytest.raises(Unauthenticated, match="away from now"):
        await airspace.submit(body, timestamp=old)
    assert await airspace.tracks() == []
    request = registry_pb2.SetSourceEnabledRequest(source_id=source_id, enabled=False)
    await airspace.ask(airspace.registry.SetSourceEnabled, request, person("east", "administrator"))

    async def refused() -> bool:
        try:
            await airspace.submit(body)
        except Unauthenticated:
            return True
        return False

    await poll(refused)


async def test_only_the_gateway_hands_deliveries_in(airspace: Airspace) -> None:
    for scope in (EAST, Scope.platform("intake")):
        with pytest.raises(Refused):
            await airspace.submit(document(Drone().frame()), scope=scope)


async def test_the_same_delivery_twice_moves_nothing(airspace: Airspace) -> None:
    body = document(Drone().frame())
    for _ in range(2):
        assert (await airspace.submit(body)).rejected == 0
    assert len(await airspace.stored(TRACKS, "track.east", pb.TrackBatch)) == 1


async def test_a_document_that_cant_be_read_is_refused_with_the_place_and_listed_once(airspace: Airspace) -> None:
    for body, place in ((b"{", ""), (b'{"frames": 3}', "frames"), (b'{"receiver": {"lat": 99, "lon": 1}, "frames": []}', "receiver.lat")):
        with pytest.raises(InvalidInput) as caught:
            await airspace.submit(body)
        assert place in caught.value.message
    state = await airspace.context.bus.jetstream.stream_info(QUARANTINE.name)
    assert state.state.messages == 1


async def test_a_damaged_frame_is_told_and_the_others_count(airspace: Airspace) -> None:
    good, cut = Drone().frame(), Drone().frame()
    cut["data"] = cut["data"][:60]
    answer = await airspace.submit(document(cut, good, {"carrier": "smoke"}))
    assert (answer.accepted, answer.rejected) == (1, 2)
    assert "frames[0]" in answer.reasons[0] and "cut off" in answer.reasons[0]
    assert "frames[2]" in answer.reasons[1] and "smoke" in answer.reasons[1]


async def test_what_cant_be_believed_is_put_aside(airspace: Airspace) -> None:
    far = Drone(latitude_deg=62.0, mac="60:60:1f:00:00:02", serial="RTCCF00000000000001")
    answer = await airspace.submit(document(far.frame()))
    assert answer.accepted == 0 and "from the receiver" in answer.reasons[0]
    drone, start = Drone(), utc_now() - timedelta(seconds=10)
    await airspace.submit(document(drone.frame(start)))
    drone.latitude_deg += 0.1
    answer = await airspace.submit(document(drone.frame(start + timedelta(seconds=2))))
    assert answer.accepted == 0 and "than anything flies" in answer.reasons[0]
    (track,) = await airspace.tracks()
    assert track.position.coordinate.latitude_deg == 60.17


async def test_a_transmitter_that_stands_still_and_says_it_flies_is_put_aside(airspace: Airspace) -> None:
    start, frames = utc_now() - timedelta(seconds=40), []
    for step in range(30):
        # 100 m to 3 km from the receiver, always equally loud
        frames.append(Drone(latitude_deg=RECEIVER[0] + 0.001 * (step + 1)).frame(start + timedelta(seconds=step), rssi=-60 - step % 2))
    answer = await airspace.submit(document(*frames))
    assert answer.accepted == 15 and answer.rejected == 15
    assert "stays within 1 dB" in answer.reasons[0]


async def test_a_drone_in_a_zone_raises_one_alarm_with_all_that_is_known(airspace: Airspace) -> None:
    zone_id = await airspace.zone(*HERE, ceiling_m=120)
    drone, start = Drone(latitude_deg=60.16), utc_now() - timedelta(seconds=20)
    await airspace.submit(document(drone.frame(start)))
    for step in range(1, 6):
        drone.latitude_deg = 60.17 + step * 1e-5
        await airspace.submit(document(drone.frame(start + timedelta(seconds=10 + step))))
    (event,) = await airspace.alarm_count(1)
    alarm = event.drone_alarm
    assert (event.kind, event.agency_id, event.source_id) == ("drone_alarm", "east", airspace.sources["remote_id"][0])
    assert (alarm.zone_id, alarm.identity.serial_number, alarm.identity.model) == (zone_id, SERIAL, "Kestrel (simulated)")
    assert (alarm.pilot.latitude_deg, alarm.pilot_place, alarm.height_m) == (60.168, pb.PILOT_PLACE_TAKE_OFF, 50.0)
    # where and when it came in, not where it is now
    assert event.position.coordinate.latitude_deg == 60.17001
    assert abs(event.occurred_at.ToDatetime(UTC) - start - timedelta(seconds=11)) < timedelta(seconds=0.2)
    (track,) = await airspace.tracks()
    assert list(track.zone_ids) == [zone_id] and alarm.track_id == track.track_id


async def test_above_the_ceiling_on_the_ground_and_ours_raise_no_alarm(airspace: Airspace) -> None:
    await airspace.zone(*HERE, floor_m=10, ceiling_m=120)
    own = registry_pb2.Unit(call_sign="D1", kind="drone", device_id="RTCCF00000000000099", enabled=True)
    created = await airspace.ask(airspace.registry.CreateUnit, registry_pb2.CreateUnitRequest(unit=own), person("east", "administrator"))
    await airspace.mirrored("unit", registry_pb2.Unit, created.unit.unit_id)
    drones = [
        Drone(serial="RTCCF00000000000001", mac="600000000001", height_m=130),
        Drone(serial="RTCCF00000000000002", mac="600000000002", height_m=5),
        Drone(serial="RTCCF00000000000003", mac="600000000003", status=1),
        Drone(serial="RTCCF00000000000099", mac="600000000004"),
    ]
    await airspace.submit(document(*(drone.frame() for drone in drones)))
    # one that does raise an alarm: what the others would have raised is there by then
    unknown = Drone(serial="RTCCF00000000000005", mac="600000000005", height_m=None)
    await airspace.submit(document(unknown.frame()))
    (event,) = await airspace.alarm_count(1)
    assert event.drone_alarm.identity.serial_number == unknown.serial
    kinds = {track.identity.serial_number: track.kind for track in await airspace.tracks()}
    assert kinds["RTCCF00000000000099"] == pb.TRACK_KIND_OWN_DRONE


async def test_late_data_is_history_and_raises_no_stale_alarm(airspace: Airspace) -> None:
    await airspace.zone(*HERE)
    drone, flown = Drone(serial="RTCCF00000000000001", mac="600000000001"), utc_now() - timedelta(minutes=10)
    for step in range(3):
        answer = await airspace.submit(document(drone.frame(flown + timedelta(seconds=step))))
        assert (answer.accepted, answer.rejected) == (1, 0)
        assert await airspace.tracks() == []
    batches = await airspace.stored(TRACKS, "track.east.late", pb.TrackBatch)
    # what a receiver had kept while it was cut off is one track
    assert len(batches) == 3 and len({track_id for batch in batches for track_id in batch.track_ids}) == 1
    await airspace.submit(document(Drone().frame()))
    (event,) = await airspace.alarm_count(1)
    assert event.drone_alarm.identity.serial_number == SERIAL
    # an older fix of the drone that is there doesn't move it back
    await airspace.submit(document(Drone(latitude_deg=60.1699).frame(utc_now() - timedelta(seconds=20))))
    (track,) = await airspace.tracks()
    assert track.position.coordinate.latitude_deg == 60.17


async def test_an_alarm_waits_a_moment_for_serial_number_and_pilot(airspace: Airspace, monkeypatch: pytest.MonkeyPatch) -> None:
    # a moment that no machine is too slow for; that it ends is shown where the clock is the test's own
    monkeypatch.setattr("rtcc_airspace.domain.visits.DETAILS_WAIT_US", 600_000_000)
    await airspace.zone(*HERE)
    drone, whole, now = Drone(), Drone(serial="RTCCF00000000000001", mac="600000000001"), utc_now()
    await airspace.submit(document(drone.frame(now, drone.messages(now)[:2])))
    await airspace.submit(document(whole.frame()))
    (event,) = await airspace.alarm_count(1)
    assert event.drone_alarm.identity.serial_number == whole.serial
    await airspace.submit(document(drone.frame()))
    _, event = await airspace.alarm_count(2)
    assert (event.drone_alarm.identity.serial_number, event.drone_alarm.pilot.latitude_deg) == (drone.serial, 60.168)


async def test_an_alarm_without_a_pilot_is_not_held_back(airspace: Airspace) -> None:
    await airspace.zone(*HERE)
    await airspace.submit(document(Drone(pilot=None).frame()))
    (event,) = await airspace.alarm_count(1)
    assert not event.drone_alarm.HasField("pilot") and event.drone_alarm.pilot_place == pb.PILOT_PLACE_UNSPECIFIED


async def test_aircraft_come_as_readsb_tells_them(airspace: Airspace) -> None:
    await airspace.zone(*HERE)
    now = utc_now().timestamp()
    aircraft = [
        {"hex": "461f30", "flight": "FIN1AB  ", "r": "OH-LZA", "t": "A321", "lat": 60.171, "lon": 24.94, "alt_geom": 1000, "gs": 100,
         "track": 90.5, "geom_rate": 600, "squawk": "7700", "seen_pos": 1.5},
        {"hex": "~2a001b", "lat": 60.2, "lon": 24.9, "alt_baro": "ground", "emergency": "none"},
        {"hex": "461f31", "flight": "SILENT"},
        {"hex": "xyz", "lat": 60.2, "lon": 24.9},
    ]  # fmt: skip
    answer = await airspace.submit(json.dumps({"now": now, "messages": 4, "aircraft": aircraft}).encode(), "adsb")
    assert (answer.accepted, answer.rejected) == (2, 1)
    tracks = {track.identity.icao_hex: track for track in await airspace.tracks()}
    flying, parked = tracks["461f30"], tracks["~2a001b"]
    assert (flying.identity.call_sign, flying.identity.registration, flying.identity.aircraft_type) == ("FIN1AB", "OH-LZA", "A321")
    assert flying.position.altitude_m == pytest.approx(304.8)
    assert flying.position.speed_mps == pytest.approx(51.44, abs=0.01)
    assert (flying.position.heading_deg, flying.vertical_mps, flying.emergency) == (90.5, pytest.approx(3.05, abs=0.01), True)
    assert abs(flying.observed_at.ToDatetime(UTC).timestamp() - (now - 1.5)) < 0.001
    assert parked.on_ground and not parked.emergency
    # zones in the air are about drones
    await airspace.submit(document(Drone().frame()))
    await airspace.alarm_count(1)


async def test_partners_see_tracks_only_as_granted_and_where(airspace: Airspace) -> None:  # R16
    await airspace.zone(*HERE)
    outside = Drone(serial="RTCCF00000000000001", mac="600000000001", latitude_deg=60.2)
    await airspace.submit(document(Drone().frame(), outside.frame()))
    assert await airspace.tracks(WEST) == []
    corners = [Coordinate(latitude_deg=y, longitude_deg=x) for y, x in ((60.1, 24.9), (60.1, 25.0), (60.18, 25.0), (60.18, 24.9))]
    agreement = registry_pb2.Agreement(grantee_agency_id="west", title="sky", tracks=True, area=Polygon(corners=corners))
    administrator = person("east", "administrator")
    created = await airspace.ask(airspace.registry.CreateAgreement, registry_pb2.CreateAgreementRequest(agreement=agreement), administrator)
    await airspace.mirrored("agreement", registry_pb2.Agreement, created.agreement.agreement_id)
    (track,) = await airspace.tracks(WEST)
    assert (track.identity.serial_number, track.agreement_id) == (SERIAL, created.agreement.agreement_id)
    # the owner's zones are not part of the grant
    assert list(track.zone_ids) == []
    revoke = registry_pb2.RevokeAgreementRequest(agreement_id=created.agreement.agreement_id, reason="over")
    await airspace.ask(airspace.registry.RevokeAgreement, revoke, person("east", "supervisor"))

    async def nothing() -> bool:
        return await airspace.tracks(WEST) == []

    await poll(nothing)
    assert len(await airspace.tracks(EAST)) == 2


async def test_a_box_shows_what_is_in_it(airspace: Airspace) -> None:
    await airspace.submit(document(Drone().frame()))
    inside = BoundingBox(south_deg=60.1, west_deg=24.9, north_deg=60.2, east_deg=25.0)
    elsewhere = BoundingBox(south_deg=10, west_deg=170, north_deg=20, east_deg=-170)
    assert len(await airspace.tracks(box=inside)) == 1
    assert await airspace.tracks(box=elsewhere) == []


async def test_a_restart_finds_tracks_and_visits_and_tells_no_alarm_again(airspace: Airspace) -> None:
    await airspace.zone(*HERE)
    await airspace.submit(document(Drone().frame(utc_now() - timedelta(seconds=2))))
    await airspace.alarm_count(1)
    (before,) = await airspace.tracks()
    context = airspace.context
    store = AirspaceStore(context.database, Outbox(context.database, context.bus))

    async def saved() -> bool:
        stored, sequence = await store.flying(Scope.platform("airspace"))
        return len(stored) == 1 and sequence > 0

    await poll(saved)
    other = Drone(serial="RTCCF00000000000001", mac="600000000001")
    await airspace.submit(document(other.frame()))
    # what a new process does: the tables, then what the stream has beyond them
    live, visits = LiveTracks(100), Visits()
    tail = await _recovered(context, store, live, visits)
    task = context.lifecycle.spawn(tail.run(), "second tail")
    await tail.caught_up()
    task.cancel()
    heads = {live.head(row).subject.key: live.head(row) for row in live.rows_in_use("east")}
    assert set(heads) == {f"serial:{SERIAL}", f"serial:{other.serial}"}
    assert heads[f"serial:{SERIAL}"].track_id == before.track_id
    assert heads[f"serial:{SERIAL}"].zone_ids == tuple(before.zone_ids)
    restored = visits.due(2**60, lambda _: True)
    assert len(visits) >= 1 and [visit for visit in restored if visit.track_id == before.track_id] == []


async def test_nothing_is_accepted_while_it_cannot_be_stored(airspace: Airspace) -> None:
    await airspace.submit(document(Drone().frame()))
    airspace.platform.nats_process.kill()
    with pytest.raises(RtccError) as caught:
        await airspace.submit(document(Drone(latitude_deg=60.1701).frame()))
    assert "not available" in caught.value.message


async def test_receivers_may_speak_nats(airspace: Airspace) -> None:
    """The platform's side of an agency's account: the subject names the agency, whoever signed."""
    body = document(Drone().frame())
    source_id, secret = airspace.sources["remote_id"]
    client = airspace.context.bus.client

    async def ask(agency_id: str, **changed: str) -> dict[str, Any]:
        timestamp = str(int(utc_now().timestamp()))
        headers = {"Rtcc-Timestamp": timestamp, "Rtcc-Delivery": "d1", "Rtcc-Signature": sign(secret, timestamp, "d1", body)} | changed
        answer = await client.request(f"agency.{agency_id}.source.{source_id}", body, timeout=30, headers=headers)
        decoded: dict[str, Any] = json.loads(answer.data)
        return decoded

    assert (await ask("west"))["status"] == 401
    assert (await ask("east", **{"Rtcc-Signature": "v1=" + "0" * 64}))["status"] == 401
    answer = await ask("east")
    assert (answer["status"], answer["accepted"]) == (202, 1)
    assert len(await airspace.tracks()) == 1 and await airspace.tracks(WEST) == []


async def test_a_source_of_another_kind_is_no_receiver(airspace: Airspace) -> None:
    airspace.sources["gunshot"] = await airspace.source("gunshot")
    with pytest.raises(InvalidInput, match="takes no deliveries"):
        await airspace.submit(document(), "gunshot")


async def test_a_neighbours_source_fills_the_neighbours_sky(airspace: Airspace) -> None:
    airspace.sources["remote_id"] = await airspace.source("remote_id", NEIGHBOUR)
    await airspace.submit(document(Drone().frame()), scope=GATEWAY)
    assert len(await airspace.tracks(WEST)) == 1 and await airspace.tracks(EAST) == []

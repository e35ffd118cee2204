"""Tracks on the live socket: pictures and changes by viewport, named once, gone when they end, shared only as granted."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from rtcc.airspace.v1 import airspace_pb2
from rtcc.geo.v1.geo_pb2 import BoundingBox, Coordinate, Polygon, Position
from rtcc.live.v1 import live_pb2 as pb
from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_ACTIVE, AGREEMENT_STATUS_REVOKED, Agency, Agreement
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.streams import track_subject
from rtcc_chassis.testing import poll

from .conftest import Gateway
from .live_sockets import Console, console

SERIAL = "RTCCF00000000000042"


def batch(
    gateway: Gateway, agency_id: str, track_id: str, latitude: float, longitude: float, second: int, **more: Any
) -> airspace_pb2.TrackBatch:
    """One sighting, 60 s before the gateway began plus `second`; with a head unless told otherwise."""
    observed_at_us = gateway.began_us + (second - 60) * 1_000_000
    identity = airspace_pb2.TrackIdentity(serial_number=SERIAL, model="Kestrel")
    head = airspace_pb2.TrackHead(
        track_id=track_id, kind=airspace_pb2.TRACK_KIND_DRONE, identity=identity, zone_ids=["zone-1"], first_observed_at_us=1
    )
    columns = {
        "heads": [head], "altitude_dm": [800], "height_dm": [500], "heading_cdeg": [9_025], "speed_cmps": [65_535], "vertical_cmps": [0],
        "pilot_latitude_e7": [601_680_000], "pilot_longitude_e7": [249_380_000], "pilot_place": [airspace_pb2.PILOT_PLACE_TAKE_OFF],
        "flags": [4], "accuracy_dm": [0], "received_at_us": [observed_at_us],
    }  # fmt: skip
    return airspace_pb2.TrackBatch(
        agency_id=agency_id, track_ids=[track_id], latitude_e7=[round(latitude * 1e7)], longitude_e7=[round(longitude * 1e7)],
        observed_at_us=[observed_at_us], **(columns | more),
    )  # fmt: skip


async def publish(gateway: Gateway, message: airspace_pb2.TrackBatch) -> None:
    subject = track_subject(message.agency_id)
    await gateway.context.bus.publish(subject, message, message_id=new_id(), agency_id=message.agency_id)


def numbers(body: pb.Tracks) -> bool:
    return bool(body.track_numbers)


@asynccontextmanager
async def watching(gateway: Gateway, browser: aiohttp.ClientSession) -> AsyncIterator[Console]:
    async with console(gateway, browser) as opened:
        await opened.until("tracks", lambda body: body.snapshot)
        yield opened


async def test_tracks_come_as_picture_then_as_changes_and_are_named_once(gateway: Gateway) -> None:
    ada, _ = await gateway.enrolled("ada", "operator")
    async with watching(gateway, ada) as opened:
        await publish(gateway, batch(gateway, "harbor", "t1", 60.17, 24.94, 1))
        await publish(gateway, batch(gateway, "harbor", "far", 51.5, -0.1, 1, pilot_place=[0]))
        await publish(gateway, batch(gateway, "coast", "x1", 60.17, 24.94, 1))
        first = await opened.until("tracks", numbers)
        (name,) = first.names
        assert (name.track_id, name.agency_id, name.identity.serial_number, list(name.zone_ids)) == ("t1", "harbor", SERIAL, ["zone-1"])
        assert name.pilot_place == airspace_pb2.PILOT_PLACE_TAKE_OFF
        assert (list(first.latitude_delta_e7), list(first.altitude_dm), list(first.height_dm)) == ([601_700_000], [800], [500])
        assert (list(first.heading_deg), list(first.speed_cmps), list(first.flags)) == ([90], [65_535], [4])
        assert (list(first.pilot_latitude_e7), list(first.pilot_longitude_e7)) == ([601_680_000], [249_380_000])
        await publish(gateway, batch(gateway, "harbor", "t1", 60.171, 24.94, 2))
        second = await opened.until("tracks", numbers)
        assert not second.snapshot and not second.names and list(second.track_numbers) == [name.number]
        # late data never rewrites live state
        await publish(gateway, batch(gateway, "harbor", "t1", 60.0, 24.0, 1))
        head = airspace_pb2.TrackHead(track_id="t1", kind=airspace_pb2.TRACK_KIND_DRONE, first_observed_at_us=1)
        head.identity.operator_id = "FIN87astrdge12k8"
        await publish(gateway, batch(gateway, "harbor", "t1", 60.172, 24.94, 3, heads=[head]))
        third = await opened.until("tracks", lambda body: body.names)
        assert [(n.number, n.identity.operator_id) for n in third.names] == [(name.number, "FIN87astrdge12k8")]
        assert all(delta != 600_000_000 for body in opened.all("tracks") for delta in body.latitude_delta_e7)


async def test_a_track_that_ends_is_gone(gateway: Gateway) -> None:
    ada, _ = await gateway.enrolled("ada", "operator")
    async with watching(gateway, ada) as opened:
        await publish(gateway, batch(gateway, "harbor", "t1", 60.17, 24.94, 1))
        first = await opened.until("tracks", numbers)
        ended = airspace_pb2.TrackHead(track_id="t1", ended=True)
        await publish(gateway, airspace_pb2.TrackBatch(agency_id="harbor", heads=[ended]))
        gone = await opened.until("tracks", lambda body: body.gone_numbers)
        assert list(gone.gone_numbers) == list(first.track_numbers)
        # the next one has a number of its own, though the row is the same
        await publish(gateway, batch(gateway, "harbor", "t2", 60.17, 24.94, 1))
        second = await opened.until("tracks", numbers)
        assert list(second.track_numbers) != list(first.track_numbers) and second.names[0].track_id == "t2"


async def test_what_flew_before_is_in_the_first_picture(gateway: Gateway) -> None:
    track = airspace_pb2.Track(track_id="t0", agency_id="harbor", kind=airspace_pb2.TRACK_KIND_AIRCRAFT)
    track.position.CopyFrom(Position(coordinate=Coordinate(latitude_deg=60.2, longitude_deg=24.9), altitude_m=900))
    track.identity.call_sign = "FIN1AB"
    track.observed_at.GetCurrentTime()
    gateway.services.tracks = [track]
    ada, _ = await gateway.enrolled("ada", "operator")
    async with console(gateway, ada) as opened:
        picture = await opened.until("tracks", numbers)
        assert picture.snapshot and [name.identity.call_sign for name in picture.names] == ["FIN1AB"]
        assert (list(picture.altitude_dm), list(picture.height_dm), list(picture.speed_cmps)) == ([9_000], [-100_000], [65_535])


async def test_who_looked_at_the_sky_is_recorded(gateway: Gateway) -> None:  # R8
    ada, _ = await gateway.enrolled("ada", "operator")
    async with watching(gateway, ada):

        async def entries() -> list[tuple[str, object]]:
            found = [entry for entry in await gateway.audit() if entry.action == "track.list" and entry.place == "GET /v1/live"]
            return [(entry.principal_id, json.loads(entry.new_value)) for entry in found]

        # written right after the picture; without the entry the socket ends (R11)
        assert await poll(entries) == [("person-ada", [60.1, 24.8, 60.3, 25.1])]


async def test_partners_tracks_are_shown_as_granted_without_zones_and_vanish_with_the_grant(gateway: Gateway) -> None:  # R16
    corners = [Coordinate(latitude_deg=y, longitude_deg=x) for y, x in ((60.1, 24.8), (60.1, 25.1), (60.25, 25.1), (60.25, 24.8))]
    agreement = Agreement(
        agreement_id="sky-1", grantor_agency_id="coast", grantee_agency_id="harbor", status=AGREEMENT_STATUS_ACTIVE, tracks=True,
        area=Polygon(corners=corners),
    )  # fmt: skip
    await gateway.put("agency", "coast", "coast", Agency(agency_id="coast", name="Coast", enabled=True))
    await gateway.put("agreement", "coast", "sky-1", agreement)
    ada, _ = await gateway.enrolled("ada", "operator")
    async with watching(gateway, ada) as opened:
        await publish(gateway, batch(gateway, "coast", "outside", 60.28, 24.94, 1))
        await publish(gateway, batch(gateway, "coast", "x1", 60.17, 24.94, 1))
        shared = await opened.until("tracks", numbers)
        assert [(name.track_id, list(name.zone_ids)) for name in shared.names] == [("x1", [])]
        assert list(shared.flags) == [4 | 8]
        agreement.status = AGREEMENT_STATUS_REVOKED
        await gateway.put("agreement", "coast", "sky-1", agreement)
        empty = await opened.until("tracks", lambda body: body.snapshot)
        assert not empty.track_numbers


async def test_roles_without_the_sky_get_no_tracks(gateway: Gateway) -> None:
    adm, _ = await gateway.enrolled("adm", "administrator")
    ada, _ = await gateway.enrolled("ada", "operator")
    async with console(gateway, adm) as setting_up, watching(gateway, ada) as opened:
        await setting_up.until("cameras")
        await publish(gateway, batch(gateway, "harbor", "t1", 60.17, 24.94, 1))
        await opened.until("tracks", numbers)
        await setting_up.ws.send_bytes(pb.ClientFrame(ping=pb.Ping(client_time_us=7)).SerializeToString())
        await setting_up.until("pong")
        assert setting_up.all("tracks") == []


async def test_a_pilot_in_view_brings_the_drone_along(gateway: Gateway) -> None:
    ada, _ = await gateway.enrolled("ada", "operator")
    async with ada.ws_connect("/v1/live", protocols=["rtcc.live.v1"]) as ws:
        opened = Console(ws)
        await opened.hello(box=BoundingBox(south_deg=60.167, west_deg=24.937, north_deg=60.169, east_deg=24.939))
        await publish(gateway, batch(gateway, "harbor", "t1", 60.29, 25.0, 1))
        assert (await opened.until("tracks", numbers)).names[0].track_id == "t1"


async def test_a_receivers_delivery_is_handed_to_airspace_as_it_came(gateway: Gateway) -> None:
    headers = {"Rtcc-Timestamp": "1767225600", "Rtcc-Delivery": "d1", "Rtcc-Signature": "v1=00"}
    async with gateway.browser() as receiver:
        answer = await receiver.post("/v1/airspace/source-1", data=b'{"frames": []}', headers=headers)
        assert answer.status == 202
        assert await answer.json() == {"accepted": 2, "rejected": 1, "reasons": ["frames[0].mac: is missing"]}
    (asked,) = gateway.services.receptions
    assert (asked.source_id, asked.timestamp, asked.delivery_id, asked.signature, asked.body) == (
        "source-1", "1767225600", "d1", "v1=00", b'{"frames": []}',
    )  # fmt: skip

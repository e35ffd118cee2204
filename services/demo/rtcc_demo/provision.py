"""Sets the two demo agencies up through the gateway's public REST API, each by its own administrator, as an installation's people would.

Only what needs the machine's owner comes from outside, as a `MachineOwner`: making the agencies, their first people, and one-time sign-in
links. Provisioning may be repeated after a stop: what exists is kept, and secrets shown once are noted in a journal as they come.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from rtcc_demo.city_services import FEED_PATH
from rtcc_demo.places import prepare_places
from rtcc_demo.records import import_records
from rtcc_demo.render.clips import ensure_clips
from rtcc_demo.settings import Adapter, CameraServer, DeviceKey, FeederSettings, SourceKey, UnreadableSettings, load_settings, save_settings
from rtcc_demo.world.city import (
    AGENCIES,
    AGENCY_NAMES,
    AREAS,
    BORDER,
    PEOPLE,
    TIME_ZONE,
    ZONES,
    Corner,
    Person,
    camera_features,
    load_cameras,
    units_of,
)
from rtcc_demo.world.geometry import distance_m, to_metres
from rtcc_demo.world.vehicles import hot_list_csv

ADAPTERS: tuple[Adapter, ...] = ("plate_read", "gunshot", "eido", "remote_id", "adsb")
CITY_ADAPTERS: tuple[Adapter, ...] = ("alarm", "sensor", "cap", "gtfs_realtime")
"""What the city's own services tell, to the first agency."""
BUSES_EVERY_S = 5
RECORDINGS_KEPT_S = 900
"""Of every camera of the demo: enough to scrub back, and about 1.7 GB of disk for all 48."""
SOURCE_NAMES = {
    "plate_read": "Plate readers",
    "gunshot": "Gunshot sensors",
    "eido": "Dispatch centre",
    "remote_id": "Drone receiver",
    "adsb": "ADS-B receiver",
    "alarm": "Alarm panels",
    "sensor": "Water sensors",
    "cap": "Public warnings",
    "gtfs_realtime": "City buses",
}
BORDER_REACH_M = 330.0
"""Cameras this close to the border are granted to the neighbour."""
CAMERA_USER = "relay"
EXISTS, NOTHING = frozenset({409}), frozenset[int]()
NOT_GRANTED = frozenset({403, 404, 409, 422})
"""Answers to subscribing twice, or to what its people have revoked since."""
TIMEOUT_S = 60.0


class MachineOwner(Protocol):
    """What only the machine's owner may do. Each call must succeed when the thing exists already."""

    async def create_agency(self, agency_id: str, name: str, time_zone: str, area: Sequence[Corner]) -> None: ...

    async def create_person(self, agency_id: str, login: str, display_name: str, roles: Sequence[str]) -> None: ...

    async def sign_in_link(self, login: str, next_path: str) -> str:
        """A one-time link that signs this person in."""


class ProvisioningFailed(RuntimeError):
    """The gateway refused a step of setting the demo up."""

    def __init__(self, step: str, status: int, answer: str) -> None:
        super().__init__(
            f"setting up the demo failed at {step}: HTTP {status} {answer[:500]}. Remove the demo's data folder and start it again."
        )
        self.step = step
        self.status = status


@dataclass(frozen=True, slots=True)
class Invitation:
    """Somebody to show the demo to: the login, and the page that opens first."""

    title: str
    login: str
    next_path: str


INVITATIONS = (
    Invitation("Operator, Helsinki East", "aino.east", "/map"),
    Invitation("Operator, Helsinki West", "oskar.west", "/map"),
    Invitation("Supervisor, Helsinki West", "helmi.west", "/map"),
    Invitation("Officer, Helsinki East", "iida.east", "/field"),
    Invitation("Investigator, Helsinki East", "ilona.east", "/search"),
    Invitation("Auditor, Helsinki East", "otso.east", "/audit"),
    Invitation("Administrator, Helsinki East", "venla.east", "/cameras"),
)
"""The sign-in links that a started demo prints."""


async def provision(
    gateway_url: str,
    owner: MachineOwner,
    folder: Path,
    *,
    camera_port: int,
    mqtt_port: int = 0,
    bus_port: int = 0,
    told: Callable[[str], None] = lambda _: None,
    seed: int = 1,
) -> FeederSettings:
    """Makes agencies, people, units, cameras, sources, zones, hot lists and agreements; writes and returns the feeders' settings.

    `folder` (made if missing) holds `feeders.json`, the journal and the clips. Once set up, a demo with the same gateway, port and seed
    only gets fresh hot lists: what people changed in it since stays as they left it. Raises ProvisioningFailed and ClipsNotDrawn.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    journal = Journal(folder / "provisioned.jsonl")
    password = journal.once("camera password", lambda: secrets.token_urlsafe(18))
    cameras = CameraServer(camera_port, CAMERA_USER, password)
    before = _finished(folder / "feeders.json")
    if before is not None and _placed(before) == (gateway_url, cameras, seed, mqtt_port, bus_port):
        await _refresh(gateway_url, owner, told)
        return before
    sources: list[SourceKey] = []
    devices: list[DeviceKey] = []
    clips = folder / "clips"
    drawing = asyncio.create_task(ensure_clips(clips, lambda done, of: told(f"drawing street scenes {done}/{of}"), seed))
    try:
        for agency_id in AGENCIES:
            told(f"setting up {AGENCY_NAMES[agency_id]}")
            administrator = _administrator(agency_id)
            await owner.create_agency(agency_id, AGENCY_NAMES[agency_id], TIME_ZONE, AREAS[agency_id])
            await owner.create_person(agency_id, administrator.login, administrator.display_name, administrator.roles)
            async with Administrator(gateway_url) as hands:
                await hands.sign_in(await owner.sign_in_link(administrator.login, "/admin"))
                devices += await _make_units(hands, agency_id, journal)
                await _make_people(hands, agency_id)
                await _make_zones(hands, agency_id)
                sources += await _make_sources(hands, agency_id, journal)
                await _import_hot_list(hands, agency_id)
                await import_records(hands, agency_id)
                await prepare_places(hands, agency_id)
                if bus_port and agency_id == AGENCIES[0]:
                    feed = {"url": f"http://127.0.0.1:{bus_port}{FEED_PATH}", "every_s": BUSES_EVERY_S}
                    await hands.post(f"/v1/sources/{agency_id}-gtfs-realtime/feed", {"feed": feed}, "feed of buses")
        # cameras come last: the platform calls them at once, and they answer once there is something to show
        await drawing
    finally:
        drawing.cancel()
        await asyncio.gather(drawing, return_exceptions=True)
    for agency_id in AGENCIES:
        async with Administrator(gateway_url) as hands:
            await hands.sign_in(await owner.sign_in_link(_administrator(agency_id).login, "/cameras"))
            await _import_cameras(hands, agency_id, cameras)
            await _record_cameras(hands)
    told("agreeing on what the neighbours share")
    await _agree(gateway_url, owner)
    settings = FeederSettings(gateway_url, str(clips), cameras, tuple(sources), tuple(devices), seed, mqtt_port, bus_port)
    save_settings(settings, folder / "feeders.json")
    return settings


def _placed(settings: FeederSettings) -> tuple[str, CameraServer, int, int, int]:
    """What must be the same for a demo to be left as it stands."""
    return settings.gateway_url, settings.camera_server, settings.seed, settings.mqtt_port, settings.bus_port


def _finished(path: Path) -> FeederSettings | None:
    try:
        return load_settings(path)
    except UnreadableSettings:
        return None


async def _refresh(gateway_url: str, owner: MachineOwner, told: Callable[[str], None]) -> None:
    """Hot lists go stale after a day (R24). Whoever disabled an administrator keeps the old list, and is told."""
    for agency_id in AGENCIES:
        try:
            async with Administrator(gateway_url) as hands:
                await hands.sign_in(await owner.sign_in_link(_administrator(agency_id).login, "/admin"))
                await _import_hot_list(hands, agency_id)
        except ProvisioningFailed as error:
            told(f"the hot list of {AGENCY_NAMES[agency_id]} stays as it is: {error.step} answered {error.status}")


class Administrator:
    """A signed-in administrator's session with the REST API (docs/integrators/http.md)."""

    def __init__(self, gateway_url: str) -> None:
        self._origin = gateway_url.rstrip("/")
        # "unsafe" keeps cookies of an IP address, which a loopback gateway has
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))

    async def __aenter__(self) -> Administrator:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def sign_in(self, link: str) -> None:
        """Follows a one-time link as far as its cookie."""
        async with self._session.get(link, allow_redirects=False) as answer:
            if answer.status != 303:
                raise ProvisioningFailed("sign-in", answer.status, await answer.text())

    async def get(self, path: str, step: str) -> dict[str, Any]:
        """Asks."""
        async with self._session.get(self._origin + path) as answer:
            if answer.status >= 300:
                raise ProvisioningFailed(step, answer.status, await answer.text())
            found: dict[str, Any] = await answer.json(content_type=None)
            return found

    async def put(self, path: str, body: dict[str, Any], step: str) -> None:
        """Sets something."""
        headers = {"Rtcc-Request": "1", "Origin": self._origin}
        async with self._session.put(self._origin + path, json=body, headers=headers) as answer:
            if answer.status >= 300:
                raise ProvisioningFailed(step, answer.status, await answer.text())

    async def post(self, path: str, body: dict[str, Any], step: str, *, settled: frozenset[int] = EXISTS) -> dict[str, Any] | None:
        """Sends a command. None when it is answered with a status that counts as done (`settled`: by default, that the thing exists)."""
        headers = {"Rtcc-Request": "1", "Origin": self._origin}
        async with self._session.post(self._origin + path, json=body, headers=headers) as answer:
            if answer.status in settled:
                return None
            if answer.status >= 300:
                raise ProvisioningFailed(step, answer.status, await answer.text())
            found: dict[str, Any] = await answer.json(content_type=None)
            return found


class Journal:
    """Secrets that are shown only once, noted as they come. One JSON object a line, for the owner's eyes alone (mode 0600)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[str, str] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                if line.endswith("}"):
                    self._kept |= json.loads(line)

    def find(self, name: str) -> str | None:
        """A secret noted before."""
        return self._kept.get(name)

    def note(self, name: str, secret: str) -> None:
        """Keeps a secret durably."""
        self._kept[name] = secret
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps({name: secret}) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def once(self, name: str, make: Callable[[], str]) -> str:
        """The secret noted before, else a new one."""
        found = self.find(name)
        if found is None:
            found = make()
            self.note(name, found)
        return found


async def _make_units(hands: Administrator, agency_id: str, journal: Journal) -> list[DeviceKey]:
    devices = []
    for unit in units_of(agency_id):
        key = journal.find(unit.unit_id)
        if key is None:
            record = {"unit_id": unit.unit_id, "call_sign": unit.call_sign, "kind": unit.kind, "device_id": unit.device_id}
            answer = await hands.post("/v1/units", {"unit": record}, f"unit {unit.call_sign}", settled=NOTHING)
            assert answer is not None
            key = str(answer["device_key"])
            journal.note(unit.unit_id, key)
        devices.append(DeviceKey(unit.unit_id, unit.device_id, key))
    return devices


async def _make_people(hands: Administrator, agency_id: str) -> None:
    units = units_of(agency_id)
    for person in PEOPLE[agency_id]:
        if "administrator" not in person.roles:
            record: dict[str, Any] = {"login": person.login, "display_name": person.display_name, "roles": list(person.roles)}
            if person.unit_number is not None:
                record["unit_id"] = units[person.unit_number - 1].unit_id
            await hands.post("/v1/people", {"person": record}, f"person {person.login}")


async def _make_zones(hands: Administrator, agency_id: str) -> None:
    for zone in ZONES[agency_id]:
        record: dict[str, Any] = {"zone_id": zone.zone_id, "name": zone.name, "kind": zone.kind, "area": polygon(zone.corners)}
        if zone.ceiling_m is not None:
            record["ceiling_m"] = zone.ceiling_m
        await hands.post("/v1/zones", {"zone": record}, f"zone {zone.name}")


async def _import_cameras(hands: Administrator, agency_id: str, server: CameraServer) -> None:
    document = camera_features(agency_id)
    for feature in document["features"]:
        path = feature["properties"]["camera_id"]
        feature["properties"]["stream_url"] = f"rtsp://{server.username}:{server.password}@127.0.0.1:{server.port}/{path}"
    content = base64.b64encode(json.dumps(document, ensure_ascii=False).encode()).decode()
    answer = await hands.post("/v1/cameras/import", {"format": "geojson", "content": content}, "camera import", settled=NOTHING)
    if answer is None or answer.get("problems"):
        raise ProvisioningFailed("camera import", 200, json.dumps(answer))


async def _record_cameras(hands: Administrator) -> None:
    policy = {"mode": "RECORDING_MODE_CONTINUOUS", "keep_s": RECORDINGS_KEPT_S}
    await hands.put("/v1/recording/policies", {"policy": policy}, "recording policy")


async def _make_sources(hands: Administrator, agency_id: str, journal: Journal) -> list[SourceKey]:
    sources = []
    for adapter in (*ADAPTERS, *(CITY_ADAPTERS if agency_id == AGENCIES[0] else ())):
        source_id = f"{agency_id}-{adapter.replace('_', '-')}"
        secret = journal.find(source_id)
        if secret is None:
            record = {"source_id": source_id, "name": SOURCE_NAMES[adapter], "adapter": adapter}
            answer = await hands.post("/v1/sources", {"source": record}, f"source {source_id}", settled=NOTHING)
            assert answer is not None
            secret = str(answer["secret"])
            journal.note(source_id, secret)
        sources.append(SourceKey(source_id, agency_id, adapter, secret))
    return sources


async def _import_hot_list(hands: Administrator, agency_id: str) -> None:
    hot_list_id = f"{agency_id}-vehicles"
    record = {"hot_list_id": hot_list_id, "name": "Stolen and wanted vehicles", "source": "National register (invented)", "severity": 2}
    await hands.post("/v1/hot-lists", {"hot_list": {**record, "enabled": True}}, "hot list")
    now = datetime.now(UTC)
    text = hot_list_csv(now.strftime("%Y%m%d"), (now + timedelta(days=30)).isoformat(timespec="seconds"))
    body = {"csv": base64.b64encode(text.encode()).decode()}
    answer = await hands.post(f"/v1/hot-lists/{hot_list_id}/import", body, "hot list import", settled=NOTHING)
    if answer is None or answer.get("rejected"):
        raise ProvisioningFailed("hot list import", 200, json.dumps(answer))


async def _agree(gateway_url: str, owner: MachineOwner) -> None:
    """Each agency grants its neighbour alerts everywhere and the live view of its cameras at the border; the neighbour subscribes."""
    for grantor, grantee in (AGENCIES, AGENCIES[::-1]):
        agreement_id = f"{grantor}-to-{grantee.removeprefix('helsinki-')}"
        terms = {
            "agreement_id": agreement_id,
            "grantee_agency_id": grantee,
            "title": f"Cross-border pursuit: {AGENCY_NAMES[grantor]} to {AGENCY_NAMES[grantee]}",
            "alert_kinds": ["plate_hit", "gunshot"],
            "camera_ids": border_cameras(grantor),
            "cameras_live": True,
            "cameras_recorded": True,
            "redactions": ["hot_list_source"],
        }
        async with Administrator(gateway_url) as granting:
            await granting.sign_in(await owner.sign_in_link(_administrator(grantor).login, "/share"))
            made = await granting.post("/v1/agreements", {"agreement": terms}, f"agreement {agreement_id}")
        async with Administrator(gateway_url) as receiving:
            await receiving.sign_in(await owner.sign_in_link(_administrator(grantee).login, "/share"))
            await receiving.post(
                "/v1/subscriptions",
                {"agreement_id": agreement_id},
                f"subscription to {agreement_id}",
                settled=NOT_GRANTED if made is None else EXISTS,
            )


def _administrator(agency_id: str) -> Person:
    return next(person for person in PEOPLE[agency_id] if "administrator" in person.roles)


def border_cameras(agency_id: str) -> list[str]:
    """An agency's cameras within BORDER_REACH_M of a corner of the border."""
    corners = [to_metres(*corner) for corner in BORDER]
    own = [camera for camera in load_cameras() if camera.agency_id == agency_id]
    return [camera.camera_id for camera in own if min(distance_m(camera.at, corner) for corner in corners) <= BORDER_REACH_M]


def polygon(corners: Sequence[Corner]) -> dict[str, Any]:
    """An area as the REST API writes it (rtcc.geo.v1.Polygon)."""
    return {"corners": [{"latitude_deg": latitude, "longitude_deg": longitude} for longitude, latitude in corners]}

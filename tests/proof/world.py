"""Agencies with people in every role, and a way to make one of each thing in any of them."""

import base64
import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import aiohttp
from playwright.async_api import Page

from proof.platform import RunningPlatform, until
from proof.sky import remote_id
from rtcc.airspace.v1 import airspace_pb2
from rtcc.alerting.v1 import alerting_pb2
from rtcc.exchange.v1 import exchange_pb2
from rtcc.gateway.v1 import gateway_pb2
from rtcc.geo.v1 import geo_pb2
from rtcc.intake.v1 import intake_pb2
from rtcc.ledger.v1 import ledger_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc.video.v1 import hls_pb2, video_pb2
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope

ROLES = ("operator", "supervisor", "officer", "investigator", "dispatcher", "auditor", "administrator", "platform_operator")
# owner, stranger, and the owner's partner
OWNER, STRANGER, PARTNER = "anchor", "beacon", "cove"
_COMMAND_LINE = Scope.platform("standalone")
_NUMBERS = itertools.count(1)
# the smallest JPEG that decodes: 1 x 1, grey
TINY_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////////////"
    "wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAACf/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AKp//2Q=="
)


@dataclass
class Source:
    """A registered source and its signing secret."""

    source_id: str
    secret: str


@dataclass
class World:
    """`people[agency][role]` is a person with that one role; `everything(agency)` may do whatever any role may."""

    platform: RunningPlatform
    people: dict[str, dict[str, registry_pb2.Person]] = field(default_factory=dict)
    sources: dict[tuple[str, str], Source] = field(default_factory=dict)
    # ids and names that only the owner's answers hold, once one of everything was made
    owned: frozenset[str] = frozenset()

    def scope(self, agency_id: str, *roles: str, reasoned: bool = True) -> Scope:
        """A person just signed in, with purpose and case number unless told otherwise. One role: the person that exists with it."""
        known = self.people.get(agency_id, {})
        principal = known[roles[0]].person_id if len(roles) == 1 and roles[0] in known else known["supervisor"].person_id
        return Scope(
            agency_id,
            principal,
            "person",
            frozenset(roles),
            display_name=f"{agency_id} {'+'.join(roles)}",
            session_id=f"proof-{agency_id}",
            purpose="investigation" if reasoned else "",
            case_number="26-0001" if reasoned else "",
            signed_in_at=datetime.now(UTC),
        )

    def everything(self, agency_id: str) -> Scope:
        return self.scope(agency_id, *(role for role in ROLES if role != "platform_operator"))

    def stranger(self, agency_id: str, *roles: str) -> Scope:
        """A person nobody has heard of: the audit log can be asked for this one attempt."""
        return replace(self.scope(agency_id, *roles), principal_id=f"attempt-{new_id()}")

    async def person(self, agency_id: str, *roles: str) -> registry_pb2.Person:
        login = f"{agency_id}-{next(_NUMBERS)}"
        person = registry_pb2.Person(agency_id=agency_id, login=login, display_name=login.title(), roles=roles, enabled=True)
        scope = replace(_COMMAND_LINE, idempotency_key=login)
        answer = await self.platform.ask("CreatePerson", scope, registry_pb2.CreatePersonRequest(person=person))
        created: registry_pb2.Person = answer.person
        return created

    async def officer_of(self, unit: registry_pb2.Unit) -> registry_pb2.Person:
        """The officer who carries the unit's device."""
        login = f"{unit.agency_id}-{next(_NUMBERS)}"
        person = registry_pb2.Person(
            agency_id=unit.agency_id, login=login, display_name=login.title(), roles=["officer"], unit_id=unit.unit_id, enabled=True
        )
        answer = await self.platform.ask(
            "CreatePerson", replace(_COMMAND_LINE, idempotency_key=login), registry_pb2.CreatePersonRequest(person=person)
        )
        created: registry_pb2.Person = answer.person
        return created

    async def sign_in(self, client: aiohttp.ClientSession, person: registry_pb2.Person) -> None:
        """A real session: the demo's one-time link, followed by `client`."""
        scope = Scope.service("standalone", person.agency_id)

        async def link() -> str:
            rule_answer = await self.platform.ask(
                "CreateDemoLink", scope, gateway_pb2.CreateDemoLinkRequest(person_id=person.person_id, next="/map")
            )
            return str(rule_answer.url)

        async with client.get(await link(), allow_redirects=False) as response:
            assert response.status == 303, await response.text()

    async def enter(self, page: Page, person: registry_pb2.Person, path: str) -> None:
        """`person` signs in by a one-time link and looks at `path`."""
        request = gateway_pb2.CreateDemoLinkRequest(person_id=person.person_id, next=path)
        answer = await self.platform.ask("CreateDemoLink", Scope.service("standalone", person.agency_id), request)
        await page.goto(answer.url)

    async def camera(self, agency_id: str, *, published: bool = False, control_url: str = "") -> str:
        number = next(_NUMBERS)
        camera = registry_pb2.Camera(
            name=f"Camera {number}",
            kind=registry_pb2.CAMERA_KIND_STREET,
            coordinate=geo_pb2.Coordinate(latitude_deg=60.17 + number * 1e-5, longitude_deg=24.94),
            bearing_deg=90,
            field_of_view_deg=80,
            owner=agency_id,
            enabled=True,
            published=published,
            control_url=control_url,
            stream_url="" if published else "rtsp://viewer:hidden-word@127.0.0.1:9/none",
        )
        answer = await self.platform.ask("CreateCamera", self.creating(agency_id), registry_pb2.CreateCameraRequest(camera=camera))
        return str(answer.camera.camera_id)

    async def movable_camera(self, agency_id: str) -> str:
        """One whose device doesn't answer."""
        return await self.camera(agency_id, control_url="onvif://mover:hidden-word@127.0.0.1:9/onvif/device_service?profile=main")

    async def zone(self, agency_id: str) -> str:
        number = next(_NUMBERS)
        corners = [
            geo_pb2.Coordinate(latitude_deg=60.1 + y, longitude_deg=24.9 + x) for x, y in ((0, 0), (0.01, 0), (0.01, 0.01), (0, 0.01))
        ]
        zone = registry_pb2.Zone(name=f"Zone {number}", area=geo_pb2.Polygon(corners=corners), kind="district")
        answer = await self.platform.ask("CreateZone", self.creating(agency_id), registry_pb2.CreateZoneRequest(zone=zone))
        return str(answer.zone.zone_id)

    async def source(self, agency_id: str, adapter: str = "gunshot") -> Source:
        source = registry_pb2.Source(name=f"{adapter} {next(_NUMBERS)}", adapter=adapter, enabled=True)
        answer = await self.platform.ask("CreateSource", self.creating(agency_id), registry_pb2.CreateSourceRequest(source=source))
        return Source(answer.source.source_id, answer.secret)

    async def unit(self, agency_id: str) -> registry_pb2.Unit:
        return (await self.unit_and_key(agency_id))[0]

    async def unit_and_key(self, agency_id: str) -> tuple[registry_pb2.Unit, str]:
        number = next(_NUMBERS)
        unit = registry_pb2.Unit(call_sign=f"U{number}", kind="patrol", device_id=f"device-{agency_id}-{number}", enabled=True)
        answer = await self.platform.ask("CreateUnit", self.creating(agency_id), registry_pb2.CreateUnitRequest(unit=unit))
        return answer.unit, str(answer.device_key)

    async def agreement(self, grantor: str, grantee: str, **fields: object) -> str:
        agreement = registry_pb2.Agreement(
            grantor_agency_id=grantor,
            grantee_agency_id=grantee,
            title=f"Agreement {next(_NUMBERS)}",
            **{"alert_kinds": ["gunshot"], **fields},
        )  # type: ignore[arg-type] # the caller's fields are those of the message
        answer = await self.platform.ask(
            "CreateAgreement", self.creating(grantor), registry_pb2.CreateAgreementRequest(agreement=agreement)
        )
        return str(answer.agreement.agreement_id)

    async def subscription(self, agency_id: str) -> str:
        """Of `agency_id` to alerts that the partner grants it."""
        grantor = PARTNER if agency_id != PARTNER else OWNER
        agreement_id = await self.agreement(grantor, agency_id)

        async def created() -> str:
            rule_answer = await self.platform.ask(
                "CreateSubscription",
                self.creating(agency_id),
                exchange_pb2.CreateSubscriptionRequest(agreement_id=agreement_id, alert_kinds=["gunshot"]),
            )
            return str(rule_answer.subscription.subscription_id)

        return await patiently(created)

    async def hot_list(self, agency_id: str) -> str:
        hot_list = alerting_pb2.HotList(name=f"List {next(_NUMBERS)}", source="proof", severity=2, enabled=True)
        answer = await self.platform.ask("CreateHotList", self.creating(agency_id), alerting_pb2.CreateHotListRequest(hot_list=hot_list))
        return str(answer.hot_list.hot_list_id)

    async def hot_list_entry(self, agency_id: str, plate: str = "") -> tuple[str, str, str]:
        """(hot list, entry, plate)"""
        hot_list_id, plate = await self.hot_list(agency_id), plate or f"PRF{next(_NUMBERS):04}"
        request = alerting_pb2.AddHotListEntryRequest(
            hot_list_id=hot_list_id, entry=alerting_pb2.HotListEntry(plate=plate, state="FI", reason="stolen", entry_source="proof")
        )
        answer = await self.platform.ask("AddHotListEntry", self.creating(agency_id), request)
        return hot_list_id, answer.entry.entry_id, plate

    async def gunshot_source(self, agency_id: str) -> Source:
        key = (agency_id, "gunshot")
        if key not in self.sources:
            self.sources[key] = await self.source(agency_id, "gunshot")
        return self.sources[key]

    async def contact(self, agency_id: str) -> str:
        """A webhook that nobody answers."""
        contact = alerting_pb2.Contact(
            name=f"Contact {next(_NUMBERS)}",
            channel=alerting_pb2.NOTIFICATION_CHANNEL_WEBHOOK,
            address="https://receiver.invalid/hook",
            enabled=True,
        )
        answer = await self.platform.ask("SetContact", self.creating(agency_id), alerting_pb2.SetContactRequest(contact=contact))
        return str(answer.contact.contact_id)

    async def notification(self, agency_id: str) -> str:
        """A delivery to such a contact."""
        request = alerting_pb2.TestContactRequest(contact_id=await self.contact(agency_id))
        answer = await self.platform.ask("TestContact", self.creating(agency_id), request)
        return str(answer.delivery.delivery_id)

    async def alert(self, agency_id: str) -> str:
        """A gunshot, told by a signed webhook; the alert that it raised."""
        source, incident = await self.gunshot_source(agency_id), f"GS-{next(_NUMBERS)}-{new_id()}"
        status, answer = await self.delivered(source, gunshot(incident))
        assert status == 202, answer
        return (await self.alert_where(agency_id, lambda alert: alert.event.gunshot.incident_id == incident)).alert_id

    async def plate_alert(self, agency_id: str) -> str:
        """A plate hit with its evidence picture."""
        _, _, plate = await self.hot_list_entry(agency_id)
        key = (agency_id, "plate_read")
        if key not in self.sources:
            self.sources[key] = await self.source(agency_id, "plate_read")
        camera_id = await self.camera(agency_id)
        sent: list[str] = []

        async def read() -> bool:
            # a new entry is in the matcher's memory a moment after its answer: read until one hits
            status, answer = await self.delivered(self.sources[key], plate_read(plate, camera_id))
            assert status == 202 and isinstance(answer, dict), answer
            sent.append(answer["event_id"])
            return any(alert.event.plate_read.plate == plate for alert in await self.alerts(agency_id))

        await until(read, every_s=0.2)
        # later reads join the alert: it rests when it has the last one
        return (await self.alert_where(agency_id, lambda alert: alert.event.event_id == sent[-1])).alert_id

    async def track(self, agency_id: str) -> tuple[str, str]:
        """A drone that a receiver heard: (track, serial number), stored."""
        key, serial_number = (agency_id, "remote_id"), f"MFG1F{next(_NUMBERS):015}"
        if key not in self.sources:
            self.sources[key] = await self.source(agency_id, "remote_id")
        status, answer = await self.delivered(self.sources[key], remote_id(serial_number, 60.17, 24.94), door="airspace")
        assert status == 202, answer

        async def stored() -> str:
            request = airspace_pb2.SearchTracksRequest(serial_number=serial_number)
            found = await self.platform.ask("SearchTracks", self.everything(agency_id), request)
            return found.tracks[0].track_id if found.tracks else ""

        return await until(stored), serial_number

    async def delivered(self, source: Source, body: dict[str, object] | bytes, door: str = "hooks") -> tuple[int, object]:
        """Repeated while the gateway does not know a new source yet."""
        delivery_id = new_id()
        answer: list[tuple[int, object]] = []

        async def sent() -> bool:
            answer[:] = [await self.platform.deliver(source.source_id, source.secret, body, delivery_id, door)]
            return answer[0][0] != 401

        await until(sent)
        return answer[0]

    async def logged(
        self, agency_id: str, thing: str, wanted: Callable[[list[ledger_pb2.AuditEntry]], bool], *, limit: int = 100
    ) -> list[ledger_pb2.AuditEntry]:
        """The ledger's entries about a thing, once they are what is wanted: each is kept a moment after what it tells of."""

        async def look() -> list[ledger_pb2.AuditEntry] | None:
            request = ledger_pb2.ListAccessesRequest(object_id=thing, limit=limit)
            answer = await self.platform.ask("ListAccesses", self.everything(agency_id), request)
            entries = [stored.entry for stored in answer.entries]
            return entries if wanted(entries) else None

        found = await until(look)
        assert found is not None
        return found

    async def alerts(self, agency_id: str) -> list[alerting_pb2.Alert]:
        answer = await self.platform.ask(
            "ListAlerts", self.everything(agency_id), alerting_pb2.ListAlertsRequest(include_closed=True, limit=500)
        )
        return list(answer.alerts)

    async def alert_where(self, agency_id: str, wanted: Callable[[alerting_pb2.Alert], bool]) -> alerting_pb2.Alert:
        async def look() -> alerting_pb2.Alert | None:
            return next(filter(wanted, await self.alerts(agency_id)), None)

        found = await until(look)
        assert found is not None
        return found

    async def quarantined(self, agency_id: str) -> str:
        """Authentic and not understood."""
        source = await self.gunshot_source(agency_id)
        _, answer = await self.delivered(source, json.dumps({"stage": "never heard of", "n": next(_NUMBERS)}).encode())
        assert isinstance(answer, dict) and answer.get("quarantine_id"), answer
        return str(answer["quarantine_id"])

    async def alarm(self, agency_id: str) -> str:
        """Of a panel, told by a signed webhook and standing in the list of newest events; its id."""
        key = (agency_id, "alarm")
        if key not in self.sources:
            self.sources[key] = await self.source(agency_id, "alarm")
        alarm_id = f"A-{next(_NUMBERS)}-{new_id()}"
        raised_at = datetime.now(UTC).isoformat()
        body: dict[str, object] = {"alarm_id": alarm_id, "type": "burglary", "state": "active", "raised_at": raised_at}
        status, answer = await self.delivered(self.sources[key], body)
        assert status == 202, answer

        async def listed() -> bool:
            found = await self.platform.ask("ListNewestEvents", self.everything(agency_id), intake_pb2.ListNewestEventsRequest(limit=500))
            return any(event.alarm.alarm_id == alarm_id for event in found.events)

        await until(listed)
        return alarm_id

    async def session(self, agency_id: str) -> str:
        """Of a person made for it."""
        person = await self.person(agency_id, "operator")
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:

            async def signed_in() -> bool:
                await self.sign_in(client, person)
                return True

            await patiently(signed_in)
        answer = await self.platform.ask("ListSessions", self.everything(agency_id), gateway_pb2.ListSessionsRequest())
        return next(session.session_id for session in answer.sessions if session.person_id == person.person_id)

    async def open_viewer(self, agency_id: str, camera_id: str, offer_sdp: str) -> str:
        """A live view of the agency's own camera; its id."""

        async def opened() -> str:
            request = video_pb2.OpenViewerRequest(camera_id=camera_id, offer_sdp=offer_sdp)
            return str((await self.platform.ask("OpenViewer", self.everything(agency_id), request)).viewer_id)

        return await patiently(opened)

    async def open_hls_viewer(self, agency_id: str, camera_id: str) -> str:
        """A live view over HTTPS of the agency's own camera; its id."""

        async def opened() -> str:
            request = hls_pb2.OpenHlsViewerRequest(camera_id=camera_id)
            return str((await self.platform.ask("OpenHlsViewer", self.everything(agency_id), request)).viewer_id)

        return await patiently(opened)

    async def published_camera(self, agency_id: str) -> str:
        """A camera whose device sends by itself."""
        return await self.camera(agency_id, published=True)

    async def open_publisher(self, agency_id: str, camera_id: str, offer_sdp: str) -> str:
        """Somebody of the agency publishes pictures as this camera; the publisher's id."""

        async def opened() -> str:
            request = video_pb2.OpenPublisherRequest(camera_id=camera_id, offer_sdp=offer_sdp)
            return str((await self.platform.ask("OpenPublisher", self.everything(agency_id), request)).publisher_id)

        return await patiently(opened)

    async def publish_key(self, agency_id: str, camera_id: str) -> str:
        """A fresh key with which the camera's device publishes."""
        request = registry_pb2.SetPublishKeyRequest(camera_id=camera_id)
        return str((await self.platform.ask("SetPublishKey", self.creating(agency_id), request)).publish_key)

    async def audit_entry(self, agency_id: str) -> str:
        answer = await self.platform.ask("ListEntries", self.everything(agency_id), ledger_pb2.ListEntriesRequest(limit=1))
        return str(answer.entries[0].entry.entry_id)

    async def quarantine(self, agency_id: str) -> list[intake_pb2.QuarantineEntry]:
        answer = await self.platform.ask("ListQuarantine", self.everything(agency_id), intake_pb2.ListQuarantineRequest(limit=500))
        return list(answer.entries)

    def creating(self, agency_id: str) -> Scope:
        """Whoever may do anything, with a key of its own: the same thing is never made twice."""
        return replace(self.everything(agency_id), idempotency_key=f"k{next(_NUMBERS)}-{new_id()[:8]}")


def gunshot(incident_id: str, **changed: object) -> dict[str, object]:
    """A `gunshot` body of docs/integrators/webhooks.md."""
    return {
        "incident_id": incident_id, "stage": "new", "classification": "gunfire", "detected_at": datetime.now(UTC).isoformat(),
        "lat": 60.1699, "lon": 24.9384, "error_radius_m": 25, "rounds": 4, "sensors": 5, **changed,
    }  # fmt: skip


def plate_read(plate: str, camera_id: str, **changed: object) -> dict[str, object]:
    """A `plate_read` body of docs/integrators/webhooks.md."""
    return {
        "read_id": new_id(), "camera_id": camera_id, "plate": plate, "state": "FI", "confidence": 0.95,
        "captured_at": datetime.now(UTC).isoformat(), "lat": 60.17, "lon": 24.94, "image": base64.b64encode(TINY_JPEG).decode(), **changed,
    }  # fmt: skip


async def patiently[T](work: Callable[[], Awaitable[T]]) -> T:
    """Repeat what needs the directory to have arrived."""
    last: list[AssertionError] = []

    async def tried() -> list[T]:
        try:
            return [await work()]
        except AssertionError as error:
            last[:] = [error]
            return []

    try:
        return (await until(tried))[0]
    except AssertionError:
        raise last[0] from None


async def build_world(platform: RunningPlatform) -> World:
    """Agencies and one person a role in each."""
    world = World(platform)
    for agency_id in (OWNER, STRANGER, PARTNER):
        await add_agency(world, agency_id)
    return world


async def add_agency(world: World, agency_id: str) -> None:
    """An agency of a test's own, with one person a role."""
    request = registry_pb2.CreateAgencyRequest(agency_id=agency_id, name=f"{agency_id.title()} Police", time_zone="UTC")
    await world.platform.ask("CreateAgency", _COMMAND_LINE, request)
    world.people[agency_id] = {role: await world.person(agency_id, role) for role in ROLES}

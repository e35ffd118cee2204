"""What people do with alerts and hot lists: authorise, act; the gate audits."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from google.protobuf.json_format import MessageToDict

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc.registry.v1.registry_pb2 import Agreement
from rtcc_alerting.domain import Actor, Disposition, LifeCycle
from rtcc_alerting.escalation import Patience, plan
from rtcc_alerting.hot_list_import import CsvImport, NewEntry, entry_id_of
from rtcc_alerting.measures import ACKNOWLEDGED
from rtcc_alerting.messages import apply_life_cycle, life_cycle_of, mark_changed
from rtcc_alerting.plates import NotAPlate, normalise
from rtcc_chassis.access import Access, Grant, Resource, touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import InvalidInput, NotFound, Violation
from rtcc_chassis.identifiers import derived_id, new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.sharing import grant_of, grants_alert

_IDENTIFIER = re.compile(r"[A-Za-z0-9_\-]{1,64}\Z")
_MAXIMUM_ROWS = 500
_MAXIMUM_ENTRIES = 5_000
_STALE_AFTER_S = 24 * 3600
_MAXIMUM_STALE_AFTER_S = 366 * 24 * 3600


class Alerts(Protocol):
    """The alert store as the commands need it."""

    async def list_alerts(self, scope: Scope, *, include_closed: bool, limit: int) -> list[pb.Alert]: ...

    async def get_alert(self, scope: Scope, alert_id: str) -> pb.Alert | None: ...

    async def change_alert(self, scope: Scope, alert_id: str, change: Callable[[pb.Alert], bool]) -> pb.Alert | None: ...


class HotLists(Protocol):
    """The hot-list store as the commands need it."""

    async def put_list(self, scope: Scope, settings: pb.HotList, now: datetime) -> tuple[pb.HotList | None, pb.HotList]: ...

    async def get_list(self, scope: Scope, hot_list_id: str, now: datetime) -> pb.HotList | None: ...

    async def list_lists(self, scope: Scope, now: datetime) -> list[pb.HotList]: ...

    async def replace_entries(self, scope: Scope, hot_list_id: str, chunks: AsyncIterator[Sequence[NewEntry]], now: datetime) -> None: ...

    async def add_entry(self, scope: Scope, hot_list_id: str, entry: NewEntry, now: datetime) -> pb.HotListEntry: ...

    async def remove_entry(self, scope: Scope, hot_list_id: str, entry_id: str) -> pb.HotListEntry | None: ...

    async def list_entries(self, scope: Scope, hot_list_id: str, limit: int) -> list[pb.HotListEntry]: ...


class Images(Protocol):
    """Where evidence crops are."""

    async def get(self, scope: Scope, agency_id: str, key: str) -> bytes: ...


class IndexRefresh(Protocol):
    """Tells the matching index that an agency's lists changed; returns when the next read is matched against the change."""

    async def refresh(self, agency_id: str) -> None: ...


# the agreements of the installation, as the directory has them now
Agreements = Callable[[], Iterable[Agreement]]


class AlertingApp:
    """Alerts."""

    def __init__(
        self, alerts: Alerts, images: Images, access: Access, clock: Clock, patience: Patience, agreements: Agreements = tuple
    ) -> None:
        self._agreements = agreements
        self._patience = patience
        self._alerts = alerts
        self._images = images
        self._access = access
        self._clock = clock

    async def list_alerts(self, scope: Scope, *, include_closed: bool, limit: int) -> list[pb.Alert]:
        """Open ones by severity and age; with closed ones newest first."""
        alerts = await self._alerts.list_alerts(scope, include_closed=include_closed, limit=min(limit or 200, _MAXIMUM_ROWS))
        touched(*(f"alert:{alert.alert_id}" for alert in alerts))
        return alerts

    async def get_alert(self, scope: Scope, alert_id: str, action: str = "alert.read") -> pb.Alert:
        """Raises NotFound, Refused."""
        alert = await self._alerts.get_alert(scope, alert_id)
        if alert is None:
            raise NotFound("alert", alert_id)
        self._access.require(scope, action, Resource("alert", alert_id, alert.agency_id))
        return alert

    async def get_image(self, scope: Scope, alert_id: str) -> bytes:
        """The JPEG that the plate is confirmed against, own or shared without its redaction. NotFound when there is none to see."""
        alert, grant = await self._alerts.get_alert(scope, alert_id), None
        if alert is None:
            alert, grant = await self._shared_image(scope, alert_id)
        self._access.require(scope, "alert.read_image", Resource("alert", alert_id, alert.agency_id, grant))
        key = alert.event.plate_read.image_object
        if not key:
            raise NotFound("image of the alert", alert_id)
        agreement_id = grant.agreement_id if grant else ""
        touched(f"object:{key}", f"plate:{alert.event.plate_read.plate}", owner_agency_id=alert.agency_id, agreement_id=agreement_id)
        return await self._images.get(Scope.service("alerting", alert.agency_id), alert.agency_id, key)

    async def _shared_image(self, scope: Scope, alert_id: str) -> tuple[pb.Alert, Grant]:
        """Another agency's alert, and the agreement that gives it to the caller's with its image."""
        alert = await self._alerts.get_alert(Scope.platform("alerting"), alert_id)
        for agreement in self._agreements() if alert is not None else ():
            if (
                alert is not None
                and agreement.grantee_agency_id == scope.agency_id
                and "image" not in agreement.redactions
                and grants_alert(agreement, alert, self._clock())
            ):
                return alert, grant_of(agreement)
        raise NotFound("alert", alert_id)

    async def acknowledge(self, scope: Scope, alert_id: str) -> tuple[pb.Alert, bool]:
        """(the alert, whether this person has it): the first wins, a later one learns who was first."""
        won = False

        def take(life_cycle: LifeCycle) -> LifeCycle:
            nonlocal won
            taken, won = life_cycle.acknowledge(_actor(scope), self._clock())
            return taken

        alert = await self._change(scope, alert_id, "alert.acknowledge", take)
        if won:
            ACKNOWLEDGED.labels(alert.kind).observe((self._clock() - alert.raised_at.ToDatetime(UTC)).total_seconds())
        return alert, won

    async def start(self, scope: Scope, alert_id: str) -> pb.Alert:
        """Work begins. R23: not on an unconfirmed plate hit."""
        return await self._change(scope, alert_id, "alert.start", LifeCycle.start)

    async def close(self, scope: Scope, alert_id: str, outcome: str, note: str) -> pb.Alert:
        return await self._change(scope, alert_id, "alert.close", lambda life_cycle: life_cycle.close(outcome, note.strip()))

    async def confirm_plate(self, scope: Scope, alert_id: str, disposition: Disposition) -> pb.Alert:
        """R23: the disposition is recorded with who made it (audit) and stays on the alert."""

        def confirm(life_cycle: LifeCycle) -> LifeCycle:
            return life_cycle.confirm_plate(disposition, _actor(scope), self._clock())

        return await self._change(scope, alert_id, "alert.confirm_plate", confirm)

    async def _change(self, scope: Scope, alert_id: str, action: str, decide: Callable[[LifeCycle], LifeCycle]) -> pb.Alert:
        def change(alert: pb.Alert) -> bool:
            self._access.require(scope, action, Resource("alert", alert_id, alert.agency_id))
            before = life_cycle_of(alert)
            after = decide(before)
            if after == before:
                return False
            apply_life_cycle(alert, after)
            mark_changed(alert, self._clock())
            plan(alert, self._patience, self._clock())
            touched(
                f"alert:{alert_id}",
                old_value=json.dumps({"state": before.state, "disposition": before.disposition}),
                new_value=json.dumps({"state": after.state, "disposition": after.disposition, "outcome": after.outcome}),
            )
            return True

        alert = await self._alerts.change_alert(scope, alert_id, change)
        if alert is None:
            raise NotFound("alert", alert_id)
        return alert


class HotListApp:
    """Hot lists."""

    def __init__(self, lists: HotLists, index: IndexRefresh, clock: Clock) -> None:
        self._lists = lists
        self._index = index
        self._clock = clock

    async def create(self, scope: Scope, wanted: pb.HotList) -> pb.HotList:
        """A new list, or new settings for the agency's list with this id (so a list can be switched off, R24)."""
        settings = _checked(scope, wanted)
        before, after = await self._lists.put_list(scope, settings, self._clock())
        touched(f"hot_list:{after.hot_list_id}", old_value=_as_json(before) if before else "", new_value=_as_json(after))
        await self._index.refresh(scope.agency_id)
        return after

    async def list_lists(self, scope: Scope) -> list[pb.HotList]:
        """By name, each with its age (R24)."""
        lists = await self._lists.list_lists(scope, self._clock())
        touched(*(f"hot_list:{item.hot_list_id}" for item in lists))
        return lists

    async def import_csv(self, scope: Scope, hot_list_id: str, content: bytes) -> pb.ImportHotListResponse:
        """Replace what the last import brought. A file without a single good row changes nothing: an empty list would silence every hit."""
        await self._own(scope, hot_list_id)
        reading = CsvImport(hot_list_id, content)
        await self._lists.replace_entries(scope, hot_list_id, _some(reading), self._clock())
        touched(f"hot_list:{hot_list_id}", new_value=json.dumps({"accepted": reading.accepted, "rejected": reading.rejected}))
        await self._index.refresh(scope.agency_id)
        return pb.ImportHotListResponse(accepted=reading.accepted, rejected=reading.rejected, problems=reading.problems)

    async def add_entry(self, scope: Scope, hot_list_id: str, wanted: pb.HotListEntry) -> pb.HotListEntry:
        """A custom entry: it survives imports and ends when it expires. Who added it stands as its source when none is given."""
        await self._own(scope, hot_list_id)
        entry = self._checked_entry(scope, hot_list_id, wanted)
        stored = await self._lists.add_entry(scope, hot_list_id, entry, self._clock())
        touched(f"hot_list:{hot_list_id}", f"plate:{entry.plate}", new_value=_as_json(stored))
        await self._index.refresh(scope.agency_id)
        return stored

    async def remove_entry(self, scope: Scope, hot_list_id: str, entry_id: str) -> None:
        removed = await self._lists.remove_entry(scope, hot_list_id, entry_id)
        if removed is None:
            raise NotFound("hot-list entry", entry_id)
        touched(f"hot_list:{hot_list_id}", f"plate:{removed.plate}", old_value=_as_json(removed))
        await self._index.refresh(scope.agency_id)

    async def list_entries(self, scope: Scope, hot_list_id: str, limit: int) -> list[pb.HotListEntry]:
        """By plate; at most 5,000: a whole list is read from its source, not from here."""
        await self._own(scope, hot_list_id)
        return await self._lists.list_entries(scope, hot_list_id, min(limit or 500, _MAXIMUM_ENTRIES))

    async def _own(self, scope: Scope, hot_list_id: str) -> pb.HotList:
        hot_list = await self._lists.get_list(scope, hot_list_id, self._clock())
        if hot_list is None or hot_list.agency_id != scope.agency_id:
            raise NotFound("hot list", hot_list_id)
        return hot_list

    def _checked_entry(self, scope: Scope, hot_list_id: str, wanted: pb.HotListEntry) -> NewEntry:
        violations = []
        plate = ""
        try:
            plate = normalise(wanted.plate)
        except NotAPlate as error:
            violations.append(Violation("entry.plate", error.message))
        state = wanted.state.strip().upper()
        if len(state) > 8 or not state.isascii():
            violations.append(Violation("entry.state", "has more than 8 characters"))
        if not wanted.reason.strip():
            violations.append(Violation("entry.reason", "is missing: say why the plate is wanted"))
        for name in ("reason", "entry_source"):
            if len(getattr(wanted, name)) > 512 or "\0" in getattr(wanted, name):
                violations.append(Violation(f"entry.{name}", "must be text of at most 512 characters"))
        expires_at = wanted.expires_at.ToDatetime(UTC) if wanted.HasField("expires_at") else None
        if expires_at is not None and expires_at <= self._clock():
            violations.append(Violation("entry.expires_at", "has passed already"))
        if violations:
            raise InvalidInput(violations)
        source = wanted.entry_source.strip() or scope.display_name or scope.principal_id
        return NewEntry(entry_id_of(hot_list_id, plate, state), plate, state, wanted.reason.strip(), source, expires_at)


async def _some(reading: CsvImport) -> AsyncIterator[Sequence[NewEntry]]:
    """The chunks, each read in a thread (a million rows take seconds). Raises InvalidInput when there is none: the import is undone."""
    chunks = reading.chunks()
    while chunk := await asyncio.to_thread(next, chunks, None):
        yield chunk
    if not reading.accepted:
        problems = [Violation("csv", text) for text in reading.problems]
        raise InvalidInput([Violation("csv", "holds no usable row, so the list stays as it was"), *problems])


def _actor(scope: Scope) -> Actor:
    return Actor(scope.principal_id, scope.display_name)


def _checked(scope: Scope, wanted: pb.HotList) -> pb.HotList:
    violations = []
    name, source = wanted.name.strip(), wanted.source.strip()
    if not 1 <= len(name) <= 100 or "\0" in name:
        violations.append(Violation("hot_list.name", "must have 1 to 100 characters"))
    if len(source) > 200 or "\0" in source:
        violations.append(Violation("hot_list.source", "has more than 200 characters"))
    if wanted.severity > 4:
        violations.append(Violation("hot_list.severity", "is 1 (life), 2 (urgent), 3 (caution) or 4 (information); 0: 2"))
    if wanted.stale_after_s > _MAXIMUM_STALE_AFTER_S:
        violations.append(Violation("hot_list.stale_after_s", f"is more than a year; at most {_MAXIMUM_STALE_AFTER_S}, 0: one day"))
    if wanted.hot_list_id and not _IDENTIFIER.match(wanted.hot_list_id):
        violations.append(Violation("hot_list.hot_list_id", "must be 1 to 64 of letters, digits, '-' and '_', or empty for a new one"))
    if violations:
        raise InvalidInput(violations)
    identifier = wanted.hot_list_id or (
        derived_id(scope.agency_id, "hot_list", scope.idempotency_key) if scope.idempotency_key else new_id()
    )
    return pb.HotList(
        hot_list_id=identifier,
        agency_id=scope.agency_id,
        name=name,
        source=source,
        severity=wanted.severity or 2,
        enabled=wanted.enabled,
        stale_after_s=wanted.stale_after_s or _STALE_AFTER_S,
    )


def _as_json(message: pb.HotList | pb.HotListEntry) -> str:
    return json.dumps(MessageToDict(message, preserving_proto_field_name=True), ensure_ascii=False)

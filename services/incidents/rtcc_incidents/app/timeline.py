"""The timeline: read in the order of what happened, written by people, with pictures and alerts."""

import asyncio
from datetime import UTC, datetime, timedelta

from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.access import Resource, touched
from rtcc_chassis.errors import Conflict, InvalidInput, NotFound
from rtcc_chassis.scope import Scope
from rtcc_incidents.app.acting import Acting, author_of, id_for, told
from rtcc_incidents.app.ports import FloorPlans, Images, Incidents, Records
from rtcc_incidents.app.signals import attach_alert
from rtcc_incidents.domain import incidents, pictures, timeline
from rtcc_incidents.domain.checks import moment, require, text_violations

# a picture that says it was taken longer before its incident has a clock that isn't set
TAKEN_BEFORE_MOST = timedelta(days=1)
READ_MOST, READ_DEFAULT = 1_000, 500
PHOTO_BYTES = 8 * 1024 * 1024
# names that are asked of the identity service for one reading
LABELS_MOST = 20


class TimelineApp:
    """Entries of one incident."""

    def __init__(self, store: Incidents, floor_plans: FloorPlans, images: Images, records: Records, acting: Acting) -> None:
        self._store = store
        self._floor_plans = floor_plans
        self._images = images
        self._records = records
        self._acting = acting
        # one picture at a time: a large one takes some hundred MB while it is decoded
        self._decoding = asyncio.Semaphore(1)

    async def read(self, scope: Scope, request: pb.ListTimelineRequest) -> list[pb.TimelineEntry]:
        """By time of occurrence. Who asks with purpose and case number sees names of records as far as identity shows them."""
        bound = incidents.list_bound(request.limit, READ_MOST, READ_DEFAULT)
        incident = await self._store.get(scope, request.incident_id)
        if incident is None:
            raise NotFound("incident", request.incident_id)
        self._acting.require(scope, "incident.read_timeline", incident)
        entries = await self._store.timeline(scope, request.incident_id, request.after_sequence, bound)
        if scope.purpose.strip() and scope.case_number.strip():
            await self._name_records(scope, entries)
        return timeline.in_order(entries)

    async def _name_records(self, scope: Scope, entries: list[pb.TimelineEntry]) -> None:
        named = {(entry.record.record_kind, entry.record.record_id): "" for entry in entries if entry.HasField("record")}
        wanted = list(named)[:LABELS_MOST]
        labels = await asyncio.gather(*(self._records.label(scope, kind, record_id) for kind, record_id in wanted))
        named |= dict(zip(wanted, labels, strict=True))
        for entry in entries:
            if entry.HasField("record"):
                entry.record.label = named[entry.record.record_kind, entry.record.record_id]

    async def add(self, scope: Scope, request: pb.AddTimelineEntryRequest) -> pb.TimelineEntry:
        """Also on a closed incident: what is learnt later belongs to it."""
        now, kind = self._acting.clock(), timeline.checked_addition(request)
        at = moment("occurred_at", request.occurred_at if request.HasField("occurred_at") else None, now)
        entry_id = id_for(scope, "entry", request.incident_id)
        made = timeline.entry(entry_id, request.incident_id, kind, author_of(scope), at, now, request.text.strip())
        await self._take_reference(scope, request, made)
        async with self._store.transaction(scope) as transaction:
            record = await self._acting.locked(transaction, scope, "incident.add_entry", request.incident_id)
            before, _ = await transaction.entry(entry_id)
            if before is not None:
                return before
            if request.corrects:
                corrected, already = await transaction.entry(request.corrects)
                timeline.check_correction(corrected, request.corrects, request.incident_id, already)
                made.corrects = request.corrects
            await transaction.save(record, [made], now)
        told(record.incident, new={"entry": entry_id, "kind": kind, "corrects": request.corrects})
        return made

    async def _take_reference(self, scope: Scope, request: pb.AddTimelineEntryRequest, made: pb.TimelineEntry) -> None:
        if request.HasField("position"):
            made.position.CopyFrom(request.position)
        if request.HasField("clip"):
            made.clip.CopyFrom(request.clip)
            touched(f"camera:{request.clip.camera_id}")
        if request.HasField("record"):
            made.record.CopyFrom(request.record)
            touched(f"{request.record.record_kind}_record:{request.record.record_id}")
        if request.HasField("floor_plan"):
            found = await self._floor_plans.get(scope, request.floor_plan.floor_plan_id)
            if found is None:
                raise InvalidInput.one("floor_plan.floor_plan_id", "is no floor plan of your agency")
            made.floor_plan.floor_plan_id, made.floor_plan.name = found[0].floor_plan_id, f"{found[0].name} {found[0].floor}".strip()

    async def attach(self, scope: Scope, request: pb.AttachAlertRequest) -> pb.AttachAlertResponse:
        """By hand. The first incident has it; another one is named."""
        now = self._acting.clock()
        async with self._store.transaction(scope) as transaction:
            record = await self._acting.locked(transaction, scope, "incident.attach_alert", request.incident_id)
            entry = timeline.entry(
                id_for(scope, "entry", request.incident_id, request.alert_id), request.incident_id, "alert", author_of(scope), now, now
            )
            attachment = await attach_alert(transaction, record, request.alert_id, entry, now)
        other = await self._store.get(scope, attachment.other_incident_id) if attachment.other_incident_id else None
        told(record.incident, new={"alert": request.alert_id, "attached": attachment.won})
        touched(f"alert:{request.alert_id}")
        answer = pb.AttachAlertResponse(incident=record.incident, won=attachment.won, other_incident_id=attachment.other_incident_id)
        answer.other_incident_number = other.number if other is not None else ""
        return answer

    async def detach(self, scope: Scope, request: pb.DetachAlertRequest) -> pb.Incident:
        """A correction in the timeline; the alert can be attached elsewhere, by hand."""
        now, alert_id = self._acting.clock(), request.alert_id
        require(text_violations("reason", request.reason, 500, least=1))
        async with self._store.transaction(scope) as transaction:
            record = await self._acting.locked(transaction, scope, "incident.detach_alert", request.incident_id)
            known = await transaction.lock_alert(alert_id)
            if known is None or known.incident_id != request.incident_id:
                raise Conflict(f"The alert isn't attached to incident {record.incident.number}.")
            record.incident.alert_ids.remove(alert_id)
            incidents.count_signals(record.incident)
            entry = timeline.entry(
                id_for(scope, "entry", request.incident_id, "detach", alert_id), request.incident_id, "alert", author_of(scope), now, now,
                f"taken off: {request.reason.strip()}",
            )  # fmt: skip
            entry.alert.CopyFrom(known.reference)
            entry.corrects = known.entry_id
            await transaction.bind_alert(alert_id, "", entry.entry_id, detached=True)
            await transaction.save(record, [entry], now)
        told(record.incident, old={"alert": alert_id}, new={"alert": "", "reason": request.reason})
        return record.incident

    async def add_photo(self, scope: Scope, request: pb.AddIncidentPhotoRequest) -> pb.TimelineEntry:
        """Stored before the entry is written: an entry never names a picture that isn't there."""
        now = self._acting.clock()
        of_camera = request.HasField("taken_from")
        require(
            text_violations("caption", request.caption, 1_000)
            + (timeline.clip_violations(request.taken_from, "taken_from") if of_camera else [])
        )
        incident = await self._store.get(scope, request.incident_id)
        if incident is None:
            raise NotFound("incident", request.incident_id)
        self._acting.require(scope, "incident.add_photo", incident)
        zone = self._acting.facts.zone(scope.agency_id)
        async with self._decoding:
            picture = await asyncio.to_thread(pictures.photo, request.image, "image", PHOTO_BYTES, zone)
        at = moment("occurred_at", request.occurred_at, now) if request.HasField("occurred_at") else _taken_at(picture, incident, now)
        photo_id = id_for(scope, "photo", request.incident_id)
        key = f"incidents/{request.incident_id}/{photo_id}.jpg"
        entry = timeline.entry(photo_id, request.incident_id, "photo", author_of(scope), at, now, request.caption.strip())
        entry.photo.photo_id, entry.photo.size_bytes = photo_id, len(picture.data)
        entry.photo.width_px, entry.photo.height_px = picture.width_px, picture.height_px
        if of_camera:
            entry.photo.taken_from.CopyFrom(request.taken_from)
            touched(f"camera:{request.taken_from.camera_id}")
        if request.keep_position and picture.coordinate is not None:
            entry.position.coordinate.CopyFrom(picture.coordinate)
        async with self._store.transaction(scope) as transaction:
            if (before := (await transaction.entry(photo_id))[0]) is not None:
                return before
        entry.photo.sha256 = await self._images.put(scope, scope.agency_id, key, picture.data, "image/jpeg")
        async with self._store.transaction(scope) as transaction:
            record = await self._acting.locked(transaction, scope, "incident.add_photo", request.incident_id)
            await transaction.add_photo(photo_id, scope.agency_id, request.incident_id, key)
            await transaction.save(record, [entry], now)
        told(record.incident, new={"photo": photo_id, "sha256": entry.photo.sha256, "position kept": entry.HasField("position")})
        return entry

    async def photo(self, scope: Scope, incident_id: str, photo_id: str) -> bytes:
        """The JPEG. Raises NotFound."""
        found = await self._store.photo_key(scope, incident_id, photo_id)
        if found is None:
            raise NotFound("photo", photo_id)
        agency_id, key = found
        self._acting.access.require(scope, "incident.read_photo", Resource("incident", incident_id, agency_id))
        touched(f"object:{key}", owner_agency_id=agency_id)
        return await self._images.get(scope, agency_id, key)


def _taken_at(picture: pictures.Picture, incident: pb.Incident, now: datetime) -> datetime:
    """When the camera says, as far as it can be believed; else now."""
    earliest = incident.occurred_at.ToDatetime(UTC) - TAKEN_BEFORE_MOST
    return picture.taken_at if picture.taken_at is not None and earliest <= picture.taken_at <= now else now

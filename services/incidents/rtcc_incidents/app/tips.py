"""The public's tips: taken in within bounds, grouped, moderated, promoted."""

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta

from rtcc.event.v1 import event_pb2
from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.access import Resource, touched
from rtcc_chassis.errors import Conflict, Exhausted, InvalidInput, NotFound
from rtcc_chassis.identifiers import derived_id
from rtcc_chassis.scope import Scope
from rtcc_incidents.app.acting import Acting, author_of, by, told
from rtcc_incidents.app.counted import OPENED, TIPS
from rtcc_incidents.app.ports import Images, StoredTip, Tips, TipTransaction
from rtcc_incidents.domain import incidents, pictures, timeline, tips
from rtcc_incidents.domain.checks import moment
from rtcc_incidents.domain.incidents import Record
from rtcc_incidents.domain.tips import Told
from rtcc_incidents.settings import IncidentsSettings

PHOTO_BYTES = 6 * 1024 * 1024
LIST_MOST, LIST_DEFAULT = 500, 200
_STATE_WORDS = {
    pb.TIP_STATE_NEW: "new",
    pb.TIP_STATE_ACCEPTED: "accepted",
    pb.TIP_STATE_REJECTED: "rejected",
    pb.TIP_STATE_SPAM: "spam",
}


class TipsApp:
    """What strangers send is never believed and never shown before it is here; who they are isn't asked and isn't kept."""

    def __init__(self, store: Tips, images: Images, acting: Acting, settings: IncidentsSettings) -> None:
        self._store = store
        self._images = images
        self._acting = acting
        self._settings = settings
        self._decoding = asyncio.Semaphore(1)

    async def submit(self, scope: Scope, request: pb.SubmitTipRequest) -> pb.SubmitTipResponse:
        """From the public form. The same form again is answered with the same code. Raises InvalidInput, NotFound, Exhausted."""
        now, agency_id = self._acting.clock(), request.agency_id
        own = Scope.service("incidents", agency_id)
        if not agency_id or not (await self._store.get_line(own, agency_id)).open:
            raise NotFound("tip line", agency_id[:64])
        tips.check_submission(request)
        occurred_at = moment("occurred_at", request.occurred_at if request.HasField("occurred_at") else None, now)
        tip = _new_tip(derived_id(agency_id, "tip form", request.form_key), agency_id, occurred_at, now)
        tip.channel, tip.category, tip.text = "form", request.category, request.text.strip()
        tip.address, tip.contact = request.address.strip(), request.contact.strip()
        if request.HasField("coordinate"):
            tip.position.coordinate.CopyFrom(request.coordinate)
        async with self._store.transaction(own) as transaction:
            if await transaction.lock(tip.tip_id) is not None:
                return pb.SubmitTipResponse(tip_id=tip.tip_id, reference_code=tip.reference_code)
            await self._check_bounds(transaction, agency_id, request.sender_hash, now)
        stored = await self._with_photo(own, tip, request.photo)
        async with self._store.transaction(own) as transaction:
            await transaction.lock_agency(agency_id)
            await self._check_bounds(transaction, agency_id, request.sender_hash, now)
            await self._group(transaction, tip, now)
            if await transaction.insert(stored):
                await transaction.note_sender(agency_id, request.sender_hash, now)
                await transaction.announce(stored)
                TIPS.labels("form", "taken").inc()
        return pb.SubmitTipResponse(tip_id=tip.tip_id, reference_code=tip.reference_code)

    async def take_event(self, event: event_pb2.Event) -> None:
        """From a signed webhook, by way of intake; one of our own form's comes back here and is known."""
        now, own = self._acting.clock(), Scope.service("incidents", event.agency_id)
        if await self._store.get(own, event.event_id) is not None:
            return
        said = event.tip
        tip = _new_tip(event.event_id, event.agency_id, event.occurred_at.ToDatetime(UTC), event.received_at.ToDatetime(UTC))
        tip.channel, tip.category, tip.text = said.channel or "webhook", said.category, said.text
        tip.address, tip.contact = said.address, said.contact
        tip.reference_code = said.reference_code or tip.reference_code
        if event.position.HasField("coordinate"):
            tip.position.CopyFrom(event.position)
        photo = b""
        if said.photo_object:
            photo = await self._images.get(own, event.agency_id, said.photo_object)
        try:
            stored = await self._with_photo(own, tip, photo)
        except InvalidInput:
            # the words count; what came as a picture and is none stays where intake put it
            stored = await self._with_photo(own, tip, b"")
        async with self._store.transaction(own) as transaction:
            await transaction.lock_agency(event.agency_id)
            await self._group(transaction, tip, now)
            if await transaction.insert(stored):
                TIPS.labels("webhook", "taken").inc()

    async def _check_bounds(self, transaction: TipTransaction, agency_id: str, sender_hash: str, now: datetime) -> None:
        own, every = await transaction.sent_since(agency_id, sender_hash, now - timedelta(hours=1))
        if (sender_hash and own >= self._settings.tips_per_sender_hour) or every >= self._settings.tips_per_agency_hour:
            TIPS.labels("form", "too_many").inc()
        if sender_hash and own >= self._settings.tips_per_sender_hour:
            raise Exhausted("The number of tips that you may send in an hour", self._settings.tips_per_sender_hour)
        if every >= self._settings.tips_per_agency_hour:
            raise Exhausted("The number of tips that are taken in an hour", self._settings.tips_per_agency_hour)

    async def _group(self, transaction: TipTransaction, tip: pb.Tip, now: datetime) -> None:
        within = timedelta(hours=self._settings.tip_group_hours)
        others = await transaction.told_since(tip.agency_id, now - within)
        tip.group_id = tips.group_for(Told.of(tip, tip.received_at.ToDatetime(UTC)), others, within)

    async def _with_photo(self, own: Scope, tip: pb.Tip, photo: bytes) -> StoredTip:
        """Cleaned and stored before the tip is written. Its place is always dropped: who sends it may be at home."""
        if not photo:
            return StoredTip(tip)
        zone = self._acting.facts.zone(tip.agency_id)
        async with self._decoding:
            picture = await asyncio.to_thread(pictures.photo, photo, "photo", PHOTO_BYTES, zone)
        tip.has_photo = True
        key = f"tips/{tip.tip_id}.jpg"
        await self._images.put(own, tip.agency_id, key, picture.data, "image/jpeg")
        reference = pb.PhotoReference(
            photo_id=derived_id(tip.agency_id, "tip photo", tip.tip_id), width_px=picture.width_px, height_px=picture.height_px,
            size_bytes=len(picture.data), sha256=hashlib.sha256(picture.data).hexdigest(),
        )  # fmt: skip
        return StoredTip(tip, key, reference)

    async def list_tips(self, scope: Scope, request: pb.ListTipsRequest) -> list[pb.Tip]:
        """Newest first."""
        bound = incidents.list_bound(request.limit, LIST_MOST, LIST_DEFAULT)
        state = _STATE_WORDS.get(request.state, "")
        found = await self._store.list_tips(scope, state, include_promoted=request.include_promoted, limit=bound)
        touched(*(f"tip:{tip.tip_id}" for tip in found))
        return found

    async def photo(self, scope: Scope, tip_id: str) -> bytes:
        """The JPEG. Raises NotFound."""
        stored = await self._store.get(scope, tip_id)
        if stored is None or not stored.photo_object:
            raise NotFound("photo of the tip", tip_id)
        self._require(scope, "tip.read_photo", stored.tip)
        return await self._images.get(scope, stored.tip.agency_id, stored.photo_object)

    async def moderate(self, scope: Scope, request: pb.ModerateTipRequest) -> pb.Tip:
        """New, accepted, rejected, spam."""
        async with self._store.transaction(scope) as transaction:
            tip = (await self._locked(transaction, scope, "tip.moderate", request.tip_id)).tip
            before = _STATE_WORDS[tip.state]
            if tips.moderate(tip, request.state, request.note, scope.display_name, self._acting.clock()):
                await transaction.save(tip)
        touched(f"tip:{tip.tip_id}", old_value=json.dumps({"state": before}), new_value=json.dumps({"state": _STATE_WORDS[tip.state]}))
        return tip

    async def group(self, scope: Scope, request: pb.GroupTipRequest) -> pb.Tip:
        """A person's judgement replaces ours."""
        async with self._store.transaction(scope) as transaction:
            await transaction.lock_agency(scope.agency_id)
            locked = {}
            for tip_id in sorted({request.tip_id, request.with_tip_id} - {""}):
                locked[tip_id] = (await self._locked(transaction, scope, "tip.group", tip_id)).tip
            tip = locked.get(request.tip_id)
            if tip is None:
                raise NotFound("tip", request.tip_id)
            before = tip.group_id
            tip.group_id = locked[request.with_tip_id].group_id if request.with_tip_id else tip.tip_id
            if tip.group_id != before:
                await transaction.save(tip)
        touched(f"tip:{tip.tip_id}", old_value=json.dumps({"group": before}), new_value=json.dumps({"group": tip.group_id}))
        return tip

    async def promote(self, scope: Scope, request: pb.PromoteTipRequest) -> pb.PromoteTipResponse:
        """All of the group that weren't put aside. The first wins; a later one learns which incident it became."""
        now = self._acting.clock()
        async with self._store.transaction(scope) as transaction:
            # several tips are locked here: two of one group, promoted at once, would wait for each other
            await transaction.lock_agency(scope.agency_id)
            stored = await self._locked(transaction, scope, "tip.promote", request.tip_id)
            tip = stored.tip
            if tip.incident_id:
                record = await transaction.incidents.lock(tip.incident_id)
                if record is None:
                    raise Conflict("The incident of this tip isn't there.")
                told(record.incident)
                return pb.PromoteTipResponse(incident=record.incident)
            tips.check_promotion(tip)
            group = [other for other in await transaction.lock_group(tip.group_id) if _joins(other.tip) or other.tip.tip_id == tip.tip_id]
            record = await self._incident_for(transaction, scope, request.incident_id, tip, now)
            entries = []
            for member in group:
                entries += await self._promoted(transaction, scope, record, member, now)
            incidents.count_signals(record.incident)
            await transaction.incidents.save(record, entries, now)
            for member in group:
                await transaction.save(member.tip)
        if not request.incident_id:
            OPENED.labels("tip").inc()
        told(record.incident, new={"tips": [member.tip.tip_id for member in group]})
        touched(*(f"tip:{member.tip.tip_id}" for member in group))
        return pb.PromoteTipResponse(incident=record.incident, won=True)

    async def _incident_for(self, transaction: TipTransaction, scope: Scope, incident_id: str, tip: pb.Tip, now: datetime) -> Record:
        if incident_id:
            record = await self._acting.locked(transaction.incidents, scope, "incident.update", incident_id)
            incidents.require_open(record.incident, "a tip")
            return record
        self._acting.access.require(scope, "incident.create", Resource("incident", "", scope.agency_id))
        number = await self._acting.next_number(transaction.incidents, scope.agency_id, now)
        kind = f"Tip: {tip.category.replace('_', ' ')}" if tip.category else "Tip"
        request = pb.CreateIncidentRequest(kind=kind, address=tip.address)
        if tip.position.HasField("coordinate"):
            request.position.CopyFrom(tip.position)
        incident_id = derived_id(scope.agency_id, "incident of tip", tip.tip_id)
        record = incidents.by_hand(request, incident_id, scope.agency_id, number, tip.occurred_at.ToDatetime(UTC), now)
        record.incident.origin = "tip"
        record.incident.opened_by, record.incident.opened_by_name = by(scope)
        await transaction.incidents.insert(record, [], now)
        return record

    async def _promoted(
        self, transaction: TipTransaction, scope: Scope, record: Record, member: StoredTip, now: datetime
    ) -> list[pb.TimelineEntry]:
        incident, tip = record.incident, member.tip
        tip.incident_id, tip.state = incident.incident_id, pb.TIP_STATE_ACCEPTED
        tip.moderated_by_name = scope.display_name
        tip.moderated_at.FromDatetime(now)
        incident.tip_ids.append(tip.tip_id)
        at, author = tip.occurred_at.ToDatetime(UTC), author_of(scope)
        entry_id = derived_id(tip.agency_id, "entry of tip", tip.tip_id)
        entry = timeline.entry(entry_id, incident.incident_id, "tip", author, at, now, tip.text)
        entry.tip.tip_id, entry.tip.reference_code = tip.tip_id, tip.reference_code
        if tip.position.HasField("coordinate"):
            entry.position.CopyFrom(tip.position)
        if member.photo is None:
            return [entry]
        photo = timeline.entry(member.photo.photo_id, incident.incident_id, "photo", author, at, now, f"of tip {tip.reference_code}")
        photo.photo.CopyFrom(member.photo)
        await transaction.incidents.add_photo(member.photo.photo_id, tip.agency_id, incident.incident_id, member.photo_object)
        return [entry, photo]

    async def get_line(self, scope: Scope) -> pb.TipLine:
        return await self._store.get_line(scope, scope.agency_id)

    async def set_line(self, scope: Scope, wanted: pb.TipLine) -> pb.TipLine:
        """Opens or closes the public page."""
        tips.check_tip_line(wanted)
        line = pb.TipLine(
            agency_id=scope.agency_id, open=wanted.open, notice=wanted.notice.strip(), emergency_line=wanted.emergency_line.strip()
        )
        before = await self._store.set_line(scope, line)
        touched(f"tip_line:{scope.agency_id}", old_value=json.dumps({"open": before.open}), new_value=json.dumps({"open": line.open}))
        return line

    async def _locked(self, transaction: TipTransaction, scope: Scope, action: str, tip_id: str) -> StoredTip:
        stored = await transaction.lock(tip_id)
        if stored is None:
            raise NotFound("tip", tip_id)
        self._require(scope, action, stored.tip)
        return stored

    def _require(self, scope: Scope, action: str, tip: pb.Tip) -> None:
        self._acting.access.require(scope, action, Resource("tip", tip.tip_id, tip.agency_id))


def _new_tip(tip_id: str, agency_id: str, occurred_at: datetime, received_at: datetime) -> pb.Tip:
    tip = pb.Tip(
        tip_id=tip_id, agency_id=agency_id, reference_code=tips.reference_code(tip_id), state=pb.TIP_STATE_NEW, group_id=tip_id, revision=1
    )
    tip.occurred_at.FromDatetime(occurred_at)
    tip.received_at.FromDatetime(received_at)
    return tip


def _joins(tip: pb.Tip) -> bool:
    return not tip.incident_id and tip.state in (pb.TIP_STATE_NEW, pb.TIP_STATE_ACCEPTED)

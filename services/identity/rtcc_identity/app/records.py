"""One record: read, saved, removed; a person's photo."""

import json

from google.protobuf.json_format import MessageToDict

from rtcc.identity.v1 import identity_pb2 as pb
from rtcc_chassis.access import Access, Resource, touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import InvalidInput, NotFound
from rtcc_chassis.identifiers import derived_id, new_id
from rtcc_chassis.scope import Scope
from rtcc_identity.app.ports import Found, Photos, Records
from rtcc_identity.app.sharing import Sharing
from rtcc_identity.domain.records import display_name, prepared, valid_identifier

MAXIMUM_PHOTO_BYTES = 2 * 1024 * 1024
_ABOUT = ("vehicle", "warrant", "arrest", "prior_call")
_MAXIMUM_ABOUT = 500
# JPEG: start of image and a marker (ITU-T T.81, B.1.1)
_JPEG = b"\xff\xd8\xff"


class RecordApp:
    """Single records."""

    def __init__(self, records: Records, photos: Photos, sharing: Sharing, access: Access, clock: Clock) -> None:
        self._records = records
        self._photos = photos
        self._sharing = sharing
        self._access = access
        self._clock = clock

    async def read_person(self, scope: Scope, record_id: str) -> pb.GetPersonRecordResponse:
        """A person with everything about them that the caller may see. Raises NotFound."""
        sight = self._sharing.sight(scope, "person_record.read")
        found = (await self._records.by_ids(scope, [record_id], sight.grantors)).get(record_id)
        if found is not None and found.record.WhichOneof("details") != "person":
            found = None
        person = self._sharing.require(sight, "person_record.read", "person", found, record_id)
        answer = pb.GetPersonRecordResponse(person=person)
        disclosure = sight.disclosure(person.agency_id)
        answer.withheld.extend(disclosure.withheld_kinds())
        kinds = [kind for kind in _ABOUT if disclosure.sees_kind(kind)]
        about = (await self._records.about(scope, [record_id], kinds, _MAXIMUM_ABOUT, sight.grantors)).get(record_id, [])
        lists = {"vehicle": answer.vehicles, "warrant": answer.warrants, "arrest": answer.arrests, "prior_call": answer.prior_calls}
        for one in about:
            # a neighbour's extract may speak of a person of ours: its records are its own business
            if one.record.agency_id == person.agency_id:
                shown = sight.shown(one)
                lists[str(one.record.WhichOneof("details"))].append(shown)
                sight.touch(shown)
        for vehicle in answer.vehicles:
            vehicle.vehicle.keeper_name = display_name(person.person) if disclosure.sees("vehicle", "keeper_name") else ""
        sight.touch(person)
        return answer

    async def read_photo(self, scope: Scope, record_id: str) -> bytes:
        """The JPEG. NotFound also where the caller's role or the agreement doesn't include it."""
        sight = self._sharing.sight(scope, "person_record.read_photo")
        found = (await self._records.by_ids(scope, [record_id], sight.grantors)).get(record_id)
        person = self._sharing.require(sight, "person_record.read_photo", "person", found, record_id)
        if found is None or not found.photo_object or not sight.disclosure(person.agency_id).sees("person", "has_photo"):
            raise NotFound("photo of the person record", record_id)
        sight.touch(person)
        owner = person.agency_id
        return await self._photos.get(Scope.service("identity", owner), owner, found.photo_object)

    async def set_photo(self, scope: Scope, record_id: str, jpeg: bytes) -> pb.Record:
        """Of an own person; empty removes it."""
        if len(jpeg) > MAXIMUM_PHOTO_BYTES:
            raise InvalidInput.one("jpeg", f"has {len(jpeg)} bytes, at most {MAXIMUM_PHOTO_BYTES} are taken")
        if jpeg and not jpeg.startswith(_JPEG):
            raise InvalidInput.one("jpeg", "is no JPEG")
        sight = self._sharing.sight(scope, "person_record.read")
        found = (await self._records.by_ids(scope, [record_id])).get(record_id)
        if found is None or found.record.WhichOneof("details") != "person":
            raise NotFound("person record", record_id)
        self._access.require(scope, "person_record.set_photo", Resource("person_record", record_id, found.record.agency_id))
        key = ""
        if jpeg:
            key = f"identity/photos/{record_id}/{new_id()}.jpg"
            await self._photos.put(scope, scope.agency_id, key, jpeg, "image/jpeg")
        changed = await self._records.set_photo(scope, record_id, key, self._clock())
        if changed is None:
            raise NotFound("person record", record_id)
        if found.photo_object:
            await self._photos.remove(scope, scope.agency_id, found.photo_object)
        touched(f"person_record:{record_id}", old_value=json.dumps({"photo": found.photo_object}), new_value=json.dumps({"photo": key}))
        return sight.shown(changed)

    async def save(self, scope: Scope, wanted: pb.Record) -> pb.Record:
        """A new record, or the new content of an own one. The answer is cut like any."""
        now = self._clock()
        record = pb.Record()
        record.CopyFrom(wanted)
        if record.record_id and not valid_identifier(record.record_id):
            raise InvalidInput.one("record.record_id", "must be 1 to 64 of letters, digits, '-' and '_', or empty for a new one")
        before: Found | None = None
        if record.record_id:
            before = (await self._records.by_ids(scope, [record.record_id])).get(record.record_id)
            if before is None:
                raise NotFound("record", record.record_id)
        else:
            record.record_id = derived_id(scope.agency_id, "record", scope.idempotency_key) if scope.idempotency_key else new_id()
        kind = str(record.WhichOneof("details"))
        self._access.require(scope, "record.save", Resource("record", record.record_id, scope.agency_id))
        record.agency_id = scope.agency_id
        record.changed_at.FromDatetime(now)
        await self._records.put(scope, [prepared(record, now)])
        after = (await self._records.by_ids(scope, [record.record_id])).get(record.record_id)
        if after is None:
            raise NotFound(f"{kind} record", record.record_id)
        touched(f"{kind}_record:{record.record_id}", old_value=_as_json(before.record) if before else "", new_value=_as_json(after.record))
        return self._sharing.sight(scope, "person_record.read").shown(after)

    async def remove(self, scope: Scope, record_id: str, reason: str) -> None:
        """Gone, with its index, its photo and the intelligence about it. Raises NotFound."""
        if len(reason) > 500 or "\0" in reason:
            raise InvalidInput.one("reason", "has more than 500 characters")
        removed = await self._records.remove(scope, record_id)
        if removed is None:
            raise NotFound("record", record_id)
        if removed.photo_object:
            await self._photos.remove(scope, scope.agency_id, removed.photo_object)
        kind = str(removed.record.WhichOneof("details"))
        # expunged means gone: the log keeps that it went and why, not what it said
        touched(f"{kind}_record:{record_id}", new_value=json.dumps({"removed": True, "reason": reason.strip()}, ensure_ascii=False))


def _as_json(record: pb.Record) -> str:
    return json.dumps(MessageToDict(record, preserving_proto_field_name=True), ensure_ascii=False)

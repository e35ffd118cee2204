"""Zones, sources and units: small records that belong to one agency."""

import hashlib

from google.protobuf.message import Message

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.access import Access, Resource, touched
from rtcc_chassis.errors import Conflict, Exhausted, NotFound, Refused
from rtcc_chassis.scope import Scope
from rtcc_registry.app.acting import as_json, copy_of, created_id, new_key, require_agency, same_or_conflict
from rtcc_registry.app.records import SOURCE, UNIT, ZONE, Kind, Store, Work
from rtcc_registry.domain.equipment import checked_source, checked_unit, checked_zone
from rtcc_registry.domain.people import owning_agency

# who takes signed deliveries
RECEIVERS = frozenset({"service:intake", "service:airspace"})


class Equipment:
    """`most` bounds each kind per agency."""

    def __init__(self, store: Store, access: Access, most: int) -> None:
        self._store = store
        self._access = access
        self._most = most

    async def create_zone(self, scope: Scope, zone: pb.Zone) -> pb.Zone:
        zone = checked_zone(zone)
        zone.agency_id = owning_agency(scope, zone.agency_id, "zone.create")
        zone.zone_id = created_id(scope, "zone.create", zone.zone_id)
        async with self._store.work(scope) as work:
            await self._require_room(work, ZONE, zone.agency_id)
            if not await work.insert(ZONE, zone):
                return same_or_conflict(scope, "zone.create", ZONE, zone, await work.get(ZONE, zone.zone_id))
        touched(f"zone:{zone.zone_id}", owner_agency_id=zone.agency_id, new_value=as_json(zone))
        return zone

    async def list_zones(self, scope: Scope) -> list[pb.Zone]:
        return await self._all(scope, ZONE)

    async def delete_zone(self, scope: Scope, zone_id: str) -> None:
        """Deleting what is gone already is fine when it was the caller's to delete: it answers NotFound either way."""
        async with self._store.work(scope) as work:
            zone = await _needed(work, ZONE, zone_id)
            self._access.require(scope, "zone.delete", Resource("zone", zone_id, zone.agency_id))
            await work.delete(ZONE, zone)
        touched(f"zone:{zone_id}", owner_agency_id=zone.agency_id, old_value=as_json(zone))

    async def create_source(self, scope: Scope, source: pb.Source) -> tuple[pb.Source, str]:
        """The source and its signing key (base64url of 256 bits), which no other answer ever holds. A repeat gives the same key."""
        source = checked_source(source)
        source.agency_id = owning_agency(scope, source.agency_id, "source.create")
        source.source_id = created_id(scope, "source.create", source.source_id)
        secret = new_key()
        async with self._store.work(scope) as work:
            await self._require_room(work, SOURCE, source.agency_id)
            if not await work.insert(SOURCE, source, secret=secret):
                _require_repeat(scope, SOURCE, source.source_id)
                stored = same_or_conflict(scope, "source.create", SOURCE, source, await work.get(SOURCE, source.source_id))
                return stored, await work.secret(SOURCE, source.source_id) or ""
        touched(f"source:{source.source_id}", owner_agency_id=source.agency_id, new_value=as_json(source))
        return source, secret

    async def list_sources(self, scope: Scope) -> list[pb.Source]:
        return await self._all(scope, SOURCE)

    async def set_source_enabled(self, scope: Scope, source_id: str, enabled: bool) -> pb.Source:
        """Off: its deliveries are refused from the moment intake's mirror has it, some milliseconds."""
        async with self._store.work(scope) as work:
            old = await _needed(work, SOURCE, source_id, lock=True)
            self._access.require(scope, "source.set_enabled", Resource("source", source_id, old.agency_id))
            new = copy_of(old)
            new.enabled = enabled
            await work.replace(SOURCE, new)
        touched(f"source:{source_id}", owner_agency_id=new.agency_id, old_value=as_json(old), new_value=as_json(new))
        return new

    async def source_secret(self, scope: Scope, source_id: str) -> str:
        """For the services that take deliveries and verify them with it."""
        if scope.principal_id not in RECEIVERS:
            raise Refused("source.read_secret", "Only the services that take deliveries verify signatures.")
        async with self._store.work(scope) as work:
            source = await _needed(work, SOURCE, source_id)
            secret = await work.secret(SOURCE, source_id)
        touched(f"source:{source_id}", owner_agency_id=source.agency_id)
        return secret or ""

    async def create_unit(self, scope: Scope, unit: pb.Unit) -> tuple[pb.Unit, str]:
        """The unit and its device key; only the key's SHA-256 is kept.

        A repeat with the same idempotency key means that the answer was lost: it gets a fresh key, the lost one is void.
        """
        unit = checked_unit(unit)
        unit.agency_id = owning_agency(scope, unit.agency_id, "unit.create")
        unit.unit_id = created_id(scope, "unit.create", unit.unit_id)
        device_key = new_key()
        unit.device_key_sha256 = hashlib.sha256(device_key.encode()).hexdigest()
        async with self._store.work(scope) as work:
            await self._require_room(work, UNIT, unit.agency_id)
            if not await work.insert(UNIT, unit):
                _require_repeat(scope, UNIT, unit.unit_id)
                stored = await work.get(UNIT, unit.unit_id, lock=True)
                if stored is not None:
                    stored.device_key_sha256 = unit.device_key_sha256
                unit = same_or_conflict(scope, "unit.create", UNIT, unit, stored)
                await work.replace(UNIT, unit)
        touched(f"unit:{unit.unit_id}", owner_agency_id=unit.agency_id, new_value=as_json(without_key(unit)))
        return without_key(unit), device_key

    async def list_units(self, scope: Scope) -> list[pb.Unit]:
        return [without_key(unit) for unit in await self._all(scope, UNIT)]

    async def _all[M: Message](self, scope: Scope, kind: Kind[M]) -> list[M]:
        async with self._store.work(scope) as work:
            records = await work.all(kind)
        touched(*(f"{kind.name}:{kind.identifier(record)}" for record in records))
        return records

    async def _require_room[M: Message](self, work: Work, kind: Kind[M], agency_id: str) -> None:
        await require_agency(work, agency_id)
        if await work.count_of_agency(kind, agency_id) >= self._most:
            raise Exhausted(f"the number of {kind.name}s of {agency_id}", self._most)


def without_key(unit: pb.Unit) -> pb.Unit:
    """People don't need the hash; the directory has it for the uplink."""
    result = copy_of(unit)
    result.ClearField("device_key_sha256")
    return result


def _require_repeat[M: Message](scope: Scope, kind: Kind[M], identifier: str) -> None:
    """A key is shown again only to the call that made it: same caller, same idempotency key."""
    if identifier != created_id(scope, f"{kind.name}.create", "") or not scope.idempotency_key:
        raise Conflict(f"A {kind.name} with the id {identifier} exists, and its key is shown once: choose another id.")


async def _needed[M: Message](work: Work, kind: Kind[M], identifier: str, *, lock: bool = False) -> M:
    record = await work.get(kind, identifier, lock=lock)
    if record is None:
        raise NotFound(kind.name, identifier)
    return record

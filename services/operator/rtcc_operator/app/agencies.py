"""An Agency resource: the registry's record and first administrator, the NATS account, the bucket with its quota."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import Conflict, InvalidInput, Refused, RtccError
from rtcc_operator.app.agency_bus import AgencyBus
from rtcc_operator.app.ports import Buckets, Cluster, Registry, Resource
from rtcc_operator.domain.conditions import BUS, OBJECTS, QUOTA, REGISTRY, Condition, stamp
from rtcc_operator.domain.resources import DELETE_DATA, GROUP, AgencySpec, InvalidResource, Meta, agency_spec


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one look at a resource. `facts` go into the status.

    `applied`: this generation is carried out, from here on people decide. `final`: no use in trying again without a change.
    """

    conditions: tuple[Condition, ...]
    facts: dict[str, Any]
    applied: bool = False
    final: bool = False


class Agencies:
    """Each part is brought about by itself: a store that is away doesn't keep the others from being as declared."""

    def __init__(self, cluster: Cluster, registry: Registry, bus: AgencyBus, buckets: Buckets, clock: Clock) -> None:
        self._cluster = cluster
        self._registry = registry
        self._bus = bus
        self._buckets = buckets
        self._clock = clock

    async def bring_about(self, resource: Resource) -> Outcome:
        """Level-based: looks at what is there, changes what differs. Repeating it changes nothing."""
        meta, status = Meta.of(resource), resource.get("status") or {}
        facts: dict[str, Any] = {}
        try:
            spec = agency_spec(resource)
        except InvalidResource as error:
            return Outcome((Condition(REGISTRY, "False", "Invalid", error.message),), facts, final=True)
        apply = status.get("appliedGeneration") != meta.generation
        registry, bus, objects = await asyncio.gather(
            _part(REGISTRY, self._in_registry(spec, status, facts, apply=apply)),
            _part(BUS, self._on_bus(spec, status, facts)),
            _part(OBJECTS, self._in_store(spec, facts)),
        )
        conditions = [*registry, *bus, *objects]
        if spec.quota_bytes and len(objects) == 1:
            conditions.append(Condition(QUOTA, "Unknown", "Waiting", "The bucket isn't ready."))
        needed = tuple(condition for condition in conditions if condition.type != QUOTA)
        final = all(condition.holds or condition.reason in _FINAL for condition in needed)
        return Outcome(tuple(conditions), facts, applied=registry[0].holds, final=final)

    async def take_away(self, resource: Resource) -> str:
        """The resource is being deleted: the agency is switched off and its devices cut off. Data goes only by explicit wish.

        The answer says what was kept or deleted, for the event.
        """
        meta, status = Meta.of(resource), resource.get("status") or {}
        current = await self._registry.agency(meta.name)
        if current is not None and current.enabled:
            switched_off = pb.Agency()
            switched_off.CopyFrom(current)
            switched_off.enabled = False
            await self._registry.update_agency(switched_off)
        await self._bus.close(meta.name, str(status.get("account", "")))
        wish = meta.annotations.get(DELETE_DATA)
        if wish is None:
            return f"{meta.name} is switched off and its devices are cut off; records, log and objects stay."
        if wish != meta.name:
            raise InvalidResource(f"The annotation {DELETE_DATA} must hold the agency's id {meta.name!r}: nothing is deleted before.")
        deleted = await self._buckets.delete(meta.name)
        return f"{meta.name} is switched off; {deleted} objects of it are deleted as annotated; records and log stay."

    async def _in_registry(self, spec: AgencySpec, status: dict[str, Any], facts: dict[str, Any], *, apply: bool) -> list[Condition]:
        current = await self._registry.agency(spec.agency_id)
        drift = ""
        if current is None:
            first = pb.Agency()
            first.CopyFrom(spec.agency)
            await self._registry.create_agency(first)
            if not spec.agency.enabled:
                await self._registry.update_agency(first)
        elif current != (wanted := spec.applied_to(current)):
            if apply or current.enabled != wanted.enabled:
                await self._registry.update_agency(wanted)
            else:
                drift = " Its administrators changed settings since; they stay until the resource changes."
        await self._first_administrator(spec, status, facts)
        return [Condition(REGISTRY, "True", "Drifted" if drift else "AsDeclared", f"The registry has {spec.agency_id}.{drift}")]

    async def _first_administrator(self, spec: AgencySpec, status: dict[str, Any], facts: dict[str, Any]) -> None:
        if status.get("enrolledAt"):
            return
        person = await self._registry.person(spec.administrator.login)
        if person is None:
            wanted = pb.Person(
                agency_id=spec.agency_id,
                login=spec.administrator.login,
                display_name=spec.administrator.display_name,
                email=spec.administrator.email,
                roles=["administrator"],
            )
            person = await self._registry.create_person(wanted, f"{spec.agency_id}/{spec.administrator.login}")
        elif person.agency_id != spec.agency_id:
            raise Conflict(f"The login {spec.administrator.login} belongs to somebody of another agency: choose another.")
        # the one link of this resource: with the Secret gone, only the agency's people and platform operators give another
        name = f"{spec.agency_id}-first-administrator"
        if await self._cluster.secret(name) is None:
            link, expires_at = await self._registry.enrolment_link(person.person_id)
            labels = {"app.kubernetes.io/managed-by": "rtcc-operator", f"{GROUP}/agency": spec.agency_id}
            await self._cluster.create_secret(name, {"link": link, "login": person.login, "expires": stamp(expires_at)}, labels)
        facts |= {"firstAdministratorId": person.person_id, "enrolledAt": stamp(self._clock())}

    async def _on_bus(self, spec: AgencySpec, status: dict[str, Any], facts: dict[str, Any]) -> list[Condition]:
        former = [str(source_id) for source_id in status.get("mqttSources") or ()]
        if ever := sorted({*former, *spec.mqtt_sources}):
            # noted even when the bus fails half-way: whoever may have a login must be known to be cut off
            facts["mqttSources"] = ever
        condition, account = await self._bus.bring_about(spec, str(status.get("account", "")), former)
        facts["account"] = account
        return [condition]

    async def _in_store(self, spec: AgencySpec, facts: dict[str, Any]) -> list[Condition]:
        await self._buckets.check()
        await self._buckets.ensure(spec.agency_id)
        facts["bucket"] = self._buckets.name_of(spec.agency_id)
        ready = Condition(OBJECTS, "True", "BucketReady", f"The bucket {facts['bucket']} is there.")
        if not spec.quota_bytes:
            if await self._buckets.set_quota(spec.agency_id, 0) == "unsupported":
                return [ready, Condition(QUOTA, "True", "NoQuota", "None is declared, and the object store has none to lift.")]
            return [ready, Condition(QUOTA, "True", "NoQuota", "None is declared.")]
        if await self._buckets.set_quota(spec.agency_id, spec.quota_bytes) == "enforced":
            return [ready, Condition(QUOTA, "True", "Enforced", f"The object store refuses more than {spec.quota_bytes} bytes.")]
        text = f"The object store has no quotas that can be set from here: set {spec.quota_bytes} bytes with its own tools."
        return [ready, Condition(QUOTA, "False", "QuotaUnsupported", text)]


# what only a change of the resource, or of somebody else's, mends
_FINAL = frozenset({"Invalid", "Refused", "Conflict"})
_REASONS: dict[type[RtccError], str] = {InvalidResource: "Invalid", InvalidInput: "Invalid", Refused: "Refused", Conflict: "Conflict"}


def reason_of(error: RtccError) -> str:
    """One word for a condition."""
    return next((reason for kind, reason in _REASONS.items() if isinstance(error, kind)), type(error).__name__)


async def _part(type_: str, work: Awaitable[list[Condition]]) -> list[Condition]:
    try:
        return await work
    except RtccError as error:
        return [Condition(type_, "False", reason_of(error), error.message)]

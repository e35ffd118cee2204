"""A SharingAgreement resource: granted, narrowed, superseded or revoked in the registry."""

from typing import Any

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.errors import InvalidInput, RtccError
from rtcc_operator.app.agencies import Outcome, reason_of
from rtcc_operator.app.ports import Registry, Resource
from rtcc_operator.domain.agreements import agreement_id, made_by, plan, same_terms
from rtcc_operator.domain.conditions import REGISTRY, Condition
from rtcc_operator.domain.resources import Meta, agreement_of


class Agreements:
    """The agencies' people have the last word between generations: what they ended or narrowed is reported and not undone."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def bring_about(self, resource: Resource) -> Outcome:
        """Level-based, as for agencies."""
        meta, status = Meta.of(resource), resource.get("status") or {}
        try:
            declared = agreement_of(resource)
            own = made_by(meta.uid, await self._registry.agreements())
            if own and status.get("appliedGeneration") == meta.generation:
                return _outcome(_standing(declared, own[0]), own[0])
            stored = await self._applied(meta, declared, own)
        except RtccError as error:
            # a partner that doesn't exist yet is Invalid to the registry, and comes with its own resource: worth another try
            final = not isinstance(error, InvalidInput) and reason_of(error) in ("Invalid", "Refused", "Conflict")
            return Outcome((Condition(REGISTRY, "False", reason_of(error), error.message),), {}, final=final)
        return _outcome(_standing(declared, stored), stored)

    async def take_away(self, resource: Resource) -> str:
        """The resource is being deleted: every grant of it ends. The registry keeps the terms and who changed them when."""
        own = made_by(Meta.of(resource).uid, await self._registry.agreements())
        active = [agreement for agreement in own if agreement.status == pb.AGREEMENT_STATUS_ACTIVE]
        for agreement in active:
            await self._registry.revoke(agreement.agreement_id, "the SharingAgreement resource was deleted")
        return f"{len(active)} agreement(s) revoked; what was agreed and changed stays on record."

    async def _applied(self, meta: Meta, declared: pb.Agreement, own: list[pb.Agreement]) -> pb.Agreement:
        todo = plan(declared, own)
        stored = todo.keep
        if stored is None and todo.narrow is not None:
            stored = await self._narrowed(declared, todo.narrow)
        if stored is None:
            stored = await self._granted(meta, declared, own)
        for old in todo.superseded:
            if old.agreement_id != stored.agreement_id:
                await self._registry.revoke(old.agreement_id, f"superseded by {stored.agreement_id}")
        return stored

    async def _narrowed(self, declared: pb.Agreement, old: pb.Agreement) -> pb.Agreement | None:
        """None where the declaration gives more than `old`: that needs a new agreement."""
        narrower = pb.Agreement()
        narrower.CopyFrom(declared)
        narrower.agreement_id, narrower.revision = old.agreement_id, old.revision
        try:
            return await self._registry.narrow(narrower)
        except InvalidInput:
            return None

    async def _granted(self, meta: Meta, declared: pb.Agreement, own: list[pb.Agreement]) -> pb.Agreement:
        wanted = pb.Agreement()
        wanted.CopyFrom(declared)
        wanted.agreement_id = agreement_id(meta.uid, meta.generation)
        taken = next((agreement for agreement in own if agreement.agreement_id == wanted.agreement_id), None)
        # granted in this very generation and ended before it was noted as carried out: ended it stays
        return taken if taken is not None else await self._registry.grant(wanted)


def _outcome(condition: Condition, stored: pb.Agreement) -> Outcome:
    facts: dict[str, Any] = {"agreementId": stored.agreement_id, "revision": stored.revision}
    return Outcome((condition,), facts, applied=True, final=True)


def _standing(declared: pb.Agreement, stored: pb.Agreement) -> Condition:
    """Whether it grants what is declared, and if not who decided otherwise."""
    if stored.status != pb.AGREEMENT_STATUS_ACTIVE:
        text = f"{stored.changed_by} ended it: change the resource to grant anew."
        return Condition(REGISTRY, "False", "Revoked", text)
    if stored.barred_reason:
        return Condition(REGISTRY, "False", "Barred", stored.barred_reason)
    if not same_terms(declared, stored):
        return Condition(REGISTRY, "False", "Narrowed", f"{stored.changed_by} narrowed it: change the resource to grant anew.")
    if stored.attestation_required and not stored.HasField("attested_at"):
        return Condition(REGISTRY, "False", "AwaitingAttestation", f"{stored.grantee_agency_id} hasn't signed the attestation yet (R20).")
    return Condition(REGISTRY, "True", "AsDeclared", f"The registry has {stored.agreement_id}.")

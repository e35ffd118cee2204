"""Changing an agency, and what follows for agreements when whom it bars or where it belongs changes (R19)."""

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.access import Access, AuditDraft, Outcome, Resource, touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import NotFound
from rtcc_chassis.scope import Scope
from rtcc_registry.app.acting import as_json, copy_of, platform_scope
from rtcc_registry.app.records import AGENCY, AGREEMENT, Store, Work
from rtcc_registry.domain.agreements import stamped
from rtcc_registry.domain.barring import barred_reason
from rtcc_registry.domain.people import changed_agency


class Agencies:
    """The tenants' own settings."""

    def __init__(self, store: Store, access: Access, clock: Clock) -> None:
        self._store = store
        self._access = access
        self._clock = clock

    async def update(self, scope: Scope, agency: pb.Agency) -> pb.Agency:
        """All but the id. An agreement that is barred now ends within the same transaction; both sides are told (R19, R31)."""
        action = "agency.update"
        self._access.require(scope, action, Resource("agency", agency.agency_id, agency.agency_id))
        # the right is decided; from here it is about the agreements of two agencies, which no single one's scope may change
        async with self._store.work(platform_scope()) as work:
            # before the agency is read: a grant that is being made meanwhile is seen below, or sees the new settings
            await work.hold_agreements()
            old = await work.get(AGENCY, agency.agency_id, lock=True)
            if old is None:
                raise NotFound("agency", agency.agency_id)
            new = changed_agency(scope, old, agency)
            if new == old:
                return old
            await work.replace(AGENCY, new)
            await self._bar(scope, work, new)
        touched(f"agency:{new.agency_id}", owner_agency_id=new.agency_id, old_value=as_json(old), new_value=as_json(new))
        return new

    async def _bar(self, scope: Scope, work: Work, changed: pb.Agency) -> None:
        agencies = {agency.agency_id: agency for agency in await work.all(AGENCY)}
        drafts = []
        for old in await work.all(AGREEMENT):
            if changed.agency_id not in (old.grantor_agency_id, old.grantee_agency_id):
                continue
            reason = barred_reason(agencies[old.grantor_agency_id], agencies[old.grantee_agency_id])
            if reason == old.barred_reason or old.status != pb.AGREEMENT_STATUS_ACTIVE:
                continue
            new = copy_of(old)
            new.barred_reason = reason
            new.revision = old.revision + 1
            new = stamped(new, scope.principal_id, self._clock())
            await work.replace(AGREEMENT, new)
            await work.add_change(old, new)
            drafts.append(_told(scope, old, new))
        if drafts:
            await self._access.record_many(drafts)


def _told(scope: Scope, old: pb.Agreement, new: pb.Agreement) -> AuditDraft:
    """R31: in the logs of grantor and grantee alone, whoever else shares with the agency."""
    return AuditDraft(
        action="agreement.bar",
        place="registry: barred receivers",
        outcome=Outcome.ALLOWED,
        scope=scope,
        reason=new.barred_reason or "no longer barred",
        object_ids=(f"agreement:{new.agreement_id}",),
        owner_agency_id=new.grantor_agency_id,
        told_agency_ids=frozenset((new.grantor_agency_id, new.grantee_agency_id)),
        agreement_id=new.agreement_id,
        old_value=as_json(old),
        new_value=as_json(new),
    )

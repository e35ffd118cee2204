"""Granting, attesting, narrowing and revoking. Each change is stored with actor, old and new value, and told to both sides (R31)."""

from collections import defaultdict

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.access import Access, Resource, touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import InvalidInput, NotFound, Refused
from rtcc_chassis.scope import Scope
from rtcc_registry.app.acting import as_json, created_id, platform_scope, require_agency, same_or_conflict
from rtcc_registry.app.records import AGENCY, AGREEMENT, CAMERA, Store, Work
from rtcc_registry.domain.agreements import attested, checked_agreement, narrowed, require_grantor, revoked, stamped
from rtcc_registry.domain.barring import barred_reason
from rtcc_registry.domain.people import owning_agency


class Agreements:
    """What agencies grant each other."""

    def __init__(self, store: Store, access: Access, clock: Clock) -> None:
        self._store = store
        self._access = access
        self._clock = clock

    async def grant(self, scope: Scope, agreement: pb.Agreement) -> pb.Agreement:
        """A new agreement: in force as soon as the services' mirrors have it."""
        action = "agreement.grant"
        grantor = owning_agency(scope, agreement.grantor_agency_id, action)
        async with self._store.work(scope) as work:
            await work.about_to_agree()
            barred = await self._barred(grantor, agreement.grantee_agency_id)
            await require_agency(work, grantor)
            own = {camera.camera_id for camera in await work.all(CAMERA) if camera.agency_id == grantor}
            new = checked_agreement(agreement, grantor, self._clock(), own)
            new.agreement_id = created_id(scope, action, agreement.agreement_id)
            if new.agreement_id == created_id(scope, action, "") and (before := await work.get(AGREEMENT, new.agreement_id)) is not None:
                return before
            if barred:
                raise Refused(action, barred)
            new = stamped(new, scope.principal_id, self._clock())
            if not await work.insert(AGREEMENT, new):
                return same_or_conflict(scope, action, AGREEMENT, new, None)
            await work.add_change(None, new)
        _tell(None, new)
        return new

    async def narrow(self, scope: Scope, agreement: pb.Agreement) -> pb.Agreement:
        """New terms that give less. Only the grantor's people, and never more than before."""
        action = "agreement.narrow"
        async with self._store.work(scope) as work:
            old = await self._needed(scope, work, agreement.agreement_id, action)
            require_grantor(old, owning_agency(scope, old.grantor_agency_id if scope.agency_id == "*" else "", action), action)
            new = stamped(narrowed(old, agreement, self._clock()), scope.principal_id, self._clock())
            await work.replace(AGREEMENT, new)
            await work.add_change(old, new)
        _tell(old, new)
        return new

    async def revoke(self, scope: Scope, agreement_id: str, reason: str) -> pb.Agreement:
        """Ends every grant of it. Either side may; ending it twice is ending it once."""
        action = "agreement.revoke"
        if len(reason) > 500 or not reason.isprintable():
            raise InvalidInput.one("reason", "must be at most 500 printable characters")
        async with self._store.work(scope) as work:
            old = await self._needed(scope, work, agreement_id, action)
            if old.status == pb.AGREEMENT_STATUS_REVOKED:
                return old
            new = stamped(revoked(old), scope.principal_id, self._clock())
            await work.replace(AGREEMENT, new)
            await work.add_change(old, new)
        _tell(old, new, reason)
        return new

    async def attest(self, scope: Scope, agreement_id: str, revision: int) -> pb.Agreement:
        """The grantee's signature. Signing again is fine and changes nothing."""
        action = "agreement.attest"
        async with self._store.work(scope) as work:
            old = await self._needed(scope, work, agreement_id, action)
            if old.HasField("attested_at") and old.grantee_agency_id == scope.agency_id:
                return old
            new = stamped(attested(old, scope.agency_id, revision, self._clock()), scope.principal_id, self._clock())
            await work.replace(AGREEMENT, new)
            await work.add_change(old, new)
        _tell(old, new)
        return new

    async def list_all(self, scope: Scope, *, include_changes: bool) -> list[tuple[pb.Agreement, list[pb.AgreementChange]]]:
        """Those in which the caller's agency grants or receives."""
        changes: dict[str, list[pb.AgreementChange]] = defaultdict(list)
        async with self._store.work(scope) as work:
            agreements = await work.all(AGREEMENT)
            for agreement_id, change in await work.changes() if include_changes else ():
                changes[agreement_id].append(change)
        for agreement in agreements:
            touched(f"agreement:{agreement.agreement_id}", agreement_id="")
        return [(agreement, changes[agreement.agreement_id]) for agreement in agreements]

    async def _barred(self, grantor_agency_id: str, grantee_agency_id: str) -> str:
        """Why the grantee may receive nothing of the grantor's (R19); InvalidInput when there is no such grantee."""
        async with self._store.work(platform_scope()) as others:
            try:
                await require_agency(others, grantee_agency_id)
            except InvalidInput as error:
                raise InvalidInput.one("agreement.grantee_agency_id", error.violations[0].reason) from error
            grantor, grantee = await others.get(AGENCY, grantor_agency_id), await others.get(AGENCY, grantee_agency_id)
        return barred_reason(grantor, grantee) if grantor is not None and grantee is not None else ""

    async def _needed(self, scope: Scope, work: Work, agreement_id: str, action: str) -> pb.Agreement:
        agreement = await work.get(AGREEMENT, agreement_id, lock=True)
        if agreement is None:
            raise NotFound("agreement", agreement_id)
        # both sides own their half of it: row-level security shows it to nobody else
        side = agreement.grantee_agency_id if scope.agency_id == agreement.grantee_agency_id else agreement.grantor_agency_id
        decision = self._access.decide(scope, action, Resource("agreement", agreement_id, side))
        if not decision.allowed:
            raise Refused(action, decision.reason)
        return agreement


def _tell(old: pb.Agreement | None, new: pb.Agreement, reason: str = "") -> None:
    """R31: one entry with actor, old and new value in the logs of grantor and grantee."""
    touched(
        f"agreement:{new.agreement_id}",
        owner_agency_id=new.grantor_agency_id,
        agreement_id=new.agreement_id,
        old_value=as_json(old) if old is not None else "",
        new_value=as_json(new, **({"reason": reason} if reason else {})),
        told_agency_ids=(new.grantor_agency_id, new.grantee_agency_id),
    )

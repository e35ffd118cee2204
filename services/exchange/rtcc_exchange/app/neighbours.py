"""What the grantee does: subscribe, look, acknowledge."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from rtcc.alerting.v1.alerting_pb2 import Alert
from rtcc.exchange.v1 import exchange_pb2 as pb
from rtcc.registry.v1.registry_pb2 import Agreement, Camera
from rtcc_chassis.access import touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.directory import Mirror
from rtcc_chassis.errors import NotFound, RtccError
from rtcc_chassis.identifiers import derived_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.sharing import camera_grant, grants_alert
from rtcc_exchange.app.delivery import Deliveries
from rtcc_exchange.app.ports import Store
from rtcc_exchange.domain import acknowledged, checked_kinds, ended

_LOG = logging.getLogger(__name__)
LIST_DEFAULT = 200
LIST_MOST = 1_000
# together 1 s
_TOLD_TRIES, _TOLD_EVERY_S = 20, 0.05

# open alerts of a grantor, asked of alerting when somebody subscribes
OpenAlerts = Callable[[str], Awaitable[Sequence[Alert]]]


class Neighbours:
    """All methods act for the grantee, which is the caller's agency."""

    def __init__(
        self,
        store: Store,
        deliveries: Deliveries,
        agreements: Mirror[Agreement],
        cameras: Mirror[Camera],
        open_alerts: OpenAlerts,
        clock: Clock,
    ) -> None:
        self._store = store
        self._deliveries = deliveries
        self._agreements = agreements
        self._cameras = cameras
        self._open_alerts = open_alerts
        self._clock = clock

    async def subscribe(self, scope: Scope, agreement_id: str, alert_kinds: Sequence[str]) -> pb.Subscription:
        """One subscription per agreement; subscribing again changes its kinds. Open alerts of the grantor follow at once."""
        agreement = await self._told(agreement_id)
        grantee = scope.agency_id if agreement is None or scope.agency_id != "*" else agreement.grantee_agency_id
        if agreement is None or agreement.grantee_agency_id != grantee or ended(agreement, self._clock()):
            raise NotFound("agreement", agreement_id)
        subscription = pb.Subscription(
            subscription_id=derived_id("subscription", agreement_id),
            agreement_id=agreement_id,
            grantor_agency_id=agreement.grantor_agency_id,
            grantee_agency_id=grantee,
            alert_kinds=checked_kinds(alert_kinds, agreement),
        )
        async with self._store.work(scope) as work:
            before = await work.subscription(subscription.subscription_id)
            if before is not None:
                subscription.created_at.CopyFrom(before.created_at)
            else:
                subscription.created_at.FromDatetime(self._clock())
            if before != subscription:
                await work.put_subscription(subscription)
        touched(
            f"subscription:{subscription.subscription_id}",
            owner_agency_id=grantee,
            agreement_id=agreement_id,
            told_agency_ids=(agreement.grantor_agency_id,),
        )
        return subscription

    async def share_open(self, subscription: pb.Subscription) -> None:
        """Give a new subscriber what is open now. Without alerting's answer only what changes from now on comes."""
        try:
            await self._deliveries.share(await self._open_alerts(subscription.grantor_agency_id))
        except RtccError as error:
            _LOG.warning("open alerts for a new subscription: %s", error.message)

    async def subscriptions(self, scope: Scope) -> list[pb.Subscription]:
        """Those that the caller's agency gets, and those that others have to its alerts."""
        async with self._store.work(scope) as work:
            found = await work.subscriptions()
        touched(*(f"subscription:{item.subscription_id}" for item in found))
        return found

    async def unsubscribe(self, scope: Scope, subscription_id: str) -> None:
        """The grantee's own end of it; the grantor revokes the agreement instead."""
        async with self._store.work(scope) as work:
            subscription = await work.subscription(subscription_id)
            if subscription is None or scope.agency_id not in (subscription.grantee_agency_id, "*"):
                raise NotFound("subscription", subscription_id)
            await work.delete_subscription(subscription)
        await self._deliveries.unsubscribed(subscription)
        touched(
            f"subscription:{subscription_id}",
            owner_agency_id=subscription.grantee_agency_id,
            agreement_id=subscription.agreement_id,
            told_agency_ids=(subscription.grantor_agency_id,),
        )

    async def shared_alerts(self, scope: Scope, limit: int) -> list[pb.SharedAlert]:
        """Newest first; only what is granted at this moment."""
        async with self._store.work(scope) as work:
            copies = await work.newest_shared(min(limit or LIST_DEFAULT, LIST_MOST))
        granted = [copy for copy in copies if self._granted(copy)]
        for copy in granted:
            touched(f"alert:{copy.alert.alert_id}", owner_agency_id=copy.alert.agency_id, agreement_id=copy.agreement_id)
        return granted

    async def acknowledge(self, scope: Scope, alert_id: str) -> tuple[pb.SharedAlert, bool]:
        """(the copy, whether this call was the first inside the agency). The grantor is told; its alert's state stays its own."""
        key = (scope.agency_id, alert_id)
        async with self._store.work(scope) as work:
            before = (await work.shared([key])).get(key)
            if before is None or not self._granted(before):
                raise NotFound("shared alert", alert_id)
            won = not before.HasField("acknowledged_at")
            after = before
            if won:
                after = acknowledged(before, scope.principal_id, scope.display_name, self._clock())
                stamp = str(after.acknowledged_at.ToMicroseconds())
                identifier = derived_id("acknowledged", before.agreement_id, scope.agency_id, alert_id, stamp)
                await work.put_shared(after, identifier)
                await work.tell_grantor(after, f"{identifier}.told")
        touched(f"alert:{alert_id}", owner_agency_id=after.alert.agency_id, agreement_id=after.agreement_id)
        try:
            await self._deliveries.send_waiting()
        except RtccError as error:
            # it is stored: the next sweep sends it
            _LOG.warning("an acknowledgement is not published yet: %s", error.message)
        return after, won

    async def shared_cameras(self, scope: Scope) -> list[pb.SharedCamera]:
        """Cameras of others that the caller's agency may view now; a purpose may still be asked for when one is opened."""
        async with self._store.work(scope) as work:
            open_agreements = await work.open_agreements()
        now = self._clock()
        agreements = [agreement for agreement in self._agreements.values() if agreement.grantee_agency_id == scope.agency_id]
        found = []
        for agreement in agreements:
            for camera_id in agreement.camera_ids:
                camera = self._cameras.get(camera_id)
                if camera is None or not camera.enabled:
                    continue
                grant = camera_grant(agreements, camera, scope.agency_id, now, open_agreements)
                if grant is not None and grant.agreement_id == agreement.agreement_id:
                    found.append(pb.SharedCamera(camera=camera, agreement_id=agreement.agreement_id))
                    touched(f"camera:{camera_id}", owner_agency_id=camera.agency_id, agreement_id=agreement.agreement_id)
        return sorted(found, key=lambda shared: (shared.camera.agency_id, shared.camera.name))

    async def _told(self, agreement_id: str) -> Agreement | None:
        """The agreement; one that was granted a moment ago may still be on its way here, so an unknown one is waited for."""
        for _ in range(_TOLD_TRIES):
            agreement = self._agreements.get(agreement_id)
            if agreement is not None:
                return agreement
            await asyncio.sleep(_TOLD_EVERY_S)
        return None

    def _granted(self, copy: pb.SharedAlert) -> bool:
        agreement = self._agreements.get(copy.agreement_id)
        return agreement is not None and grants_alert(agreement, copy.alert, self._clock())

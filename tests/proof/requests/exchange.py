"""What a partner grants."""

from proof.platform import until
from proof.requests.building import Builder, asks
from proof.world import PARTNER, World
from rtcc.exchange.v1 import exchange_pb2 as pb


async def _shared_alert(world: World, agency_id: str) -> str:
    """An alert that a partner shares with the agency."""
    await world.subscription(agency_id)
    alert_id = await world.alert(PARTNER)

    async def arrived() -> bool:
        answer = await world.platform.ask("ListSharedAlerts", world.everything(agency_id), pb.ListSharedAlertsRequest(limit=500))
        return any(shared.alert.alert_id == alert_id for shared in answer.alerts)

    await until(arrived)
    return alert_id


async def _granted(world: World, agency_id: str) -> str:
    """By the partner: nobody else may subscribe to it."""
    return await world.agreement(PARTNER, agency_id)


REQUESTS: dict[str, Builder] = {
    "AcknowledgeSharedAlert": asks(pb.AcknowledgeSharedAlertRequest, alert_id=_shared_alert),
    "CreateSubscription": asks(pb.CreateSubscriptionRequest, agreement_id=_granted, alert_kinds=["gunshot"]),
    "DeleteSubscription": asks(pb.DeleteSubscriptionRequest, subscription_id=World.subscription),
}

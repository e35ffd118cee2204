"""The contract's methods: message in, use case, message out."""

from typing import Any

from rtcc.exchange.v1 import exchange_pb2 as pb
from rtcc.exchange.v1 import exchange_pb2_grpc
from rtcc_chassis.scope import current_scope
from rtcc_exchange.app.neighbours import Neighbours


class ExchangeServicer(exchange_pb2_grpc.ExchangeServiceServicer):
    """Identity, rights and audit are the gate's work; the scope comes from it."""

    def __init__(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours

    async def CreateSubscription(self, request: pb.CreateSubscriptionRequest, context: Any) -> pb.CreateSubscriptionResponse:
        subscription = await self._neighbours.subscribe(current_scope(), request.agreement_id, list(request.alert_kinds))
        return pb.CreateSubscriptionResponse(subscription=subscription)

    async def ListSubscriptions(self, request: pb.ListSubscriptionsRequest, context: Any) -> pb.ListSubscriptionsResponse:
        return pb.ListSubscriptionsResponse(subscriptions=await self._neighbours.subscriptions(current_scope()))

    async def DeleteSubscription(self, request: pb.DeleteSubscriptionRequest, context: Any) -> pb.DeleteSubscriptionResponse:
        await self._neighbours.unsubscribe(current_scope(), request.subscription_id)
        return pb.DeleteSubscriptionResponse()

    async def ListSharedAlerts(self, request: pb.ListSharedAlertsRequest, context: Any) -> pb.ListSharedAlertsResponse:
        return pb.ListSharedAlertsResponse(alerts=await self._neighbours.shared_alerts(current_scope(), request.limit))

    async def AcknowledgeSharedAlert(self, request: pb.AcknowledgeSharedAlertRequest, context: Any) -> pb.AcknowledgeSharedAlertResponse:
        alert, won = await self._neighbours.acknowledge(current_scope(), request.alert_id)
        return pb.AcknowledgeSharedAlertResponse(alert=alert, won=won)

    async def ListSharedCameras(self, request: pb.ListSharedCamerasRequest, context: Any) -> pb.ListSharedCamerasResponse:
        return pb.ListSharedCamerasResponse(cameras=await self._neighbours.shared_cameras(current_scope()))

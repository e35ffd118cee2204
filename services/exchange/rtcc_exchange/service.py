"""Wires the exchange together."""

import logging
from collections.abc import Sequence
from pathlib import Path

import grpc

from rtcc.alerting.v1 import alerting_pb2, alerting_pb2_grpc
from rtcc.exchange.v1 import exchange_pb2 as pb
from rtcc.exchange.v1 import exchange_pb2_grpc
from rtcc.registry.v1.registry_pb2 import Agreement, Camera
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import from_rpc
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.scope import Scope
from rtcc_chassis.settings import read
from rtcc_exchange.app.delivery import Deliveries
from rtcc_exchange.app.neighbours import Neighbours
from rtcc_exchange.app.reconciling import reconcile
from rtcc_exchange.events import ALERTS_CONSUMER, AlertsHandler, Changes, SharedStream, sweep
from rtcc_exchange.rpc import ExchangeServicer
from rtcc_exchange.settings import ExchangeSettings
from rtcc_exchange.store import ExchangeStore

_LOG = logging.getLogger(__name__)


async def serve(ctx: ServiceContext) -> None:
    """Until the process drains. Ready once the mirrors hold every agreement, so that nothing is shared or withheld by ignorance."""
    settings = read(ExchangeSettings, ctx.name)
    await ctx.database.migrate(Path(__file__).parent / "migrations")
    agreements = ctx.directory.mirror("agreement", Agreement)
    subscriptions = ctx.directory.mirror("subscription", pb.Subscription)
    markers = ctx.directory.mirror("shared_alert", pb.SharedAlert)
    cameras = ctx.directory.mirror("camera", Camera)
    outbox = Outbox(ctx.database, ctx.bus)
    store = ExchangeStore(ctx.database, outbox)
    deliveries = Deliveries(store, SharedStream(ctx.bus), agreements, subscriptions, ctx.access, ctx.clock)
    neighbours = Neighbours(store, deliveries, agreements, cameras, OpenAlertsOfAlerting(ctx), ctx.clock)
    ctx.rpc.add(exchange_pb2_grpc.add_ExchangeServiceServicer_to_server, ExchangeServicer(neighbours))
    await agreements.ready()
    if differing := await reconcile(store, subscriptions, markers):
        _LOG.warning("the directory differed from the exchange in %d entries and was brought in line", differing)
    changes = Changes(deliveries, neighbours)
    changes.follow(agreements, subscriptions)
    ctx.lifecycle.spawn(outbox.run(), "exchange outbox")
    ctx.lifecycle.spawn(changes.run(), "exchange changes")
    ctx.lifecycle.spawn(sweep(deliveries, settings.sweep_s), "exchange sweep")
    ctx.lifecycle.spawn(ctx.bus.consume(ALERTS_CONSUMER, AlertsHandler(deliveries)), "exchange alerts")
    ctx.lifecycle.ready()
    await ctx.lifecycle.stopping.wait()


class OpenAlertsOfAlerting:
    """Asks alerting, in this service's own name, what a grantor has open."""

    def __init__(self, ctx: ServiceContext) -> None:
        self._ctx = ctx

    async def __call__(self, agency_id: str) -> Sequence[alerting_pb2.Alert]:
        """Open alerts, at most 1,000. Raises Unavailable when alerting is away."""
        stub = self._ctx.channels.stub("alerting", alerting_pb2_grpc.AlertingServiceStub)
        scope = Scope.service(self._ctx.name, agency_id)
        try:
            answer = await stub.ListAlerts(
                alerting_pb2.ListAlertsRequest(limit=1_000), metadata=self._ctx.tokens.metadata(scope), timeout=5
            )
        except grpc.RpcError as error:
            raise from_rpc(error) from error
        return list(answer.alerts)

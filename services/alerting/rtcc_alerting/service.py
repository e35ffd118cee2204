"""Wiring of alerting."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rtcc.alerting.v1.alerting_pb2_grpc import add_AlertingServiceServicer_to_server
from rtcc.registry.v1.registry_pb2 import Agency, Agreement, Camera, Unit, Zone
from rtcc_alerting import events
from rtcc_alerting.app import AlertingApp, HotListApp
from rtcc_alerting.channels import Channels
from rtcc_alerting.contact_book import ContactBook
from rtcc_alerting.context import ContextBuilder, UnitPositions
from rtcc_alerting.destinations import Destinations
from rtcc_alerting.engine import Engine
from rtcc_alerting.escalation import Patience
from rtcc_alerting.escalator import Escalator, PartnerNotices
from rtcc_alerting.hot_list_index import HotListIndex
from rtcc_alerting.hot_list_store import HotListStore
from rtcc_alerting.index_keeper import IndexKeeper
from rtcc_alerting.notification_app import NotificationApp
from rtcc_alerting.notification_store import NotificationStore
from rtcc_alerting.rpc import AlertingServicer
from rtcc_alerting.rule_book import RuleBook
from rtcc_alerting.rule_store import RuleStore
from rtcc_alerting.rules_app import RulesApp
from rtcc_alerting.sender import Sender
from rtcc_alerting.settings import AlertingSettings
from rtcc_alerting.store import AlertStore
from rtcc_alerting.watches import CameraWatch, UnitWatch
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.directory import Mirror
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.sealing import Seal
from rtcc_chassis.settings import read
from rtcc_chassis.streams import POSITIONS

_MIGRATIONS = Path(__file__).parent / "migrations"


async def serve(ctx: ServiceContext) -> None:
    """Runs until the process stops."""
    settings = read(AlertingSettings, "alerting")
    patience = Patience(timedelta(seconds=settings.supervisors_after_s), timedelta(seconds=settings.every_desk_after_s))
    await ctx.database.migrate(_MIGRATIONS)
    outbox = Outbox(ctx.database, ctx.bus)
    alerts, hot_lists, rules = AlertStore(ctx.database, outbox), HotListStore(ctx.database, outbox), RuleStore(ctx.database)
    cameras, units = ctx.directory.mirror("camera", Camera), ctx.directory.mirror("unit", Unit)
    zones, agreements = ctx.directory.mirror("zone", Zone), ctx.directory.mirror("agreement", Agreement)
    book = RuleBook(rules, zones)
    index, positions = HotListIndex(), UnitPositions()
    keeper = IndexKeeper(hot_lists, index, ctx.clock, book)
    engine = Engine(alerts, index, ContextBuilder(cameras, units, zones, positions), book, ctx.clock, patience)
    escalator = Escalator(alerts, ctx.clock, patience)
    notifications = _notifications(ctx, settings, alerts, zones)
    ctx.rpc.add(
        add_AlertingServiceServicer_to_server,
        AlertingServicer(
            AlertingApp(alerts, ctx.objects, ctx.access, ctx.clock, patience, agreements.values),
            HotListApp(hot_lists, keeper, ctx.clock),
            RulesApp(rules, book, zones, ctx.clock),
            notifications.app,
        ),
    )
    # an event must never be held against lists, rules or cameras that are not loaded yet
    await book.refresh()
    await notifications.book.refresh()
    await keeper.load()
    await cameras.ready()
    spawn, consume = ctx.lifecycle.spawn, ctx.bus.consume
    unit_watch = UnitWatch(units, ctx.clock)
    camera_watch = CameraWatch(cameras, ctx.clock, timedelta(seconds=settings.camera_down_after_s))
    spawn(outbox.run(), "alerting outbox")
    tail = ctx.bus.tail(POSITIONS, ["position.>"], events.positions_handler(positions), start="last_per_subject")
    spawn(tail.run(), "alerting positions")
    spawn(keeper.run(settings.hot_list_check_s), "alerting hot lists")
    spawn(book.run(settings.rule_check_s), "alerting rule settings")
    spawn(notifications.book.run(settings.rule_check_s), "alerting contacts")
    spawn(notifications.sender.run(), "alerting sender")
    forgetting = events.forget(alerts, notifications.app, ctx.clock, settings.handled_event_days, settings.delivery_days)
    spawn(forgetting, "alerting forgetting")
    spawn(consume(events.NOTIFICATIONS, events.notifications_handler(notifications.book)), "alerting notifications")
    spawn(consume(events.rules_spec(settings.event_batch), events.rules_handler(engine)), "alerting rules")
    spawn(consume(events.PANICS, events.panics_handler(unit_watch, engine)), "alerting panics")
    spawn(consume(events.ESCALATIONS, events.escalations_handler(escalator)), "alerting escalation timers")
    spawn(escalator.run(settings.escalation_check_s), "alerting escalation sweep")
    spawn(consume(events.PARTNERS, events.partners_handler(PartnerNotices(alerts, ctx.clock))), "alerting partners")
    await ctx.bus.subscribe_core("camera_health.*", events.camera_health_handler(camera_watch, engine))
    ctx.lifecycle.ready()
    await ctx.lifecycle.stopping.wait()


@dataclass(frozen=True, slots=True)
class _Notifications:
    app: NotificationApp
    book: ContactBook
    sender: Sender


def _notifications(ctx: ServiceContext, settings: AlertingSettings, alerts: AlertStore, zones: Mirror[Zone]) -> _Notifications:
    store, destinations = NotificationStore(ctx.database), Destinations(settings.notification_networks)
    secret = settings.sealing_secret.encode() if settings.sealing_secret else Path(ctx.settings.token_key_file).read_bytes()
    seal = Seal(secret, "alerting notifications")
    agencies = ctx.directory.mirror("agency", Agency)

    def agency_name(agency_id: str) -> str:
        agency = agencies.get(agency_id)
        return agency.name if agency is not None and agency.name else agency_id

    channels = Channels(destinations, ctx.clock)
    lease = timedelta(seconds=settings.delivery_lease_s)
    sender = Sender(store, channels, seal, ctx.access, ctx.clock, agency_name, settings.console_origin, lease)
    book = ContactBook(store, zones, ctx.clock, sender.wake)
    app = NotificationApp(store, alerts, book, zones, destinations, seal, ctx.clock, sender.wake)
    return _Notifications(app, book, sender)

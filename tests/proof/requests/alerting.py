"""Alerts, hot lists, rules, contacts and deliveries."""

from google.protobuf.message import Message

from proof.platform import rule_named, until
from proof.requests.building import Builder, asks, asks_of
from proof.world import World
from rtcc.alerting.v1 import alerting_pb2 as pb


async def _acknowledged(world: World, agency_id: str) -> str:
    alert_id = await world.alert(agency_id)
    await world.platform.ask("AcknowledgeAlert", world.everything(agency_id), pb.AcknowledgeAlertRequest(alert_id=alert_id))
    return alert_id


async def _hot_list(world: World, agency_id: str) -> pb.HotList:
    hot_list_id = await world.hot_list(agency_id)
    return pb.HotList(hot_list_id=hot_list_id, agency_id=agency_id, name="Taken over", source="x", severity=2, enabled=True)


async def _listed(world: World, agency_id: str) -> str:
    """A hot list with an entry."""
    return (await world.hot_list_entry(agency_id))[0]


async def _contact(world: World, agency_id: str) -> pb.Contact:
    return pb.Contact(
        contact_id=await world.contact(agency_id), agency_id=agency_id, name="Taken over", channel=pb.NOTIFICATION_CHANNEL_EMAIL,
        address="somebody@example.org", enabled=True,
    )  # fmt: skip


async def _alert_rule(world: World, agency_id: str) -> Message:
    """Bounded to a zone of the agency, once alerting has heard of the zone."""
    request = pb.SetAlertRuleRequest(rule="drone", enabled=True, zone_ids=[await world.zone(agency_id)])

    async def understood() -> bool:
        metadata = world.platform.metadata(world.everything(agency_id))
        return (await world.platform.call(rule_named("SetAlertRule"), request, metadata)).message is not None

    await until(understood)
    return request


REQUESTS: dict[str, Builder] = {
    "GetAlert": asks(pb.GetAlertRequest, alert_id=World.alert),
    "AcknowledgeAlert": asks(pb.AcknowledgeAlertRequest, alert_id=World.alert),
    "StartAlert": asks(pb.StartAlertRequest, alert_id=_acknowledged),
    "CloseAlert": asks(pb.CloseAlertRequest, alert_id=_acknowledged, outcome="resolved"),
    "ConfirmPlate": asks(pb.ConfirmPlateRequest, alert_id=World.plate_alert, disposition=pb.PLATE_DISPOSITION_CORRECT),
    "GetAlertImage": asks(pb.GetAlertImageRequest, alert_id=World.plate_alert),
    "CreateHotList": asks(pb.CreateHotListRequest, hot_list=_hot_list),
    "ImportHotList": asks(pb.ImportHotListRequest, hot_list_id=World.hot_list, csv=b"LIC,LIS\nXYZ999,FI\n"),
    "AddHotListEntry": asks(
        pb.AddHotListEntryRequest,
        hot_list_id=World.hot_list,
        entry=pb.HotListEntry(plate="XYZ998", state="FI", reason="stolen", entry_source="x"),
    ),
    "ListHotListEntries": asks(pb.ListHotListEntriesRequest, hot_list_id=_listed),
    "RemoveHotListEntry": asks_of(World.hot_list_entry, pb.RemoveHotListEntryRequest, "hot_list_id", "entry_id", ""),
    "SetAlertRule": _alert_rule,
    "SetContact": asks(pb.SetContactRequest, contact=_contact),
    "RemoveContact": asks(pb.RemoveContactRequest, contact_id=World.contact),
    "TestContact": asks(pb.TestContactRequest, contact_id=World.contact),
    "ListDeliveries": asks(pb.ListDeliveriesRequest, alert_id=World.alert),
    "RetryDelivery": asks(pb.RetryDeliveryRequest, delivery_id=World.notification),
}

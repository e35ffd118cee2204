"""rtcc.alerting.v1.AlertingService: messages to domain and back."""

from typing import Any

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc.alerting.v1 import alerting_pb2_grpc
from rtcc_alerting.app import AlertingApp, HotListApp
from rtcc_alerting.messages import disposition_of
from rtcc_alerting.notification_app import NotificationApp
from rtcc_alerting.rules_app import RulesApp
from rtcc_chassis.scope import current_scope


class AlertingServicer(alerting_pb2_grpc.AlertingServiceServicer):
    """The gate has checked rights and purpose before; it audits after."""

    def __init__(self, alerts: AlertingApp, hot_lists: HotListApp, rules: RulesApp, notifications: NotificationApp) -> None:
        self._alerts = alerts
        self._hot_lists = hot_lists
        self._rules = rules
        self._notifications = notifications

    async def ListAlerts(self, request: pb.ListAlertsRequest, context: Any) -> pb.ListAlertsResponse:
        alerts = await self._alerts.list_alerts(current_scope(), include_closed=request.include_closed, limit=request.limit)
        return pb.ListAlertsResponse(alerts=alerts)

    async def GetAlert(self, request: pb.GetAlertRequest, context: Any) -> pb.GetAlertResponse:
        return pb.GetAlertResponse(alert=await self._alerts.get_alert(current_scope(), request.alert_id))

    async def AcknowledgeAlert(self, request: pb.AcknowledgeAlertRequest, context: Any) -> pb.AcknowledgeAlertResponse:
        alert, won = await self._alerts.acknowledge(current_scope(), request.alert_id)
        return pb.AcknowledgeAlertResponse(alert=alert, won=won)

    async def StartAlert(self, request: pb.StartAlertRequest, context: Any) -> pb.StartAlertResponse:
        return pb.StartAlertResponse(alert=await self._alerts.start(current_scope(), request.alert_id))

    async def CloseAlert(self, request: pb.CloseAlertRequest, context: Any) -> pb.CloseAlertResponse:
        return pb.CloseAlertResponse(alert=await self._alerts.close(current_scope(), request.alert_id, request.outcome, request.note))

    async def ConfirmPlate(self, request: pb.ConfirmPlateRequest, context: Any) -> pb.ConfirmPlateResponse:
        alert = await self._alerts.confirm_plate(current_scope(), request.alert_id, disposition_of(request.disposition))
        return pb.ConfirmPlateResponse(alert=alert)

    async def GetAlertImage(self, request: pb.GetAlertImageRequest, context: Any) -> pb.GetAlertImageResponse:
        return pb.GetAlertImageResponse(jpeg=await self._alerts.get_image(current_scope(), request.alert_id))

    async def CreateHotList(self, request: pb.CreateHotListRequest, context: Any) -> pb.CreateHotListResponse:
        return pb.CreateHotListResponse(hot_list=await self._hot_lists.create(current_scope(), request.hot_list))

    async def ListHotLists(self, request: pb.ListHotListsRequest, context: Any) -> pb.ListHotListsResponse:
        return pb.ListHotListsResponse(hot_lists=await self._hot_lists.list_lists(current_scope()))

    async def ImportHotList(self, request: pb.ImportHotListRequest, context: Any) -> pb.ImportHotListResponse:
        return await self._hot_lists.import_csv(current_scope(), request.hot_list_id, request.csv)

    async def AddHotListEntry(self, request: pb.AddHotListEntryRequest, context: Any) -> pb.AddHotListEntryResponse:
        entry = await self._hot_lists.add_entry(current_scope(), request.hot_list_id, request.entry)
        return pb.AddHotListEntryResponse(entry=entry)

    async def RemoveHotListEntry(self, request: pb.RemoveHotListEntryRequest, context: Any) -> pb.RemoveHotListEntryResponse:
        await self._hot_lists.remove_entry(current_scope(), request.hot_list_id, request.entry_id)
        return pb.RemoveHotListEntryResponse()

    async def ListHotListEntries(self, request: pb.ListHotListEntriesRequest, context: Any) -> pb.ListHotListEntriesResponse:
        entries = await self._hot_lists.list_entries(current_scope(), request.hot_list_id, request.limit)
        return pb.ListHotListEntriesResponse(entries=entries)

    async def ListAlertRules(self, request: pb.ListAlertRulesRequest, context: Any) -> pb.ListAlertRulesResponse:
        return pb.ListAlertRulesResponse(rules=await self._rules.list_rules(current_scope()))

    async def SetAlertRule(self, request: pb.SetAlertRuleRequest, context: Any) -> pb.SetAlertRuleResponse:
        return pb.SetAlertRuleResponse(rule=await self._rules.set_rule(current_scope(), request))

    async def ListContacts(self, request: pb.ListContactsRequest, context: Any) -> pb.ListContactsResponse:
        return pb.ListContactsResponse(contacts=await self._notifications.list_contacts(current_scope()))

    async def SetContact(self, request: pb.SetContactRequest, context: Any) -> pb.SetContactResponse:
        contact, secret = await self._notifications.set_contact(current_scope(), request.contact, new_secret=request.new_secret)
        return pb.SetContactResponse(contact=contact, secret=secret)

    async def RemoveContact(self, request: pb.RemoveContactRequest, context: Any) -> pb.RemoveContactResponse:
        await self._notifications.remove_contact(current_scope(), request.contact_id)
        return pb.RemoveContactResponse()

    async def TestContact(self, request: pb.TestContactRequest, context: Any) -> pb.TestContactResponse:
        return pb.TestContactResponse(delivery=await self._notifications.test_contact(current_scope(), request.contact_id))

    async def GetNotificationSettings(self, request: pb.GetNotificationSettingsRequest, context: Any) -> pb.GetNotificationSettingsResponse:
        return pb.GetNotificationSettingsResponse(settings=await self._notifications.get_servers(current_scope()))

    async def SetNotificationSettings(self, request: pb.SetNotificationSettingsRequest, context: Any) -> pb.SetNotificationSettingsResponse:
        return pb.SetNotificationSettingsResponse(settings=await self._notifications.set_servers(current_scope(), request))

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, context: Any) -> pb.ListDeliveriesResponse:
        return pb.ListDeliveriesResponse(deliveries=await self._notifications.list_deliveries(current_scope(), request))

    async def RetryDelivery(self, request: pb.RetryDeliveryRequest, context: Any) -> pb.RetryDeliveryResponse:
        return pb.RetryDeliveryResponse(delivery=await self._notifications.retry(current_scope(), request.delivery_id))

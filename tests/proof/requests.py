"""For each call that names a thing: a valid request about a fresh thing of one agency.

`OF_A_THING` is complete by a test: a new call with an id in its request must be added before the isolation tests pass.
"""

import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from proof import incident_things
from proof.platform import rule_named, signed_headers, until
from proof.sky import remote_id
from proof.world import PARTNER, RECORD_ADDRESS, TINY_JPEG, World, gunshot, intelligence_about, patiently
from rtcc.airspace.v1 import airspace_pb2 as airspace
from rtcc.alerting.v1 import alerting_pb2 as alerting
from rtcc.exchange.v1 import exchange_pb2 as exchange
from rtcc.gateway.v1 import gateway_pb2 as gateway
from rtcc.geo.v1 import geo_pb2 as geo
from rtcc.identity.v1 import identity_pb2 as identity
from rtcc.intake.v1 import intake_pb2 as intake
from rtcc.intake.v1 import retention_pb2 as retention
from rtcc.ledger.v1 import ledger_pb2 as ledger
from rtcc.location.v1 import location_pb2 as location
from rtcc.registry.v1 import registry_pb2 as registry
from rtcc.video.v1 import video_pb2 as video
from rtcc_chassis.identifiers import new_id

Builder = Callable[[World, str], Awaitable[Message]]

# a browser's receive-only offer (RFC 8866, RFC 8829), with a certificate that is nobody's
OFFER = "\r\n".join(
    (
        "v=0",
        "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=video 9 UDP/TLS/RTP/SAVPF 102",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        "a=ice-ufrag:Wt6c",
        "a=ice-pwd:0mN6yDJrjHQ4sYbnQm3kQ1Aq",
        "a=ice-options:trickle",
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=setup:actpass",
        "a=mid:0",
        "a=recvonly",
        "a=rtcp-mux",
        "a=rtpmap:102 H264/90000",
        "a=rtcp-fb:102 nack",
        "a=rtcp-fb:102 nack pli",
        "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        "",
    )
)
ALARM_MAPPING = {
    "event": "alarm",
    "fields": {"alarm_id": "/id", "type": {"constant": "fire"}, "state": {"constant": "active"}, "raised_at": "/at"},
}
_PLACE = geo.Coordinate(latitude_deg=60.2, longitude_deg=24.95)


def ids_named_in(descriptor: Descriptor, prefix: str = "") -> Iterator[str]:
    """The paths of the fields that name things."""
    for field in descriptor.fields:
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            if field.message_type.full_name.startswith("rtcc.") and prefix.count(".") < 2:
                yield from ids_named_in(field.message_type, f"{prefix}{field.name}.")
        elif field.name.endswith(("_id", "_ids")) or field.name == "plate":
            yield prefix + field.name


async def _acknowledge_shared(world: World, agency_id: str) -> Message:
    """An alert that a partner shares with `agency_id`."""
    await world.subscription(agency_id)
    alert_id = await world.alert(PARTNER)

    async def arrived() -> bool:
        answer = await world.platform.ask("ListSharedAlerts", world.everything(agency_id), exchange.ListSharedAlertsRequest(limit=500))
        return any(shared.alert.alert_id == alert_id for shared in answer.alerts)

    await until(arrived)
    return exchange.AcknowledgeSharedAlertRequest(alert_id=alert_id)


async def _delivery(world: World, agency_id: str) -> Message:
    source = await world.gunshot_source(agency_id)
    body = json.dumps(gunshot(f"GS-{new_id()}")).encode()
    headers = signed_headers(source.secret, body)
    return intake.SubmitDeliveryRequest(
        source_id=source.source_id,
        timestamp=headers["Rtcc-Timestamp"],
        delivery_id=headers["Rtcc-Delivery"],
        signature=headers["Rtcc-Signature"],
        body=body,
    )


async def _reception(world: World, agency_id: str) -> Message:
    source = await world.source(agency_id, "remote_id")
    body = json.dumps(remote_id("MFG1F000000000000001", 60.17, 24.94)).encode()
    headers = signed_headers(source.secret, body)
    return airspace.SubmitReceptionRequest(
        source_id=source.source_id,
        timestamp=headers["Rtcc-Timestamp"],
        delivery_id=headers["Rtcc-Delivery"],
        signature=headers["Rtcc-Signature"],
        body=body,
    )


async def _fixes(world: World, agency_id: str) -> Message:
    unit, key = await world.unit_and_key(agency_id)
    fix = location.Fix(position=geo.Position(coordinate=_PLACE))
    fix.fixed_at.FromDatetime(datetime.now(UTC))
    return location.SubmitFixesRequest(device_id=unit.device_id, device_key=key, fixes=[fix])


async def _remove_entry(world: World, agency_id: str) -> Message:
    hot_list_id, entry_id, _ = await world.hot_list_entry(agency_id)
    return alerting.RemoveHotListEntryRequest(hot_list_id=hot_list_id, entry_id=entry_id)


async def _alert_rule(world: World, agency_id: str) -> Message:
    """Bounded to a zone of the agency, once alerting has heard of the zone."""
    request = alerting.SetAlertRuleRequest(rule="drone", enabled=True, zone_ids=[await world.zone(agency_id)])

    async def understood() -> bool:
        metadata = world.platform.metadata(world.everything(agency_id))
        return (await world.platform.call(rule_named("SetAlertRule"), request, metadata)).message is not None

    await until(understood)
    return request


async def _plate_search(world: World, agency_id: str) -> Message:
    alert_id = await world.plate_alert(agency_id)
    alert = await world.alert_where(agency_id, lambda alert: alert.alert_id == alert_id)
    return intake.SearchPlateReadsRequest(plate=alert.event.plate_read.plate)


async def _agreement(world: World, agency_id: str) -> registry.Agreement:
    partner = PARTNER if agency_id != PARTNER else "anchor"
    return registry.Agreement(
        agreement_id=await world.agreement(agency_id, partner),
        grantor_agency_id=agency_id,
        grantee_agency_id=partner,
        title="Changed",
        alert_kinds=["gunshot"],
    )


async def _camera(world: World, agency_id: str) -> registry.Camera:
    return registry.Camera(
        camera_id=await world.camera(agency_id), agency_id=agency_id, name="Changed", kind=registry.CAMERA_KIND_STREET, coordinate=_PLACE,
        bearing_deg=10, field_of_view_deg=60, owner="changed", enabled=True,
    )  # fmt: skip


async def _zone(world: World, agency_id: str) -> registry.Zone:
    corners = [geo.Coordinate(latitude_deg=61 + y, longitude_deg=25 + x) for x, y in ((0, 0), (0.1, 0), (0.1, 0.1), (0, 0.1))]
    return registry.Zone(
        zone_id=await world.zone(agency_id), agency_id=agency_id, name="Changed", kind="district", area=geo.Polygon(corners=corners)
    )


async def _unit(world: World, agency_id: str) -> registry.Unit:
    unit = await world.unit(agency_id)
    return registry.Unit(unit_id=unit.unit_id, agency_id=agency_id, call_sign="CHANGED", kind="patrol", device_id=unit.device_id)


async def _person(world: World, agency_id: str) -> registry.Person:
    person = await world.person(agency_id, "operator")
    return registry.Person(
        person_id=person.person_id, agency_id=agency_id, login=f"taken-over-{new_id()[:13]}", display_name="Changed", roles=["operator"],
        enabled=True,
    )  # fmt: skip


OF_A_THING: dict[str, Builder] = {}


def _about(method: str) -> Callable[[Builder], Builder]:
    def keep(builder: Builder) -> Builder:
        OF_A_THING[method] = builder
        return builder

    return keep


def _fill() -> None:
    """One line a call; `w` is the world, `a` the agency whose thing it is."""

    @_about("GetTrackPath")
    async def _(w: World, a: str) -> Message:
        return airspace.GetTrackPathRequest(track_id=(await w.track(a))[0])

    @_about("SearchTracks")
    async def _(w: World, a: str) -> Message:
        return airspace.SearchTracksRequest(serial_number=(await w.track(a))[1])

    @_about("GetAlert")
    async def _(w: World, a: str) -> Message:
        return alerting.GetAlertRequest(alert_id=await w.alert(a))

    @_about("AcknowledgeAlert")
    async def _(w: World, a: str) -> Message:
        return alerting.AcknowledgeAlertRequest(alert_id=await w.alert(a))

    @_about("StartAlert")
    async def _(w: World, a: str) -> Message:
        alert_id = await w.alert(a)
        await w.platform.ask("AcknowledgeAlert", w.everything(a), alerting.AcknowledgeAlertRequest(alert_id=alert_id))
        return alerting.StartAlertRequest(alert_id=alert_id)

    @_about("CloseAlert")
    async def _(w: World, a: str) -> Message:
        alert_id = await w.alert(a)
        await w.platform.ask("AcknowledgeAlert", w.everything(a), alerting.AcknowledgeAlertRequest(alert_id=alert_id))
        return alerting.CloseAlertRequest(alert_id=alert_id, outcome="resolved")

    @_about("ConfirmPlate")
    async def _(w: World, a: str) -> Message:
        return alerting.ConfirmPlateRequest(alert_id=await w.plate_alert(a), disposition=alerting.PLATE_DISPOSITION_CORRECT)

    @_about("GetAlertImage")
    async def _(w: World, a: str) -> Message:
        return alerting.GetAlertImageRequest(alert_id=await w.plate_alert(a))

    @_about("GetTrail")
    async def _(w: World, a: str) -> Message:
        request = location.GetTrailRequest(unit_id=(await w.unit(a)).unit_id)
        # location learns of a unit from the directory
        await patiently(lambda: w.platform.ask("GetTrail", w.everything(a), request))
        return request

    @_about("CreateHotList")
    async def _(w: World, a: str) -> Message:
        hot_list = alerting.HotList(hot_list_id=await w.hot_list(a), agency_id=a, name="Taken over", source="x", severity=2, enabled=True)
        return alerting.CreateHotListRequest(hot_list=hot_list)

    @_about("ImportHotList")
    async def _(w: World, a: str) -> Message:
        return alerting.ImportHotListRequest(hot_list_id=await w.hot_list(a), csv=b"LIC,LIS\nXYZ999,FI\n")

    @_about("AddHotListEntry")
    async def _(w: World, a: str) -> Message:
        entry = alerting.HotListEntry(plate="XYZ998", state="FI", reason="stolen", entry_source="x")
        return alerting.AddHotListEntryRequest(hot_list_id=await w.hot_list(a), entry=entry)

    @_about("ListHotListEntries")
    async def _(w: World, a: str) -> Message:
        return alerting.ListHotListEntriesRequest(hot_list_id=(await w.hot_list_entry(a))[0])

    @_about("SetContact")
    async def _(w: World, a: str) -> Message:
        contact = alerting.Contact(
            contact_id=await w.contact(a),
            agency_id=a,
            name="Taken over",
            channel=alerting.NOTIFICATION_CHANNEL_EMAIL,
            address="somebody@example.org",
            enabled=True,
        )
        return alerting.SetContactRequest(contact=contact)

    @_about("RemoveContact")
    async def _(w: World, a: str) -> Message:
        return alerting.RemoveContactRequest(contact_id=await w.contact(a))

    @_about("TestContact")
    async def _(w: World, a: str) -> Message:
        return alerting.TestContactRequest(contact_id=await w.contact(a))

    @_about("ListDeliveries")
    async def _(w: World, a: str) -> Message:
        return alerting.ListDeliveriesRequest(alert_id=await w.alert(a))

    @_about("RetryDelivery")
    async def _(w: World, a: str) -> Message:
        return alerting.RetryDeliveryRequest(delivery_id=await w.notification(a))

    @_about("CreateSubscription")
    async def _(w: World, a: str) -> Message:
        # granted to `a` by the partner: nobody else may subscribe to it
        return exchange.CreateSubscriptionRequest(agreement_id=await w.agreement(PARTNER, a), alert_kinds=["gunshot"])

    @_about("DeleteSubscription")
    async def _(w: World, a: str) -> Message:
        return exchange.DeleteSubscriptionRequest(subscription_id=await w.subscription(a))

    @_about("CreateEnrolment")
    async def _(w: World, a: str) -> Message:
        return gateway.CreateEnrolmentRequest(person_id=(await w.person(a, "operator")).person_id)

    @_about("ReleaseLock")
    async def _(w: World, a: str) -> Message:
        return gateway.ReleaseLockRequest(person_id=(await w.person(a, "operator")).person_id)

    @_about("EndSession")
    async def _(w: World, a: str) -> Message:
        return gateway.EndSessionRequest(session_id=await w.session(a))

    @_about("CreateDemoLink")
    async def _(w: World, a: str) -> Message:
        return gateway.CreateDemoLinkRequest(person_id=(await w.person(a, "operator")).person_id, next="/map")

    @_about("ReplayQuarantined")
    async def _(w: World, a: str) -> Message:
        return intake.ReplayQuarantinedRequest(quarantine_id=await w.quarantined(a))

    @_about("DiscardQuarantined")
    async def _(w: World, a: str) -> Message:
        return intake.DiscardQuarantinedRequest(quarantine_id=await w.quarantined(a), reason="noise")

    @_about("SetSourceMapping")
    async def _(w: World, a: str) -> Message:
        request = intake.SetSourceMappingRequest(source_id=(await w.source(a, "mapped")).source_id)
        request.mapping.update(ALARM_MAPPING)
        return request

    @_about("GetSourceMapping")
    async def _(w: World, a: str) -> Message:
        return intake.GetSourceMappingRequest(source_id=(await w.source(a, "mapped")).source_id)

    @_about("StartRecording")
    async def _(w: World, a: str) -> Message:
        return intake.StartRecordingRequest(source_id=(await w.source(a, "mapped")).source_id, count=1)

    @_about("TryMapping")
    async def _(w: World, a: str) -> Message:
        request = intake.TryMappingRequest(source_id=(await w.source(a, "mapped")).source_id)
        request.mapping.update(ALARM_MAPPING)
        return request

    @_about("SetSourceFeed")
    async def _(w: World, a: str) -> Message:
        # nothing listens there, and a private address isn't asked anyway
        feed = intake.SourceFeed(url="https://127.0.0.1:9/vehicles", every_s=3600)
        return intake.SetSourceFeedRequest(source_id=(await w.source(a, "gtfs_realtime")).source_id, feed=feed)

    @_about("GetSourceFeed")
    async def _(w: World, a: str) -> Message:
        return intake.GetSourceFeedRequest(source_id=(await w.source(a, "gtfs_realtime")).source_id)

    @_about("IssueSourceCertificate")
    async def _(w: World, a: str) -> Message:
        return intake.IssueSourceCertificateRequest(source_id=(await w.source(a, "cot")).source_id)

    @_about("SubmitVehicles")
    async def _(w: World, a: str) -> Message:
        vehicle = location.Vehicle(vehicle_id="bus-1", label="550 1", fix=location.Fix(position=geo.Position(coordinate=_PLACE)))
        vehicle.fix.fixed_at.FromDatetime(datetime.now(UTC))
        return location.SubmitVehiclesRequest(source_id=(await w.source(a, "gtfs_realtime")).source_id, vehicles=[vehicle])

    @_about("SetRetentionRule")
    async def _(w: World, a: str) -> Message:
        rule = retention.RetentionRule(source_id=(await w.source(a)).source_id, kind="plate_read", keep_s=86_400)
        return retention.SetRetentionRuleRequest(rule=rule)

    @_about("PlaceHold")
    async def _(w: World, a: str) -> Message:
        return retention.PlaceHoldRequest(hold=retention.RetentionHold(reason="26-0001", source_id=(await w.source(a)).source_id))

    @_about("ReleaseHold")
    async def _(w: World, a: str) -> Message:
        hold = retention.RetentionHold(reason="26-0002", kind="gunshot")
        answer = await w.platform.ask("PlaceHold", w.everything(a), retention.PlaceHoldRequest(hold=hold))
        return retention.ReleaseHoldRequest(hold_id=answer.hold.hold_id)

    @_about("ListEntries")
    async def _(w: World, a: str) -> Message:
        return ledger.ListEntriesRequest(principal_id=w.people[a]["supervisor"].person_id)

    @_about("ListAccesses")
    async def _(w: World, a: str) -> Message:
        return ledger.ListAccessesRequest(object_id=f"camera:{await w.camera(a)}")

    @_about("GetInclusionProof")
    async def _(w: World, a: str) -> Message:
        return ledger.GetInclusionProofRequest(entry_id=await w.audit_entry(a))

    @_about("CreateAgency")
    async def _(w: World, a: str) -> Message:
        return registry.CreateAgencyRequest(agency_id=a, name="Taken over", time_zone="UTC")

    @_about("UpdateAgency")
    async def _(w: World, a: str) -> Message:
        return registry.UpdateAgencyRequest(agency=registry.Agency(agency_id=a, name=a.title(), time_zone="UTC", enabled=True))

    @_about("CreatePerson")
    async def _(w: World, a: str) -> Message:
        return registry.CreatePersonRequest(person=await _person(w, a))

    @_about("SetPersonRoles")
    async def _(w: World, a: str) -> Message:
        return registry.SetPersonRolesRequest(person_id=(await w.person(a, "operator")).person_id, roles=["officer"])

    @_about("SetPersonEnabled")
    async def _(w: World, a: str) -> Message:
        return registry.SetPersonEnabledRequest(person_id=(await w.person(a, "operator")).person_id, enabled=False)

    @_about("CreateCamera")
    async def _(w: World, a: str) -> Message:
        return registry.CreateCameraRequest(camera=await _camera(w, a))

    @_about("UpdateCamera")
    async def _(w: World, a: str) -> Message:
        return registry.UpdateCameraRequest(camera=await _camera(w, a))

    @_about("DeleteCamera")
    async def _(w: World, a: str) -> Message:
        return registry.DeleteCameraRequest(camera_id=await w.camera(a))

    @_about("GetCameraStream")
    async def _(w: World, a: str) -> Message:
        return registry.GetCameraStreamRequest(camera_id=await w.camera(a))

    @_about("CreateZone")
    async def _(w: World, a: str) -> Message:
        return registry.CreateZoneRequest(zone=await _zone(w, a))

    @_about("DeleteZone")
    async def _(w: World, a: str) -> Message:
        return registry.DeleteZoneRequest(zone_id=await w.zone(a))

    @_about("CreateSource")
    async def _(w: World, a: str) -> Message:
        source = registry.Source(source_id=(await w.source(a)).source_id, agency_id=a, name="Taken over", adapter="gunshot", enabled=True)
        return registry.CreateSourceRequest(source=source)

    @_about("SetSourceEnabled")
    async def _(w: World, a: str) -> Message:
        return registry.SetSourceEnabledRequest(source_id=(await w.source(a)).source_id, enabled=False)

    @_about("GetSourceSecret")
    async def _(w: World, a: str) -> Message:
        return registry.GetSourceSecretRequest(source_id=(await w.source(a)).source_id)

    @_about("CreateUnit")
    async def _(w: World, a: str) -> Message:
        return registry.CreateUnitRequest(unit=await _unit(w, a))

    @_about("CreateAgreement")
    async def _(w: World, a: str) -> Message:
        return registry.CreateAgreementRequest(agreement=await _agreement(w, a))

    @_about("NarrowAgreement")
    async def _(w: World, a: str) -> Message:
        agreement = await _agreement(w, a)
        del agreement.alert_kinds[:]
        return registry.NarrowAgreementRequest(agreement=agreement)

    @_about("RevokeAgreement")
    async def _(w: World, a: str) -> Message:
        return registry.RevokeAgreementRequest(agreement_id=(await _agreement(w, a)).agreement_id, reason="over")

    @_about("AttestAgreement")
    async def _(w: World, a: str) -> Message:
        grantor = PARTNER if a != PARTNER else "anchor"
        agreement_id = await w.agreement(grantor, a, attestation_required=True)
        return registry.AttestAgreementRequest(agreement_id=agreement_id, revision=1)

    @_about("OpenViewer")
    async def _(w: World, a: str) -> Message:
        return video.OpenViewerRequest(camera_id=await w.camera(a), offer_sdp=OFFER)

    @_about("CloseViewer")
    async def _(w: World, a: str) -> Message:
        camera_id = await w.camera(a)
        answer = await w.open_viewer(a, camera_id, OFFER)
        return video.CloseViewerRequest(camera_id=camera_id, viewer_id=answer)

    @_about("GetSnapshot")
    async def _(w: World, a: str) -> Message:
        return video.GetSnapshotRequest(camera_id=await w.camera(a))

    @_about("GetPersonRecord")
    async def _(w: World, a: str) -> Message:
        return identity.GetPersonRecordRequest(record_id=await w.person_record(a))

    @_about("GetPersonPhoto")
    async def _(w: World, a: str) -> Message:
        return identity.GetPersonPhotoRequest(record_id=await w.person_record(a, photo=True))

    @_about("SetPersonPhoto")
    async def _(w: World, a: str) -> Message:
        return identity.SetPersonPhotoRequest(record_id=await w.person_record(a), jpeg=TINY_JPEG)

    @_about("SaveRecord")
    async def _(w: World, a: str) -> Message:
        names = [identity.RecordName(given_names="Taken", surname="Over")]
        record = identity.Record(record_id=await w.person_record(a), person=identity.PersonDetails(names=names))
        return identity.SaveRecordRequest(record=record)

    @_about("RemoveRecord")
    async def _(w: World, a: str) -> Message:
        return identity.RemoveRecordRequest(record_id=await w.person_record(a), reason="expunged")

    @_about("SearchVehicleRecords")
    async def _(w: World, a: str) -> Message:
        return identity.SearchVehicleRecordsRequest(plate=await w.vehicle_record(a))

    @_about("GetArrivalCard")
    async def _(w: World, a: str) -> Message:
        await w.person_record(a)
        return identity.GetArrivalCardRequest(address=RECORD_ADDRESS, incident_id="26-0001")

    @_about("GetRecordImport")
    async def _(w: World, a: str) -> Message:
        return identity.GetRecordImportRequest(import_id=await w.record_import(a))

    @_about("SaveIntelligence")
    async def _(w: World, a: str) -> Message:
        return identity.SaveIntelligenceRequest(intelligence=intelligence_about(await w.person_record(a)))

    @_about("ListIntelligence")
    async def _(w: World, a: str) -> Message:
        person_record_id, _ = await w.intelligence(a)
        return identity.ListIntelligenceRequest(person_record_id=person_record_id)

    @_about("ListDisseminations")
    async def _(w: World, a: str) -> Message:
        return identity.ListDisseminationsRequest(intelligence_id=(await w.intelligence(a))[1])

    OF_A_THING.update(incident_things.REQUESTS)
    OF_A_THING.update(
        AcknowledgeSharedAlert=_acknowledge_shared,
        SubmitDelivery=_delivery,
        SubmitFixes=_fixes,
        SubmitReception=_reception,
        RemoveHotListEntry=_remove_entry,
        SearchPlateReads=_plate_search,
        SetAlertRule=_alert_rule,
    )


_fill()

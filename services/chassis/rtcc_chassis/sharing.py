"""What agreements grant: one reading of them for every service. Default is nothing."""

from collections.abc import Iterable
from datetime import UTC, datetime

from rtcc.alerting.v1.alerting_pb2 import Alert
from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_ACTIVE, Agreement, Camera
from rtcc_chassis.access.model import Grant
from rtcc_chassis.geometry import polygon_contains

# what may be granted: not calls and tips, which are words of the public, nor what only the agency's own upkeep concerns
ALERT_KINDS = ("plate_hit", "gunshot", "alarm", "warning", "drone", "measurement", "officer_emergency")
REDACTIONS = ("image", "narrative", "caller_number", "vehicle", "hot_list_source")
# what of the grantor's persons a grantee may find and see; criminal intelligence is never among it
PERSON_FIELDS = ("identity", "description", "cautions", "warrants", "addresses", "phones", "photo", "vehicles")


def in_force(agreement: Agreement, now: datetime) -> bool:
    """Active, begun, not ended, attested where it demands that (R20), and its receiver not barred by the grantor (R19)."""
    if agreement.status != AGREEMENT_STATUS_ACTIVE or agreement.barred_reason:
        return False
    if agreement.HasField("valid_from") and agreement.valid_from.ToDatetime(UTC) > now:
        return False
    if agreement.HasField("valid_until") and agreement.valid_until.ToDatetime(UTC) <= now:
        return False
    return not agreement.attestation_required or agreement.HasField("attested_at")


def _covers(agreement: Agreement, coordinate: Coordinate) -> bool:
    return not agreement.area.corners or polygon_contains(agreement.area, coordinate)


def grant_of(agreement: Agreement) -> Grant:
    """The agreement as policies see it."""
    return Grant(
        agreement.agreement_id,
        agreement.grantor_agency_id,
        agreement.grantee_agency_id,
        live=agreement.cameras_live,
        purposes=frozenset(agreement.purposes),
        recorded=agreement.cameras_recorded,
        export=agreement.cameras_recorded and agreement.cameras_export,
    )


def grants_alert(agreement: Agreement, alert: Alert, now: datetime) -> bool:
    """Whether the grantee may get this alert of the grantor's."""
    return (
        in_force(agreement, now)
        and alert.agency_id == agreement.grantor_agency_id
        and alert.kind in agreement.alert_kinds
        and _covers(agreement, alert.position.coordinate)
    )


def camera_grant(
    agreements: Iterable[Agreement],
    camera: Camera,
    viewer_agency_id: str,
    now: datetime,
    open_shared_agreements: frozenset[str] = frozenset(),
    *,
    recorded: bool = False,
) -> Grant | None:
    """The agreement under which `viewer_agency_id` may view the camera live, or its recordings, or None.

    `open_shared_agreements`: agreements under which an alert is shared and still open, for those that grant cameras only then.
    """
    for agreement in agreements:
        if (
            agreement.grantor_agency_id == camera.agency_id
            and agreement.grantee_agency_id == viewer_agency_id
            and (agreement.cameras_recorded if recorded else agreement.cameras_live)
            and camera.camera_id in agreement.camera_ids
            and in_force(agreement, now)
            and _covers(agreement, camera.coordinate)
            and (not agreement.cameras_only_during_alert or agreement.agreement_id in open_shared_agreements)
        ):
            return grant_of(agreement)
    return None


def units_grant(
    agreements: Iterable[Agreement], owner_agency_id: str, viewer_agency_id: str, coordinate: Coordinate, now: datetime
) -> Grant | None:
    """The agreement under which `viewer_agency_id` may see a unit of `owner_agency_id` at this place, or None."""
    return _grant_at((agreement for agreement in agreements if agreement.units), owner_agency_id, viewer_agency_id, coordinate, now)


def tracks_grant(
    agreements: Iterable[Agreement], owner_agency_id: str, viewer_agency_id: str, coordinate: Coordinate, now: datetime
) -> Grant | None:
    """The agreement under which `viewer_agency_id` may see a track of `owner_agency_id` at this place, or None."""
    return _grant_at((agreement for agreement in agreements if agreement.tracks), owner_agency_id, viewer_agency_id, coordinate, now)


def _grant_at(
    agreements: Iterable[Agreement], owner_agency_id: str, viewer_agency_id: str, coordinate: Coordinate, now: datetime
) -> Grant | None:
    for agreement in agreements:
        if (
            agreement.grantor_agency_id == owner_agency_id
            and agreement.grantee_agency_id == viewer_agency_id
            and in_force(agreement, now)
            and _covers(agreement, coordinate)
        ):
            return grant_of(agreement)
    return None


def person_grants(agreements: Iterable[Agreement], viewer_agency_id: str, now: datetime) -> dict[str, tuple[Grant, frozenset[str]]]:
    """By grantor: the agreement under which `viewer_agency_id` may find its persons, and the fields that it gives.

    Of several agreements with one grantor the one that gives most counts, alone: terms of different agreements are never mixed. An
    agreement that is bounded to an area gives none: a person has no place.
    """
    found: dict[str, tuple[Grant, frozenset[str]]] = {}
    for agreement in agreements:
        if agreement.grantee_agency_id != viewer_agency_id or not in_force(agreement, now) or agreement.area.corners:
            continue
        fields = frozenset(agreement.person_fields)
        before = found.get(agreement.grantor_agency_id)
        if "identity" in fields and (before is None or len(fields) > len(before[1])):
            found[agreement.grantor_agency_id] = (grant_of(agreement), fields)
    return found


def redacted(alert: Alert, agreement: Agreement) -> Alert:
    """The copy that may leave: redactions applied, context cut to granted cameras, no units unless granted, no names of people."""
    copy = Alert()
    copy.CopyFrom(alert)
    copy.agreement_id = agreement.agreement_id
    copy.acknowledged_by = copy.acknowledged_by_name = copy.note = ""
    # who else was told, who didn't take it, which calls came with it: the grantor's own
    for field in ("escalation", "partner_acknowledgements", "joined_events"):
        copy.ClearField(field)
    granted = set(agreement.camera_ids) if agreement.cameras_live else set()
    cameras = [choice for choice in alert.context.cameras if choice.camera_id in granted]
    del copy.context.cameras[:]
    copy.context.cameras.extend(cameras)
    if not agreement.units:
        del copy.context.units[:]
    for name in agreement.redactions:
        _redact(copy, name)
    return copy


def _redact(copy: Alert, name: str) -> None:
    read, match = copy.event.plate_read, copy.plate_match
    # protobuf makes a sub-message on write: only touch the body that is there
    body = copy.event.WhichOneof("body")
    if name == "image" and body == "plate_read":
        read.image_object = ""
    elif name == "narrative" and body == "call_for_service":
        copy.event.call_for_service.narrative = ""
    elif name == "narrative" and body == "alarm":
        copy.event.alarm.note = ""
    elif name == "caller_number" and body == "call_for_service":
        copy.event.call_for_service.caller_number = ""
    elif name == "vehicle" and body == "plate_read":
        read.vehicle_make = read.vehicle_model = read.vehicle_color = ""
    elif name == "hot_list_source" and copy.HasField("plate_match"):
        match.hot_list_name = match.entry_source = match.hot_list_id = match.entry_id = ""

"""Rules about sharing agreements: what a grant is, and that a change of one only ever takes away (R16, R31)."""

import re
from collections.abc import Collection
from datetime import datetime

from rtcc.geo.v1 import geo_pb2
from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.errors import Conflict, Refused
from rtcc_chassis.geometry import polygon_violations
from rtcc_chassis.sharing import ALERT_KINDS, PERSON_FIELDS, REDACTIONS
from rtcc_registry.domain.containment import Point, crosses_itself, ring_within
from rtcc_registry.domain.findings import Findings, moment

CAMERAS_MOST = 2_000
PURPOSES_MOST = 50

_PURPOSE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")


def checked_agreement(agreement: pb.Agreement, grantor_agency_id: str, now: datetime, own_camera_ids: Collection[str]) -> pb.Agreement:
    """A new grant by `grantor_agency_id`. Who grants, since when and which revision are never taken from the payload."""
    found = Findings("agreement")
    result = pb.Agreement()
    result.CopyFrom(agreement)
    found.require(agreement.grantor_agency_id in ("", grantor_agency_id), "grantor_agency_id", "an agency grants only what is its own")
    found.require(agreement.grantee_agency_id != grantor_agency_id, "grantee_agency_id", "an agency needs no grant from itself")
    found.require(bool(agreement.grantee_agency_id), "grantee_agency_id", "is needed: who receives")
    if agreement.agreement_id:
        found.identifier("agreement_id", agreement.agreement_id)
    _check_content(found, result, own_camera_ids)
    _check_times(found, result, now)
    grants_something = agreement.alert_kinds or agreement.camera_ids or agreement.units or agreement.tracks or agreement.person_fields
    found.require(
        bool(grants_something), "alert_kinds", "the agreement grants nothing: name alert kinds, cameras, units, tracks or person fields"
    )
    found.raise_if_any()
    result.grantor_agency_id = grantor_agency_id
    result.status = pb.AGREEMENT_STATUS_ACTIVE
    result.revision = 1
    # only the grantee's own signature, and only the grantor's law, may set these
    result.ClearField("attested_at")
    result.ClearField("barred_reason")
    return result


def narrowed(old: pb.Agreement, new: pb.Agreement, now: datetime) -> pb.Agreement:
    """`old` with the terms of `new`, or InvalidInput for each term that would give more than `old` does."""
    require_active(old)
    if new.revision not in (0, old.revision):
        raise Conflict(f"The agreement is at revision {old.revision}, your change is based on {new.revision}: read it again and repeat.")
    found = Findings("agreement")
    result = pb.Agreement()
    result.CopyFrom(new)
    for field in ("grantor_agency_id", "grantee_agency_id"):
        found.require(getattr(new, field) in ("", getattr(old, field)), field, "can't change: revoke this agreement and grant a new one")
        setattr(result, field, getattr(old, field))
    _check_content(found, result, old.camera_ids)
    _check_times(found, result, now, started=True)
    for field in ("alert_kinds", "camera_ids", "person_fields"):
        _require_subset(found, field, getattr(result, field), getattr(old, field))
    for field in ("cameras_live", "cameras_recorded", "cameras_export", "units", "tracks"):
        found.require(getattr(old, field) or not getattr(result, field), field, "would grant what the agreement doesn't")
    for field in ("cameras_only_during_alert", "attestation_required"):
        found.require(getattr(result, field) or not getattr(old, field), field, "is a condition that can't be lifted")
    if old.purposes:
        found.require(bool(result.purposes), "purposes", "an empty list means any purpose: keep at least one of the agreed ones")
        _require_subset(found, "purposes", result.purposes, old.purposes)
    lifted = sorted(set(old.redactions) - set(result.redactions))
    found.require(not lifted, "redactions", f"{', '.join(lifted)} must stay removed")
    _require_shorter(found, old, result)
    _require_inside(found, old, result)
    found.raise_if_any()
    result.agreement_id = old.agreement_id
    result.status = old.status
    result.revision = old.revision + 1
    result.barred_reason = old.barred_reason
    result.ClearField("attested_at")
    if old.HasField("attested_at"):
        result.attested_at.CopyFrom(old.attested_at)
    return result


def without_camera(old: pb.Agreement, camera_id: str) -> pb.Agreement:
    """The agreement after a camera is gone, so that a later one with its id isn't granted by accident."""
    result = pb.Agreement()
    result.CopyFrom(old)
    kept = [granted for granted in old.camera_ids if granted != camera_id]
    del result.camera_ids[:]
    result.camera_ids.extend(kept)
    result.revision = old.revision + 1
    return result


def revoked(old: pb.Agreement) -> pb.Agreement:
    """The agreement after its end. The terms stay readable; the status ends every grant."""
    result = pb.Agreement()
    result.CopyFrom(old)
    result.status = pb.AGREEMENT_STATUS_REVOKED
    result.revision = old.revision + 1
    return result


def attested(old: pb.Agreement, agency_id: str, revision: int, now: datetime) -> pb.Agreement:
    """Signed by the grantee, for the very terms it read (R20). Narrower terms need no new signature: they are part of what was signed."""
    require_active(old)
    if old.grantee_agency_id != agency_id:
        raise Refused("agreement.attest", "Only the agency that receives can attest that it keeps to the terms.")
    if revision != old.revision:
        raise Conflict(f"The agreement is at revision {old.revision}, you read {revision}: read it again and sign that.")
    result = pb.Agreement()
    result.CopyFrom(old)
    result.attested_at.FromDatetime(now)
    result.revision = old.revision + 1
    return result


def require_active(agreement: pb.Agreement) -> None:
    if agreement.status != pb.AGREEMENT_STATUS_ACTIVE:
        raise Conflict(f"Agreement {agreement.agreement_id} was revoked: a new grant is a new agreement.")


def require_grantor(agreement: pb.Agreement, agency_id: str, action: str) -> None:
    if agreement.grantor_agency_id != agency_id:
        raise Refused(action, "Only the agency that grants may change the terms.")


def _check_content(found: Findings, agreement: pb.Agreement, camera_ids: Collection[str]) -> None:
    agreement.title = found.text("title", agreement.title, needed=False)
    for field, allowed in (("alert_kinds", ALERT_KINDS), ("redactions", REDACTIONS), ("person_fields", PERSON_FIELDS)):
        values = _deduplicated(agreement, field)
        unknown = sorted(set(values) - set(allowed))
        found.require(not unknown, field, f"{', '.join(unknown)[:200]} unknown: use {', '.join(sorted(allowed))}")
    if agreement.person_fields:
        found.require("identity" in agreement.person_fields, "person_fields", "needs identity: without a name there is nobody to show")
        found.require(
            not agreement.HasField("area"), "person_fields", "can't be bounded to an area: grant persons in an agreement of their own"
        )
    purposes = _deduplicated(agreement, "purposes")
    found.require(len(purposes) <= PURPOSES_MOST, "purposes", f"at most {PURPOSES_MOST} are allowed")
    found.require(all(_PURPOSE.match(purpose) for purpose in purposes), "purposes", "each is 1 to 64 of a-z, 0-9, '-' and '_'")
    granted = _deduplicated(agreement, "camera_ids")
    found.require(len(granted) <= CAMERAS_MOST, "camera_ids", f"at most {CAMERAS_MOST} are allowed")
    strange = sorted(set(granted) - set(camera_ids))
    found.require(not strange, "camera_ids", f"{', '.join(strange[:5])[:200]}: not cameras that can be granted here")
    found.require(
        agreement.cameras_recorded or not agreement.cameras_export,
        "cameras_export",
        "needs cameras_recorded: what isn't seen isn't exported",
    )
    if agreement.HasField("area"):
        wrong = polygon_violations(agreement.area, "agreement.area")
        found.extend(wrong)
        if not wrong:
            found.require(not crosses_itself(corners(agreement.area)), "area", "its border crosses itself: draw it as one simple ring")


def _deduplicated(agreement: pb.Agreement, field: str) -> list[str]:
    repeated = getattr(agreement, field)
    values = list(dict.fromkeys(repeated))
    del repeated[:]
    repeated.extend(values)
    return values


def _check_times(found: Findings, agreement: pb.Agreement, now: datetime, *, started: bool = False) -> None:
    start = moment(agreement.valid_from, found, "valid_from") if agreement.HasField("valid_from") else None
    end = moment(agreement.valid_until, found, "valid_until") if agreement.HasField("valid_until") else None
    if start is None and not agreement.HasField("valid_from") and not started:
        agreement.valid_from.FromDatetime(now)
    if end is not None:
        found.require(end > (start or now), "valid_until", "must be after the start")
        found.require(started or end > now, "valid_until", "lies in the past")


def _require_subset(found: Findings, field: str, new: Collection[str], old: Collection[str]) -> None:
    more = sorted(set(new) - set(old))
    found.require(not more, field, f"{', '.join(more[:5])[:200]} would be granted anew: that is a new agreement")


def _require_shorter(found: Findings, old: pb.Agreement, new: pb.Agreement) -> None:
    if old.HasField("valid_from"):
        if not new.HasField("valid_from"):
            new.valid_from.CopyFrom(old.valid_from)
        found.require(new.valid_from.ToNanoseconds() >= old.valid_from.ToNanoseconds(), "valid_from", "would start earlier")
    if old.HasField("valid_until"):
        holds = new.HasField("valid_until") and new.valid_until.ToNanoseconds() <= old.valid_until.ToNanoseconds()
        found.require(holds, "valid_until", "would end later: keep the agreed end or an earlier one")


def _require_inside(found: Findings, old: pb.Agreement, new: pb.Agreement) -> None:
    if not old.HasField("area"):
        return
    if not new.HasField("area"):
        found.add("area", "an empty area means everywhere: keep the agreed area or a part of it")
    elif not ring_within(corners(new.area), corners(old.area)):
        found.add("area", "must lie inside the agreed area")


def corners(area: geo_pb2.Polygon) -> list[Point]:
    """(latitude, longitude) in degrees."""
    return [(corner.latitude_deg, corner.longitude_deg) for corner in area.corners]


def stamped(agreement: pb.Agreement, changed_by: str, now: datetime) -> pb.Agreement:
    """With who changed it and when."""
    result = pb.Agreement()
    result.CopyFrom(agreement)
    result.changed_by = changed_by
    result.changed_at.FromDatetime(now)
    return result

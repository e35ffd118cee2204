"""What agreements let one agency see now: cameras, units and alerts of others. One evaluation for all its viewers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_REVOKED, Agreement, Camera
from rtcc_chassis.sharing import camera_grant, in_force
from rtcc_gateway.live.units import UnitShare


@dataclass(frozen=True, slots=True)
class SharedView:
    """`cameras`: camera id -> (camera, agreement id). `agreements`: those in force towards this agency."""

    agreements: Mapping[str, Agreement] = field(default_factory=dict)
    cameras: Mapping[str, tuple[Camera, str]] = field(default_factory=dict)
    units: tuple[UnitShare, ...] = ()
    tracks: tuple[UnitShare, ...] = ()


def shared_view(
    agreements: Iterable[Agreement], cameras: Mapping[str, Camera], viewer_agency_id: str, now: datetime, open_agreement_ids: frozenset[str]
) -> SharedView:
    """Evaluate every agreement towards `viewer_agency_id`. `cameras` by id; `open_agreement_ids`: those with an open shared alert."""
    mine = {
        agreement.agreement_id: agreement
        for agreement in agreements
        if agreement.grantee_agency_id == viewer_agency_id and in_force(agreement, now)
    }
    seen: dict[str, tuple[Camera, str]] = {}
    for agreement in mine.values():
        for camera_id in agreement.camera_ids:
            camera = cameras.get(camera_id)
            if camera is None or camera_id in seen or not camera.enabled:
                continue
            grant = camera_grant([agreement], camera, viewer_agency_id, now, open_agreement_ids)
            if grant is not None:
                seen[camera_id] = (camera, grant.agreement_id)
    # a live picture has no purpose to show, so units and tracks that are bound to one are not in it
    free = [agreement for agreement in mine.values() if not agreement.purposes]
    return SharedView(
        mine, seen, tuple(_share(agreement) for agreement in free if agreement.units), tuple(_share(a) for a in free if a.tracks)
    )


def _share(agreement: Agreement) -> UnitShare:
    return UnitShare(agreement.grantor_agency_id, agreement.agreement_id, agreement.area)


def end_reason(agreement: Agreement | None) -> str:
    """Why a grant is no longer in force, for the people who lose it."""
    if agreement is None or agreement.status == AGREEMENT_STATUS_REVOKED:
        return "revoked"
    return "ended"

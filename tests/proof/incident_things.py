"""Incidents, floor plans and tips for the proofs: how one of each is made."""

import base64
import zlib
from dataclasses import replace

from proof.world import TINY_JPEG, World, patiently
from rtcc.geo.v1 import geo_pb2 as geo
from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope

_PLACE = geo.Position(coordinate=geo.Coordinate(latitude_deg=60.2, longitude_deg=24.95))
_GATEWAY = Scope.platform("gateway")


def _chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")


# 2 x 2 grey pixels, written down by the PNG specification
TINY_PNG = b"".join(
    (
        b"\x89PNG\r\n\x1a\n",
        _chunk(b"IHDR", (2).to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"),
        _chunk(b"IDAT", zlib.compress(b"\x00\x80\x80" * 2)),
        _chunk(b"IEND", b""),
    )
)
CONTROL_POINTS = [
    pb.ControlPoint(x_px=x, y_px=y, coordinate=geo.Coordinate(latitude_deg=60.2 - y * 1e-5, longitude_deg=24.95 + x * 2e-5))
    for x, y in ((0, 0), (2, 0), (2, 2), (0, 2))
]


async def incident(world: World, agency_id: str) -> str:
    scope = replace(world.everything(agency_id), idempotency_key=new_id())
    request = pb.CreateIncidentRequest(kind=f"Kind of {agency_id}", address=f"{agency_id} street {new_id()[-6:]}", position=_PLACE)
    return str((await world.platform.ask("CreateIncident", scope, request)).incident.incident_id)


async def assigned(world: World, agency_id: str) -> tuple[str, str]:
    """(incident, unit on it)"""
    incident_id, unit = await incident(world, agency_id), await world.unit(agency_id)
    await assign(world, agency_id, incident_id, unit.unit_id)
    return incident_id, unit.unit_id


async def assign(world: World, agency_id: str, incident_id: str, unit_id: str) -> None:
    request = pb.AssignUnitRequest(incident_id=incident_id, unit_id=unit_id)
    await patiently(lambda: world.platform.ask("AssignUnit", world.everything(agency_id), request))


async def photo(world: World, agency_id: str) -> tuple[str, str]:
    """(incident, photo)"""
    incident_id = await incident(world, agency_id)
    request = pb.AddIncidentPhotoRequest(incident_id=incident_id, image=TINY_JPEG, caption=f"photo of {agency_id}")
    answer = await world.platform.ask("AddIncidentPhoto", world.everything(agency_id), request)
    return incident_id, answer.entry.photo.photo_id


async def attached(world: World, agency_id: str) -> tuple[str, str]:
    """(incident, alert on it)"""
    incident_id, alert_id = await incident(world, agency_id), await world.alert(agency_id)
    request = pb.AttachAlertRequest(incident_id=incident_id, alert_id=alert_id)
    answer = await patiently(lambda: world.platform.ask("AttachAlert", world.everything(agency_id), request))
    if not answer.won:
        # it joined another test's call by itself, being near it in place and time
        detach = pb.DetachAlertRequest(incident_id=answer.other_incident_id, alert_id=alert_id, reason="proof")
        await world.platform.ask("DetachAlert", world.everything(agency_id), detach)
        assert (await world.platform.ask("AttachAlert", world.everything(agency_id), request)).won
    return incident_id, alert_id


async def free_alert(world: World, agency_id: str) -> str:
    """An alert that incidents knows and that belongs to none: attached once and taken off."""
    incident_id, alert_id = await attached(world, agency_id)
    request = pb.DetachAlertRequest(incident_id=incident_id, alert_id=alert_id, reason="proof")
    await world.platform.ask("DetachAlert", world.everything(agency_id), request)
    return alert_id


async def floor_plan(world: World, agency_id: str) -> str:
    plan = pb.FloorPlan(name=f"Building of {agency_id}", floor="1", address=f"{agency_id} street 1", control_points=CONTROL_POINTS)
    scope = replace(world.everything(agency_id), idempotency_key=new_id())
    answer = await world.platform.ask("CreateFloorPlan", scope, pb.CreateFloorPlanRequest(floor_plan=plan, image=TINY_PNG))
    return str(answer.floor_plan.floor_plan_id)


async def tip(world: World, agency_id: str, *, with_photo: bool = False) -> str:
    """Told by somebody through the form of the agency's open line."""
    line = pb.SetTipLineRequest(tip_line=pb.TipLine(open=True, notice=f"Tips to {agency_id}"))
    await world.platform.ask("SetTipLine", world.everything(agency_id), line)
    text = f"{base64.b32encode(new_id().encode()).decode()} told to {agency_id}"
    request = pb.SubmitTipRequest(agency_id=agency_id, form_key=new_id(), text=text, photo=TINY_JPEG if with_photo else b"")
    return str((await world.platform.ask("SubmitTip", _GATEWAY, request)).tip_id)


async def tip_with_photo(world: World, agency_id: str) -> str:
    return await tip(world, agency_id, with_photo=True)

"""Incidents, floor plans and tips."""

from google.protobuf.message import Message

from proof.incident_things import CONTROL_POINTS, TINY_PNG, assigned, attached, floor_plan, free_alert, incident, photo, tip, tip_with_photo
from proof.requests.building import Builder, asks, asks_of
from proof.world import TINY_JPEG, World
from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.identifiers import new_id


async def _closed(world: World, agency_id: str) -> str:
    incident_id = await incident(world, agency_id)
    request = pb.CloseIncidentRequest(incident_id=incident_id, outcome="resolved")
    await world.platform.ask("CloseIncident", world.everything(agency_id), request)
    return incident_id


async def _floor_plan(world: World, agency_id: str) -> pb.FloorPlan:
    plan_id = await floor_plan(world, agency_id)
    return pb.FloorPlan(floor_plan_id=plan_id, name="Taken over", control_points=CONTROL_POINTS)


async def _submit_tip(world: World, agency_id: str) -> Message:
    await tip(world, agency_id)  # which opens the line
    return pb.SubmitTipRequest(agency_id=agency_id, form_key=new_id(), text="Seen at the station")


async def _tip_line(world: World, agency_id: str) -> pb.TipLine:
    return pb.TipLine(agency_id=agency_id, open=True, notice="Changed")


REQUESTS: dict[str, Builder] = {
    "GetIncident": asks(pb.GetIncidentRequest, incident_id=incident),
    "CreateIncident": asks(pb.CreateIncidentRequest, kind="About an alert", alert_id=free_alert),
    "UpdateIncident": asks(pb.UpdateIncidentRequest, incident_id=incident, title="Changed"),
    "AssignUnit": asks_of(assigned, pb.AssignUnitRequest, "incident_id", "unit_id"),
    "SetUnitStatus": asks_of(assigned, pb.SetUnitStatusRequest, "incident_id", "unit_id", status=pb.UNIT_STATUS_EN_ROUTE),
    "ListTimeline": asks(pb.ListTimelineRequest, incident_id=incident),
    "AddTimelineEntry": asks(pb.AddTimelineEntryRequest, incident_id=incident, text="Changed"),
    "AttachAlert": asks(pb.AttachAlertRequest, incident_id=incident, alert_id=free_alert),
    "DetachAlert": asks_of(attached, pb.DetachAlertRequest, "incident_id", "alert_id", reason="wrong street"),
    "AddIncidentPhoto": asks(pb.AddIncidentPhotoRequest, incident_id=incident, image=TINY_JPEG),
    "GetIncidentPhoto": asks_of(photo, pb.GetIncidentPhotoRequest, "incident_id", "photo_id"),
    "CloseIncident": asks(pb.CloseIncidentRequest, incident_id=incident, outcome="resolved"),
    "ReopenIncident": asks(pb.ReopenIncidentRequest, incident_id=_closed, reason="new facts"),
    "GetArrivalBriefing": asks(pb.GetArrivalBriefingRequest, incident_id=incident),
    "CreateFloorPlan": asks(pb.CreateFloorPlanRequest, floor_plan=_floor_plan, image=TINY_PNG),
    "GetFloorPlanImage": asks(pb.GetFloorPlanImageRequest, floor_plan_id=floor_plan),
    "UpdateFloorPlan": asks(pb.UpdateFloorPlanRequest, floor_plan_id=floor_plan, replace_marks=True),
    "DeleteFloorPlan": asks(pb.DeleteFloorPlanRequest, floor_plan_id=floor_plan),
    "SubmitTip": _submit_tip,
    "GetTipPhoto": asks(pb.GetTipPhotoRequest, tip_id=tip_with_photo),
    "ModerateTip": asks(pb.ModerateTipRequest, tip_id=tip, state=pb.TIP_STATE_ACCEPTED),
    "GroupTip": asks(pb.GroupTipRequest, tip_id=tip, with_tip_id=tip),
    "PromoteTip": asks(pb.PromoteTipRequest, tip_id=tip),
    "SetTipLine": asks(pb.SetTipLineRequest, tip_line=_tip_line),
}

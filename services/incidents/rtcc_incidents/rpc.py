"""rtcc.incidents.v1.IncidentsService: messages to use cases and back."""

from typing import Any

from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc.incidents.v1 import incidents_pb2_grpc
from rtcc_chassis.scope import current_scope
from rtcc_incidents.app.briefing import BriefingApp
from rtcc_incidents.app.floor_plans import FloorPlansApp
from rtcc_incidents.app.incidents import IncidentsApp
from rtcc_incidents.app.timeline import TimelineApp
from rtcc_incidents.app.tips import TipsApp


class IncidentsServicer(incidents_pb2_grpc.IncidentsServiceServicer):
    """The gate has checked rights and purpose before; it audits after."""

    def __init__(
        self, incidents: IncidentsApp, timeline: TimelineApp, briefing: BriefingApp, floor_plans: FloorPlansApp, tips: TipsApp
    ) -> None:
        self._incidents = incidents
        self._timeline = timeline
        self._briefing = briefing
        self._floor_plans = floor_plans
        self._tips = tips

    async def ListIncidents(self, request: pb.ListIncidentsRequest, context: Any) -> pb.ListIncidentsResponse:
        found = await self._incidents.list_incidents(
            current_scope(), include_closed=request.include_closed, number=request.number, limit=request.limit
        )
        return pb.ListIncidentsResponse(incidents=found)

    async def GetIncident(self, request: pb.GetIncidentRequest, context: Any) -> pb.GetIncidentResponse:
        incident = await self._incidents.get(current_scope(), request.incident_id)
        return pb.GetIncidentResponse(incident=incident, floor_plans=await self._incidents.plans_of(current_scope(), incident))

    async def CreateIncident(self, request: pb.CreateIncidentRequest, context: Any) -> pb.CreateIncidentResponse:
        return pb.CreateIncidentResponse(incident=await self._incidents.create(current_scope(), request))

    async def UpdateIncident(self, request: pb.UpdateIncidentRequest, context: Any) -> pb.UpdateIncidentResponse:
        return pb.UpdateIncidentResponse(incident=await self._incidents.update(current_scope(), request))

    async def AssignUnit(self, request: pb.AssignUnitRequest, context: Any) -> pb.AssignUnitResponse:
        return await self._incidents.assign(current_scope(), request)

    async def SetUnitStatus(self, request: pb.SetUnitStatusRequest, context: Any) -> pb.SetUnitStatusResponse:
        return await self._incidents.set_status(current_scope(), request)

    async def ListTimeline(self, request: pb.ListTimelineRequest, context: Any) -> pb.ListTimelineResponse:
        return pb.ListTimelineResponse(entries=await self._timeline.read(current_scope(), request))

    async def AddTimelineEntry(self, request: pb.AddTimelineEntryRequest, context: Any) -> pb.AddTimelineEntryResponse:
        return pb.AddTimelineEntryResponse(entry=await self._timeline.add(current_scope(), request))

    async def AttachAlert(self, request: pb.AttachAlertRequest, context: Any) -> pb.AttachAlertResponse:
        return await self._timeline.attach(current_scope(), request)

    async def DetachAlert(self, request: pb.DetachAlertRequest, context: Any) -> pb.DetachAlertResponse:
        return pb.DetachAlertResponse(incident=await self._timeline.detach(current_scope(), request))

    async def AddIncidentPhoto(self, request: pb.AddIncidentPhotoRequest, context: Any) -> pb.AddIncidentPhotoResponse:
        return pb.AddIncidentPhotoResponse(entry=await self._timeline.add_photo(current_scope(), request))

    async def GetIncidentPhoto(self, request: pb.GetIncidentPhotoRequest, context: Any) -> pb.GetIncidentPhotoResponse:
        return pb.GetIncidentPhotoResponse(jpeg=await self._timeline.photo(current_scope(), request.incident_id, request.photo_id))

    async def CloseIncident(self, request: pb.CloseIncidentRequest, context: Any) -> pb.CloseIncidentResponse:
        return pb.CloseIncidentResponse(incident=await self._incidents.close(current_scope(), request))

    async def ReopenIncident(self, request: pb.ReopenIncidentRequest, context: Any) -> pb.ReopenIncidentResponse:
        return pb.ReopenIncidentResponse(incident=await self._incidents.reopen(current_scope(), request))

    async def GetArrivalBriefing(self, request: pb.GetArrivalBriefingRequest, context: Any) -> pb.GetArrivalBriefingResponse:
        return await self._briefing.brief(current_scope(), request.incident_id)

    async def CreateFloorPlan(self, request: pb.CreateFloorPlanRequest, context: Any) -> pb.CreateFloorPlanResponse:
        return pb.CreateFloorPlanResponse(floor_plan=await self._floor_plans.create(current_scope(), request))

    async def ListFloorPlans(self, request: pb.ListFloorPlansRequest, context: Any) -> pb.ListFloorPlansResponse:
        coordinate = request.coordinate if request.HasField("coordinate") else None
        return pb.ListFloorPlansResponse(floor_plans=await self._floor_plans.list_plans(current_scope(), request.address, coordinate))

    async def GetFloorPlanImage(self, request: pb.GetFloorPlanImageRequest, context: Any) -> pb.GetFloorPlanImageResponse:
        image, content_type = await self._floor_plans.image(current_scope(), request.floor_plan_id)
        return pb.GetFloorPlanImageResponse(image=image, content_type=content_type)

    async def UpdateFloorPlan(self, request: pb.UpdateFloorPlanRequest, context: Any) -> pb.UpdateFloorPlanResponse:
        return pb.UpdateFloorPlanResponse(floor_plan=await self._floor_plans.update(current_scope(), request))

    async def DeleteFloorPlan(self, request: pb.DeleteFloorPlanRequest, context: Any) -> pb.DeleteFloorPlanResponse:
        await self._floor_plans.delete(current_scope(), request.floor_plan_id)
        return pb.DeleteFloorPlanResponse()

    async def SubmitTip(self, request: pb.SubmitTipRequest, context: Any) -> pb.SubmitTipResponse:
        return await self._tips.submit(current_scope(), request)

    async def ListTips(self, request: pb.ListTipsRequest, context: Any) -> pb.ListTipsResponse:
        return pb.ListTipsResponse(tips=await self._tips.list_tips(current_scope(), request))

    async def GetTipPhoto(self, request: pb.GetTipPhotoRequest, context: Any) -> pb.GetTipPhotoResponse:
        return pb.GetTipPhotoResponse(jpeg=await self._tips.photo(current_scope(), request.tip_id))

    async def ModerateTip(self, request: pb.ModerateTipRequest, context: Any) -> pb.ModerateTipResponse:
        return pb.ModerateTipResponse(tip=await self._tips.moderate(current_scope(), request))

    async def GroupTip(self, request: pb.GroupTipRequest, context: Any) -> pb.GroupTipResponse:
        return pb.GroupTipResponse(tip=await self._tips.group(current_scope(), request))

    async def PromoteTip(self, request: pb.PromoteTipRequest, context: Any) -> pb.PromoteTipResponse:
        return await self._tips.promote(current_scope(), request)

    async def GetTipLine(self, request: pb.GetTipLineRequest, context: Any) -> pb.GetTipLineResponse:
        return pb.GetTipLineResponse(tip_line=await self._tips.get_line(current_scope()))

    async def SetTipLine(self, request: pb.SetTipLineRequest, context: Any) -> pb.SetTipLineResponse:
        return pb.SetTipLineResponse(tip_line=await self._tips.set_line(current_scope(), request.tip_line))

"""rtcc.video.v1.FootageSearchService: messages to domain and back."""

from typing import Any

from rtcc.video.v1 import footage_search_pb2 as pb
from rtcc.video.v1 import footage_search_pb2_grpc
from rtcc_chassis.scope import current_scope
from rtcc_video.recording.footage import need_window
from rtcc_video.recording.rpc import moment_of
from rtcc_video.searching.domain import NOTICE, Lead, MotionSpan, Question, buckets, check_threshold, spans, step_of
from rtcc_video.searching.search import FootageSearch

_USUAL_LIMIT = 60


class FootageSearchServicer(footage_search_pb2_grpc.FootageSearchServiceServicer):
    """The gate has checked rights before; it audits after. `labels`: of the model that is configured."""

    def __init__(self, search: FootageSearch, labels: tuple[str, ...]) -> None:
        self._search = search
        self._labels = labels

    async def ListMotion(self, request: pb.ListMotionRequest, context: Any) -> pb.ListMotionResponse:
        window = need_window(moment_of(request, "starts_at"), moment_of(request, "ends_at"))
        threshold = check_threshold(request.threshold)
        found = await self._search.motion(current_scope(), request.camera_ids, *window)
        response = pb.ListMotionResponse(step_s=step_of(*window), threshold=threshold)
        for camera_id, minutes in found.items():
            response.cameras.append(
                pb.CameraMotion(
                    camera_id=camera_id,
                    scores=buckets(minutes, *window),
                    spans=[_span(span) for span in spans(minutes, *window, threshold)],
                )
            )
        return response

    async def SearchFootage(self, request: pb.SearchFootageRequest, context: Any) -> pb.SearchFootageResponse:
        window = need_window(moment_of(request, "starts_at"), moment_of(request, "ends_at"))
        question = Question(*window, tuple(request.kinds), request.colour, request.least_score, request.limit or _USUAL_LIMIT)
        area = request.area if request.HasField("area") else None
        found = await self._search.search(current_scope(), question, request.camera_ids, area)
        return pb.SearchFootageResponse(
            leads=[_lead(lead) for lead in found.leads],
            notice=NOTICE,
            cameras_searched=found.cameras,
            pictures_examined=found.pictures_examined,
            pictures_not_examined=found.pictures_not_examined,
            more=found.more,
            labels=self._labels,
        )


def _span(span: MotionSpan) -> pb.MotionSpan:
    message = pb.MotionSpan(peak=span.peak, scene_change=span.scene_change)
    message.started_at.FromDatetime(span.started_at)
    message.ended_at.FromDatetime(span.ended_at)
    message.peak_at.FromDatetime(span.peak_at)
    return message


def _lead(lead: Lead) -> pb.FootageLead:
    message = pb.FootageLead(
        lead_id=lead.lead_id,
        camera_id=lead.camera_id,
        owner_agency_id=lead.agency_id,
        kind=lead.kind,
        score=lead.score,
        colour=lead.colour,
        model=lead.model,
    )
    if lead.box is not None:
        message.box.left, message.box.top, message.box.width, message.box.height = (
            lead.box.left,
            lead.box.top,
            lead.box.width,
            lead.box.height,
        )
    message.at.FromDatetime(lead.at)
    if lead.ended_at is not None:
        message.ended_at.FromDatetime(lead.ended_at)
    return message

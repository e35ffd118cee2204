"""rtcc.airspace.v1.AirspaceService: message in, use case, message out."""

from typing import Any

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc.airspace.v1 import airspace_pb2_grpc
from rtcc_airspace.app.receiving import Delivery, Receiving
from rtcc_airspace.app.sky import Sky
from rtcc_chassis.scope import current_scope


class AirspaceServicer(airspace_pb2_grpc.AirspaceServiceServicer):
    """The gate has checked rights and purpose before; it audits after."""

    def __init__(self, receiving: Receiving, sky: Sky) -> None:
        self._receiving = receiving
        self._sky = sky

    async def SubmitReception(self, request: pb.SubmitReceptionRequest, context: Any) -> pb.SubmitReceptionResponse:
        delivery = Delivery(request.source_id, request.timestamp, request.delivery_id, request.signature, request.body)
        taken = await self._receiving.submit(delivery)
        return pb.SubmitReceptionResponse(accepted=taken.accepted, rejected=taken.rejected, reasons=taken.reasons)

    async def ListTracks(self, request: pb.ListTracksRequest, context: Any) -> pb.ListTracksResponse:
        box = request.box if request.HasField("box") else None
        return pb.ListTracksResponse(tracks=self._sky.tracks(current_scope(), box))

    async def SearchTracks(self, request: pb.SearchTracksRequest, context: Any) -> pb.SearchTracksResponse:
        # `from` is a word of Python's own
        since = getattr(request, "from") if request.HasField("from") else None
        until = request.until if request.HasField("until") else None
        tracks = await self._sky.search(current_scope(), request.serial_number, since, until, request.limit)
        return pb.SearchTracksResponse(tracks=tracks)

    async def GetTrackPath(self, request: pb.GetTrackPathRequest, context: Any) -> pb.GetTrackPathResponse:
        since = getattr(request, "from") if request.HasField("from") else None
        until = request.until if request.HasField("until") else None
        track, points, thinned = await self._sky.path(current_scope(), request.track_id, since, until, request.limit)
        return pb.GetTrackPathResponse(track=track, points=points, thinned=thinned)

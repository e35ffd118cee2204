"""The contract's methods: message in, use case, message out."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from rtcc.location.v1 import location_pb2 as pb
from rtcc.location.v1 import location_pb2_grpc
from rtcc_chassis.access import touched
from rtcc_chassis.errors import RtccError
from rtcc_chassis.scope import current_scope
from rtcc_location.app.devices import Devices
from rtcc_location.app.trail import Trails
from rtcc_location.app.uplink import Taken, Uplink
from rtcc_location.app.vehicles import Vehicles
from rtcc_location.app.whereabouts import Whereabouts
from rtcc_location.domain.fixes import REASONS_MOST


class LocationServicer(location_pb2_grpc.LocationServiceServicer):
    """`stream_window`: messages of one stream that may wait to become durable before the device is held back."""

    def __init__(
        self, devices: Devices, uplink: Uplink, vehicles: Vehicles, whereabouts: Whereabouts, trails: Trails, stream_window: int
    ) -> None:
        self._devices = devices
        self._uplink = uplink
        self._vehicles = vehicles
        self._whereabouts = whereabouts
        self._trails = trails
        self._stream_window = stream_window

    async def StreamFixes(self, request_iterator: AsyncIterator[pb.StreamFixesRequest], context: Any) -> pb.StreamFixesResponse:
        """Counts what is durable. When the platform can't store, the answer comes at once: the device resends what it doesn't count."""
        scope = current_scope()
        answer = pb.StreamFixesResponse()
        under_way: deque[asyncio.Task[Taken]] = deque()
        try:
            async for request in request_iterator:
                unit = self._devices.reporting_for(scope)
                under_way.append(asyncio.create_task(self._uplink.take(unit, request.fixes)))
                while len(under_way) >= self._stream_window:
                    _count(answer, await under_way.popleft())
            while under_way:
                _count(answer, await under_way.popleft())
        except RtccError as error:
            if not answer.accepted and not answer.rejected:
                raise
            answer.reasons.append(f"stopped: {error.message}")
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
        return answer

    async def SubmitFixes(self, request: pb.SubmitFixesRequest, context: Any) -> pb.SubmitFixesResponse:
        unit = self._devices.authenticated(request.device_id, request.device_key)
        touched(f"unit:{unit.unit_id}", owner_agency_id=unit.agency_id)
        answer = pb.SubmitFixesResponse()
        _count(answer, await self._uplink.take(unit, request.fixes))
        return answer

    async def SubmitVehicles(self, request: pb.SubmitVehiclesRequest, context: Any) -> pb.SubmitVehiclesResponse:
        scope = current_scope()
        touched(f"source:{request.source_id}")
        answer = pb.SubmitVehiclesResponse()
        _count(answer, await self._vehicles.take(scope.agency_id, request.source_id, request.vehicles))
        return answer

    async def ListPositions(self, request: pb.ListPositionsRequest, context: Any) -> pb.ListPositionsResponse:
        box = request.box if request.HasField("box") else None
        return pb.ListPositionsResponse(positions=self._whereabouts.last_known(current_scope(), box))

    async def FindNearest(self, request: pb.FindNearestRequest, context: Any) -> pb.FindNearestResponse:
        coordinate = request.coordinate if request.HasField("coordinate") else None
        return pb.FindNearestResponse(units=self._whereabouts.nearest(current_scope(), coordinate, request.limit, request.max_age_s))

    async def GetTrail(self, request: pb.GetTrailRequest, context: Any) -> pb.GetTrailResponse:
        return await self._trails.trail(current_scope(), request)


def _count(answer: pb.StreamFixesResponse | pb.SubmitFixesResponse | pb.SubmitVehiclesResponse, taken: Taken) -> None:
    answer.accepted += taken.accepted
    answer.rejected += taken.rejected
    answer.reasons.extend(taken.reasons[: max(0, REASONS_MOST - len(answer.reasons))])

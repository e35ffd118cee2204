"""Vehicles of public feeds, handed to the location service."""

from collections.abc import Sequence
from typing import Any

import grpc

from rtcc.location.v1 import location_pb2
from rtcc.location.v1.location_pb2_grpc import LocationServiceStub
from rtcc_chassis.errors import from_rpc
from rtcc_chassis.rpc import Channels
from rtcc_chassis.scope import Scope
from rtcc_chassis.signed_sources import RegisteredSource
from rtcc_chassis.tokens import TokenIssuer

_TIMEOUT_S = 10.0


class LocationVehicles:
    """Implements `app.ports.Vehicles`."""

    def __init__(self, channels: Channels, tokens: TokenIssuer) -> None:
        self._channels = channels
        self._tokens = tokens

    async def submit(self, source: RegisteredSource, vehicles: Sequence[location_pb2.Vehicle]) -> location_pb2.SubmitVehiclesResponse:
        """For the source's agency. Raises the location service's error."""
        stub: Any = self._channels.stub("location", LocationServiceStub)
        request = location_pb2.SubmitVehiclesRequest(source_id=source.source_id, vehicles=vehicles)
        metadata = self._tokens.metadata(Scope.service("intake", source.agency_id))
        try:
            answer: location_pb2.SubmitVehiclesResponse = await stub.SubmitVehicles(request, metadata=metadata, timeout=_TIMEOUT_S)
        except grpc.RpcError as error:
            raise from_rpc(error) from error
        return answer

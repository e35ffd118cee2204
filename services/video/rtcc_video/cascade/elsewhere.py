"""The other relays as this one uses them: a camera's pictures from its origin, and what only they know of an agency's cameras."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Final

import grpc

from rtcc.video.v1 import relay_pb2 as pb
from rtcc.video.v1 import relay_pb2_grpc
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import NotFound, RtccError, from_rpc
from rtcc_chassis.scope import Scope
from rtcc_video.cascade.edge import RETRY_S, CascadeSource, StreamPlace
from rtcc_video.cascade.fence import Answer
from rtcc_video.cascade.placement import Placement
from rtcc_video.cascade.wire import TICKET_BYTES
from rtcc_video.feed import Feed
from rtcc_video.sources.source import Source, SourceFailed

_log = logging.getLogger(__name__)

_ANSWER_S: Final = 2.0


class OtherRelays:
    """See `feeds.Elsewhere`."""

    def __init__(self, ctx: ServiceContext, placement: Placement, picture_limit_bytes: int) -> None:
        self._ctx = ctx
        self._placement = placement
        self._limit_bytes = picture_limit_bytes

    @property
    def relays(self) -> int:
        """How many live, this one among them."""
        return self._placement.relays

    def origin(self, camera_id: str) -> str:
        """See `Placement`."""
        return self._placement.origin(camera_id)

    def here(self, camera_id: str) -> bool:
        """See `Placement`."""
        return self._placement.here(camera_id)

    def sent(self, camera_id: str) -> bool:
        """See `Placement`."""
        return self._placement.sent(camera_id)

    def publish(self, camera_id: str, sends: bool) -> None:
        """See `Placement`."""
        self._placement.publish(camera_id, sends)

    def source(self, agency_id: str, feed: Feed) -> Source:
        """The pictures of a stream from the relay that takes it from its camera."""

        async def take() -> StreamPlace:
            return await self._take(agency_id, feed.camera_id, feed.stream_id)

        return CascadeSource(take, feed, self._limit_bytes, self._viewers_of(feed), self._tls, feed.stream.sound.open())

    async def describe(self, scope: Scope) -> list[pb.DescribeRelayResponse]:
        """What the other relays know of an agency; those that don't answer are left out."""
        asked = Scope.service(self._ctx.name, scope.agency_id)
        answers = await asyncio.gather(*(self._describe(relay.rpc_address, asked) for relay in self._placement.others()))
        return [answer for answer in answers if answer is not None]

    async def heard(self) -> list[Answer]:
        """Whom each of the other relays hears."""
        return list(await asyncio.gather(*(self._heard(relay.rpc_address) for relay in self._placement.others())))

    async def _heard(self, address: str) -> Answer:
        try:
            stub = relay_pb2_grpc.RelayServiceStub(self._ctx.channels.at(address))
            answer: pb.HearRelaysResponse = await stub.HearRelays(
                pb.HearRelaysRequest(),
                metadata=self._ctx.tokens.metadata(Scope.platform(self._ctx.name)),
                timeout=_ANSWER_S,
                wait_for_ready=False,
            )
        except (grpc.RpcError, grpc.aio.UsageError, grpc.aio.InternalError, RtccError) as error:
            _log.warning("the relay at %s doesn't tell whom it hears: %s", address, error)
            return None
        return frozenset(answer.relay_ids)

    async def _describe(self, address: str, scope: Scope) -> pb.DescribeRelayResponse | None:
        stub = relay_pb2_grpc.RelayServiceStub(self._ctx.channels.at(address))
        try:
            answer: pb.DescribeRelayResponse = await stub.DescribeRelay(
                pb.DescribeRelayRequest(), metadata=self._ctx.tokens.metadata(scope), timeout=_ANSWER_S, wait_for_ready=False
            )
        except (grpc.RpcError, grpc.aio.UsageError, grpc.aio.InternalError) as error:
            _log.warning("the relay at %s doesn't tell what it knows: %s", address, error)
            return None
        return answer

    async def _take(self, agency_id: str, camera_id: str, stream_id: str) -> StreamPlace:
        address = self._placement.address(self._placement.origin(camera_id))
        if not address:
            raise SourceFailed("The relay that takes this camera's pictures is being replaced.", retry_s=RETRY_S)
        request = pb.TakeStreamRequest(camera_id=camera_id, stream_id=stream_id, relay_id=self._placement.relay_id)
        stub = relay_pb2_grpc.RelayServiceStub(self._ctx.channels.at(address))
        metadata = self._ctx.tokens.metadata(Scope.service(self._ctx.name, agency_id))
        try:
            answer: pb.TakeStreamResponse = await stub.TakeStream(request, metadata=metadata, timeout=_ANSWER_S, wait_for_ready=False)
        except grpc.RpcError as error:
            told = from_rpc(error)
            _log.info("camera %s isn't given by the relay at %s: %s", camera_id, address, told.message)
            cut_off = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
            reason = "The relay that takes this camera's pictures doesn't give them now."
            raise SourceFailed(reason, lasting=isinstance(told, NotFound), retry_s=RETRY_S, cut_off=cut_off) from error
        except (grpc.aio.UsageError, grpc.aio.InternalError, RtccError) as error:
            raise SourceFailed("The relay that takes this camera's pictures can't be reached.", retry_s=RETRY_S, cut_off=True) from error
        host, _, port = answer.cascade_address.rpartition(":")
        if not host or not port.isdigit() or len(answer.ticket) != TICKET_BYTES:
            raise SourceFailed("The relay that takes this camera's pictures gives no place to take them.", retry_s=RETRY_S)
        return StreamPlace(host.strip("[]"), int(port), answer.ticket, answer.gives_sound)

    def _tls(self) -> ssl.SSLContext | None:
        """TLS wherever gRPC between services has it; made anew each time, so that a renewed authority counts."""
        settings = self._ctx.settings
        if not settings.tls_certificate_file:
            return None
        context = ssl.create_default_context(cafile=settings.tls_authority_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context

    @staticmethod
    def _viewers_of(feed: Feed) -> Callable[[], int]:
        return lambda: feed.stream.viewers

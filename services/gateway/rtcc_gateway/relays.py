"""Which relay of the video service a call goes to: the one that holds the session, or the best for a new one."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status

from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import NotFound
from rtcc_chassis.members import Members
from rtcc_chassis.relays import SERVICE, Relay, origin_of, read_lease, relay_of
from rtcc_chassis.rpc import CallRule

_LOG = logging.getLogger(__name__)

# what a camera's origin may be busier and still be chosen: its viewers cost no second copy of the stream
_ORIGIN_BONUS: Final = 0.15
_TRIES: Final = 3
# of a relay that may just have died, while another could answer
ANSWER_S: Final = 2.0
_FOR_A_CAMERA: Final = frozenset({"OpenViewer", "OpenHlsViewer", "GetSnapshot", "OpenPublisher", "RelayPublisher"})
_SESSION_FIELDS: Final = ("viewer_id", "publisher_id")


@dataclass(slots=True)
class Places:
    """Where to try a call; none: wherever the service answers. `held`: only there is what it is about."""

    addresses: list[str] = field(default_factory=list)
    held: bool = False


class Relays:
    """Follows the relays' leases."""

    def __init__(self, ctx: ServiceContext) -> None:
        self._ctx = ctx
        self.members: Members[Relay] = Members(SERVICE, read_lease)

    async def start(self, on_ending: Callable[[str, bool], None]) -> None:
        """`on_ending(relay id, whether it is lost)`: who watches there should open its views anew."""

        def on_change(relay_id: str, before: Relay | None, now: Relay | None) -> None:
            if before is None:
                return
            if now is None:
                on_ending(relay_id, True)
                self._ctx.lifecycle.spawn(self._ctx.channels.forget(before.rpc_address), "gateway forgets a relay")
            elif now.draining and not before.draining:
                on_ending(relay_id, False)

        self.members.on_change(on_change)
        await self.members.follow(self._ctx.bus)
        self._ctx.lifecycle.spawn(self.members.run(self._ctx.bus), "gateway relays")

    def places(self, rule: CallRule, message: Message) -> Places:
        """Where to try a call, the best place first. Raises `NotFound` when its session is gone."""
        if rule.service != SERVICE:
            return Places()
        live = self.members.live()
        for name in _SESSION_FIELDS:
            session_id = getattr(message, name, "")
            relay_id = relay_of(session_id)
            if relay_id and live:
                holder = live.get(relay_id)
                if holder is None:
                    raise NotFound(name.removesuffix("_id"), session_id[:80])
                return Places([holder.rpc_address], held=True)
        camera_id = getattr(message, "camera_id", "") if rule.method in _FOR_A_CAMERA else ""
        return Places([relay.rpc_address for relay in ranked(list(live.values()), camera_id)[:_TRIES]])


def ranked(relays: list[Relay], camera_id: str) -> list[Relay]:
    """Those that don't drain, the least loaded first; a camera's origin has a start over the others. With none left, the draining ones."""
    ready = [relay for relay in relays if not relay.draining] or relays
    origin = origin_of(camera_id, ready) if camera_id else ""
    return sorted(ready, key=lambda relay: (relay.load - (_ORIGIN_BONUS if relay.relay_id == origin else 0.0), relay.relay_id))


def unreachable(error: grpc.RpcError, *, hurried: bool) -> bool:
    """Whether nobody answered: an error of the service itself carries its details. `hurried`: nor in the time that such a call takes."""
    if hurried and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return True
    return error.code() is grpc.StatusCode.UNAVAILABLE and rpc_status.from_call(error) is None

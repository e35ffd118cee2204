"""The relays of the video service as their leases tell: for the relays themselves, and for who sends viewers to them."""

from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from rtcc.video.v1.relay_pb2 import RelayLease
from rtcc_chassis.members import Beat, owner_of

SERVICE = "video"
_ID_LENGTH = 16
_HEX = frozenset("0123456789abcdef")
_ADDRESS_MOST = 300
_PUBLISHING_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Relay:
    """A relay as its lease says. `load`: 0 nothing to do, 1 full. `publishing`: the cameras whose devices send to it."""

    relay_id: str
    rpc_address: str
    draining: bool = False
    load: float = 0.0
    viewers: int = 0
    publishing: frozenset[str] = frozenset()


def read_lease(data: bytes) -> Beat[Relay]:
    """A heartbeat of a relay. Raises `ValueError`."""
    try:
        lease = RelayLease.FromString(data)
    except DecodeError as error:
        raise ValueError(f"{len(data)} bytes are no lease: {error}") from error
    if len(lease.relay_id) != _ID_LENGTH or not _HEX.issuperset(lease.relay_id):
        raise ValueError("its relay_id is not 16 hexadecimal digits")
    if not lease.rpc_address or len(lease.rpc_address) > _ADDRESS_MOST or len(lease.publishing_camera_ids) > _PUBLISHING_MOST:
        raise ValueError("it has no address, or too much in it")
    load = lease.load if 0.0 <= lease.load <= 1.0 else 1.0
    publishing = frozenset(lease.publishing_camera_ids)
    relay = Relay(lease.relay_id, lease.rpc_address, lease.draining, load, lease.viewers, publishing)
    return Beat(lease.relay_id, lease.lease_ms / 1000, lease.gone, relay)


def origin_of(camera_id: str, relays: Iterable[Relay]) -> str:
    """The relay that takes a camera's pictures: the one its device sends to, else whose it is among those that don't drain."""
    ready: list[str] = []
    for relay in relays:
        if camera_id in relay.publishing:
            return relay.relay_id
        if not relay.draining:
            ready.append(relay.relay_id)
    return owner_of(camera_id, ready)


def relay_of(session_id: str) -> str:
    """The relay that holds a view or publication: what stands before the dot; "" when it names none."""
    relay_id, dot, _ = session_id.partition(".")
    return relay_id if dot and len(relay_id) == _ID_LENGTH else ""

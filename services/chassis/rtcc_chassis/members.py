"""The live processes of a service whose callers must reach the right one of them: leases by heartbeat, and whose a thing is.

Heartbeats are core NATS messages on `member.<service>`: state that is sent again anyway, and nothing that a disk has to hold.
"""

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from nats.aio.msg import Msg

from rtcc_chassis.bus import Bus
from rtcc_chassis.errors import RtccError

_LOG = logging.getLogger(__name__)

BEAT_S: Final = 0.25
_LOOK_S: Final = 0.2
# one look counts for at most so much: a watcher that was held up itself, or had no bus, has no say about others
_MOST_A_LOOK_S: Final = 0.4
_ECHO_S: Final = 0.5
_MOST_MEMBERS: Final = 256
_LONGEST_LEASE_S: Final = 60.0


def subject_of(service: str) -> str:
    """Where the members of a service tell that they live."""
    return f"member.{service}"


def owner_of(key: str, member_ids: Iterable[str]) -> str:
    """Whose `key` is, "" without members: rendezvous hashing (Thaler and Ravishankar, 1998).

    Everybody who knows the same members gets the same answer, and a member that comes or goes moves its own keys alone.
    """
    return max(member_ids, key=lambda member_id: (_weight(key, member_id), member_id), default="")


def _weight(key: str, member_id: str) -> bytes:
    return hashlib.blake2b(f"{member_id}\0{key}".encode(), digest_size=8).digest()


@dataclass(frozen=True, slots=True)
class Beat[M]:
    """One heartbeat as read: who, for how long it counts, whether it was the last word, and what else it says."""

    member_id: str
    lease_s: float
    gone: bool
    body: M


class Members[M]:
    """Who lives. `read` makes a `Beat` of a message, raising `ValueError` for what is none. All on the event loop.

    The clock for leases runs only while this process hears itself over the bus and isn't held up, so that neither an outage of NATS nor a
    busy moment here makes anybody lost.
    """

    def __init__(self, service: str, read: Callable[[bytes], Beat[M]], clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._read = read
        self._clock = clock
        self._now_s = 0.0
        self._looked_s = clock()
        self._heard_s = clock()
        self._beats: dict[str, tuple[Beat[M], float]] = {}
        self._callbacks: list[Callable[[str, M | None, M | None], None]] = []

    def get(self, member_id: str) -> M | None:
        """What a live member says of itself."""
        found = self._beats.get(member_id)
        return found[0].body if found is not None else None

    def live(self) -> dict[str, M]:
        """Everybody who lives, by id."""
        return {member_id: beat.body for member_id, (beat, _) in self._beats.items()}

    @property
    def unheard_s(self) -> float:
        """For how long nothing that this process sent came back over the bus: by then the others may hear nothing of it either."""
        return self._clock() - self._heard_s

    def on_change(self, callback: Callable[[str, M | None, M | None], None]) -> None:
        """`callback(id, before, now)` after each difference; None stands for absent. Must be quick."""
        self._callbacks.append(callback)

    def take(self, data: bytes) -> None:
        """A heartbeat; what can't be read is logged and ignored."""
        try:
            beat = self._read(data)
        except ValueError as error:
            _LOG.warning("%s: a heartbeat can't be read: %s", subject_of(self._service), error)
            return
        if beat.gone:
            self._remove(beat.member_id)
            return
        known = self._beats.get(beat.member_id)
        if known is None and len(self._beats) >= _MOST_MEMBERS:
            _LOG.error("%s has more than %d members: %s is left out", self._service, _MOST_MEMBERS, beat.member_id)
            return
        self._beats[beat.member_id] = (beat, self._now_s + min(beat.lease_s, _LONGEST_LEASE_S))
        before = known[0].body if known is not None else None
        if before != beat.body:
            self._tell(beat.member_id, before, beat.body)

    def look(self) -> None:
        """Lets the clock run on and takes out who wasn't heard for its lease: to be called several times a second while the bus answers."""
        now_s = self._clock()
        self._now_s += min(now_s - self._looked_s, _MOST_A_LOOK_S)
        self._looked_s = now_s
        for member_id in [member_id for member_id, (_, until_s) in self._beats.items() if until_s < self._now_s]:
            _LOG.warning("%s: %s isn't heard any more", self._service, member_id)
            self._remove(member_id)

    async def follow(self, bus: Bus) -> None:
        """Listens from now on; spawn `run` beside it."""

        async def hear(message: Msg) -> None:
            self.take(message.data)

        await bus.subscribe_core(subject_of(self._service), hear)

    async def run(self, bus: Bus) -> None:
        """Looks for ever."""
        # not a flush: one that times out breaks the client's connection when its answer comes after all
        inbox, self._heard_s = bus.client.new_inbox(), self._clock()

        async def echo(_: Msg) -> None:
            self._heard_s = self._clock()

        await bus.subscribe_core(inbox, echo)
        while True:
            await asyncio.sleep(_LOOK_S)
            with contextlib.suppress(RtccError):
                await bus.publish_core(inbox, b"")
            if self.unheard_s < _ECHO_S:
                self.look()
            else:
                self._looked_s = self._clock()

    def _remove(self, member_id: str) -> None:
        found = self._beats.pop(member_id, None)
        if found is not None:
            self._tell(member_id, found[0].body, None)

    def _tell(self, member_id: str, before: M | None, now: M | None) -> None:
        for callback in self._callbacks:
            try:
                callback(member_id, before, now)
            except Exception:
                _LOG.exception("%s: a callback for %s failed", self._service, member_id)

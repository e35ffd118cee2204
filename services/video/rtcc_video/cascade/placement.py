"""Whose a camera is: the relay that its device sends to, else the one that hashing picks among those that live and don't drain."""

from collections.abc import Callable
from typing import Protocol

from rtcc_chassis.members import owner_of
from rtcc_chassis.relays import Relay


class LiveRelays(Protocol):
    """The part of `Members` that is needed here."""

    def get(self, member_id: str) -> Relay | None: ...

    def live(self) -> dict[str, Relay]: ...

    def on_change(self, callback: Callable[[str, Relay | None, Relay | None], None]) -> None: ...


class Placement:
    """As this relay sees it. `alone`: it takes no part in a cascade, and every camera is its own."""

    def __init__(self, relay_id: str, relays: LiveRelays, *, alone: bool = False) -> None:
        self.relay_id = relay_id
        self.alone = alone
        self.draining = False
        self._cut_off = False
        self._relays = relays
        self._publishing: frozenset[str] = frozenset()
        self._candidates: tuple[str, ...] = (relay_id,)
        self._senders: dict[str, str] = {}
        self._origins: dict[str, str] = {}
        self._on_change: list[Callable[[], None]] = []
        self._on_claim: list[Callable[[frozenset[str]], None]] = []
        relays.on_change(self._hear)

    @property
    def publishing(self) -> frozenset[str]:
        """The cameras whose devices send to this relay."""
        return self._publishing

    @property
    def relays(self) -> int:
        """How many relays live, this one among them."""
        return 1 if self.alone else 1 + sum(relay_id != self.relay_id for relay_id in self._relays.live())

    def on_change(self, callback: Callable[[], None]) -> None:
        """Called when cameras may have got another origin."""
        self._on_change.append(callback)

    def on_claim(self, callback: Callable[[frozenset[str]], None]) -> None:
        """Called with cameras whose devices began to send to another relay."""
        self._on_claim.append(callback)

    def origin(self, camera_id: str) -> str:
        """The relay that takes the camera's pictures, records them and gives them to the others."""
        if self.alone or camera_id in self._publishing:
            return self.relay_id
        sender = self._senders.get(camera_id)
        if sender is not None:
            return sender
        found = self._origins.get(camera_id)
        if found is None:
            found = self._origins[camera_id] = owner_of(camera_id, self._candidates)
        return found

    def here(self, camera_id: str) -> bool:
        """Whether this relay is the origin."""
        return self.origin(camera_id) == self.relay_id

    def sent(self, camera_id: str) -> bool:
        """Whether the camera's device sends, to whichever relay."""
        return camera_id in self._publishing or camera_id in self._senders

    def address(self, relay_id: str) -> str:
        """Where its gRPC answers; "" when it doesn't live."""
        relay = self._relays.get(relay_id)
        return relay.rpc_address if relay is not None else ""

    def others(self) -> list[Relay]:
        """Every other live relay."""
        return [] if self.alone else [relay for relay_id, relay in self._relays.live().items() if relay_id != self.relay_id]

    def publish(self, camera_id: str, sends: bool) -> None:
        """A camera's device begins or ends to send to this relay."""
        self._publishing = self._publishing | {camera_id} if sends else self._publishing - {camera_id}
        self._tell()

    def drain(self) -> None:
        """From now on this relay is nobody's origin, unless it is the only one."""
        self.draining = True
        self._refresh()

    @property
    def cut_off(self) -> bool:
        """Whether it has let go of its cameras because it isn't heard."""
        return self._cut_off

    def let_go(self, cut_off: bool) -> None:
        """Not heard by the others, this relay is the origin of those cameras alone whose devices send to it, until it is heard again."""
        self._cut_off = cut_off
        self._refresh()

    def _hear(self, relay_id: str, before: Relay | None, now: Relay | None) -> None:
        if self.alone or relay_id == self.relay_id:
            return
        claimed = (now.publishing if now else frozenset()) - (before.publishing if before else frozenset())
        ours = claimed & self._publishing
        if ours:
            for callback in self._on_claim:
                callback(ours)
        self._refresh()

    def _refresh(self) -> None:
        others = self.others()
        ready = [relay.relay_id for relay in others if not relay.draining]
        own = [] if (self.draining or self._cut_off) and ready else [self.relay_id]
        candidates = tuple(sorted(own + ready))
        senders = {camera_id: relay.relay_id for relay in others for camera_id in relay.publishing}
        if (candidates, senders) != (self._candidates, self._senders):
            self._candidates, self._senders, self._origins = candidates, senders, {}
            self._tell()

    def _tell(self) -> None:
        for callback in self._on_change:
            callback()

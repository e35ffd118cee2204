"""One kind of thing (alerts, calls, incidents) of one agency: recorded for everybody who gets it, then sent, encoded once."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import Counter

from rtcc_chassis.access import AuditDraft, Outcome
from rtcc_chassis.clock import Clock
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import RtccError
from rtcc_chassis.telemetry import continued
from rtcc_gateway.live.book import Book, Entry
from rtcc_gateway.live.frames import frame, listed
from rtcc_gateway.live.socket import LiveSocket

_LOG = logging.getLogger(__name__)
PLACE = "GET /v1/live"
DELIVERED = Counter("rtcc_gateway_live_delivered", "Alerts and calls sent to live sockets.", ["feed"])
_AUDIT_RETRY_S = 0.5
_BATCH = 200


class Feed:
    """`kind` is the frame's field, `action` the right that a viewer needs, `object_kind` the word in the audit log."""

    def __init__(self, ctx: ServiceContext, kind: str, action: str, object_kind: str, floor: int, cursor: Callable[[], str]) -> None:
        self.kind = kind
        self.action = action
        self._object_kind = object_kind
        self._ctx = ctx
        self._clock: Clock = ctx.clock
        self._cursor = cursor
        self.book = Book(floor)
        # the newest sequence that every viewer of this agency has been sent
        self.sent_sequence = floor
        self.sockets: set[LiveSocket] = set()
        self.seeded = False
        self._pending: dict[str, Entry] = {}
        self._due = asyncio.Event()

    def accept(self, entry: Entry) -> None:
        """A new state from the stream; one seen before is dropped here."""
        if self.book.apply(entry):
            # only the newest state of a key is sent: it holds everything
            self._pending.pop(entry.key, None)
            self._pending[entry.key] = entry
            self._due.set()

    def seed(self, entries: Iterable[Entry]) -> None:
        """What stood when the first viewer came; the stream may already know better."""
        for entry in entries:
            self.book.apply(entry)
        self.seeded = True

    def remove(self, keys: Sequence[str]) -> None:
        """A grant ended: it is neither sent nor kept any more."""
        for key in keys:
            self.book.remove(key)
            self._pending.pop(key, None)

    def starting_entries(self, sequence: int | None) -> tuple[list[Entry], bool]:
        """What a socket must get first, and whether that resumes at `sequence`."""
        missed = self.book.since(sequence) if sequence is not None else None
        return (self.book.open_entries(), False) if missed is None else (missed, True)

    async def audit(self, sockets: Sequence[LiveSocket], entries: Sequence[Entry]) -> None:
        """Who gets what, durable before it is sent (R8). Raises Unavailable when the log doesn't take it (R11)."""
        drafts = []
        for owner, agreement_id in {(entry.owner_agency_id, entry.agreement_id) for entry in entries}:
            object_ids = tuple(
                f"{self._object_kind}:{entry.key}"
                for entry in entries
                if (entry.owner_agency_id, entry.agreement_id) == (owner, agreement_id)
            )
            drafts += [
                AuditDraft(
                    self.action, PLACE, Outcome.ALLOWED, socket.scope, object_ids=object_ids, owner_agency_id=owner,
                    agreement_id=agreement_id, bytes_out=sum(len(entry.payload) for entry in entries),
                )
                for socket in sockets
            ]  # fmt: skip
        if drafts:
            await self._ctx.access.record_many(drafts)

    async def run(self) -> None:
        """Deliver for ever: batches grow by themselves while the log is being written."""
        while True:
            await self._due.wait()
            self._due.clear()
            batch = [self._pending.pop(key) for key in list(self._pending)[:_BATCH]]
            if self._pending:
                self._due.set()
            if batch:
                await self._deliver(batch)

    async def _deliver(self, batch: list[Entry]) -> None:
        recipients = [socket for socket in self.sockets if not socket.closed]
        while recipients:
            try:
                await self.audit(recipients, batch)
                break
            except RtccError as error:
                # R11: nothing is shown that can't be recorded; it is kept and sent when the log is back
                _LOG.warning("live %s waits for the audit log: %s", self.kind, error.message)
                await asyncio.sleep(_AUDIT_RETRY_S)
                recipients = [socket for socket in recipients if not socket.closed]
        # what was revoked while the log was written must not leave
        batch = [entry for entry in batch if self.book.get(entry.key) is not None]
        if not batch:
            return
        self.sent_sequence = max(self.sent_sequence, *(entry.sequence for entry in batch))
        now = self._clock()
        shared = frame(self.kind, listed((entry.payload for entry in batch), snapshot=False), now, self._cursor())
        for socket in recipients:
            if socket not in self.sockets:
                continue
            floor = socket.floors.get(self.kind, 0)
            newer = [entry for entry in batch if entry.sequence > floor or entry.sequence == 0]
            if len(newer) == len(batch):
                socket.send(shared)
            elif newer:
                socket.send(frame(self.kind, listed((entry.payload for entry in newer), snapshot=False), now, self._cursor()))
        DELIVERED.labels(self.kind).inc(len(batch) * len(recipients))
        for entry in batch:
            if entry.headers and "traceparent" in entry.headers:
                with continued(f"deliver {self.kind}", entry.headers):
                    pass

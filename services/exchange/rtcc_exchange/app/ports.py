"""What the use cases need of the store and the bus."""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rtcc.exchange.v1 import exchange_pb2 as pb
from rtcc_chassis.scope import Scope


@dataclass(frozen=True, slots=True)
class Message:
    """One copy on its way: `number` orders them."""

    number: int
    grantee_agency_id: str
    subject: str
    message_id: str
    body: bytes


class Work(Protocol):
    """One transaction of one scope."""

    async def subscription(self, subscription_id: str) -> pb.Subscription | None: ...

    async def subscriptions(self) -> list[pb.Subscription]:
        """Those that the scope gives or gets, ordered by id."""

    async def put_subscription(self, subscription: pb.Subscription) -> None:
        """Store and tell the directory."""

    async def delete_subscription(self, subscription: pb.Subscription) -> None: ...

    async def shared(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], pb.SharedAlert]:
        """Locked copies by (grantee, alert id)."""

    async def shared_under(self, agreement_id: str) -> list[pb.SharedAlert]:
        """Locked."""

    async def newest_shared(self, limit: int) -> list[pb.SharedAlert]:
        """Of the scope's agency, newest first."""

    async def open_agreements(self) -> frozenset[str]:
        """Agreements under which the scope's agency has an open alert."""

    async def put_shared(self, shared: pb.SharedAlert, message_id: str) -> None:
        """Store the copy, tell the directory when it opens or closes, and put its message on the way."""

    async def delete_shared(self, shared: pb.SharedAlert) -> None: ...

    async def tell_grantor(self, shared: pb.SharedAlert, message_id: str) -> None:
        """Put the acknowledgement on its way to the grantor."""

    async def sent_sequences(self, agreement_id: str, alert_ids: Collection[str] | None) -> list[int]:
        """Where messages under an agreement stand in the stream; `alert_ids` None: all."""

    async def forget_deliveries(self, agreement_id: str, alert_ids: Collection[str] | None) -> None: ...

    async def agreements_in_use(self) -> set[str]:
        """Agreements that have a subscription, a copy or a message."""

    async def waiting(self, limit: int) -> Sequence[Message]:
        """Locked messages that are not in the stream yet, oldest first."""

    async def set_sent(self, sequences: Sequence[tuple[int, int]]) -> None:
        """(number, stream sequence)."""

    async def hold_still(self) -> None:
        """Nobody writes subscriptions or copies until this transaction ends; reading goes on."""

    async def open_copies(self) -> list[pb.SharedAlert]:
        """Every copy of an open alert that the scope may see."""

    async def tell_subscription(self, subscription: pb.Subscription, *, exists: bool) -> None:
        """Tell the directory about it again."""

    async def tell_open(self, marker: pb.SharedAlert, *, is_open: bool) -> None:
        """Tell the directory again that an alert is open under an agreement, or isn't."""

    async def forget_older(self, before: datetime) -> None:
        """Messages that the stream has let go by age, and copies of alerts that were closed by then."""


class Store(Protocol):
    """Opens transactions."""

    def work(self, scope: Scope) -> AbstractAsyncContextManager[Work]: ...


class Stream(Protocol):
    """The stream SHARED."""

    async def publish(self, messages: Sequence[Message]) -> list[int]:
        """Durable when it returns; the sequences."""

    async def delete(self, sequences: Sequence[int]) -> None:
        """Erase; what is gone already is fine."""

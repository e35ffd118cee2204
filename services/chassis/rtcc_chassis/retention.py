"""What every retention has in common (R22): how long, holds, the sweep, and the proof of a deletion."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any, Final

from rtcc_chassis.database import Database
from rtcc_chassis.errors import InvalidInput, RtccError, Violation
from rtcc_chassis.identifiers import derived_id, new_id
from rtcc_chassis.scope import Scope

_log = logging.getLogger(__name__)

SHORTEST_KEEP_S: Final = 180
LONGEST_KEEP_S: Final = 315_576_000
_LONGEST_REASON: Final = 300
_MOST_HOLDS: Final = 1000
_HASH_BYTES: Final = 32


def wrong_keep(field: str, keep_s: int) -> list[Violation]:
    """What is wrong with a time to keep, in seconds; empty when nothing is."""
    if SHORTEST_KEEP_S <= keep_s <= LONGEST_KEEP_S:
        return []
    return [Violation(field, f"{keep_s} is not within {SHORTEST_KEEP_S} s (three minutes) and {LONGEST_KEEP_S} s (ten years)")]


def wrong_hold(field: str, reason: str, ends: str, begin: datetime | None, end: datetime | None) -> list[Violation]:
    """What is wrong with a hold's reason and its times (None: open); `field` and `ends` name them in the request."""
    found = []
    if not reason or len(reason) > _LONGEST_REASON or not reason.isprintable():
        found.append(Violation(field, f"is needed, 1 to {_LONGEST_REASON} printable characters: the case or order that demands it"))
    if begin and end and end <= begin:
        found.append(Violation(ends, "must be after the start"))
    return found


def new_hold_id(kind: str, scope: Scope, given: str) -> str:
    """The same for a repeated request. Raises `InvalidInput` when the caller chose one."""
    if given:
        raise InvalidInput.one("hold.hold_id", "is chosen by the platform")
    key = scope.idempotency_key
    return derived_id(kind, scope.agency_id, scope.principal_id, key) if key else new_id()


def sealed(leaves: Iterable[bytes]) -> tuple[bytes, str]:
    """The hashes (32 bytes) of the things of a batch, sorted, for the order of finding proves nothing; and the SHA-256 of them all."""
    together = b"".join(sorted(leaves))
    return together, hashlib.sha256(together).hexdigest()


def contains(leaves: bytes, digest: str, count: int, leaf: bytes) -> bool:
    """Whether a thing was in the batch and its proof is whole."""
    if hashlib.sha256(leaves).hexdigest() != digest or len(leaves) != _HASH_BYTES * count:
        return False
    return any(leaves[at : at + _HASH_BYTES] == leaf for at in range(0, len(leaves), _HASH_BYTES))


async def sweep(
    every_s: float, agencies: Callable[[], Awaitable[list[str]]], delete_due: Callable[[str], Awaitable[int]], batch: int
) -> None:
    """For ever: delete what is due, a batch of an agency at a time. `delete_due` says how many were deleted."""
    while True:
        try:
            for agency_id in await agencies():
                await _sweep_agency(agency_id, delete_due, batch)
        except RtccError as error:
            _log.warning("retention waits: %s", error.message)
        await asyncio.sleep(every_s)


async def _sweep_agency(agency_id: str, delete_due: Callable[[str], Awaitable[int]], batch: int) -> None:
    while True:
        if await delete_due(agency_id) < batch:
            return
        # what comes in goes first
        await asyncio.sleep(0.05)


class HoldRows:
    """Holds and proofs of an agency in two tables of a service, as rows. Names are the service's own, never a caller's."""

    def __init__(self, database: Database, holds: str, deletions: str) -> None:
        self._database = database
        self._holds = holds
        self._deletions = deletions

    async def holds(self, scope: Scope, *, released: bool) -> list[Any]:
        """The newest first."""
        async with self._database.transaction(scope) as connection:
            rows: list[Any] = await connection.fetch(
                f"""select * from {self._holds} where agency_id = $1 and (released_at is null or $2)
                    order by placed_at desc limit {_MOST_HOLDS}""",
                scope.agency_id,
                released,
            )
        return rows

    async def add(self, scope: Scope, values: dict[str, Any]) -> Any:
        """The stored one: a repeat with the same `hold_id` is the same hold."""
        columns = ("agency_id", *values)
        marks = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                f"insert into {self._holds} ({', '.join(columns)}) values ({marks}) on conflict (hold_id) do nothing",
                scope.agency_id,
                *values.values(),
            )
            return await connection.fetchrow(f"select * from {self._holds} where hold_id = $1", values["hold_id"])

    async def release(self, scope: Scope, hold_id: str, now: datetime) -> Any | None:
        """Released once; None when there is none."""
        async with self._database.transaction(scope) as connection:
            return await connection.fetchrow(
                f"""update {self._holds} set released_at = coalesce(released_at, $2),
                        released_by = case when released_at is null then $3 else released_by end
                    where hold_id = $1 and agency_id = $4 returning *""",
                hold_id,
                now,
                scope.principal_id,
                scope.agency_id,
            )

    async def deletions(self, scope: Scope, limit: int) -> list[Any]:
        """The newest first."""
        async with self._database.transaction(scope) as connection:
            rows: list[Any] = await connection.fetch(
                f"select * from {self._deletions} where agency_id = $1 order by deleted_at desc, deletion_id desc limit $2",
                scope.agency_id,
                limit,
            )
        return rows

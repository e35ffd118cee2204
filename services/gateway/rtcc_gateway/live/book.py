"""The newest state of each alert, call or incident of one agency, so that joining and resuming need no question to a service."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """`revision` orders the states of one key; `sequence` is its place in the stream (0: from a snapshot call)."""

    key: str
    revision: tuple[int, ...]
    sequence: int
    payload: bytes
    open: bool
    message: Any
    owner_agency_id: str = ""
    agreement_id: str = ""
    headers: Any = None


class Book:
    """`floor`: everything of this agency after that sequence is in here, so a cursor at or above it can be resumed."""

    def __init__(self, floor: int, kept: int = 5000) -> None:
        self.floor = floor
        self.head = floor
        self._kept = kept
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    def apply(self, entry: Entry) -> bool:
        """Whether it is news: a state seen before, or older than the known one, is not."""
        self.head = max(self.head, entry.sequence)
        known = self._entries.get(entry.key)
        if known is not None and known.revision >= entry.revision:
            return False
        self._entries[entry.key] = entry
        self._entries.move_to_end(entry.key)
        self._prune()
        return True

    def get(self, key: str) -> Entry | None:
        return self._entries.get(key)

    def remove(self, key: str) -> Entry | None:
        """Forget: a grant ended."""
        return self._entries.pop(key, None)

    def where(self, test: Callable[[Entry], bool]) -> list[Entry]:
        return [entry for entry in self._entries.values() if test(entry)]

    def open_entries(self) -> list[Entry]:
        """What a new console shows."""
        return [entry for entry in self._entries.values() if entry.open]

    def since(self, sequence: int) -> list[Entry] | None:
        """What changed after `sequence`, in order; None when that can't be known."""
        if not self.floor <= sequence <= self.head:
            return None
        return sorted((entry for entry in self._entries.values() if entry.sequence > sequence), key=lambda entry: entry.sequence)

    def _prune(self) -> None:
        if len(self._entries) <= self._kept:
            return
        # closed ones first, oldest first; counted only when the bound is reached, so that a change stays cheap
        ordered = sorted(self._entries.values(), key=lambda entry: entry.open)
        for entry in ordered[: max(1, self._kept // 10)]:
            del self._entries[entry.key]
            self.floor = max(self.floor, entry.sequence)

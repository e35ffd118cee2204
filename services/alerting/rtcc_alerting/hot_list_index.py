"""The wanted plates of every agency in memory: sorted keys, looked up a batch at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtcc_alerting.plates import Keys, keys_of, variants_of


@dataclass(frozen=True, slots=True)
class Candidate:
    """A read that fits an entry. `read` is the index in the batch; `exact` False: equal after one confusion of look-alikes."""

    read: int
    entry_number: int
    exact: bool


@dataclass(frozen=True, slots=True, eq=False)
class PlateIndex:
    """The enabled entries of one agency: 16 bytes each. Immutable: an import makes a new one."""

    keys: Keys
    entry_numbers: NDArray[np.int64]

    @classmethod
    def of(cls, keys: Keys, entry_numbers: NDArray[np.int64]) -> "PlateIndex":
        """From columns in any order; the same plate may stand in several lists."""
        order = np.argsort(keys, kind="stable")
        return cls(np.ascontiguousarray(keys[order]), np.ascontiguousarray(entry_numbers[order]))

    def __len__(self) -> int:
        return len(self.keys)

    def match(self, plates: Sequence[str]) -> list[Candidate]:
        """All entries that fit, for normalised plates."""
        if not plates or not len(self.keys):
            return []
        own = np.arange(len(plates))
        reads, variants = variants_of(plates)
        return self._found(own, keys_of(plates), exact=True) + self._found(reads, variants, exact=False)

    def _found(self, reads: NDArray[np.intp], wanted: Keys, *, exact: bool) -> list[Candidate]:
        first = np.searchsorted(self.keys, wanted, side="left")
        hits = np.flatnonzero(self.keys[np.minimum(first, len(self.keys) - 1)] == wanted)
        found = []
        for hit in hits.tolist():
            place, key = int(first[hit]), wanted[hit]
            while place < len(self.keys) and self.keys[place] == key:
                found.append(Candidate(int(reads[hit]), int(self.entry_numbers[place]), exact))
                place += 1
        return found


class HotListIndex:
    """All agencies' indexes; a read is only ever looked up in its own agency's."""

    def __init__(self) -> None:
        self._agencies: Mapping[str, PlateIndex] = {}

    def replace(self, agency_id: str, index: PlateIndex | None) -> None:
        """From the next batch on. None: the agency has no lists any more."""
        agencies = {agency: kept for agency, kept in self._agencies.items() if agency != agency_id}
        if index is not None and len(index):
            agencies[agency_id] = index
        self._agencies = agencies

    def size(self) -> int:
        """Entries of all agencies."""
        return sum(len(index) for index in self._agencies.values())

    def match(self, reads: Sequence[tuple[str, str]]) -> list[Candidate]:
        """`reads`: (agency, normalised plate); `Candidate.read` is the index in it."""
        by_agency: dict[str, list[int]] = {}
        for position, (agency_id, _) in enumerate(reads):
            by_agency.setdefault(agency_id, []).append(position)
        found = []
        for agency_id, positions in by_agency.items():
            index = self._agencies.get(agency_id)
            if index is None:
                continue
            for candidate in index.match([reads[position][1] for position in positions]):
                found.append(Candidate(positions[candidate.read], candidate.entry_number, candidate.exact))
        return found

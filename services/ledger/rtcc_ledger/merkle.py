"""Merkle trees of RFC 6962 section 2.1 (RFC 9162 section 2.1): append, roots, inclusion and consistency proofs.

A node is named by (level, position): it covers the leaves from `position << level` up to `(position + 1) << level`, and only
such complete nodes are ever stored. Hashes are SHA-256, 32 bytes.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class NodeId(NamedTuple):
    """A complete subtree; level 0 are the leaves."""

    level: int
    position: int

    @property
    def last_leaf(self) -> int:
        """The index of the leaf that completed it."""
        return ((self.position + 1) << self.level) - 1


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that appending needs: the size and the roots of the complete subtrees that make up the tree, largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaves: Iterable[bytes]) -> "tuple[Frontier, dict[NodeId, bytes]]":
        """The frontier after more leaf hashes, and the complete nodes above level 0 that they finished."""
        size, peaks = self.size, list(self.peaks)
        finished: dict[NodeId, bytes] = {}
        for leaf in leaves:
            peaks.append(leaf)
            level, position = 0, size
            while position & 1:
                right, left = peaks.pop(), peaks.pop()
                level, position = level + 1, position >> 1
                peaks.append(node_hash(left, right))
                finished[NodeId(level, position)] = peaks[-1]
            size += 1
        return Frontier(size, tuple(peaks)), finished

    def root(self) -> bytes:
        """The tree's root hash."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def to_bytes(self) -> bytes:
        return b"".join(self.peaks)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> "Frontier":
        """Raises ValueError when the number of peaks is not the number of ones in `size`."""
        if len(data) != HASH_BYTES * size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} peaks, not {len(data) / HASH_BYTES:g}")
        return cls(size, tuple(data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES)))


class Span(NamedTuple):
    """Leaves from `start` up to, not including, `end`."""

    start: int
    end: int


def inclusion_path(index: int, size: int) -> list[Span]:
    """PATH(index, D[size]) of RFC 6962 section 2.1.1 as spans, in proof order. 0 <= index < size."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    start, end = 0, size
    path: list[Span] = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(Span(middle, end))
            end = middle
        else:
            path.append(Span(start, middle))
            start = middle
    return path[::-1]


def consistency_path(old_size: int, new_size: int) -> list[Span]:
    """PROOF(old, D[new]) of RFC 6962 section 2.1.2 as spans, in proof order. 0 < old_size <= new_size."""
    if not 0 < old_size <= new_size:
        raise ValueError(f"a tree of {old_size} is not the beginning of one of {new_size}")
    start, end, whole = 0, new_size, True
    path: list[Span] = []
    while old_size != end:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(Span(middle, end))
            end = middle
        else:
            path.append(Span(start, middle))
            start, whole = middle, False
    if not whole:
        path.append(Span(start, end))
    return path[::-1]


def complete_nodes(span: Span) -> list[NodeId]:
    """The stored nodes that a span of any proof is made of, left to right (largest first)."""
    nodes, start = [], span.start
    while start < span.end:
        level = (span.end - start).bit_length() - 1
        nodes.append(NodeId(level, start >> level))
        start += 1 << level
    return nodes


def span_hash(span: Span, hashes: Mapping[NodeId, bytes]) -> bytes:
    """The root over a span from its complete nodes; KeyError when one is missing."""
    parts = [hashes[node] for node in complete_nodes(span)]
    root = parts[-1]
    for part in reversed(parts[:-1]):
        root = node_hash(part, root)
    return root


def inclusion_holds(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """RFC 9162 section 2.1.3.2: `leaf` (a leaf hash) stands at `index` of the tree with this size and root."""
    if not 0 <= index < size:
        return False
    first, second, current = index, size - 1, leaf
    for part in proof:
        if second == 0:
            return False
        if first & 1 or first == second:
            current = node_hash(part, current)
            while not first & 1 and first:
                first, second = first >> 1, second >> 1
        else:
            current = node_hash(current, part)
        first, second = first >> 1, second >> 1
    return second == 0 and current == root


def consistency_holds(old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """RFC 9162 section 2.1.4.2: the old tree is the beginning of the new one."""
    if not 0 < old_size <= new_size:
        return False
    if old_size == new_size:
        return not proof and old_root == new_root
    parts = list(proof)
    if old_size.bit_count() == 1:
        parts.insert(0, old_root)
    if not parts:
        return False
    first, second = old_size - 1, new_size - 1
    while first & 1:
        first, second = first >> 1, second >> 1
    old = new = parts[0]
    for part in parts[1:]:
        if second == 0:
            return False
        if first & 1 or first == second:
            old, new = node_hash(part, old), node_hash(part, new)
            while not first & 1 and first:
                first, second = first >> 1, second >> 1
        else:
            new = node_hash(new, part)
        first, second = first >> 1, second >> 1
    return second == 0 and old == old_root and new == new_root


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)

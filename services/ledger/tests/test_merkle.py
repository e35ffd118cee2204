"""The tree against RFC 6962: reference vectors, and the recursive definition as an obvious oracle."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc_ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    NodeId,
    complete_nodes,
    consistency_holds,
    consistency_path,
    inclusion_holds,
    inclusion_path,
    leaf_hash,
    node_hash,
    span_hash,
)

# the reference data of the Certificate Transparency implementation (RFC 6962), used by every later one
LEAVES = [
    bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# (leaf index, tree size, proof)
INCLUSION = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
# (old size, new size, proof)
CONSISTENCY = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]


def tree(leaves: list[bytes]) -> tuple[Frontier, dict[NodeId, bytes]]:
    """A frontier and all its complete nodes, leaves included."""
    hashes = [leaf_hash(leaf) for leaf in leaves]
    frontier, nodes = Frontier().append(hashes)
    return frontier, {**nodes, **{NodeId(0, index): one for index, one in enumerate(hashes)}}


def definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, as it is written there."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(definition(leaves[:split]), definition(leaves[split:]))


def test_empty_tree_has_the_hash_of_nothing() -> None:
    assert Frontier().root() == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(("size", "root"), list(enumerate(ROOTS, 1)))
def test_roots_are_those_of_the_reference_data(size: int, root: str) -> None:
    assert tree(LEAVES[:size])[0].root().hex() == root


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSION)
def test_inclusion_proofs_are_those_of_the_reference_data(index: int, size: int, proof: list[str]) -> None:
    frontier, hashes = tree(LEAVES[:size])
    computed = [span_hash(span, hashes) for span in inclusion_path(index, size)]
    assert [part.hex() for part in computed] == proof
    assert inclusion_holds(leaf_hash(LEAVES[index]), index, size, computed, frontier.root())


@pytest.mark.parametrize(("old", "new", "proof"), CONSISTENCY)
def test_consistency_proofs_are_those_of_the_reference_data(old: int, new: int, proof: list[str]) -> None:
    _, hashes = tree(LEAVES[:new])
    computed = [span_hash(span, hashes) for span in consistency_path(old, new)]
    assert [part.hex() for part in computed] == proof
    assert consistency_holds(old, new, bytes.fromhex(ROOTS[old - 1]), bytes.fromhex(ROOTS[new - 1]), computed)


@given(leaves=st.lists(st.binary(max_size=20), max_size=70), cuts=st.lists(st.integers(0, 70), max_size=4))
def test_appending_in_any_batches_gives_the_defined_root(leaves: list[bytes], cuts: list[int]) -> None:
    frontier, start = Frontier(), 0
    for cut in [*sorted(min(cut, len(leaves)) for cut in cuts), len(leaves)]:
        frontier, _ = frontier.append(leaf_hash(leaf) for leaf in leaves[start:cut])
        frontier = Frontier.from_bytes(frontier.size, frontier.to_bytes())
        start = cut
    assert frontier.size == len(leaves)
    assert frontier.root() == definition(leaves)


@given(data=st.data(), size=st.integers(1, 200))
def test_every_inclusion_is_proved_and_no_other(data: st.DataObject, size: int) -> None:
    leaves = [b"%d" % number for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1))
    frontier, hashes = tree(leaves)
    proof = [span_hash(span, hashes) for span in inclusion_path(index, size)]
    assert inclusion_holds(leaf_hash(leaves[index]), index, size, proof, frontier.root())
    assert inclusion_holds(leaf_hash(leaves[other]), index, size, proof, frontier.root()) == (other == index)
    assert inclusion_holds(leaf_hash(leaves[index]), other, size, proof, frontier.root()) == (other == index)
    for place in range(len(proof)):
        broken = [*proof[:place], bytes(32), *proof[place + 1 :]]
        assert not inclusion_holds(leaf_hash(leaves[index]), index, size, broken, frontier.root())
    assert not inclusion_holds(leaf_hash(leaves[index]), index, size, [*proof, bytes(32)], frontier.root())


@given(data=st.data(), new=st.integers(1, 200))
def test_every_beginning_is_proved_and_no_other(data: st.DataObject, new: int) -> None:
    old = data.draw(st.integers(1, new))
    leaves = [b"%d" % number for number in range(new)]
    frontier, hashes = tree(leaves)
    old_root = definition(leaves[:old])
    proof = [span_hash(span, hashes) for span in consistency_path(old, new)]
    assert consistency_holds(old, new, old_root, frontier.root(), proof)
    assert not consistency_holds(old, new, leaf_hash(b"other"), frontier.root(), proof)
    assert not consistency_holds(old, new, old_root, leaf_hash(b"other"), proof)


@given(size=st.integers(1, 300))
def test_proofs_need_only_complete_nodes_that_appending_finished(size: int) -> None:
    _, hashes = tree([b"%d" % number for number in range(size)])
    spans = [span for index in range(0, size, 7) for span in inclusion_path(index, size)]
    spans += [span for old in range(1, size, 11) for span in consistency_path(old, size)]
    assert {node for span in spans for node in complete_nodes(span)} <= hashes.keys()


def test_a_frontier_that_does_not_fit_its_size_is_refused() -> None:
    with pytest.raises(ValueError, match="2 peaks"):
        Frontier.from_bytes(3, bytes(32))

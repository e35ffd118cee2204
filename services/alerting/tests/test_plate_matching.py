"""The index finds what an obvious, slow comparison finds; nothing more, nothing less."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcc_alerting.hot_list_index import HotListIndex, PlateIndex
from rtcc_alerting.plates import CONFUSIONS, NotAPlate, keys_of, normalise

# few characters, many of them look-alikes: collisions and near misses are the rule, not the exception
PLATES = st.text("AB80QDO1I5S2Z", min_size=1, max_size=4) | st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=12)


def look_alike(a: str, b: str) -> bool:
    return any(a in group and b in group for group in CONFUSIONS)


def one_confusion_apart(read: str, listed: str) -> bool:
    differing = [(a, b) for a, b in zip(read, listed, strict=False) if a != b]
    return len(read) == len(listed) and len(differing) == 1 and look_alike(*differing[0])


def index_of(plates: list[str]) -> PlateIndex:
    return PlateIndex.of(keys_of(plates), np.arange(100, 100 + len(plates), dtype=np.int64))


@settings(max_examples=300, deadline=None)
@given(listed=st.lists(PLATES, max_size=30), reads=st.lists(PLATES, max_size=20))
def test_matches_equal_those_of_a_slow_oracle(listed: list[str], reads: list[str]) -> None:
    expected = {
        (position, 100 + number, read == plate)
        for position, read in enumerate(reads)
        for number, plate in enumerate(listed)
        if read == plate or one_confusion_apart(read, plate)
    }
    found = index_of(listed).match(reads)
    assert {(candidate.read, candidate.entry_number, candidate.exact) for candidate in found} == expected
    assert len(found) == len(expected)


@given(st.lists(PLATES, unique=True, max_size=50))
def test_different_plates_have_different_keys(plates: list[str]) -> None:
    assert len(set(keys_of(plates).tolist())) == len(plates)


def test_reads_are_only_held_against_their_own_agency() -> None:
    index = HotListIndex()
    index.replace("east", index_of(["ABC123"]))
    index.replace("west", index_of(["XYZ789"]))
    found = index.match([("west", "ABC123"), ("east", "ABC123"), ("north", "ABC123"), ("west", "XYZ789")])
    assert sorted((candidate.read, candidate.entry_number) for candidate in found) == [(1, 100), (3, 100)]


def test_a_replaced_index_forgets_the_old_list() -> None:
    index = HotListIndex()
    index.replace("east", index_of(["ABC123"]))
    index.replace("east", None)
    assert index.match([("east", "ABC123")]) == []
    assert index.size() == 0


# the same table stands in intake's tests: both sides must normalise alike
@pytest.mark.parametrize(
    ("text", "plate"),
    [("abc-123", "ABC123"), (" A B C·1 ", "ABC1"), ("äö-Å1", "AOA1"), ("ＡＢＣ１２", "ABC12"), ("ß12", "SS12"), ("A/B:C_1'2", "ABC12")],
)
def test_plates_are_normalised_as_intake_does(text: str, plate: str) -> None:
    assert normalise(text) == plate


@pytest.mark.parametrize("text", ["", "---", "ABCDEFGHIJKLM", "АВС", "A?C", "A\0B"])
def test_what_is_no_plate_is_refused(text: str) -> None:
    with pytest.raises(NotAPlate):
        normalise(text)


def test_a_million_plates_take_a_batch_of_reads_in_milliseconds() -> None:
    random = np.random.default_rng(7)
    alphabet = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", dtype=np.uint8)
    raw = alphabet[random.integers(0, 36, size=(1_000_000, 7))].tobytes()
    plates = [raw[start : start + 7].decode() for start in range(0, len(raw), 7)]
    index = index_of(plates)
    reads = plates[:5] + [plate[::-1] for plate in plates[5:200]]
    index.match(reads)
    started = time.process_time()
    for _ in range(20):
        found = index.match(reads)
    seconds = (time.process_time() - started) / 20
    assert {candidate.read for candidate in found if candidate.exact} >= set(range(5))
    # a floor that only a change of algorithm breaks (measured here: about 1 ms for 200 reads)
    assert seconds < 0.05
    print(f"{len(reads) / seconds:.0f} tolerant reads/s per CPU second against 1M plates")

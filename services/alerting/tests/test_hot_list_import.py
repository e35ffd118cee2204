"""A wanted-plates file is taken row by row; what is wrong is named with its line."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc_alerting.hot_list_import import CsvImport, NewEntry
from rtcc_chassis.errors import InvalidInput


@dataclass
class Parsed:
    entries: tuple[NewEntry, ...]
    rejected: int
    problems: list[str]


def parse_csv(hot_list_id: str, content: bytes) -> Parsed:
    reading = CsvImport(hot_list_id, content)
    # chunks of two: what belongs together over their borders must still be seen together
    entries = tuple(entry for chunk in reading.chunks(2) for entry in chunk)
    assert reading.accepted == len(entries)
    return Parsed(entries, reading.rejected, reading.problems)


HEADER = "LIC,LIS,VMA,VMO,VCO,NIC,ORI,REASON,EXPIRES\n"


def test_a_row_becomes_an_entry_with_its_source_and_expiry() -> None:  # R24
    parsed = parse_csv("l1", (HEADER + "abc-123,fi,Volvo,FH16,white,V123,FI0001,stolen,2026-12-31\n").encode())
    (entry,) = parsed.entries
    assert (entry.plate, entry.state, entry.reason) == ("ABC123", "FI", "stolen (white Volvo FH16)")
    assert entry.entry_source == "ORI FI0001 NIC V123"
    assert entry.expires_at == datetime(2026, 12, 31, 23, 59, 59, 999_999, UTC)


def test_the_same_row_tomorrow_is_the_same_entry() -> None:
    content = (HEADER + "ABC123,FI,,,,V123,,,\n").encode()
    assert parse_csv("l1", content).entries[0].entry_id == parse_csv("l1", content).entries[0].entry_id
    assert parse_csv("l1", content).entries[0].entry_id != parse_csv("l2", content).entries[0].entry_id


def test_bad_rows_are_reported_with_their_line_and_good_ones_kept() -> None:
    rows = [
        "ABC123,FI,,,,,,,",
        "???,FI,,,,,,,",
        "",
        "ABC123,FI,,,,,,,",
        "DEF456,FI,,,,,,,31.12.2026",
        "GHI789,WAYTOOLONGSTATE,,,,,,,",
        "JKL012",
    ]
    parsed = parse_csv("l1", (HEADER + "\n".join(rows) + "\n").encode())
    assert [entry.plate for entry in parsed.entries] == ["ABC123", "JKL012"]
    assert parsed.rejected == 4
    assert [problem.split(":")[0] for problem in parsed.problems] == ["line 3", "line 5", "line 6", "line 7"]


@pytest.mark.parametrize("content", [b"", b"PLATE,STATE\nABC,FI\n", b"LIC\n\xff\xfe", b'LIC\n"ABC', b"LIC\nABC\0\n"])
def test_a_file_that_can_not_be_read_is_refused_or_holds_nothing(content: bytes) -> None:
    try:
        assert parse_csv("l1", content).entries == ()
    except InvalidInput as error:
        assert error.violations[0].field == "csv"


def test_only_the_first_hundred_problems_are_listed() -> None:
    parsed = parse_csv("l1", (HEADER + "?,,,,,,,,\n" * 250).encode())
    assert (parsed.rejected, len(parsed.problems)) == (250, 100)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: ("LIC,LIS,EXPIRES\n" + text).encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        parsed = parse_csv("l1", content)
    except InvalidInput:
        return
    assert all(entry.plate for entry in parsed.entries)

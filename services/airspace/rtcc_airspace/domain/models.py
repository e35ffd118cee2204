"""Who made a drone, by the beginning of its serial number (ANSI/CTA-2063-A). Unknown stays unknown."""

import csv
from collections.abc import Iterable

_PREFIX_MOST = 20


class BadPrefixTable(ValueError):
    """The table can't be read: says the line."""


class SerialPrefixes:
    """`table[prefix]` is (manufacturer, model)."""

    def __init__(self, table: dict[str, tuple[str, str]]) -> None:
        self._table = table
        self._lengths = sorted({len(prefix) for prefix in table}, reverse=True)

    @classmethod
    def read(cls, *texts: str) -> "SerialPrefixes":
        """CSV texts of prefix,manufacturer,model; lines that begin with # are comments; later texts win."""
        table: dict[str, tuple[str, str]] = {}
        for text in texts:
            table |= _rows(text.splitlines())
        return cls(table)

    def maker(self, serial_number: str) -> tuple[str, str]:
        """(manufacturer, model) of the longest prefix; ("", "") when none fits."""
        for length in self._lengths:
            found = self._table.get(serial_number[:length])
            if found is not None:
                return found
        return "", ""


def _rows(lines: Iterable[str]) -> dict[str, tuple[str, str]]:
    rows: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        cells = [cell.strip() for cell in next(csv.reader([line]))]
        if len(cells) != 3 or not 4 <= len(cells[0]) <= _PREFIX_MOST or not cells[0].isalnum() or not cells[1]:
            raise BadPrefixTable(
                f"line {number}: {line[:60]!r} is not prefix,manufacturer,model with a prefix of 4 to {_PREFIX_MOST} letters and digits"
            )
        rows[cells[0]] = (cells[1], cells[2])
    return rows

"""The demo's registers are read whole by the importer, with the mapping that they declare."""

from datetime import UTC, datetime

import pytest

from rtcc_demo.world.city import AGENCIES
from rtcc_demo.world.residents import Extract, extracts_of
from rtcc_identity.domain.import_mapping import checked_mapping
from rtcc_identity.domain.import_rows import RowReader, check_file

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize("extract", [one for agency_id in AGENCIES for one in extracts_of(agency_id, NOW)], ids=lambda one: one.kind)
def test_every_row_of_a_demo_register_is_taken(extract: Extract) -> None:
    columns = checked_mapping(extract.kind, extract.columns)
    check_file(extract.csv.encode(), ",", columns)
    rows = list(RowReader(extract.kind, "demo", "helsinki-east", ",", columns, NOW).rows(extract.csv.encode()))
    assert len(rows) >= 7
    assert [row.reason for row in rows if row.prepared is None] == []

"""Brings the invented registers of an agency in, as docs/integrators/records.md says: five files, each followed to its end."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any, Protocol

from rtcc_demo.world.residents import Extract, extracts_of

SOURCE = "Invented register"
LONGEST_S = 60.0


class Hands(Protocol):
    """An administrator's session."""

    def post(self, path: str, body: dict[str, Any], step: str) -> Awaitable[dict[str, Any] | None]: ...

    def get(self, path: str, step: str) -> Awaitable[dict[str, Any]]: ...


class ImportFailed(RuntimeError):
    """A register was not taken whole."""

    def __init__(self, kind: str, told: dict[str, Any]) -> None:
        super().__init__(f"the demo's {kind} records were not imported: {told}")


async def import_records(hands: Hands, agency_id: str) -> None:
    """May be repeated: what is there already stays as it is."""
    for extract in extracts_of(agency_id, datetime.now(UTC)):
        answer = await hands.post("/v1/records/imports", import_request(extract), f"import of {extract.kind} records")
        assert answer is not None
        told = answer["import"]
        ends = time.monotonic() + LONGEST_S
        while told["state"] not in ("RECORD_IMPORT_STATE_DONE", "RECORD_IMPORT_STATE_FAILED"):
            if time.monotonic() > ends:
                raise ImportFailed(extract.kind, told)
            await asyncio.sleep(0.1)
            told = (await hands.get(f"/v1/records/imports/{told['import_id']}", f"import of {extract.kind} records"))["import"]
        if told["state"] != "RECORD_IMPORT_STATE_DONE" or told.get("rows_rejected"):
            raise ImportFailed(extract.kind, told)


def import_request(extract: Extract) -> dict[str, Any]:
    """The body of POST /v1/records/imports."""
    mapping = [{"column": column, "field": field, "format": written} for column, field, written in extract.columns]
    return {"kind": extract.kind, "source": SOURCE, "mapping": mapping, "csv": base64.b64encode(extract.csv.encode()).decode()}

"""How much the registry holds."""

import asyncio
from collections.abc import Mapping
from typing import Any

from prometheus_client import Gauge

from rtcc_chassis.directory import Mirror

_EVERY_S = 15.0
RECORDS = Gauge("rtcc_registry_records", "Records in the directory.", ["kind"])


async def measure_records(mirrors: Mapping[str, Mirror[Any]]) -> None:
    """For ever."""
    while True:
        for kind, mirror in mirrors.items():
            RECORDS.labels(kind).set(len(mirror))
        await asyncio.sleep(_EVERY_S)

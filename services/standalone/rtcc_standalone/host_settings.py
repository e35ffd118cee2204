"""Settings of a process that hosts services on one machine."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class HostSettings:
    """RTCC_DATA: the data folder of the installation."""

    data: Path

"""Settings of the registry (RTCC_REGISTRY_...)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """Bounds per agency, and how often ended accounts are looked for."""

    # cameras of one agency
    cameras_most: int = 20_000
    # zones, sources and units of one agency, each
    equipment_most: int = 5_000
    # between two looks for temporary accounts whose time is over (R7), seconds
    account_sweep_s: float = 30.0

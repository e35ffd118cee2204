"""Settings of the registry (RTCC_REGISTRY_...)."""

from dataclasses import dataclass, field

from rtcc_chassis.settings import InvalidSetting

_SHORTEST_SECRET = 32


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """Bounds per agency, and how often ended accounts are looked for."""

    # cameras of one agency
    cameras_most: int = 20_000
    # zones, sources and units of one agency, each
    equipment_most: int = 5_000
    # between two looks for temporary accounts whose time is over (R7), seconds
    account_sweep_s: float = 30.0
    # secret (any text of 32 or more characters) that seals cameras' addresses and sources' keys at rest; empty: derived from the token key
    sealing_secret: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.sealing_secret and len(self.sealing_secret) < _SHORTEST_SECRET:
            raise InvalidSetting("RTCC_REGISTRY_SEALING_SECRET", f"it has fewer than {_SHORTEST_SECRET} characters")

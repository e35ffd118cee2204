"""Settings of the exchange (RTCC_EXCHANGE_...)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExchangeSettings:
    """How often it looks for what time alone ends."""

    # between two looks for agreements that ran out and messages that wait, seconds
    sweep_s: float = 1.0

"""Every setting of identity, from RTCC_IDENTITY_<NAME>."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Defaults hold a million persons on one core."""

    # rows of an import that are written in one transaction; progress is told after each
    import_rows: int = 500
    # seconds without progress after which another process takes an import up
    import_abandoned_s: float = 60.0
    # seconds between looks for imports that no process works on
    import_check_s: float = 5.0
    # waiting and running imports of one agency: beyond, the caller is told to wait
    import_queue: int = 10

"""Every setting of intake, from RTCC_INTAKE_<NAME>."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IntakeSettings:
    """Defaults suit an agency of any size; the bounds keep one bad source from filling the disk."""

    # entries that may wait in the quarantine for one source; further deliveries of it are answered with 429
    quarantine_limit_per_source: int = 2_000
    # seconds for which a source's secret is kept before it is asked for again
    secret_lifetime_s: float = 60.0
    # events that are written to the archive in one transaction; small enough not to hold up the alerts of the same process
    archive_batch: int = 100
    # seconds between two archive transactions: under load fewer and larger ones, which leaves the processor to the alerts
    archive_pause_s: float = 0.05
    # between two looks for events whose time is over (R22), seconds; the shortest rule is three minutes
    retention_sweep_s: float = 30.0
    # hours for which a call without news stays in the list of calls
    call_list_h: float = 24.0
    # "host:port", comma separated: feeds there may be fetched by plain http or stand at a private address
    feed_hosts: tuple[str, ...] = ()
    # host:port of the TLS listener for Cursor on Target; empty: none
    cot_listen: str = ""
    # what devices are told to connect to, where that differs from cot_listen
    cot_address: str = ""
    # PEM files of the listener's own certificate; empty: those of the service's gRPC server
    cot_certificate_file: str = ""
    cot_key_file: str = ""
    # whose signature that certificate carries, told to devices
    cot_authority_file: str = ""
    # devices that may be connected at once; the next one is turned away
    cot_connections: int = 500

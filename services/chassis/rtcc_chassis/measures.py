"""What every process measures of itself and of what it leans on. Labels never hold more than an agency's id."""

import asyncio
import logging
import shutil
from pathlib import Path

from cryptography import x509
from prometheus_client import Gauge

from rtcc_chassis.bus import Bus
from rtcc_chassis.settings import ChassisSettings
from rtcc_chassis.streams import ALL

_LOG = logging.getLogger(__name__)
_TICK_S = 0.5
_MEASURE_EVERY_S = 15.0

LOOP_LAG = Gauge("rtcc_loop_lag_seconds", "How late the event loop was at worst in the last 15 s: everything in the process waits for it.")
BUS_CONNECTED = Gauge("rtcc_bus_connected", "1 while this process is connected to NATS.")
STREAM_BYTES = Gauge("rtcc_stream_bytes", "Size of a JetStream stream.", ["stream"])
STREAM_LIMIT = Gauge("rtcc_stream_limit_bytes", "Size at which a stream refuses or drops its oldest.", ["stream"])
CERTIFICATE_EXPIRES = Gauge("rtcc_certificate_expires_timestamp_seconds", "When a certificate that we show ends, Unix time.", ["use"])
DISK_FREE = Gauge("rtcc_disk_free_bytes", "Room on the disk of the data folder (an installation on one machine).")
DISK_SIZE = Gauge("rtcc_disk_size_bytes", "Size of that disk.")


async def measure_loop() -> None:
    """For ever. A tick that comes late tells how long something else held the loop."""
    loop = asyncio.get_running_loop()
    worst_s, shown_at = 0.0, loop.time()
    while True:
        due = loop.time() + _TICK_S
        await asyncio.sleep(_TICK_S)
        worst_s = max(worst_s, loop.time() - due)
        if loop.time() - shown_at >= _MEASURE_EVERY_S:
            LOOP_LAG.set(worst_s)
            worst_s, shown_at = 0.0, loop.time()


async def measure_surroundings(bus: Bus, settings: ChassisSettings, data_folder: str = "") -> None:
    """For ever: streams, the certificate of our calls, the disk where there is a data folder."""
    while True:
        BUS_CONNECTED.set(1 if bus.client.is_connected else 0)
        note_certificate("rpc", settings.tls_certificate_file)
        if data_folder:
            usage = shutil.disk_usage(data_folder)
            DISK_FREE.set(usage.free)
            DISK_SIZE.set(usage.total)
        await _measure_streams(bus)
        await asyncio.sleep(_MEASURE_EVERY_S)


async def _measure_streams(bus: Bus) -> None:
    for spec in ALL:
        try:
            info = await bus.jetstream.stream_info(spec.name)
        except Exception as error:  # NATS is away: BUS_CONNECTED says so
            _LOG.debug("can't measure %s: %s", spec.name, error)
            return
        STREAM_BYTES.labels(spec.name).set(info.state.bytes)
        STREAM_LIMIT.labels(spec.name).set(info.config.max_bytes or 0)


def note_certificate(use: str, path: str) -> None:
    """`use`: "rpc" or "door". A file that can't be read is told by who needs it; here it leaves the last value."""
    if not path:
        return
    try:
        certificate = x509.load_pem_x509_certificate(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        _LOG.warning("the certificate for %s can't be read: %s", use, error)
        return
    CERTIFICATE_EXPIRES.labels(use).set(certificate.not_valid_after_utc.timestamp())

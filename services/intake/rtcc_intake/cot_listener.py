"""TAK devices over TLS: each source signs in with its own certificate, then sends Cursor on Target without waiting for answers."""

import asyncio
import contextlib
import hashlib
import logging
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

from prometheus_client import Counter, Gauge

from rtcc_chassis.access import Access, AuditDraft, Outcome
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import RtccError, Unauthenticated
from rtcc_chassis.scope import Scope
from rtcc_chassis.settings import InvalidSetting
from rtcc_intake.adapters.cot import STREAM_HEADER, read_varint
from rtcc_intake.app.deliveries import IntakeApp
from rtcc_intake.app.ports import SourceStore
from rtcc_intake.domain import NotUnderstood

_LOG = logging.getLogger(__name__)
MAXIMUM_MESSAGE_BYTES = 256 * 1024
_REFRESH_S = 2.0
_END = b"</event>"
_CONNECTIONS = Gauge("rtcc_intake_cot_connections", "TAK devices that are connected.")
_CUT = Counter("rtcc_intake_cot_cut_total", "TAK connections that were ended by us.", ["reason"])


@dataclass(frozen=True, slots=True)
class _Known:
    source_id: str
    agency_id: str


class CotListener:
    """`listen`: host:port. Certificates that are issued or voided count within 2 seconds, for connections that stand too."""

    def __init__(
        self, app: IntakeApp, store: SourceStore, access: Access, clock: Clock, *, listen: str, certificate_file: str, key_file: str,
        maximum_connections: int,
    ) -> None:  # fmt: skip
        self._app = app
        self._store = store
        self._access = access
        self._clock = clock
        self._host, _, port = listen.rpartition(":")
        self._port = int(port)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._tls.verify_mode = ssl.CERT_REQUIRED
        try:
            self._tls.load_cert_chain(certificate_file, key_file)
        except OSError as error:
            reason = f"{certificate_file} and {key_file} are no certificate with its key ({error.strerror or error})"
            raise InvalidSetting("RTCC_INTAKE_COT_CERTIFICATE_FILE", reason) from error
        self._known: dict[str, _Known] = {}
        self._trusted: set[str] = set()
        self._maximum = maximum_connections
        self._connections: dict[asyncio.StreamWriter, str] = {}

    async def run(self) -> None:
        """For ever."""
        await self._refresh()
        server = await asyncio.start_server(self._serve, self._host, self._port, ssl=self._tls, limit=MAXIMUM_MESSAGE_BYTES)
        async with server:
            try:
                while True:
                    await asyncio.sleep(_REFRESH_S)
                    try:
                        await self._refresh()
                    except RtccError as error:
                        _LOG.warning("certificates of sources: %s", error.message)
            finally:
                for writer in list(self._connections):
                    writer.transport.abort()

    async def _refresh(self) -> None:
        certificates = await self._store.certificates(Scope.platform("intake"), self._clock())
        self._known = {found.fingerprint_sha256: _Known(found.source_id, found.agency_id) for found in certificates}
        for found in certificates:
            if found.fingerprint_sha256 not in self._trusted:
                # a voided one stays trusted by TLS until the next start: the fingerprint decides
                self._tls.load_verify_locations(cadata=found.certificate)
                self._trusted.add(found.fingerprint_sha256)
        for writer, fingerprint in list(self._connections.items()):
            if fingerprint not in self._known:
                _CUT.labels("certificate").inc()
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tls = writer.get_extra_info("ssl_object")
        fingerprint = hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()
        known = self._known.get(fingerprint)
        if known is None or len(self._connections) >= self._maximum:
            _CUT.labels("certificate" if known is None else "crowd").inc()
            writer.transport.abort()
            return
        self._connections[writer] = fingerprint
        _CONNECTIONS.set(len(self._connections))
        try:
            await self._take_all(known, reader)
        except Unauthenticated as error:
            await self._audit_refusal(known, error)
        except NotUnderstood as error:
            _CUT.labels("format").inc()
            _LOG.info("the connection of source %s is cut: %s", known.source_id, error.message)
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError) as error:
            _LOG.info("the connection of source %s ended: %s", known.source_id, error)
        finally:
            del self._connections[writer]
            _CONNECTIONS.set(len(self._connections))
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()

    async def _take_all(self, known: _Known, reader: asyncio.StreamReader) -> None:
        async for message in messages(reader):
            # asked each time: a source that was switched off is out at its next word
            source = self._app.source_of(known.agency_id, known.source_id)
            try:
                await self._app.take(source, message, f"cot:{hashlib.sha256(message).hexdigest()[:40]}", self._clock())
            except RtccError as error:
                # TAK knows no answer that says "again": the device repeats its position by itself
                _LOG.warning("a message of source %s is lost: %s", known.source_id, error.message)

    async def _audit_refusal(self, known: _Known, error: RtccError) -> None:
        draft = AuditDraft(
            action="delivery.submit", place="cot listener", outcome=Outcome.DENIED, scope=Scope.service("intake", known.agency_id),
            reason=error.message, object_ids=(f"source:{known.source_id}",),
        )  # fmt: skip
        try:
            await self._access.record(draft)
        except RtccError as failure:
            _LOG.warning("a refused TAK device isn't in the audit log: %s", failure.message)


async def messages(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Each message of a TAK stream: XML elements one after another, or 0xBF, a length and a TakMessage (TAK protocol version 1).

    Raises NotUnderstood where the stream can't be followed any further.
    """
    waiting = b""
    while True:
        message, waiting = next_message(waiting)
        if message:
            yield message
            continue
        if len(waiting) > MAXIMUM_MESSAGE_BYTES:
            raise NotUnderstood("stream", f"a message is larger than {MAXIMUM_MESSAGE_BYTES} bytes")
        chunk = await reader.read(64 * 1024)
        if not chunk:
            return
        waiting += chunk


def next_message(waiting: bytes) -> tuple[bytes, bytes]:
    """(a complete message or nothing, what is left)"""
    waiting = waiting.lstrip()
    if not waiting:
        return b"", b""
    if waiting[0] == STREAM_HEADER:
        length, start = read_varint(waiting, 1)
        if length > MAXIMUM_MESSAGE_BYTES:
            raise NotUnderstood("stream", f"a message of {length} bytes is announced, at most {MAXIMUM_MESSAGE_BYTES} are taken")
        if not start or len(waiting) < start + length:
            return b"", waiting
        return waiting[: start + length], waiting[start + length :]
    if waiting[0] != ord("<"):
        raise NotUnderstood("stream", f"begins with byte {waiting[0]:#04x}: neither XML nor TAK protocol version 1")
    end = waiting.find(_END)
    if end < 0:
        return b"", waiting
    end += len(_END)
    return waiting[:end], waiting[end:]

"""Certificates with which a Cursor on Target source signs in at the TLS listener.

Each is self-signed and trusted by itself: there is no authority whose key could be lost, and a new one voids the one before.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rtcc_chassis.access import Access, Resource, touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import Conflict, NotFound
from rtcc_chassis.scope import Scope
from rtcc_intake.app.ports import SourceCertificate, Sources, SourceStore

COT = "cot"
VALID_FOR = timedelta(days=397)


@dataclass(frozen=True, slots=True)
class Issued:
    """`private_key` leaves once and is kept nowhere."""

    certificate: SourceCertificate
    private_key: str


class Certificates:
    """Issues them; the listener believes those that the store holds."""

    def __init__(self, store: SourceStore, sources: Sources, access: Access, clock: Clock) -> None:
        self._store = store
        self._sources = sources
        self._access = access
        self._clock = clock

    async def issue(self, scope: Scope, source_id: str) -> Issued:
        """Raises NotFound, Conflict."""
        source = self._sources.get(source_id)
        if source is None or source.agency_id != scope.agency_id:
            raise NotFound("source", source_id[:64])
        self._access.require(scope, "source.issue_certificate", Resource("source", source_id, source.agency_id))
        if source.adapter != COT:
            raise Conflict(f'The source has the adapter {source.adapter}: only one with the adapter "{COT}" signs in with a certificate.')
        issued = make_certificate(source_id, source.agency_id, self._clock())
        await self._store.put_certificate(scope, issued.certificate)
        touched(f"source:{source_id}", new_value=f'{{"certificate_sha256": "{issued.certificate.fingerprint_sha256}"}}')
        return issued


def make_certificate(source_id: str, agency_id: str, now: datetime) -> Issued:
    """P-256, for TLS clients only, valid from an hour ago (clocks differ)."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    # OpenSSL looks a trusted certificate up by its name: two of one source must not share it
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, agency_id[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, source_id[:64]),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, f"{serial:x}"),
        ]
    )
    valid_until = now + VALID_FOR
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(valid_until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private_key = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Issued(
        SourceCertificate(
            source_id,
            agency_id,
            certificate.fingerprint(hashes.SHA256()).hex(),
            certificate.public_bytes(serialization.Encoding.PEM).decode(),
            valid_until,
        ),
        private_key.decode(),
    )

"""A TLS certificate of a test's own, and who believes it."""

import base64
import hashlib
import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Door:
    """The door's certificate and its key (PEM), and who believes them."""

    certificate: str
    key: str
    believed: ssl.SSLContext
    # SHA-256 of the public key, base64
    pin: str

    @property
    def browser_flag(self) -> str:
        """Chromium believes this one key, for pages and workers: what a context may pass over, its shared worker, which holds the
        console's live socket, may not, and the page stays without alerts."""
        return f"--ignore-certificate-errors-spki-list={self.pin}"


def door_at(address: str, *names: str) -> Door:
    """A door with an IP address for its name, and DNS names beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the test's own")]), datetime.now(UTC)
    known = [x509.IPAddress(ipaddress.ip_address(address)), *(x509.DNSName(each) for each in names)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(known), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    pin = base64.b64encode(hashlib.sha256(public).digest()).decode()
    return Door(pem, private, ssl.create_default_context(cadata=pem), pin)

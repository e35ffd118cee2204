"""DTLS-SRTP over memory buffers (RFC 5764, RFC 8842): the handshake that gives a viewer's SRTP keys."""

import datetime
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from rtcc_video.engine.srtp import PROFILES, SrtpKeys, split_keying_material

# DTLS1_2_VERSION of OpenSSL; pyOpenSSL names only the TLS ones.
_DTLS_1_2: Final = 0xFEFD
_MTU_BYTES: Final = 1200
_RECORD_HEADER_BYTES: Final = 13
# Browsers check the fingerprint, not the dates; still no process should outlive its certificate.
_LIFETIME: Final = datetime.timedelta(days=730)
_DIGESTS: Final = {"sha-256": hashes.SHA256(), "sha-384": hashes.SHA384(), "sha-512": hashes.SHA512()}
_CIPHERS: Final = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384"


class DtlsFailed(Exception):
    """The handshake can't succeed: impostor certificate, no common profile, or a broken peer."""


class DtlsIdentity:
    """A self-signed certificate and the OpenSSL context made with it; shared by all sessions of a process.

    The fingerprint in our answer is what the viewer trusts, so the certificate needs no authority and lives as long as the process.
    """

    def __init__(self, now: datetime.datetime) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, secrets.token_hex(16))])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + _LIFETIME)
            .sign(key, hashes.SHA256())
        )
        self.fingerprint_sha256 = fingerprint(certificate, "sha-256")
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(_DTLS_1_2)
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_QUERY_MTU)
        # Both sides are self-signed: the certificate is checked against the signalled fingerprint after the handshake.
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.use_certificate(certificate)
        context.use_privatekey(key)
        context.set_cipher_list(_CIPHERS)
        context.set_tlsext_use_srtp(b":".join(profile.name for profile in PROFILES))
        self.context = context


def fingerprint(certificate: x509.Certificate, algorithm: str) -> str:
    """The certificate's digest as in `a=fingerprint` (RFC 8122, 5): upper-case hex pairs with colons."""
    return certificate.fingerprint(_DIGESTS[algorithm]).hex(":").upper()


class DtlsSession:
    """One handshake. Datagrams go in, datagrams to send come out; `keys` is set when it is done."""

    def __init__(self, identity: DtlsIdentity, expected_fingerprints: Sequence[tuple[str, str]], is_server: bool = True) -> None:
        self._expected = [(algorithm, digest) for algorithm, digest in expected_fingerprints if algorithm in _DIGESTS]
        self._is_server = is_server
        self._closed = False
        self.keys: SrtpKeys | None = None
        self._connection = SSL.Connection(identity.context, None)
        self._connection.set_ciphertext_mtu(_MTU_BYTES)
        if is_server:
            self._connection.set_accept_state()
        else:
            self._connection.set_connect_state()

    @property
    def closed_by_peer(self) -> bool:
        """Whether the peer said goodbye (close_notify) or failed."""
        return self._closed

    def start(self) -> list[bytes]:
        """The first flight of a client; nothing for a server. Raises `DtlsFailed`."""
        return self._step()

    def receive(self, datagram: bytes) -> list[bytes]:
        """Takes one datagram, gives those to send back. Raises `DtlsFailed`."""
        self._connection.bio_write(datagram)
        return self._step()

    def timeout_s(self) -> float | None:
        """Seconds until `on_timeout` must be called; None when nothing waits for an answer."""
        return None if self.keys is not None else self._connection.DTLSv1_get_timeout()

    def on_timeout(self) -> list[bytes]:
        """Resends the last flight if its time has come. Raises `DtlsFailed`."""
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error as error:
            raise DtlsFailed("the peer doesn't answer the handshake") from error
        return self._drain()

    def close(self) -> list[bytes]:
        """The close_notify to send, if the handshake was done."""
        try:
            self._connection.shutdown()
        except SSL.Error:
            return []
        return self._drain()

    def _step(self) -> list[bytes]:
        try:
            if self.keys is None:
                self._connection.do_handshake()
                self._finish()
            else:
                self._connection.recv(1)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self._closed = True
        except SSL.Error as error:
            if self.keys is None:
                raise DtlsFailed(f"the handshake broke: {_describe(error)}") from error
            # A record that doesn't decrypt on a finished session is noise or an attack, not the end of the view.
        return self._drain()

    def _finish(self) -> None:
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        if certificate is None or not self._expected:
            raise DtlsFailed("the peer has no certificate that could be checked")
        for algorithm, expected in self._expected:
            if not hmac.compare_digest(fingerprint(certificate, algorithm), expected):
                raise DtlsFailed("the peer's certificate isn't the one that its offer announced")
        selected = self._connection.get_selected_srtp_profile()
        profile = next((profile for profile in PROFILES if profile.name == selected), None)
        if profile is None:
            raise DtlsFailed("no SRTP profile in common; AES-128-GCM and AES-CM-128 with SHA1-80 are spoken here")
        material = self._connection.export_keying_material(b"EXTRACTOR-dtls_srtp", profile.exported_bytes)
        self.keys = split_keying_material(profile, material, self._is_server)

    def _drain(self) -> list[bytes]:
        """Outgoing records packed to datagrams: a memory buffer forgets datagram borders, and a record mustn't be cut."""
        pending: list[bytes] = []
        while True:
            try:
                pending.append(self._connection.bio_read(65536))
            except SSL.WantReadError:
                break
        data = b"".join(pending)
        datagrams: list[bytes] = []
        current = b""
        offset = 0
        while offset + _RECORD_HEADER_BYTES <= len(data):
            end = offset + _RECORD_HEADER_BYTES + int.from_bytes(data[offset + 11 : offset + 13], "big")
            record = data[offset:end]
            if current and len(current) + len(record) > _MTU_BYTES:
                datagrams.append(current)
                current = b""
            current += record
            offset = end
        return [*datagrams, current] if current else datagrams


def _describe(error: SSL.Error) -> str:
    try:
        return "; ".join(str(entry[2]) for entry in error.args[0])
    except (IndexError, TypeError):
        return "connection reset"

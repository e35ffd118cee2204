"""The secrets of an installation: generated once into its data folder, each file readable by its owner alone."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rtcc_standalone.certificates import TlsFiles, ensure_certificates
from rtcc_standalone.folder import DataFolder, read_json, write_json, write_private

SERVICES = ("registry", "intake", "alerting", "exchange", "ledger", "location", "video", "gateway", "identity", "airspace", "incidents")
# the supervisor's own voice on the bus and towards services: the command line (`agency add`, the demo's links)
COMMAND_LINE = "standalone"


@dataclass(frozen=True)
class Credentials:
    """Passwords by service name; token keys lie in `token_keys`, whom to believe in `trust`."""

    database_owner: str
    database: dict[str, str]
    nats: dict[str, str]
    s3_access_key: str
    s3_secret_key: str
    objects_signing_key: str
    token_keys: dict[str, Path]
    trust: Path
    checkpoint_key: Path
    evidence_key: Path
    sealing_secret: Path
    notification_sealing_secret: Path
    registry_sealing_secret: Path
    tls: TlsFiles


def ensure_credentials(folder: DataFolder, also: Sequence[str] = ()) -> Credentials:
    """Read the secrets, making those that are missing (a new service after an upgrade gets its own). `also`: further token keys."""
    store = folder.secrets / "passwords.json"
    stored: dict[str, str] = read_json(store) if store.is_file() else {}
    known = dict(stored)
    for name in (
        "database_owner",
        *(f"database.{service}" for service in SERVICES),
        *(f"nats.{service}" for service in (*SERVICES, COMMAND_LINE)),
        "s3_access_key",
        "s3_secret_key",
        "objects_signing_key",
    ):
        known.setdefault(name, secrets.token_urlsafe(32))
    if known != stored:
        write_json(store, known)
    sealing, notification_sealing = folder.secrets / "gateway-sealing", folder.secrets / "alerting-sealing"
    registry_sealing = folder.secrets / "registry-sealing"
    for path in (sealing, notification_sealing, registry_sealing):
        if not path.is_file():
            write_private(path, secrets.token_urlsafe(48))
    checkpoint, evidence = folder.secrets / "ledger-checkpoint.pem", folder.secrets / "video-evidence.pem"
    for path in (checkpoint, evidence):
        if not path.is_file():
            write_private(path, _new_key())
    keys = {service: _ensure_token_key(folder, service) for service in (*SERVICES, COMMAND_LINE, *also)}
    return Credentials(
        database_owner=known["database_owner"],
        database={service: known[f"database.{service}"] for service in SERVICES},
        nats={service: known[f"nats.{service}"] for service in (*SERVICES, COMMAND_LINE)},
        s3_access_key=known["s3_access_key"],
        s3_secret_key=known["s3_secret_key"],
        objects_signing_key=known["objects_signing_key"],
        token_keys=keys,
        trust=_ensure_trust(folder, keys),
        checkpoint_key=checkpoint,
        evidence_key=evidence,
        sealing_secret=sealing,
        notification_sealing_secret=notification_sealing,
        registry_sealing_secret=registry_sealing,
        tls=ensure_certificates(folder.secrets / "tls"),
    )


def ensure_agency_password(folder: DataFolder, agency_id: str) -> str:
    """The password of an agency's NATS account; its file is what a device of the agency is given."""
    path = folder.agencies / f"{agency_id}.json"
    if not path.is_file():
        write_json(path, {"user": agency_id, "password": secrets.token_urlsafe(32)})
    return str(read_json(path)["password"])


def agency_passwords(folder: DataFolder) -> dict[str, str]:
    """Agency id -> NATS password, of all agencies known to this machine."""
    return {path.stem: str(read_json(path)["password"]) for path in sorted(folder.agencies.glob("*.json"))}


def source_logins(folder: DataFolder) -> dict[str, dict[str, str]]:
    """Agency id -> source id -> password, of all sources that may speak MQTT."""
    logins: dict[str, dict[str, str]] = {}
    for path in sorted(folder.sources.glob("*.json")):
        login = read_json(path)
        logins.setdefault(str(login["agency_id"]), {})[path.stem] = str(login["password"])
    return logins


def _ensure_token_key(folder: DataFolder, service: str) -> Path:
    path = folder.secrets / "tokens" / f"{service}.pem"
    if not path.is_file():
        write_private(path, _new_key())
    return path


def _new_key() -> bytes:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _ensure_trust(folder: DataFolder, keys: dict[str, Path]) -> Path:
    path = folder.secrets / "trust.json"
    public: dict[str, str] = {}
    for service, key_file in keys.items():
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        public[service] = pem.decode()
    if not path.is_file() or json.loads(path.read_text()) != public:
        write_json(path, public)
    return path

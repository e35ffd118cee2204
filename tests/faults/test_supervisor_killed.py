"""`kill -9` of the supervisor itself: no orphan stays, and the next start finds everything that was acknowledged."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import psutil
import pytest

from proof.audit_watch import AuditWatch
from proof.load import Load
from proof.platform import RunningPlatform, until
from proof.world import OWNER, World
from rtcc.alerting.v1 import alerting_pb2
from rtcc.intake.v1 import intake_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.bus import Bus
from rtcc_chassis.rpc import Channels, rule_of
from rtcc_chassis.scope import Scope
from rtcc_chassis.settings import ChassisSettings, read
from rtcc_chassis.tokens import TokenIssuer
from rtcc_ledger.verify import verify_installation
from rtcc_standalone.credentials import COMMAND_LINE
from rtcc_standalone.installation import Installation, open_installation
from rtcc_standalone.supervisor import Supervisor
from rtcc_standalone.throwaway import unusual_ports

_COMMAND_LINE = Scope.platform(COMMAND_LINE)
_STARTED_WITHIN_S = 120.0


@pytest.fixture
def installation() -> Iterator[Installation]:
    """A data folder with ports of its own; not pytest's folder, which PostgreSQL's user could not enter."""
    folder = Path(tempfile.mkdtemp(prefix="rtcc-test-"))
    folder.chmod(0o711)
    try:
        yield open_installation(folder, wanted_ports=unusual_ports())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def started(installation: Installation) -> AsyncIterator[asyncio.subprocess.Process]:
    """`./rtcc up` in a process of its own."""
    log = (installation.folder.path / "up.log").open("ab")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rtcc_standalone.cli", "up", "--data", str(installation.folder.path), stdout=log, stderr=log,
        stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(60):
                    await process.wait()
            except TimeoutError:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        log.close()


@asynccontextmanager
async def calling(installation: Installation) -> AsyncIterator[RunningPlatform]:
    """Calls to it, once every service answers."""
    chassis = read(ChassisSettings, COMMAND_LINE, {"RTCC_DATABASE_URL": "postgresql://none", **installation.environment()})
    issuers = {name: TokenIssuer.from_file(name, path) for name, path in installation.credentials.token_keys.items()}
    bus, channels = await Bus.connect(chassis, "proof"), Channels(chassis)
    # the supervisor object only tells where the installation is: the real one is the other process
    platform = RunningPlatform(Supervisor(installation), channels, issuers, bus, AuditWatch(bus))

    async def answers() -> bool:
        rule = rule_of("/rtcc.registry.v1.RegistryService/ListAgencies")
        answer = await platform.call(rule, registry_pb2.ListAgenciesRequest(), platform.metadata(_COMMAND_LINE), timeout_s=2)
        return answer.code is grpc.StatusCode.OK

    try:
        await until(answers, deadline_s=_STARTED_WITHIN_S)
        yield platform
    finally:
        await channels.close()
        # nats-py's close ends with CancelledError when the server is dead
        with contextlib.suppress(Exception, asyncio.CancelledError):
            await bus.drain()


async def small_world(platform: RunningPlatform) -> World:
    """One agency with a supervisor and an operator."""
    request = registry_pb2.CreateAgencyRequest(agency_id=OWNER, name="Anchor Police", time_zone="UTC")
    await platform.ask("CreateAgency", _COMMAND_LINE, request)
    world = World(platform)
    world.people[OWNER] = {role: await world.person(OWNER, role) for role in ("supervisor", "operator")}
    return world


@pytest.mark.timeout(420)
async def test_no_orphan_stays_and_the_next_start_has_everything(installation: Installation) -> None:
    async with started(installation) as process:
        async with calling(installation) as platform:
            world = await small_world(platform)
            reader = await world.source(OWNER, "plate_read")
            load = Load(platform.url, await world.gunshot_source(OWNER), reader, await world.camera(OWNER), "SUPER01")
            running = asyncio.create_task(load.run(50, 6, deadline_s=_STARTED_WITHIN_S))
            await until(lambda: _enough(load))
            family = psutil.Process(process.pid).children(recursive=True)
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()

        async def gone() -> bool:
            return not [child for child in family if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]

        await until(gone, deadline_s=30)
    async with started(installation), calling(installation) as platform:
        # the senders kept what was not acknowledged, and send it now
        await running
        world.platform = platform

        async def found() -> bool:
            (plate,) = load.plates
            request = intake_pb2.SearchPlateReadsRequest(plate=plate, limit=1000)
            reads = (await platform.ask("SearchPlateReads", world.everything(OWNER), request)).reads
            alerts = await platform.ask(
                "ListAlerts", world.everything(OWNER), alerting_pb2.ListAlertsRequest(include_closed=True, limit=1000)
            )
            incidents = [alert.event.gunshot.incident_id for alert in alerts.alerts]
            assert len(incidents) == len(set(incidents))
            return sorted(read.event_id for read in reads) == sorted(load.reads) and set(incidents) == load.gunshots.keys()

        await until(found, deadline_s=60)
        assert all(report.intact for report in await verify_installation(installation.environment()))


async def _enough(load: Load) -> bool:
    return len(load.reads) > 50

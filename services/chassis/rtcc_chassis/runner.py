"""Runs one or several services in this process: connect, serve, drain, exit code."""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping

from rtcc.registry.v1.registry_pb2 import Agency
from rtcc_chassis.access import Access, AuditRecorder, PolicyEngine
from rtcc_chassis.bus import Bus
from rtcc_chassis.clock import Clock, utc_now
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.database import Database
from rtcc_chassis.directory import Directory, Mirror
from rtcc_chassis.errors import RtccError
from rtcc_chassis.event_loop import run_on_event_loop
from rtcc_chassis.lifecycle import EXIT_FAILED, Lifecycle
from rtcc_chassis.measures import measure_loop, measure_surroundings
from rtcc_chassis.objects import Objects
from rtcc_chassis.rpc import Channels, RpcServer
from rtcc_chassis.rpc.probes import ProbeServer
from rtcc_chassis.settings import ChassisSettings, read
from rtcc_chassis.telemetry import configure_logging, configure_tracing, flush_tracing, serve_metrics
from rtcc_chassis.tokens import TokenIssuer, TokenVerifier

_LOG = logging.getLogger(__name__)

Serve = Callable[[ServiceContext], Awaitable[None]]


class MirroredAgencies:
    """Agency facts for policies, from the directory."""

    def __init__(self, agencies: Mirror[Agency]) -> None:
        self._agencies = agencies

    def disabled(self, agency_id: str) -> bool:
        agency = self._agencies.get(agency_id)
        return agency is not None and not agency.enabled

    def barred_purposes(self, agency_id: str) -> frozenset[str]:
        agency = self._agencies.get(agency_id)
        return frozenset(agency.barred_purposes) if agency is not None else frozenset()


class Process:
    """The shared parts of one process; `context` gives each service its view."""

    def __init__(self, settings: ChassisSettings, bus: Bus, clock: Clock = utc_now) -> None:
        self.settings = settings
        self.bus = bus
        self.clock = clock
        self.lifecycle = Lifecycle()
        self.directory = Directory(bus)
        self.server = RpcServer(settings, TokenVerifier.from_file(settings.token_trust_file), clock)
        self._engine = PolicyEngine.load()
        self._facts = MirroredAgencies(self.directory.mirror("agency", Agency))

    async def context(self, service: str, settings: ChassisSettings) -> ServiceContext:
        """Connect what `service` needs."""
        access = Access(self._engine, AuditRecorder(self.bus, service, self.clock), self._facts)
        database = await Database.connect(settings.database_url, service, pool_size=settings.database_pool_size)
        objects, channels = Objects.connect(settings), Channels(settings)

        async def close() -> None:
            await channels.close()
            await database.close()
            objects.close()

        self.lifecycle.on_drain(close)
        return ServiceContext(
            name=service,
            settings=settings,
            bus=self.bus,
            database=database,
            objects=objects,
            access=access,
            directory=self.directory,
            channels=channels,
            tokens=TokenIssuer.from_file(service, settings.token_key_file),
            rpc=self.server.for_service(access),
            lifecycle=self.lifecycle,
            clock=self.clock,
        )


async def run(services: Mapping[str, Serve], environment: Mapping[str, str] | None = None) -> int:
    """Serve until SIGTERM or a fatal error; the answer is the exit code.

    Order of the end: hand over, refuse calls, stop work, drains, bus.
    """
    names = list(services)
    all_settings = {name: read(ChassisSettings, name, environment) for name in names}
    first = all_settings[names[0]]
    process_name = "+".join(names)
    configure_logging(process_name, first.log_level)
    configure_tracing(process_name, first.otlp_endpoint, first.tls_authority_file)
    probes = ProbeServer()
    await probes.start(first.health_listen)
    bus = await Bus.connect(first, process_name)
    await bus.ensure_streams()
    process = Process(first, bus)
    lifecycle = process.lifecycle
    lifecycle.handle_signals()
    lifecycle.expect(len(names))
    lifecycle.spawn(process.directory.run(), "directory")
    tasks = []
    for name in names:
        context = await process.context(name, all_settings[name])
        tasks.append(lifecycle.spawn(_as_work(services[name], context), name))
    if first.metrics_listen:
        lifecycle.spawn(measure_loop(), "loop lag")
        lifecycle.spawn(measure_surroundings(bus, first, (environment or os.environ).get("RTCC_DATA", "")), "surroundings")
        await serve_metrics(first.metrics_listen)
    await _serve_until_stopped(process, probes)
    await process.server.stop()
    await lifecycle.drain()
    await bus.drain()
    await probes.stop()
    flush_tracing()
    return lifecycle.exit_code


async def _as_work(serve: Serve, context: ServiceContext) -> None:
    await serve(context)


async def _serve_until_stopped(process: Process, probes: ProbeServer) -> None:
    lifecycle = process.lifecycle
    ready = asyncio.create_task(lifecycle.all_ready())
    stopping = asyncio.create_task(lifecycle.stopping.wait())
    await asyncio.wait([ready, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not lifecycle.stopping.is_set():
        # servicers must all be added before the server starts, hence after every service said ready
        port = await process.server.start()
        await process.server.set_serving(True)
        await probes.set_ready(True)
        # what was made so far (modules, descriptors, mirrors) lives as long as the process: looking through it again at each
        # full collection would stop all services of the process for about 50 ms
        gc.collect()
        gc.freeze()
        _LOG.info("ready on port %d", port)
        await stopping
        await probes.set_ready(False)
        await lifecycle.depart()
    ready.cancel()
    stopping.cancel()


def main(services: Mapping[str, Serve]) -> None:
    """For `__main__`: run and exit."""
    try:
        code = run_on_event_loop(run(services))
    except RtccError as error:
        logging.getLogger(__name__).critical(error.message)
        code = EXIT_FAILED
    sys.exit(code)

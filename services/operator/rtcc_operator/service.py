"""Wires the controller together. It owns no tables and serves no calls, so it starts without PostgreSQL."""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace

from rtcc_chassis.clock import utc_now
from rtcc_chassis.errors import RtccError
from rtcc_chassis.lifecycle import EXIT_FAILED, Lifecycle
from rtcc_chassis.objects import Objects
from rtcc_chassis.rpc import Channels
from rtcc_chassis.rpc.probes import ProbeServer
from rtcc_chassis.settings import ChassisSettings, read
from rtcc_chassis.telemetry import configure_logging, configure_tracing, flush_tracing, serve_metrics
from rtcc_chassis.tokens import TokenIssuer
from rtcc_operator.app.agencies import Agencies
from rtcc_operator.app.agency_bus import AgencyBus
from rtcc_operator.app.agreements import Agreements
from rtcc_operator.app.controller import Controller, Reconciler
from rtcc_operator.app.leading import Leading
from rtcc_operator.buckets import S3Buckets
from rtcc_operator.cluster import KubernetesCluster, connect, own_namespace
from rtcc_operator.domain.keys import Key
from rtcc_operator.registry import RegistryClient
from rtcc_operator.resolver import NatsResolver
from rtcc_operator.settings import OperatorSettings

NAME = "operator"


async def serve(settings: OperatorSettings, chassis: ChassisSettings, lifecycle: Lifecycle) -> None:
    """Until the process drains. Ready as soon as it stands for election: a follower is a good pod."""
    settings = replace(settings, namespace=settings.namespace or own_namespace())
    api = await connect(settings)
    cluster = KubernetesCluster(api, settings, utc_now)
    channels, objects, resolver = Channels(chassis), Objects.connect(chassis), NatsResolver(chassis)
    registry = RegistryClient(channels, TokenIssuer.from_file(NAME, chassis.token_key_file))
    operator, platform = Key(settings.nats_operator_seed, "operator"), Key(settings.nats_platform_seed, "account")
    bus = AgencyBus(cluster, resolver, operator, platform, utc_now, settings.nats_public_url, settings.nats_mqtt_address)
    reconcilers: dict[str, Reconciler] = {
        "agencies": Agencies(cluster, registry, bus, S3Buckets(chassis, objects), utc_now),
        "sharingagreements": Agreements(registry),
    }
    controller = Controller(cluster, reconcilers, settings, utc_now)
    leading = Leading(cluster, settings, settings.identity or socket.gethostname(), utc_now)

    async def close() -> None:
        await resolver.close()
        await channels.close()
        objects.close()
        await api.close()

    lifecycle.on_drain(close)
    lifecycle.spawn(leading.run(controller.run), "controller")
    lifecycle.ready()
    await lifecycle.stopping.wait()


async def run(environment: Mapping[str, str] | None = None) -> int:
    """The answer is the exit code."""
    given = dict(os.environ if environment is None else environment)
    settings = read(OperatorSettings, NAME, given)
    # every other service needs a database
    chassis = read(ChassisSettings, NAME, {"RTCC_OPERATOR_DATABASE_URL": "", **given})
    configure_logging(NAME, chassis.log_level)
    configure_tracing(NAME, chassis.otlp_endpoint, chassis.tls_authority_file)
    lifecycle, probes = Lifecycle(), ProbeServer()
    await probes.start(chassis.health_listen)
    lifecycle.handle_signals()
    lifecycle.spawn(serve(settings, chassis, lifecycle), NAME)
    if chassis.metrics_listen:
        await serve_metrics(chassis.metrics_listen)
    await probes.set_ready(True)
    await lifecycle.stopping.wait()
    await probes.set_ready(False)
    await lifecycle.drain()
    await probes.stop()
    flush_tracing()
    return lifecycle.exit_code


def main() -> None:
    """For `__main__`: run and exit."""
    try:
        code = asyncio.run(run())
    except RtccError as error:
        logging.getLogger(__name__).critical(error.message)
        code = EXIT_FAILED
    sys.exit(code)

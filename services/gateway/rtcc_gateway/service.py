"""Wiring of the gateway, nothing else."""

import asyncio
import hashlib
import logging
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from nats.aio.msg import Msg

from rtcc.gateway.v1 import account_review_pb2_grpc, gateway_pb2_grpc
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import RtccError
from rtcc_chassis.scope import Scope
from rtcc_chassis.settings import read
from rtcc_gateway.account_review import AccountReviews
from rtcc_gateway.account_review_rpc import AccountReviewRpc, disabling
from rtcc_gateway.account_review_store import AccountReviewStore
from rtcc_gateway.app import SignIn
from rtcc_gateway.credentials import Seal
from rtcc_gateway.domain import SessionPolicy, banner_version
from rtcc_gateway.enrolment import Enrolments
from rtcc_gateway.http.door import Door, Limits
from rtcc_gateway.http.pages import Pages
from rtcc_gateway.http.server import HttpServer, application
from rtcc_gateway.live.hub import LiveHub
from rtcc_gateway.measures import measure_sessions
from rtcc_gateway.people import People
from rtcc_gateway.relays import Relays
from rtcc_gateway.rpc import AccountRpc
from rtcc_gateway.sessions import Sessions
from rtcc_gateway.settings import GatewaySettings
from rtcc_gateway.single_sign_on import Provider
from rtcc_gateway.store import GatewayStore

_LOG = logging.getLogger(__name__)
SESSION_SUBJECT = "gateway.session"
_PURGE_EVERY_S = 300.0


async def serve(ctx: ServiceContext, settings: GatewaySettings | None = None) -> None:
    """Runs until the process stops. `settings` None: from the environment."""
    settings = settings or read(GatewaySettings, "gateway")
    settings.check()
    await ctx.database.migrate(Path(__file__).parent / "migrations")
    store = GatewayStore(ctx.database)
    people = People(ctx.directory)
    sessions = await _sessions(ctx, settings, store, people)
    demo = ctx.settings.mode == "demo"
    sign_in = SignIn(
        store=store, sessions=sessions, people=people, audit=ctx.access, clock=ctx.clock, settings=settings, seal=_seal(ctx, settings),
        banner_version=banner_version(settings.banner_title, settings.banner_text), demo=demo and settings.only_this_machine,
    )  # fmt: skip
    enrolments = Enrolments(sign_in)
    hub = LiveHub(ctx, settings, sessions, people)
    relays = Relays(ctx)
    await relays.start(hub.tell_relay_ending)
    http = aiohttp.ClientSession()
    ctx.lifecycle.on_drain(http.close)
    door = Door(
        ctx=ctx, settings=settings, people=people, sessions=sessions, sign_in=sign_in, enrolments=enrolments,
        provider=_provider(http, settings), origin="", hosts=frozenset(), limits=Limits.of(settings),
        tip_key=hashlib.sha256(b"tip line" + _secret(ctx, settings)).digest(), relays=relays,
    )  # fmt: skip
    await people.persons.ready()
    server = HttpServer(application(door, hub, Pages.of_console()), door)
    port = await server.start()
    door.origin, door.hosts = _origin(settings, port)
    ctx.rpc.add(
        gateway_pb2_grpc.add_AccountServiceServicer_to_server,
        AccountRpc(ctx.access, people, sign_in, enrolments, store, door.origin, sign_in.demo),
    )
    reviews = AccountReviews(AccountReviewStore(ctx.database), people, ctx.clock, settings.inactive_days, disabling(ctx))
    ctx.rpc.add(account_review_pb2_grpc.add_AccountReviewServiceServicer_to_server, AccountReviewRpc(reviews))
    ctx.lifecycle.spawn(reviews.run(settings.account_sweep_s), "gateway idle accounts")
    ctx.lifecycle.on_drain(server.stop)
    ctx.lifecycle.on_drain(hub.stop)
    hub.start()
    ctx.lifecycle.spawn(_purge(ctx, store, settings), "gateway purge")
    ctx.lifecycle.spawn(measure_sessions(store, settings.certificate_file), "gateway sessions")
    _LOG.info("the door is open at %s", door.origin)
    ctx.lifecycle.ready()
    await ctx.lifecycle.stopping.wait()


async def _sessions(ctx: ServiceContext, settings: GatewaySettings, store: GatewayStore, people: People) -> Sessions:
    async def announce(message: bytes) -> None:
        try:
            await ctx.bus.publish_core(SESSION_SUBJECT, message)
        except RtccError:
            # the other gateways look at the store again within seconds
            _LOG.warning("a session's end could not be announced")

    policy = SessionPolicy(settings.idle_lock_s, settings.session_lifetime_s, settings.fresh_s)
    sessions = Sessions(store, people, ctx.access, ctx.clock, policy, frozenset(settings.lock_exempt_roles), announce)

    async def hear(message: Msg) -> None:
        sessions.hear(message.data)

    await ctx.bus.subscribe_core(SESSION_SUBJECT, hear)
    return sessions


def _provider(http: aiohttp.ClientSession, settings: GatewaySettings) -> Provider | None:
    if not settings.oidc_issuer:
        return None
    return Provider(http, settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret, settings.oidc_second_factor_values)


def _seal(ctx: ServiceContext, settings: GatewaySettings) -> Seal:
    return Seal(_secret(ctx, settings))


def _secret(ctx: ServiceContext, settings: GatewaySettings) -> bytes:
    return settings.sealing_secret.encode() if settings.sealing_secret else Path(ctx.settings.token_key_file).read_bytes()


def _origin(settings: GatewaySettings, port: int) -> tuple[str, frozenset[str]]:
    """The origin for links, and every Host that is ours."""
    scheme = "https" if settings.has_certificate else "http"
    origin = settings.origin.rstrip("/") or f"{scheme}://{'localhost' if settings.loopback else settings.host}:{port}"
    hosts = {urlsplit(origin).netloc.lower(), f"{settings.host}:{port}".lower()}
    if settings.loopback:
        hosts |= {f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"}
    return origin, frozenset(hosts)


async def _purge(ctx: ServiceContext, store: GatewayStore, settings: GatewaySettings) -> None:
    scope = Scope.platform("gateway")
    while True:
        now = ctx.clock()
        try:
            await store.purge(
                scope, now, now - timedelta(seconds=settings.session_lifetime_s), now - timedelta(seconds=settings.bad_tries_window_s)
            )
        except RtccError as error:
            _LOG.warning("purge: %s", error.message)
        await asyncio.sleep(_PURGE_EVERY_S)

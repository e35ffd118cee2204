"""Routes, middleware and the listening sockets."""

import asyncio
import ssl

from aiohttp import web

from rtcc_chassis.errors import RtccError
from rtcc_gateway.http import authentication, devices, rest, tips, whep, whip
from rtcc_gateway.http.devices import UPLINK, Uplink
from rtcc_gateway.http.door import DOOR, Door
from rtcc_gateway.http.guard import add_security_headers, guard, impatient
from rtcc_gateway.http.pages import Pages, health
from rtcc_gateway.http.tips import TIPS, TipDesk
from rtcc_gateway.live.hub import HUB, LiveHub
from rtcc_gateway.live.route import live

_KEEP_ALIVE_S = 75.0
_LINGER_S = 2.0
_BACKLOG = 512


class CannotListen(RtccError):
    """The address is taken or not ours."""

    def __init__(self, listen: str, reason: str) -> None:
        super().__init__(f"The HTTP door can't listen on {listen}: {reason}. Free the port or set RTCC_GATEWAY_LISTEN to another.")


def application(door: Door, hub: LiveHub, pages: Pages) -> web.Application:
    """Everything that answers HTTP."""
    app = web.Application(middlewares=[guard], client_max_size=0)
    app[DOOR] = door
    app[UPLINK] = Uplink(door)
    app[TIPS] = TipDesk(door)
    app[HUB] = hub
    app.on_response_prepare.append(add_security_headers)
    app.add_routes(authentication.routes())
    app.add_routes(rest.routes())
    app.add_routes(whep.routes())
    app.add_routes(tips.routes())
    app.add_routes(whip.routes())
    app.add_routes(
        [
            web.post("/v1/hooks/{source_id}", devices.receive_hook),
            web.post("/v1/airspace/{source_id}", devices.receive_reception),
            web.get("/v1/osmand", devices.receive_osmand, allow_head=False),
            web.post("/v1/osmand", devices.receive_osmand),
            web.get("/v1/live", live, allow_head=False),
            web.get("/healthz", health),
            web.get("/{path:.*}", pages.serve),
        ]
    )
    return app


class HttpServer:
    """Listening sockets with bounds on heads, idle connections and silence."""

    def __init__(self, app: web.Application, door: Door) -> None:
        self._runner = web.AppRunner(
            app,
            access_log=None,
            keepalive_timeout=_KEEP_ALIVE_S,
            lingering_time=_LINGER_S,
            max_line_size=8190,
            max_field_size=8190,
            shutdown_timeout=5.0,
            handle_signals=False,
        )
        self._door = door
        self._servers: list[asyncio.Server] = []
        self.port = 0

    async def start(self) -> int:
        """Listen; the answer is the port. Raises CannotListen."""
        settings = self._door.settings
        await self._runner.setup()
        assert self._runner.server is not None
        factory = impatient(self._runner.server, self._door.silent)
        context = self._certificate()
        loop = asyncio.get_running_loop()
        try:
            first = await loop.create_server(factory, settings.host, settings.port, ssl=context, backlog=_BACKLOG, reuse_address=True)
        except OSError as error:
            raise CannotListen(settings.listen, error.strerror or str(error)) from error
        self._servers.append(first)
        self.port = first.sockets[0].getsockname()[1]
        if settings.host == "127.0.0.1":
            # browsers try ::1 first for "localhost"
            try:
                self._servers.append(await loop.create_server(factory, "::1", self.port, ssl=context, backlog=_BACKLOG, reuse_address=True))
            except OSError:
                return self.port
        return self.port

    async def stop(self) -> None:
        """Refuse new connections, let requests end, close sockets."""
        for server in self._servers:
            server.close()
        await self._runner.cleanup()

    def _certificate(self) -> ssl.SSLContext | None:
        settings = self._door.settings
        if not settings.has_certificate:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(settings.certificate_file, settings.certificate_key_file)
        except (OSError, ssl.SSLError) as error:
            raise CannotListen(settings.listen, f"the certificate can't be used ({error})") from error
        return context

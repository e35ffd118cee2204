"""A real SMTP server and a real HTTP receiver, as an agency would have them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from rtcc_chassis.testing import free_port


@dataclass
class MailServer:
    """`answer` decides what DATA is answered; `mails` are those that were accepted."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    sign_ins: list[tuple[bytes, bytes]] = field(default_factory=list)
    answer: Callable[[int], str] = lambda number: "250 accepted as 4711"
    tries: int = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        self.tries += 1
        answer = self.answer(self.tries)
        if answer.startswith("250"):
            mail = message_from_bytes(bytes(envelope.content or b""), policy=policy.default)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
        return answer

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.sign_ins.append((data.login, data.password))
        return AuthResult(success=data.password == b"right horse")


@asynccontextmanager
async def mail_server(*, sign_in: bool = False) -> AsyncIterator[MailServer]:
    """aiosmtpd in a thread of its own; it speaks without TLS, as only an allowed network may."""
    server = MailServer(free_port())
    options: dict[str, Any] = {"auth_required": True, "auth_require_tls": False, "authenticator": server.authenticate} if sign_in else {}
    controller = Controller(server, hostname="127.0.0.1", port=server.port, **options)
    await asyncio.to_thread(controller.start)
    try:
        yield server
    finally:
        await asyncio.to_thread(controller.stop)


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WebReceiver:
    """`answer` decides the status of each request by its number; None: it hangs up."""

    url: str
    received: list[Received] = field(default_factory=list)
    answer: Callable[[int], int] = lambda number: 202
    headers: dict[str, str] = field(default_factory=dict)
    # set: what comes is answered at once; else it is kept waiting
    answering: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        self.received.append(Received(request.path, dict(request.headers), await request.read()))
        await self.answering.wait()
        return web.Response(status=self.answer(len(self.received)), headers=self.headers)


@asynccontextmanager
async def web_receiver() -> AsyncIterator[WebReceiver]:
    port = free_port()
    receiver = WebReceiver(f"http://127.0.0.1:{port}")
    receiver.answering.set()
    application = web.Application()
    application.router.add_post("/{tail:.*}", receiver.take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield receiver
    finally:
        await runner.cleanup()

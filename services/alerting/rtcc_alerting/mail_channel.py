"""E-mail by submission (RFC 6409) to the agency's own server."""

import ssl
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc_alerting.channels import Route, SendFailed
from rtcc_alerting.destinations import DestinationRefused, Destinations
from rtcc_alerting.notification import Message
from rtcc_chassis.clock import Clock

_TIMEOUT_S = 20.0
_PORTS = {pb.SMTP_SECURITY_TLS: 465, pb.SMTP_SECURITY_NONE: 25}


class MailChannel:
    """One connection a message: they are few, and a server that hangs holds up nobody else."""

    def __init__(self, destinations: Destinations, clock: Clock) -> None:
        self._destinations = destinations
        self._clock = clock

    async def send(self, route: Route, message: Message) -> str:
        """A mail that is sent again, because its first acceptance was not heard, has the same Message-ID (RFC 5322, 3.6.4)."""
        settings = route.settings
        if not settings.smtp_host:
            raise SendFailed("the agency has set no mail server")
        mail = self._mail(route, message)
        port = settings.smtp_port or _PORTS.get(settings.smtp_security, 587)
        try:
            connection = await self._destinations.connect(settings.smtp_host, port, _TIMEOUT_S)
        except DestinationRefused as error:
            raise SendFailed(error.message, final=True) from error
        except (OSError, TimeoutError) as error:
            raise SendFailed(f"the mail server {settings.smtp_host}:{port} doesn't answer ({_words(error)})") from error
        client = aiosmtplib.SMTP(
            hostname=settings.smtp_host,
            sock=connection,
            timeout=_TIMEOUT_S,
            use_tls=settings.smtp_security == pb.SMTP_SECURITY_TLS,
            start_tls=settings.smtp_security in (pb.SMTP_SECURITY_UNSPECIFIED, pb.SMTP_SECURITY_STARTTLS),
            username=settings.smtp_user or None,
            password=route.smtp_password or None,
        )
        try:
            async with client:
                _, answer = await client.send_message(mail)
        except aiosmtplib.SMTPRecipientsRefused as error:
            refused = error.recipients[0]
            raise SendFailed(f"the recipient was refused: {refused.code} {refused.message[:200]}", final=refused.code >= 500) from error
        except aiosmtplib.SMTPAuthenticationError as error:
            # a wrong password is mended by people, hours later perhaps: nothing is given up for it at once
            raise SendFailed(f"the mail server refused the sign-in: {error.code}") from error
        except aiosmtplib.SMTPResponseException as error:
            raise SendFailed(f"the mail server answered {error.code} {error.message[:200]}", final=error.code >= 500) from error
        except (aiosmtplib.SMTPException, ssl.SSLError, OSError, TimeoutError, ValueError) as error:
            raise SendFailed(f"the mail server broke off ({_words(error)})") from error
        finally:
            connection.close()
        return str(answer)[:200]

    def _mail(self, route: Route, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = route.settings.from_address
        mail["To"] = route.contact.address
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(self._clock())
        mail["Message-ID"] = f"<{message.message_id}@{route.agency_id}.openrtcc>"
        # no out-of-office answer to a machine (RFC 3834, 5)
        mail["Auto-Submitted"] = "auto-generated"
        mail["Rtcc-Delivery"] = message.message_id
        mail.set_content(message.text)
        return mail


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200] if str(error) else type(error).__name__

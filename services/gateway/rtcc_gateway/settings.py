"""Every setting of the gateway, with unit and default."""

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from rtcc_chassis.settings import InvalidSetting

_BANNER = (
    "This system holds law-enforcement information and is for authorised use only. Your use is recorded and may be read by your agency, "
    "by agencies whose data you see, and by auditors.\n\n"
    "Looking somebody up without a lawful purpose is misuse and may be prosecuted. By going on you agree to this."
)


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """RTCC_GATEWAY_<FIELD>. Law and policy defaults cite requirements.md."""

    # host:port of the HTTP door; port 0: any free one. Anything but loopback needs a certificate.
    listen: str = "127.0.0.1:8080"
    # the origin that people type ("https://rtcc.example.org"); empty: made from `listen`
    origin: str = ""
    # PEM files for HTTPS
    certificate_file: str = ""
    certificate_key_file: str = ""
    # addresses or networks of reverse proxies whose X-Forwarded-For is believed
    trusted_proxies: tuple[str, ...] = ()
    installation_name: str = "OpenRTCC"
    # the use banner (R6)
    banner_title: str = "Authorised use only"
    banner_text: str = _BANNER
    # R3: lock after this long without input
    idle_lock_s: int = 1800
    # R5: a live socket without input ends
    idle_drop_s: int = 3600
    # roles whose terminals are exempt from R3 and R5 (dispatch, receive-only); each such sign-in is audited as exempt
    lock_exempt_roles: tuple[str, ...] = ()
    # R4: a session ends
    session_lifetime_s: int = 43_200
    # R4: how long a sign-in counts as fresh for privileged acts
    fresh_s: int = 600
    # R2
    bad_tries: int = 5
    bad_tries_window_s: int = 900
    # R7: an account that was not used for this long is refused, and switched off by a sweep
    inactive_days: int = 90
    # between two sweeps, seconds
    account_sweep_s: float = 3600.0
    enrolment_lifetime_s: int = 259_200
    demo_link_lifetime_s: int = 600
    # single sign-on; empty issuer: none
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = field(default="", repr=False)
    oidc_name: str = "Single sign-on"
    # a token whose amr or acr holds one of these has checked a second factor (RFC 8176)
    oidc_second_factor_values: tuple[str, ...] = ("mfa", "otp", "hwk", "swk", "phr", "phrh")
    # secret (any text of 32 or more characters) that seals the TOTP secrets at rest; empty: derived from this service's token key
    sealing_secret: str = field(default="", repr=False)
    # requests per second and burst of one session, of one address without session, of one device source
    session_rate: float = 50.0
    session_burst: int = 200
    # what of these fetches live pictures over HTTPS is counted by itself: a wall of 16 cameras asks for some 100 a second
    live_media_rate: float = 200.0
    live_media_burst: int = 400
    address_rate: float = 50.0
    address_burst: int = 300
    device_rate: float = 2000.0
    device_burst: int = 4000
    # sign-in steps per minute of one address, above a burst: a whole shift signs in behind one address, R2 guards each account
    sign_in_rate_per_minute: float = 60.0
    sign_in_burst: int = 150
    # the public tip form: tries per minute of one sender and of all senders to one agency, above a burst. What is kept in an hour is
    # bounded by incidents (RTCC_INCIDENTS_TIPS_...)
    tip_sender_rate_per_minute: float = 2.0
    tip_sender_burst: int = 10
    tip_agency_rate_per_minute: float = 60.0
    tip_agency_burst: int = 120
    # a form that comes back sooner was filled in by a robot
    tip_form_least_s: float = 2.0
    # live socket
    sockets_per_session: int = 8
    position_interval_s: float = 0.2
    # a socket that is this far behind is closed with its cursor
    socket_backlog_bytes: int = 8 * 1024 * 1024
    # seconds that an answer may wait for a service
    call_timeout_s: float = 15.0

    @property
    def host(self) -> str:
        """The host of `listen`, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port of `listen`."""
        text = self.listen.rpartition(":")[2]
        if not text.isdigit():
            raise InvalidSetting("RTCC_GATEWAY_LISTEN", f"{self.listen!r} is not host:port")
        return int(text)

    @property
    def has_certificate(self) -> bool:
        """Whether HTTPS is served."""
        return bool(self.certificate_file)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the door."""
        return self.host == "localhost" or _is_loopback(self.host)

    @property
    def only_this_machine(self) -> bool:
        """Loopback, and no proxy that carries us to others under a name of its own."""
        host = urlsplit(self.origin).hostname or "localhost"
        return self.loopback and (host == "localhost" or _is_loopback(host))

    def check(self) -> None:
        """Refuse what would be unsafe, before anything listens.

        Raises:
            InvalidSetting: names the setting and what to do.
        """
        _ = self.port
        if bool(self.certificate_file) != bool(self.certificate_key_file):
            raise InvalidSetting("RTCC_GATEWAY_CERTIFICATE_KEY_FILE", "certificate and key belong together: set both or none")
        if not self.loopback and not self.has_certificate:
            raise InvalidSetting(
                "RTCC_GATEWAY_LISTEN",
                f"{self.host!r} is reachable from other machines and there is no certificate (R14): set RTCC_GATEWAY_CERTIFICATE_FILE "
                "and RTCC_GATEWAY_CERTIFICATE_KEY_FILE, or listen on 127.0.0.1 behind a proxy that has one",
            )
        if self.origin:
            parts = urlsplit(self.origin)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or parts.query:
                raise InvalidSetting("RTCC_GATEWAY_ORIGIN", f"{self.origin!r} is not an origin like https://rtcc.example.org")
            if parts.scheme == "http" and not _is_loopback(parts.hostname) and parts.hostname != "localhost":
                raise InvalidSetting("RTCC_GATEWAY_ORIGIN", "an origin that others reach must be https (R14)")
        if not 60 <= self.idle_lock_s <= 1800:
            raise InvalidSetting("RTCC_GATEWAY_IDLE_LOCK_S", "must be between 60 and 1800 (R3)")
        if self.sealing_secret and len(self.sealing_secret) < 32:
            raise InvalidSetting("RTCC_GATEWAY_SEALING_SECRET", "needs at least 32 characters")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""Our half of a peer's ICE session: credentials, checks answered with them, and restarts (RFC 8445; RFC 9725, 4.3)."""

import hmac
import secrets
from dataclasses import dataclass
from functools import cached_property

from rtcc_video.engine import stun
from rtcc_video.engine.fragments import UnusableFragment, parse_fragment
from rtcc_video.engine.paths import Path


class OtherIceSession(Exception):
    """The update names an ICE session that a restart has ended."""


@dataclass(frozen=True)
class IceCredentials:
    """Our half of an ICE session, and the peer's user fragment that its checks must name."""

    ice_ufrag: str
    ice_pwd: str
    peer_ufrag: str

    @cached_property
    def username(self) -> bytes:
        """USERNAME of the peer's checks (RFC 8445, 7.2.2)."""
        return f"{self.ice_ufrag}:{self.peer_ufrag}".encode()

    @cached_property
    def password(self) -> stun.IntegrityKey:
        """The key of MESSAGE-INTEGRITY."""
        return stun.IntegrityKey(self.ice_pwd.encode())


class IceSession:
    """Of one viewer or publisher. A restart adds a second pair of credentials; the first holds until the next one (RFC 8445, 2.4)."""

    def __init__(self, peer_ufrag: str, ice_ufrag: str = "", ice_pwd: str = "") -> None:
        self._known = [IceCredentials(ice_ufrag or secrets.token_hex(8), ice_pwd or secrets.token_hex(16), peer_ufrag)]

    @property
    def current(self) -> IceCredentials:
        """The newest credentials; their user fragment names the session (ETag)."""
        return self._known[-1]

    @property
    def ufrags(self) -> list[str]:
        """Our user fragments that checks may name."""
        return [known.ice_ufrag for known in self._known]

    def update(self, etag: str, text: str, mid: str) -> bool:
        """Takes the fragment of a PATCH about the media section `mid`; whether it restarted the session.

        `etag` is the session that candidates belong to, "*" for a restart (RFC 9725, 4.3.3). Raises `OtherIceSession`, `UnusableFragment`.
        """
        fragment, current = parse_fragment(text, mid), self.current
        if etag not in ("*", current.ice_ufrag):
            raise OtherIceSession
        if fragment.ice_ufrag is None or fragment.ice_ufrag == current.peer_ufrag:
            if etag == "*":
                raise UnusableFragment("An ICE restart names a new a=ice-ufrag and a=ice-pwd.")
            return False
        if etag != "*":
            raise OtherIceSession
        self._known = [current, IceCredentials(secrets.token_hex(8), secrets.token_hex(16), fragment.ice_ufrag)]
        return True

    def answer(self, message: stun.StunMessage, path: Path) -> bool:
        """Answers a connectivity check on its path; True when it was authentic and the address may be learnt."""
        username = message.attributes.get(stun.ATTRIBUTE_USERNAME)
        if message.kind != stun.BINDING_REQUEST or username is None:
            return False
        credentials = next((known for known in self._known if hmac.compare_digest(username, known.username)), None)
        if credentials is None or not message.is_authentic(credentials.password):
            return False
        if stun.ATTRIBUTE_CONTROLLED in message.attributes:
            path.send(stun.answer_role_conflict(message, credentials.password))
            return False
        path.send(stun.answer_check(message, credentials.password, path.host, path.port))
        return True

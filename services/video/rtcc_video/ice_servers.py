"""STUN and TURN servers that viewers are told of, with an account of their own for TURN."""

import base64
import hmac
from dataclasses import dataclass

from rtcc_video.settings import VideoSettings


@dataclass(frozen=True, slots=True)
class IceServer:
    """One server as a browser's `iceServers` names it; STUN needs no account."""

    url: str
    username: str = ""
    credential: str = ""


@dataclass(frozen=True, slots=True)
class OpenedView:
    """A view that was opened: the answer to its offer, its ICE session's name, and the STUN and TURN servers to try."""

    viewer_id: str
    answer_sdp: str
    etag: str
    ice_servers: list[IceServer]


def ice_servers(settings: VideoSettings, viewer_id: str, unix_s: float) -> list[IceServer]:
    """What one viewer is told. The account is made from the servers' shared secret (draft-uberti-behave-turn-rest-00, as coturn takes
    it): it names the view, ends by itself, and TURN servers need no list of viewers."""
    found: list[IceServer] = []
    for url in settings.ice_servers:
        if url.startswith("stun") or not settings.turn_secret:
            found.append(IceServer(url))
            continue
        username = f"{int(unix_s) + settings.turn_account_s}:{viewer_id}"
        digest = hmac.digest(settings.turn_secret.encode(), username.encode(), "sha1")
        found.append(IceServer(url, username, base64.b64encode(digest).decode()))
    return found

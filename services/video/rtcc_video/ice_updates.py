"""A PATCH of WHEP and WHIP with the errors of the contract."""

from rtcc_chassis.errors import Conflict, InvalidInput
from rtcc_video.engine.endpoint import Endpoint
from rtcc_video.engine.fragments import UnusableFragment
from rtcc_video.engine.ice import OtherIceSession


def update_ice(endpoint: Endpoint, session_id: str, etag: str, fragment: str) -> tuple[str, str]:
    """Candidates or an ICE restart of a view or publication: our fragment (empty for candidates) and the ICE session's name.

    Raises `KeyError` for no such session, `Conflict` for an ICE session that has ended, `InvalidInput`.
    """
    try:
        return endpoint.update(session_id, etag, fragment)
    except UnusableFragment as error:
        raise InvalidInput.one("sdp_fragment", str(error)) from error
    except OtherIceSession as error:
        raise Conflict("The ICE session was restarted meanwhile: use the ETag of its last answer, or * to restart it.") from error

"""The signature of a delivery: HMAC-SHA256 (RFC 2104, FIPS 180-4) over "<timestamp>.<delivery id>.<body>"."""

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta

from rtcc_chassis.errors import Unauthenticated

SCHEME = "v1"
REPLAY_WINDOW = timedelta(minutes=5)

_TIMESTAMP = re.compile(r"[0-9]{1,12}\Z")
_SIGNATURE = re.compile(r"v1=[0-9a-f]{64}\Z")


def sign(secret: str, timestamp: str, delivery_id: str, body: bytes) -> str:
    """The Rtcc-Signature header. The key is the secret's text as it was shown, not decoded."""
    message = f"{timestamp}.{delivery_id}.".encode() + body
    return f"{SCHEME}={hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()}"


def matches(secret: str, timestamp: str, delivery_id: str, body: bytes, signature: str) -> bool:
    """Compared in constant time. One of several signatures ("v1=..., v1=...", while a secret is being changed) is enough."""
    expected = sign(secret, timestamp, delivery_id, body)
    offered = [part.strip() for part in signature[:512].split(",")]
    return any([_SIGNATURE.match(part) is not None and hmac.compare_digest(expected, part) for part in offered])


def check_age(timestamp: str, now: datetime) -> None:
    """Raises Unauthenticated for a time stamp that is not Unix seconds, or further than 5 minutes from now in either direction."""
    if not _TIMESTAMP.match(timestamp):
        raise Unauthenticated("Rtcc-Timestamp must be Unix seconds, digits only.")
    try:
        sent_at = datetime.fromtimestamp(int(timestamp), UTC)
    except (OverflowError, ValueError) as error:
        raise Unauthenticated("Rtcc-Timestamp is not a time.") from error
    if abs(now - sent_at) > REPLAY_WINDOW:
        raise Unauthenticated(
            f"Rtcc-Timestamp is {round(abs(now - sent_at).total_seconds())} s away from now, {REPLAY_WINDOW.seconds} s are allowed: "
            "set the sender's clock, or sign the delivery again with the present time."
        )

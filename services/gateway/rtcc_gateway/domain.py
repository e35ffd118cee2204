"""Rules of sign-in and sessions: pure, the clock is an argument."""

import hashlib
import re
import unicodedata
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from rtcc_chassis.errors import Conflict, InvalidInput, RtccError, Unauthenticated, Violation

PASSWORD_MIN_LENGTH = 12
PASSWORD_MAX_LENGTH = 128

Method = Literal["totp", "passkey", "oidc", "demo"]
Standing = Literal["open", "locked", "expired"]


class SignInFailed(Unauthenticated):
    """Login, password, code or key is wrong; never says which."""

    def __init__(self) -> None:
        super().__init__("Login, password, code or key is not right. Check them and try again.")


class AccountLocked(RtccError):
    """R2: too many bad tries."""

    def __init__(self, tries: int) -> None:
        super().__init__(f"Locked after {tries} bad sign-ins. An administrator of your agency must release it.")


class AccountEnded(RtccError):
    """R7: disabled, past its end or unused for too long."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"This account can't sign in: {reason}. Ask an administrator of your agency.")


class BannerRequired(Conflict):
    """R6: the use banner in force was not acknowledged."""

    def __init__(self) -> None:
        super().__init__("Read and acknowledge the use banner first.")


class LinkUsed(RtccError):
    """An enrolment or demo link that was used, has expired or never was."""

    def __init__(self) -> None:
        super().__init__("This link was used or has expired. Ask for a new one.")


class SessionLocked(RtccError):
    """R3: the session is locked until the person proves to be there."""

    def __init__(self) -> None:
        super().__init__("This session is locked. Unlock it with your second factor.")


class CrossSiteRequest(RtccError):
    """A request that another site's page may have caused."""

    def __init__(self) -> None:
        super().__init__("This request did not come from the console: send Rtcc-Request: 1 from the same origin.")


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """The limits of R3, R4 and R5, in seconds."""

    idle_lock_s: int
    lifetime_s: int
    fresh_s: int


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in browser. The cookie's secret is not in here: only its hash is stored."""

    session_id: str
    person_id: str
    agency_id: str
    method: Method
    started_at: datetime
    # the newest proof of presence with all factors
    fresh_at: datetime
    # the newest input of the person
    active_at: datetime
    last_seen_at: datetime
    locked: bool
    lock_exempt: bool
    source_address: str
    user_agent: str

    def standing(self, now: datetime, policy: SessionPolicy) -> Standing:
        """R3 and R4: whether the session may be used now."""
        if now - self.started_at >= timedelta(seconds=policy.lifetime_s):
            return "expired"
        if self.locked:
            return "locked"
        if not self.lock_exempt and now - self.active_at >= timedelta(seconds=policy.idle_lock_s):
            return "locked"
        return "open"

    def expires_at(self, policy: SessionPolicy) -> datetime:
        """R4: when the person must sign in again, whatever happens."""
        return self.started_at + timedelta(seconds=policy.lifetime_s)

    def fresh_until(self, policy: SessionPolicy) -> datetime:
        """R4: until when privileged acts are taken."""
        return self.fresh_at + timedelta(seconds=policy.fresh_s)

    def renewed(self, now: datetime) -> "Session":
        """After the person proved all factors again."""
        return replace(self, fresh_at=now, active_at=now, last_seen_at=now, locked=False)


def secret_hash(secret: str) -> bytes:
    """What is stored of a random secret of 256 bits (cookies, links): no salt or stretching is needed at that entropy."""
    return hashlib.sha256(secret.encode()).digest()


def normalise_login(text: str) -> str:
    """Logins are compared in NFKC lower case, at most 200 characters."""
    return unicodedata.normalize("NFKC", text).strip().casefold()[:200]


def banner_version(title: str, text: str) -> str:
    """Changes with the banner's words, so that a new text is acknowledged anew."""
    return hashlib.sha256(f"{title}\x1f{text}".encode()).hexdigest()[:8]


def check_password(password: str, login: str, display_name: str) -> None:
    """NIST SP 800-63B section 3.1.1: length counts, composition rules don't; guessable ones are refused.

    Raises:
        InvalidInput: with a violation on `password`.
    """
    folded = unicodedata.normalize("NFKC", password).casefold()
    reasons = []
    if not PASSWORD_MIN_LENGTH <= len(password) <= PASSWORD_MAX_LENGTH:
        reasons.append(f"must have {PASSWORD_MIN_LENGTH} to {PASSWORD_MAX_LENGTH} characters")
    if len(set(folded)) < 5:
        reasons.append("repeats too few characters")
    names = [login, *display_name.casefold().split()]
    rest = folded
    for word in (*_GUESSED, *(name for name in names if len(name) >= 3)):
        rest = rest.replace(word, "")
    if len(rest) < 6:
        reasons.append("is made of your name or of words that are guessed first")
    if reasons:
        raise InvalidInput([Violation("password", reason) for reason in reasons])


_GUESSED = (
    "password",
    "passwort",
    "letmein",
    "welcome",
    "qwertyuiop",
    "qwerty",
    "123456789",
    "12345",
    "abcdef",
    "police",
    "openrtcc",
    "admin",
)
_NEXT = re.compile(r"/(?![/\\])[A-Za-z0-9/_.~!$&'()*+,;=:@%?-]{0,500}")


def safe_next(path: str) -> str:
    """`path` when it is a path on this origin, else "/": an open redirect would lend our name to a phisher."""
    return path if _NEXT.fullmatch(path) else "/"


def too_many(failures: Iterable[datetime], now: datetime, tries: int, window_s: int) -> bool:
    """R2: whether the failures within the window reach the limit."""
    floor = now - timedelta(seconds=window_s)
    return sum(1 for at in failures if at > floor) >= tries


class RateLimit:
    """Token buckets by key in a bounded table: the key used longest ago is forgotten first.

    A forgotten key starts full again, so the table must be larger than the number of keys that are active within burst/rate seconds.
    """

    def __init__(self, rate_per_s: float, burst: int, keys: int = 20_000) -> None:
        self._rate = rate_per_s
        self._burst = float(burst)
        self._keys = keys
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, now_s: float, cost: float = 1.0) -> float:
        """0.0 when allowed; else the seconds until it would be."""
        level, at = self._levels.pop(key, (self._burst, now_s))
        level = min(self._burst, level + max(0.0, now_s - at) * self._rate)
        allowed = level >= cost
        self._levels[key] = (level - cost if allowed else level, now_s)
        while len(self._levels) > self._keys:
            self._levels.popitem(last=False)
        return 0.0 if allowed else (cost - level) / self._rate

    def __len__(self) -> int:
        return len(self._levels)

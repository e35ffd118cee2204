"""SDP fragments of trickle ICE (RFC 8840): what a WHEP player PATCHes, and our half after an ICE restart."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rtcc_video.engine.sdp import UnusableOffer

_LIMIT_CHARACTERS: Final = 16 * 1024
_LIMIT_CANDIDATES: Final = 64
# RFC 8839, 5.4: 4 to 256 and 22 to 256 characters of letters, digits, + and /.
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_CANDIDATE = re.compile(r"[!-~]{1,64} [0-9]{1,5} [A-Za-z]{3,10} [0-9]{1,10} [!-~]{1,255} [0-9]{1,5} typ [a-z]{2,10}( [!-~]{1,64})*")


class UnusableFragment(UnusableOffer):
    """A fragment that can't be understood; the message names the line."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """The ICE credentials that it names, if any, and how many candidates it brings.

    The relay is ICE-lite: it answers checks wherever they come from, and needs no candidate of the player's.
    """

    ice_ufrag: str | None
    ice_pwd: str | None
    candidates: int


def parse_fragment(text: str, mid: str) -> Fragment:
    """Reads a fragment of content type application/trickle-ice-sdpfrag, of which the media section `mid` and what stands before all of them
    count: a browser gives sections that were refused credentials of their own. Raises `UnusableFragment`.
    """
    if len(text) > _LIMIT_CHARACTERS:
        raise UnusableFragment(f"The fragment has {len(text)} characters; at most {_LIMIT_CHARACTERS} are read.")
    sections: list[dict[str, str]] = [{}]
    candidates = 0
    for line in text.replace("\r\n", "\n").split("\n"):
        name, _, value = line.removeprefix("a=").partition(":")
        if line.startswith("m="):
            sections.append({})
        elif line.startswith("a=mid:"):
            sections[-1][name] = value.strip()
        elif line.startswith("a=ice-ufrag:") or line.startswith("a=ice-pwd:"):
            pattern = _UFRAG if name == "ice-ufrag" else _PASSWORD
            if not pattern.fullmatch(value.strip()) or sections[-1].setdefault(name, value.strip()) != value.strip():
                raise UnusableFragment(f"The fragment's a={name} isn't usable, or there are two that differ.")
        elif line.startswith("a=candidate:"):
            candidates += 1
            if candidates > _LIMIT_CANDIDATES or not _CANDIDATE.fullmatch(value.strip()):
                raise UnusableFragment(
                    f"The line {line[:80]!r} isn't a candidate of RFC 8839, 5.1, or there are more than {_LIMIT_CANDIDATES}."
                )
        elif line and not re.match(r"[a-z]=", line):
            raise UnusableFragment(f"The line {line[:80]!r} isn't of an SDP fragment (RFC 8840, 9).")
    # the section's own come first
    for section in sorted(sections, key=lambda section: section.get("mid") != mid):
        ours = section.get("mid", mid) == mid
        if ours and ("ice-ufrag" in section) != ("ice-pwd" in section):
            raise UnusableFragment("The fragment names only one of a=ice-ufrag and a=ice-pwd.")
        if ours and "ice-ufrag" in section:
            return Fragment(section["ice-ufrag"], section["ice-pwd"], candidates)
    return Fragment(None, None, candidates)


def build_fragment(ice_ufrag: str, ice_pwd: str, mid: str, candidates: Sequence[str]) -> str:
    """Our half of a restarted ICE session; `candidates` are whole lines."""
    lines = ["a=ice-lite", f"a=ice-ufrag:{ice_ufrag}", f"a=ice-pwd:{ice_pwd}", "m=video 9 UDP/TLS/RTP/SAVPF 0", f"a=mid:{mid}"]
    return "\r\n".join([*lines, *candidates, "a=end-of-candidates"]) + "\r\n"

"""What the public tells: checked, moderated, grouped with what is about the same thing."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.errors import Conflict, Violation
from rtcc_chassis.geometry import coordinate_violations
from rtcc_incidents.domain.checks import require, text_violations
from rtcc_incidents.domain.places import address_key, metres_between

CATEGORIES = ("", "crime", "traffic", "missing_person", "suspicious", "drugs", "weapons", "other")
SHORTEST_TEXT, LONGEST_TEXT = 10, 4_000
LONGEST_CONTACT = 200
MAXIMUM_NOTE = 1_000
# tips about one place need little in common, tips without one must say nearly the same
_NEAR_M, _FAR_M = 300.0, 5_000.0
_ALIKE_NEAR, _ALIKE_ANYWHERE = 0.12, 0.45
# Crockford's base 32 without letters that are misheard or misread
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SPACE = re.compile(r"\W+")


def reference_code(tip_id: str) -> str:
    """What the submitter is given, "K7QM-2XPD": 40 bits of a hash of the tip's id."""
    number = int.from_bytes(hashlib.sha256(f"reference {tip_id}".encode()).digest()[:5], "big")
    letters = "".join(_ALPHABET[number >> shift & 31] for shift in range(35, -1, -5))
    return f"{letters[:4]}-{letters[4:]}"


def check_submission(request: pb.SubmitTipRequest) -> None:
    """Raises InvalidInput with everything that is wrong, for the person who filled the form in."""
    violations = text_violations("text", request.text, LONGEST_TEXT, least=SHORTEST_TEXT)
    violations += text_violations("address", request.address, 500) + text_violations("contact", request.contact, LONGEST_CONTACT)
    violations += text_violations("form_key", request.form_key, 128, least=8)
    if request.category not in CATEGORIES:
        violations.append(Violation("category", f"is not one of {', '.join(CATEGORIES[1:])}"))
    if request.HasField("coordinate"):
        violations += coordinate_violations(request.coordinate, "coordinate")
    if not re.fullmatch(r"[0-9a-f]{0,64}", request.sender_hash):
        violations.append(Violation("sender_hash", "is not a hash"))
    require(violations)


def check_tip_line(line: pb.TipLine) -> None:
    """Raises InvalidInput."""
    require(text_violations("tip_line.notice", line.notice, 2_000) + text_violations("tip_line.emergency_line", line.emergency_line, 200))


def moderate(tip: pb.Tip, state: pb.TipState.ValueType, note: str, by_name: str, now: datetime) -> bool:
    """False: it was so before. Any state can follow any other, so that a mistake can be undone; but a promoted tip stays accepted."""
    violations = text_violations("note", note, MAXIMUM_NOTE)
    if state not in (pb.TIP_STATE_ACCEPTED, pb.TIP_STATE_REJECTED, pb.TIP_STATE_SPAM, pb.TIP_STATE_NEW):
        violations.append(Violation("state", "is one of new, accepted, rejected, spam"))
    require(violations)
    if tip.incident_id and state != pb.TIP_STATE_ACCEPTED:
        raise Conflict("The tip was promoted to an incident: say in the incident's timeline what was wrong with it.")
    if tip.state == state and tip.moderation_note == note.strip():
        return False
    tip.state, tip.moderation_note, tip.moderated_by_name = state, note.strip(), by_name
    tip.moderated_at.FromDatetime(now)
    return True


def check_promotion(tip: pb.Tip) -> None:
    """Raises Conflict for a tip that was put aside."""
    if tip.state in (pb.TIP_STATE_REJECTED, pb.TIP_STATE_SPAM):
        raise Conflict("The tip was put aside as rejected or spam: accept it first.")


@dataclass(frozen=True, slots=True)
class Told:
    """What grouping looks at."""

    tip_id: str
    group_id: str
    at: datetime
    text: str
    key: str
    coordinate: Coordinate | None

    @classmethod
    def of(cls, tip: pb.Tip, at: datetime) -> "Told":
        coordinate = tip.position.coordinate if tip.position.HasField("coordinate") else None
        return cls(tip.tip_id, tip.group_id, at, tip.text, address_key(tip.address), coordinate)


def likeness(a: str, b: str) -> float:
    """0 to 1: shared three-letter pieces of all of both (Jaccard), blind to case, accents and punctuation."""
    one, two = _pieces(a), _pieces(b)
    return len(one & two) / len(one | two) if one and two else 0.0


def _pieces(text: str) -> set[str]:
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    padded = f" {_SPACE.sub(' ', plain).strip()} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)} if padded.strip() else set()


def about_the_same(a: Told, b: Told, within: timedelta) -> float:
    """How alike two tips are, 0 when they are not about the same thing. Symmetric."""
    if abs(a.at - b.at) > within:
        return 0.0
    alike, metres = likeness(a.text, b.text), metres_between(a.coordinate, b.coordinate)
    near = (metres is not None and metres <= _NEAR_M) or (a.key != "" and a.key == b.key)
    if near and alike >= _ALIKE_NEAR:
        return 1.0 + alike
    apart = metres is not None and metres > _FAR_M
    return alike if alike >= _ALIKE_ANYWHERE and not apart else 0.0


def group_for(tip: Told, others: Iterable[Told], within: timedelta) -> str:
    """The group of the tip that is most like it; its own when there is none."""
    best = max(((about_the_same(tip, other, within), other.group_id) for other in others), default=(0.0, ""))
    return best[1] if best[0] > 0 else tip.tip_id

"""What an intelligence record needs before it may be kept (28 CFR 23.20)."""

from datetime import UTC, datetime, timedelta

from rtcc.identity.v1 import identity_pb2 as pb
from rtcc_chassis.errors import InvalidInput, Violation
from rtcc_identity.domain.records import valid_identifier

SHORTEST_SUSPICION = 40
LONGEST_TEXT = 4_000
# 28 CFR 23.20(h)
KEPT_AT_MOST = timedelta(days=5 * 365)
RELIABILITIES = ("reliable", "usually_reliable", "unreliable", "unknown")
VALIDITIES = ("confirmed", "probable", "doubtful", "cannot_be_judged")


def checked(wanted: pb.Intelligence, now: datetime) -> pb.Intelligence:
    """A copy fit to be kept; who submits it and when is the caller's business. Raises InvalidInput with every fault."""
    result = pb.Intelligence()
    result.CopyFrom(wanted)
    wrong: list[Violation] = []

    def require(good: bool, field: str, reason: str) -> None:
        if not good:
            wrong.append(Violation(f"intelligence.{field}", reason))

    for field in ("text", "reasonable_suspicion", "criminal_activity"):
        value = getattr(wanted, field).strip()
        setattr(result, field, value)
        require(len(value) <= LONGEST_TEXT and "\0" not in value, field, f"must be text of at most {LONGEST_TEXT} characters")
    require(bool(result.text), "text", "is missing")
    require(
        len(result.reasonable_suspicion) >= SHORTEST_SUSPICION,
        "reasonable_suspicion",
        f"must document the facts that give reasonable suspicion, in at least {SHORTEST_SUSPICION} characters (R25)",
    )
    require(bool(result.criminal_activity), "criminal_activity", "is missing: which criminal activity is suspected")
    require(wanted.source_reliability in RELIABILITIES, "source_reliability", f"is one of {', '.join(RELIABILITIES)}")
    require(wanted.content_validity in VALIDITIES, "content_validity", f"is one of {', '.join(VALIDITIES)}")
    require(valid_identifier(wanted.person_record_id), "person_record_id", "must be the record_id of a person")
    require(not wanted.intelligence_id or valid_identifier(wanted.intelligence_id), "intelligence_id", "must be an id of ours, or empty")
    if wanted.HasField("review_by"):
        try:
            review = wanted.review_by.ToDatetime(UTC)
            require(now < review <= now + KEPT_AT_MOST, "review_by", "must lie ahead, at most five years (28 CFR 23.20(h))")
        except (ValueError, OverflowError):
            require(False, "review_by", "is no time")
    else:
        result.review_by.FromDatetime(now + KEPT_AT_MOST)
    if wrong:
        raise InvalidInput(wrong)
    return result

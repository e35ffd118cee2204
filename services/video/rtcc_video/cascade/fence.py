"""Whether a relay that isn't heard over NATS must let go of its cameras: others have taken them over by then, or may have."""

from collections.abc import Sequence
from dataclasses import dataclass

# Whom another relay hears over NATS, by id (nobody: it is without NATS itself), or None: it doesn't answer.
type Answer = frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Fence:
    """The rule of one relay. Times are seconds of its own clock.

    `lease_s`: so long after its last word nobody has taken over. `limit_s`: so long it keeps its cameras when no other relay answers, and
    it can't know; 0: for ever.
    """

    relay_id: str
    lease_s: float
    limit_s: float

    def in_doubt(self, unheard_s: float) -> bool:
        """Whether the others must be asked."""
        return unheard_s > self.lease_s

    def must_let_go(self, unheard_s: float, answers: Sequence[Answer]) -> bool:
        """`answers`: of every other relay that lived when NATS was last heard.

        Where NATS is away for those who answer too, nobody takes over, and everything goes on. One that is alone has nobody to give to.
        """
        if not self.in_doubt(unheard_s) or not answers:
            return False
        heard = [answer for answer in answers if answer is not None]
        if any(self.relay_id in answer for answer in heard):
            return False
        if any(heard):
            return True
        return not heard and 0 < self.limit_s < unheard_s

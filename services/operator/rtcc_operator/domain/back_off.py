"""How long to wait before trying again."""

FIRST_S, LONGEST_S = 1.0, 300.0


def back_off_s(failures: int, chance: float, first_s: float = FIRST_S, longest_s: float = LONGEST_S) -> float:
    """After the `failures`-th failure in a row. `chance` in [0, 1) spreads it over the upper half ("equal jitter"), so that a hundred
    resources that failed together don't come back together.
    """
    full = min(longest_s, first_s * 2.0 ** min(failures - 1, 30))
    return full / 2 + full / 2 * chance

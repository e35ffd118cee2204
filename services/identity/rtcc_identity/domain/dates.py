"""Birth dates as people know them: whole, month or year only, or slipped by a digit."""

import calendar
import re
from dataclasses import dataclass
from functools import lru_cache

from rtcc_chassis.errors import InvalidInput

FIRST_YEAR = 1880
_PARTIAL = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?\Z")
AGE_SLACK_YEARS = 5


@dataclass(frozen=True, slots=True, order=True)
class BirthDate:
    """`month` and `day` 0: unknown."""

    year: int
    month: int = 0
    day: int = 0

    @property
    def number(self) -> int:
        """yyyymmdd, as the index keeps it: 19840307, 19840000."""
        return self.year * 10_000 + self.month * 100 + self.day

    @property
    def whole(self) -> bool:
        return self.day != 0

    def __str__(self) -> str:
        text = f"{self.year:04}"
        for part in (self.month, self.day):
            if part:
                text += f"-{part:02}"
        return text


def from_number(number: int) -> BirthDate | None:
    """0: unknown."""
    return BirthDate(number // 10_000, number // 100 % 100, number % 100) if number else None


def parse(text: str, field: str, last_year: int) -> BirthDate | None:
    """ "1984-03-07", "1984-03" or "1984"; None for "". Raises InvalidInput."""
    if not text:
        return None
    found = _PARTIAL.match(text)
    if found is None:
        raise InvalidInput.one(field, f"{text[:20]!r} is not a date such as 1984-03-07, 1984-03 or 1984")
    date = BirthDate(int(found[1]), int(found[2] or 0), int(found[3] or 0))
    if not FIRST_YEAR <= date.year <= last_year:
        raise InvalidInput.one(field, f"the year {date.year} is not between {FIRST_YEAR} and {last_year}")
    if (found[2] and not 1 <= date.month <= 12) or (found[3] and not exists(date.year, date.month, date.day)):
        raise InvalidInput.one(field, f"{text} is no day of the calendar")
    return date


def exists(year: int, month: int, day: int) -> bool:
    """Whether the calendar has that day."""
    return 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]


@lru_cache(maxsize=4096)
def slips(date: BirthDate) -> tuple[BirthDate, ...]:
    """A whole date and what it becomes by one slip, commonest first: day and month swapped, a neighbouring day, month or year, one digit
    of the day or of the year's last two wrong, two digits swapped. All exist in the calendar.
    """
    year, month, day = date.year, date.month, date.day
    found = [(year, month, day), (year, day, month)]
    found += [(year, month, day + step) for step in (-1, 1)]
    found += [(year + step, month, day) for step in (-1, 1)]
    found += [(year, month + step, day) for step in (-1, 1)]
    tens, units = divmod(day, 10)
    found += [(year, month, digit * 10 + units) for digit in range(4)]
    found += [(year, month, tens * 10 + digit) for digit in range(10)]
    found.append((year, month, units * 10 + tens))
    found += [(year, month % 10 + 10 * (month < 10), day), (year, (month % 10) * 10 + month // 10, day)]
    century, short = divmod(year, 100)
    decade, last = divmod(short, 10)
    found += [(century * 100 + digit * 10 + last, month, day) for digit in range(10)]
    found += [(century * 100 + decade * 10 + digit, month, day) for digit in range(10)]
    found.append((century * 100 + last * 10 + decade, month, day))
    return tuple(dict.fromkeys(BirthDate(*parts) for parts in found if FIRST_YEAR <= parts[0] <= 2_200 and exists(*parts)))


def similarity(asked: BirthDate, known: BirthDate) -> tuple[float, str]:
    """(0 to 1, why)."""
    if asked == known:
        return (1.0, "the same date") if asked.whole else (0.9, "the same month" if asked.month else "the same year")
    if asked.whole and known.whole:
        return _of_whole_dates(asked, known)
    if asked.year == known.year:
        if not asked.month or not known.month:
            return 0.9, "the same year"
        return (0.95, "the same month") if asked.month == known.month else (0.6, "the same year, another month")
    years = abs(asked.year - known.year)
    return (max(0.0, 0.7 - 0.15 * years), f"{years} {'year' if years == 1 else 'years'} apart") if years <= 4 else (0.0, "another year")


def _of_whole_dates(asked: BirthDate, known: BirthDate) -> tuple[float, str]:
    if asked.year == known.year and (asked.day, asked.month) == (known.month, known.day):
        return 0.92, "day and month swapped"
    a, b = f"{asked.number}", f"{known.number}"
    wrong = [position for position in range(8) if a[position] != b[position]]
    if len(wrong) == 1:
        return 0.88, "one digit differs"
    if len(wrong) == 2 and wrong[1] == wrong[0] + 1 and a[wrong[0]] == b[wrong[1]] and a[wrong[1]] == b[wrong[0]]:
        return 0.85, "two digits swapped"
    if asked.year == known.year:
        same_month = asked.month == known.month
        return (0.75, "the same month and year") if same_month else (0.5, "the same year")
    if (asked.month, asked.day) == (known.month, known.day):
        years = abs(asked.year - known.year)
        return (0.7 if years <= 10 else 0.45), f"the same day, {years} years apart"
    years = abs(asked.year - known.year)
    return (max(0.0, 0.35 - 0.1 * years), "within a few years") if years <= 3 else (0.0, "another date")


def age_similarity(age_years: int, known: BirthDate, today: BirthDate) -> tuple[float, str]:
    """How well a guessed age fits."""
    age = today.year - known.year - ((today.month, today.day) < (known.month, known.day))
    off = abs(age - age_years)
    if off > 2 * AGE_SLACK_YEARS:
        return 0.0, f"{age} years old"
    return max(0.0, 1.0 - off * 0.08), f"{age} years old"

"""Names and dates as they are misspelt: known cases, and what must hold for any."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc_chassis.errors import InvalidInput
from rtcc_identity.domain.dates import BirthDate, age_similarity, from_number, parse, similarity, slips
from rtcc_identity.domain.keys import MAXIMUM_KEYS, deletions, keys_of_person, keys_of_query
from rtcc_identity.domain.names import Name, asked_names, fold, name_of, sound, tokens
from rtcc_identity.domain.scoring import Asked, fields, total_score, word_similarity

words = st.text("abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=14)
births = st.dates(date(1900, 1, 1), date(2025, 12, 31)).map(lambda day: BirthDate(day.year, day.month, day.day))


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("Ó Néill", "o neill"), ("Łukasz", "lukasz"), ("Müller-Straße", "muller-strasse"), ("D'Angelo", "dangelo"), ("Øyvind", "oyvind"),
        ("Иван Петров", "ivan petrov"), ("ÅSA", "asa"), ("Þór", "thor"),
    ],
)  # fmt: skip
def test_accents_and_other_letters_are_folded(written: str, folded: str) -> None:
    assert fold(written) == folded


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("smith", "smyth"), ("kristina", "christina"), ("stephen", "stefen"), ("philip", "filip"), ("catherine", "katherin"),
        ("schmidt", "schmit"), ("meier", "meyer"), ("mackenzie", "mckenzie"), ("johansson", "johanson"), ("wright", "rite"),
        ("virtanen", "wirtanen"), ("knight", "night"), ("sara", "sarah"),
    ],
)  # fmt: skip
def test_what_sounds_alike_has_one_sound(a: str, b: str) -> None:
    assert sound(a) == sound(b)


@pytest.mark.parametrize(("a", "b"), [("smith", "jones"), ("laine", "salo"), ("lee", "ray"), ("nina", "anna"), ("walker", "baker")])
def test_what_sounds_different_has_not(a: str, b: str) -> None:
    assert sound(a) != sound(b)


def test_a_typed_name_is_read_in_its_likely_orders() -> None:
    assert asked_names("Smyth, Jon") == (Name(("jon",), ("smyth",)), Name(("smyth",), ("jon",)))
    assert asked_names("Jon Smyth")[0] == Name(("jon",), ("smyth",))
    assert asked_names("Juan García López")[1] == Name(("juan",), ("garcia", "lopez"))
    assert asked_names("Anna Kallio-Virtanen")[0] == Name(("anna",), ("kallio", "virtanen"))
    assert asked_names("Cher") == (Name((), ("cher",)), Name(("cher",), ()))
    assert asked_names("  ") == asked_names(",") == ()


@given(st.text(max_size=60))
def test_any_text_is_folded_to_bounded_tokens(text: str) -> None:
    for token in tokens(text):
        assert 0 < len(token) <= 40 and token == fold(token) and len(sound(token)) <= 8
    for reading in asked_names(text):
        assert all(len(keys) <= MAXIMUM_KEYS for keys in keys_of_query([reading], None, None))


@given(words, words, births, st.integers(0, 30), st.sampled_from("abcdefghijklmnopqrstuvwxyz"), st.integers(0, 3))
def test_one_mistake_anywhere_in_the_name_shares_a_key(
    given_name: str, surname: str, birth: BirthDate, at: int, letter: str, kind: int
) -> None:
    whole = given_name if at % 2 else surname
    at %= len(whole)
    wrong = (
        whole[:at] + letter + whole[at + 1 :], whole[:at] + whole[at + 1 :], whole[:at] + letter + whole[at:],
        whole[: at - 1] + whole[at] + whole[at - 1] + whole[at + 1 :] if at else whole,
    )[kind]  # fmt: skip
    asked = Name((wrong,), (surname,)) if whole is given_name else Name((given_name,), (wrong,))
    if not wrong:
        return
    stored = set(keys_of_person([Name((given_name,), (surname,))], birth))
    assert stored & set(keys_of_query([asked], None, None)[0])
    # the parts swapped, and with a date that says nothing
    swapped = [Name(asked.surname, asked.given), asked]
    assert stored & set(keys_of_query(swapped, BirthDate(1899, 1, 1), None)[0])


@given(words, words, births)
def test_a_slipped_date_shares_a_key_whatever_the_given_name_is(given_name: str, surname: str, birth: BirthDate) -> None:
    stored = set(keys_of_person([Name((given_name,), (surname,))], birth))
    for slipped in slips(birth):
        if birth in slips(slipped):
            assert stored & set(keys_of_query([Name(("zzyzx",), (surname,))], slipped, None)[0])


@given(births)
def test_slips_are_days_of_the_calendar_and_hold_the_common_mistakes(birth: BirthDate) -> None:
    found = set(slips(birth))
    assert birth in found and len(found) <= 60
    day = date(birth.year, birth.month, birth.day)
    assert all(date(one.year, one.month, one.day) for one in found)
    for neighbour in (day - timedelta(days=1), day + timedelta(days=1)):
        if neighbour.month == day.month:
            assert BirthDate(neighbour.year, neighbour.month, neighbour.day) in found
    if birth.day <= 12:
        assert BirthDate(birth.year, birth.day, birth.month) in found


@given(births, births)
def test_similarity_of_dates_is_a_score_and_best_for_the_same(a: BirthDate, b: BirthDate) -> None:
    score, reason = similarity(a, b)
    assert 0 <= score <= 1 and reason
    assert (score == 1) == (a == b)
    assert from_number(a.number) == a and parse(str(a), "x", 2026) == a


@pytest.mark.parametrize(
    ("asked", "known", "reason"),
    [
        ("1984-03-07", "1984-07-03", "day and month swapped"), ("1984-03-07", "1984-03-17", "one digit differs"),
        ("1984-03-07", "1948-03-07", "two digits swapped"), ("1984", "1984-03-07", "the same year"), ("1985", "1984-03-07", "1 year apart"),
    ],
)  # fmt: skip
def test_dates_are_compared_with_the_reason(asked: str, known: str, reason: str) -> None:
    a, b = parse(asked, "x", 2026), parse(known, "x", 2026)
    assert a is not None and b is not None and similarity(a, b)[1] == reason


@pytest.mark.parametrize("text", ["1984-3-7", "84", "1984-13", "1984-02-30", "1879", "2027", "1984-00-00", "１９８４"])
def test_what_is_no_birth_date_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse(text, "birth_date", 2026)


def test_a_guessed_age_fits_for_five_years_either_way() -> None:
    today = BirthDate(2026, 6, 1)
    scores = [age_similarity(30, BirthDate(1996 - off, 1, 1), today)[0] for off in (0, 3, 5, 11)]
    assert scores == sorted(scores, reverse=True) and scores[0] == 1 and scores[2] > 0.5 and scores[3] == 0


@given(words, words, words, words, births, births)
def test_a_score_is_between_none_and_all_and_all_only_for_the_same(a: str, b: str, c: str, d: str, x: BirthDate, y: BirthDate) -> None:
    asked = Asked((Name((a,), (b,)),), x)
    score = total_score(asked, [Name((c,), (d,))], y)
    assert 0 <= score <= 1.000001
    assert total_score(asked, [Name((a,), (b,))], x) == pytest.approx(1)
    if (a, b, x) != (c, d, y):
        assert score < 1
    for field in fields(asked, [Name((c,), (d,))], y, ["shown"]):
        assert 0 <= field.score <= 1 and field.reason


@given(words, words)
def test_similarity_of_words_is_symmetric(a: str, b: str) -> None:
    assert word_similarity(a, b) == pytest.approx(word_similarity(b, a))


@given(words)
def test_deletions_are_the_word_and_each_shortened_by_one(word: str) -> None:
    made = list(deletions(word))
    assert made[0] == word and len(made) == len(word) + 1 and all(len(one) == len(word) - 1 for one in made[1:])


def test_a_record_with_everything_stays_within_the_bound_of_keys() -> None:
    names = [name_of(f"Aa{n} Bb{n} Cc{n}", f"Dddddddddd{n}-Eeeeeeeeee{n} Ffffffffff{n}") for n in range(40)]
    assert len(keys_of_person(names, BirthDate(1984, 3, 7))) == MAXIMUM_KEYS

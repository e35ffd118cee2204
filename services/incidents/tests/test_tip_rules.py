"""Grouping, codes and states of tips."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.errors import Conflict, InvalidInput
from rtcc_chassis.identifiers import new_id
from rtcc_incidents.domain.tips import Told, about_the_same, check_submission, group_for, likeness, moderate, reference_code

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
WITHIN = timedelta(hours=48)
HERE, NEXT_DOOR, FAR = (60.18, 24.95), (60.1805, 24.9505), (60.4, 25.2)
TOLD = st.builds(
    lambda tip_id, hours, text, key, place: Told(
        tip_id,
        tip_id,
        NOW + timedelta(hours=hours),
        text,
        key,
        None if place is None else Coordinate(latitude_deg=place[0], longitude_deg=place[1]),
    ),
    st.uuids().map(str),
    st.integers(-100, 100),
    st.text(max_size=60),
    st.sampled_from(["", "fleminginkatu 12", "kaarlenkatu 3"]),
    st.sampled_from([None, HERE, NEXT_DOOR, FAR]),
)


def told(text: str, place: tuple[float, float] | None = None, *, key: str = "", hours: float = 0) -> Told:
    identifier = new_id()
    coordinate = None if place is None else Coordinate(latitude_deg=place[0], longitude_deg=place[1])
    return Told(identifier, identifier, NOW + timedelta(hours=hours), text, key, coordinate)


@given(TOLD, TOLD)
def test_likeness_is_symmetric_and_a_tip_is_like_itself(a: Told, b: Told) -> None:
    assert likeness(a.text, b.text) == likeness(b.text, a.text)
    assert about_the_same(a, b, WITHIN) == about_the_same(b, a, WITHIN)
    assert likeness(a.text, a.text) in (0.0, 1.0)


@given(TOLD, st.lists(TOLD, max_size=6))
def test_a_group_is_that_of_a_tip_that_is_alike_or_the_own(tip: Told, others: list[Told]) -> None:
    group = group_for(tip, others, WITHIN)
    alike = {other.group_id for other in others if about_the_same(tip, other, WITHIN) > 0}
    assert group in alike if alike else group == tip.tip_id


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        (
            told("White van, two men carry boxes out of the kiosk", HERE),
            told("two men and a white van at the kiosk, boxes", NEXT_DOOR),
            True,
        ),
        (told("White van, two men carry boxes out of the kiosk", HERE), told("A dog barks since yesterday evening", NEXT_DOOR), False),
        (told("Men carry boxes to a white van", key="kaarlenkatu 3"), told("white van, boxes", key="kaarlenkatu 3"), True),
        (told("Men carry boxes to a white van"), told("men carry boxes to a white van!"), True),
        (told("Men carry boxes to a white van", HERE), told("men carry boxes to a white van!", FAR), False),
        (told("Men carry boxes to a white van", HERE), told("men carry boxes to a white van!", HERE, hours=60), False),
        (told("Äänekäs seurue häiritsee pihalla"), told("aanekas seurue hairitsee pihalla"), True),
    ],
)
def test_what_is_about_the_same_thing(one: Told, two: Told, same: bool) -> None:
    assert (about_the_same(one, two, WITHIN) > 0) is same


@given(st.uuids().map(str))
def test_a_reference_code_can_be_read_out(tip_id: str) -> None:
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}", reference_code(tip_id))
    assert reference_code(tip_id) == reference_code(tip_id)


@given(st.text(max_size=4_100), st.text(max_size=220), st.text(max_size=80))
def test_any_submission_is_taken_or_refused_with_its_field(text: str, contact: str, sender_hash: str) -> None:
    request = pb.SubmitTipRequest(agency_id="east", form_key="k" * 16, text=text, contact=contact, sender_hash=sender_hash)
    try:
        check_submission(request)
    except InvalidInput as error:
        assert {violation.field for violation in error.violations} <= {"text", "contact", "sender_hash"}
    else:
        assert 10 <= len(text.strip()) <= 4_000 and "\0" not in text + contact


def test_a_promoted_tip_stays_accepted() -> None:
    tip = pb.Tip(tip_id="t", state=pb.TIP_STATE_ACCEPTED, incident_id="i")
    with pytest.raises(Conflict):
        moderate(tip, pb.TIP_STATE_SPAM, "", "Sven", NOW)
    assert moderate(pb.Tip(state=pb.TIP_STATE_SPAM), pb.TIP_STATE_NEW, "", "Sven", NOW)

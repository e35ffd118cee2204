"""The state machine, tried with every order of acts."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc_alerting.domain import GUNSHOT, OUTCOMES, PLATE_HIT, Actor, Disposition, LifeCycle, State, plate_severity
from rtcc_chassis.errors import Conflict, InvalidInput

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANNA, BERT = Actor("anna", "Anna A"), Actor("bert", "Bert B")
ORDER = [State.NEW, State.ACKNOWLEDGED, State.WORKING, State.CLOSED]

ACTS = st.one_of(
    st.tuples(st.just("acknowledge"), st.sampled_from([ANNA, BERT])),
    st.tuples(st.just("start"), st.none()),
    st.tuples(st.just("confirm"), st.sampled_from(list(Disposition))),
    st.tuples(st.just("close"), st.sampled_from([*OUTCOMES, "bored"])),
    st.tuples(st.just("sensor"), st.none()),
)


def act(life: LifeCycle, name: str, value: object) -> LifeCycle:
    match name, value:
        case "acknowledge", Actor() as actor:
            return life.acknowledge(actor, NOW)[0]
        case "start", _:
            return life.start()
        case "confirm", Disposition() as disposition:
            return life.confirm_plate(disposition, ANNA, NOW)
        case "close", str() as outcome:
            return life.close(outcome, "")
        case _:
            return life.close_by_sensor("resolved", "closed by the network")


@given(st.sampled_from([PLATE_HIT, GUNSHOT]), st.lists(ACTS, max_size=12))
def test_any_order_of_acts_keeps_the_rules(kind: str, acts: list[tuple[str, object]]) -> None:
    life = LifeCycle(kind)
    for name, value in acts:
        before = life
        try:
            life = act(life, name, value)
        except (Conflict, InvalidInput):
            continue
        assert ORDER.index(life.state) >= ORDER.index(before.state)
        if before.acknowledged_by:
            assert life.acknowledged_by == before.acknowledged_by
        if before.state is State.CLOSED:
            assert life == before
        if life.state is State.WORKING and kind == PLATE_HIT:
            assert life.disposition is Disposition.CORRECT  # R23
        if life.state is State.CLOSED:
            assert life.outcome
        if kind == PLATE_HIT and life.outcome in ("resolved", "handed_over") and name != "sensor" and before.state is not State.CLOSED:
            assert life.disposition is Disposition.CORRECT  # R23


def test_first_acknowledgement_wins_and_the_second_learns_who_has_it() -> None:
    taken, won = LifeCycle(GUNSHOT).acknowledge(ANNA, NOW)
    assert won
    again, second_won = taken.acknowledge(BERT, NOW)
    assert not second_won
    assert again.acknowledged_by_name == "Anna A"
    assert taken.acknowledge(ANNA, NOW) == (taken, True)


def test_plate_hit_is_not_started_before_a_person_confirmed_it() -> None:  # R23
    taken, _ = LifeCycle(PLATE_HIT).acknowledge(ANNA, NOW)
    with pytest.raises(Conflict, match="confirm the plate first"):
        taken.start()
    assert taken.confirm_plate(Disposition.CORRECT, ANNA, NOW).start().state is State.WORKING


@pytest.mark.parametrize(
    ("disposition", "outcome"),
    [(Disposition.MISREAD, "misread"), (Disposition.STALE_ENTRY, "false_alarm"), (Disposition.WRONG_STATE, "false_alarm")],
)
def test_a_disposition_other_than_correct_closes_the_hit(disposition: Disposition, outcome: str) -> None:  # R23
    closed = LifeCycle(PLATE_HIT).confirm_plate(disposition, ANNA, NOW)
    assert (closed.state, closed.outcome, closed.disposition) == (State.CLOSED, outcome, disposition)
    assert closed.acknowledged_by == "anna"


def test_an_unconfirmed_hit_is_not_closed_as_resolved() -> None:  # R23
    with pytest.raises(Conflict):
        LifeCycle(PLATE_HIT).close("resolved", "")
    assert LifeCycle(PLATE_HIT).close("misread", "").disposition is Disposition.MISREAD


def test_the_sensor_network_does_not_close_what_a_person_works_on() -> None:
    working = LifeCycle(GUNSHOT).acknowledge(ANNA, NOW)[0].start()
    noted = working.close_by_sensor("resolved", "closed by the network")
    assert (noted.state, noted.note) == (State.WORKING, "closed by the network")
    assert LifeCycle(GUNSHOT).close_by_sensor("resolved", "").state is State.CLOSED


def test_a_gunshot_is_neither_confirmed_as_a_plate_nor_a_misread() -> None:
    with pytest.raises(InvalidInput):
        LifeCycle(GUNSHOT).confirm_plate(Disposition.CORRECT, ANNA, NOW)
    with pytest.raises(InvalidInput):
        LifeCycle(GUNSHOT).close("misread", "")


@pytest.mark.parametrize(
    ("listed", "exact", "differs", "severity"),
    [(1, True, False, 1), (1, False, False, 2), (0, True, False, 2), (2, True, True, 3), (4, False, True, 4)],
)
def test_a_doubtful_match_is_one_step_less_urgent(listed: int, exact: bool, differs: bool, severity: int) -> None:
    assert plate_severity(listed, exact=exact, state_differs=differs) == severity

"""Which copy a neighbour gets next: pure rules."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc.alerting.v1 import alerting_pb2
from rtcc.exchange.v1 import exchange_pb2 as pb
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.errors import InvalidInput
from rtcc_exchange.domain import acknowledged, checked_kinds, ended, narrowed_copy, next_copy, open_marker, shares_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def agreement(agreement_id: str = "a1", grantee: str = "east", **terms: object) -> registry_pb2.Agreement:
    return registry_pb2.Agreement(
        agreement_id=agreement_id, grantor_agency_id="west", grantee_agency_id=grantee, status=registry_pb2.AGREEMENT_STATUS_ACTIVE,
        alert_kinds=["plate_hit"], **terms,
    )  # type: ignore[arg-type] # free fields  # fmt: skip


def subscription(agreement_id: str = "a1", grantee: str = "east", *kinds: str) -> pb.Subscription:
    return pb.Subscription(agreement_id=agreement_id, grantor_agency_id="west", grantee_agency_id=grantee, alert_kinds=kinds)


def alert(revision: int = 1, kind: str = "plate_hit", state: int = alerting_pb2.ALERT_STATE_NEW) -> alerting_pb2.Alert:
    made = alerting_pb2.Alert(alert_id="x1", agency_id="west", kind=kind, revision=revision, state=state, title="Hit")  # type: ignore[arg-type] # an enum's number
    made.event.plate_read.image_object = "crop"
    made.context.units.add(unit_id="w1")
    made.context.cameras.add(camera_id="c1")
    made.context.cameras.add(camera_id="c2")
    return made


def options(*agreements: registry_pb2.Agreement, of: alerting_pb2.Alert) -> list[object]:
    found = shares_of(of, [subscription(a.agreement_id) for a in agreements], {a.agreement_id: a for a in agreements}, NOW)
    return found.get("east", [])


def test_nothing_is_shared_without_a_subscription_and_a_grant() -> None:
    terms = {"a1": agreement()}
    assert not shares_of(alert(), [], terms, NOW)
    assert not shares_of(alert(), [subscription()], {}, NOW)
    assert not shares_of(alert(kind="gunshot"), [subscription()], terms, NOW)
    assert not shares_of(alert(), [subscription("a1", "east", "gunshot")], terms, NOW)
    # a subscription that names somebody else's agreement gives nothing
    assert not shares_of(alert(), [subscription("a1", "north")], terms, NOW)


def test_the_copy_holds_only_what_is_granted() -> None:  # R16
    terms = agreement(camera_ids=["c2"], cameras_live=True, redactions=["image"])
    copy = next_copy(options(terms, of=alert()), None, NOW)  # type: ignore[arg-type] # shares
    assert copy is not None
    assert [choice.camera_id for choice in copy.alert.context.cameras] == ["c2"]
    assert not copy.alert.context.units and not copy.alert.event.plate_read.image_object
    assert (copy.agreement_id, copy.alert.agreement_id, copy.grantee_agency_id) == ("a1", "a1", "east")


def test_two_agreements_give_one_copy_and_the_first_one_keeps_it() -> None:
    both = [agreement("a1"), agreement("a2")]
    first = next_copy(options(*both, of=alert(1)), None, NOW)  # type: ignore[arg-type] # shares
    assert first is not None and first.agreement_id == "a1"
    under_second = next_copy(options(both[1], of=alert(1)), first, NOW)  # type: ignore[arg-type] # shares
    assert under_second is not None and under_second.agreement_id == "a2"
    third = next_copy(options(*both, of=alert(2)), under_second, NOW)  # type: ignore[arg-type] # shares
    assert third is not None and third.agreement_id == "a2"


def test_an_alert_that_was_closed_before_it_was_shared_stays_here() -> None:
    closed = alert(3, state=alerting_pb2.ALERT_STATE_CLOSED)
    assert next_copy(options(agreement(), of=closed), None, NOW) is None  # type: ignore[arg-type] # shares


@given(st.lists(st.integers(1, 6), max_size=12))
def test_each_revision_is_shared_at_most_once_and_never_backwards(revisions: list[int]) -> None:
    before, sent = None, []
    for revision in revisions:
        copy = next_copy(options(agreement(), of=alert(revision)), before, NOW)  # type: ignore[arg-type] # shares
        if copy is not None:
            before = copy
            sent.append(revision)
    assert sent == sorted(set(sent))
    assert max(sent, default=0) == max(revisions, default=0)


def test_an_acknowledgement_stays_on_later_revisions() -> None:
    first = next_copy(options(agreement(), of=alert(1)), None, NOW)  # type: ignore[arg-type] # shares
    assert first is not None
    taken = acknowledged(first, "p1", "Aino", NOW)
    second = next_copy(options(agreement(), of=alert(2)), taken, NOW)  # type: ignore[arg-type] # shares
    assert second is not None and second.acknowledged_by_name == "Aino"


def test_narrower_terms_reach_what_was_shared_before() -> None:
    wide = agreement(camera_ids=["c1", "c2"], cameras_live=True)
    before = next_copy(options(wide, of=alert()), None, NOW)  # type: ignore[arg-type] # shares
    assert before is not None
    assert narrowed_copy(before, wide, NOW) is before
    after = narrowed_copy(before, agreement(camera_ids=["c1"], cameras_live=True, redactions=["image"]), NOW + timedelta(seconds=1))
    assert after is not None and after is not before
    assert [choice.camera_id for choice in after.alert.context.cameras] == ["c1"]
    assert not after.alert.event.plate_read.image_object
    none = agreement()
    del none.alert_kinds[:]
    assert narrowed_copy(before, none, NOW) is None


def test_an_agreement_ends_by_revocation_or_time_and_not_by_waiting() -> None:
    revoked = agreement()
    revoked.status = registry_pb2.AGREEMENT_STATUS_REVOKED
    over, coming, unsigned = agreement(), agreement(), agreement(attestation_required=True)
    over.valid_until.FromDatetime(NOW)
    coming.valid_from.FromDatetime(NOW + timedelta(days=1))
    assert [ended(a, NOW) for a in (agreement(), revoked, over, coming, unsigned)] == [False, True, True, False, False]


def test_only_granted_kinds_can_be_asked_for() -> None:
    assert checked_kinds(["plate_hit", "plate_hit"], agreement()) == ["plate_hit"]
    for kinds, terms in ((["gunshot"], agreement()), ([], registry_pb2.Agreement())):
        with pytest.raises(InvalidInput):
            checked_kinds(kinds, terms)


def test_the_open_marker_tells_nothing_of_the_alert() -> None:
    copy = next_copy(options(agreement(), of=alert()), None, NOW)  # type: ignore[arg-type] # shares
    assert copy is not None
    assert b"Hit" not in open_marker(copy).SerializeToString()

"""The audit writer: complete, durable first, free of secrets."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc.ledger.v1 import ledger_pb2
from rtcc_chassis.access import Access, AuditDraft, AuditRecorder, Grant, Outcome, PolicyEngine, Resource, collect_touches, touched
from rtcc_chassis.access.audit import entries_of
from rtcc_chassis.access.secrets import REMOVED, json_without_secrets, text_without_secrets
from rtcc_chassis.bus import Outgoing
from rtcc_chassis.errors import Exhausted, PurposeRequired, Refused, Unavailable
from rtcc_chassis.scope import Scope

NOW = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
OPERATOR = Scope(
    "espoo",
    "p1",
    "person",
    frozenset({"operator"}),
    display_name="Aino",
    session_id="s1",
    purpose="pursuit",
    case_number="26-1",
    source_address="192.0.2.1",
)


class RecordingBus:
    """Remembers what was published; `failure` is raised instead, `silent` never answers."""

    def __init__(self, failure: Exception | None = None, silent: bool = False) -> None:
        self.sent: list[Outgoing] = []
        self._failure = failure
        self._silent = silent

    async def publish_many(self, messages: Sequence[Outgoing]) -> Sequence[object]:
        if self._silent:
            await asyncio.Event().wait()
        if self._failure:
            raise self._failure
        self.sent.extend(messages)
        return messages


def draft(**values: object) -> AuditDraft:
    fields: dict[str, object] = {"action": "camera.view_live", "place": "/x/Y", "outcome": Outcome.ALLOWED, "scope": OPERATOR, **values}
    return AuditDraft(**fields)  # type: ignore[arg-type] # the tests pass fields by name


def entries(one: AuditDraft) -> list[ledger_pb2.AuditEntry]:
    return entries_of(one, "video", NOW)


def test_an_entry_says_who_what_when_where_why_and_how_it_ended() -> None:
    # R9, R10
    (entry,) = entries(draft(object_ids=("camera:c1",), bytes_out=12, policy_ids=("operator-watches",), trace_id="t"))
    assert entry.recorded_at.ToDatetime(UTC) == NOW
    assert (entry.action, entry.place, entry.service, entry.outcome) == ("camera.view_live", "/x/Y", "video", ledger_pb2.OUTCOME_ALLOWED)
    assert (entry.principal_id, entry.principal_name, entry.principal_agency_id) == ("p1", "Aino", "espoo")
    assert (entry.session_id, entry.source_address, entry.purpose, entry.case_number) == ("s1", "192.0.2.1", "pursuit", "26-1")
    assert (list(entry.roles), list(entry.object_ids), entry.bytes_out) == (["operator"], ["camera:c1"], 12)
    assert (list(entry.policy_ids), entry.trace_id, entry.agency_id, entry.owner_agency_id) == (["operator-watches"], "t", "espoo", "espoo")


def test_a_partners_access_stands_in_both_logs_under_one_id() -> None:
    copies = entries(draft(object_ids=("camera:c9",), owner_agency_id="vantaa", agreement_id="a1"))
    assert [copy.agency_id for copy in copies] == ["vantaa", "espoo"]
    assert copies[0].entry_id == copies[1].entry_id
    assert {copy.owner_agency_id for copy in copies} == {"vantaa"}


def test_both_sides_of_an_agreement_are_told() -> None:
    # R31
    copies = entries(draft(action="agreement.revoke", told_agency_ids=frozenset({"espoo", "vantaa"})))
    assert [copy.agency_id for copy in copies] == ["espoo", "vantaa"]


def test_nobody_and_the_platform_itself_stand_in_the_platforms_log() -> None:
    assert [copy.agency_id for copy in entries(draft(scope=None))] == ["platform"]
    assert [copy.agency_id for copy in entries(draft(scope=Scope.platform("video")))] == ["platform"]


@given(agency_id=st.text(max_size=50))
def test_a_log_is_never_named_by_what_is_no_agency_id(agency_id: str) -> None:
    for copy in entries(draft(owner_agency_id=agency_id)):
        assert copy.agency_id and set(copy.agency_id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_more_than_200_objects_are_split_and_none_is_lost() -> None:
    names = tuple(f"unit:u{number}" for number in range(450))
    parts = entries(draft(object_ids=names))
    assert [len(part.object_ids) for part in parts] == [200, 200, 50]
    assert [name for part in parts for name in part.object_ids] == list(names)
    assert len({part.entry_id for part in parts}) == 3


@given(text=st.text(max_size=3000))
def test_any_text_becomes_a_storable_entry(text: str) -> None:
    hostile = draft(reason=text, object_ids=(text,), old_value=text, scope=Scope("espoo", text, "person", frozenset({text}), purpose=text))
    for entry in entries(hostile):
        again = ledger_pb2.AuditEntry.FromString(entry.SerializeToString())
        assert "\x00" not in "".join((*again.object_ids, again.reason, again.principal_id))
        assert len(again.reason) <= 1000


async def test_recording_returns_after_every_copy_was_published() -> None:
    bus = RecordingBus()
    await AuditRecorder(bus, "video", lambda: NOW).record(draft(owner_agency_id="vantaa"))
    assert [message.subject for message in bus.sent] == ["audit.vantaa", "audit.espoo"]
    assert len({message.message_id for message in bus.sent}) == 2


@pytest.mark.parametrize("bus", [RecordingBus(Unavailable("NATS")), RecordingBus(Exhausted("AUDIT", 1)), RecordingBus(silent=True)])
async def test_an_answer_is_refused_when_its_entry_is_not_durable(bus: RecordingBus) -> None:
    # R11
    with pytest.raises(Unavailable, match="audit log"):
        await AuditRecorder(bus, "video", lambda: NOW, durable_within_s=0.05).record(draft())


def test_what_a_handler_touched_becomes_one_draft_per_owner() -> None:
    with collect_touches() as touches:
        touched("camera:c1")
        touched("camera:c9", owner_agency_id="vantaa", agreement_id="a1")
        touched("camera:c8", owner_agency_id="vantaa", agreement_id="a1", old_value='{"a":1}')
    own, partner = draft(object_ids=("place:p",)).with_touches(touches)
    assert (own.object_ids, own.owner_agency_id) == (("place:p", "camera:c1"), "")
    assert (partner.object_ids, partner.owner_agency_id, partner.agreement_id) == (("camera:c9", "camera:c8"), "vantaa", "a1")
    assert partner.old_value == '{"a":1}'


def test_touching_outside_of_a_call_is_harmless() -> None:
    touched("camera:c1")


def test_a_refused_look_at_a_partners_camera_is_in_the_owners_log() -> None:
    # R20: both sides audited
    access = Access(PolicyEngine.load(), AuditRecorder(RecordingBus(), "video"))
    with collect_touches() as touches, pytest.raises(Refused):
        access.require(OPERATOR, "camera.view_live", Resource("camera", "c9", "vantaa"))
    (refused,) = draft(outcome=Outcome.DENIED).with_touches(touches)
    assert [copy.agency_id for copy in entries(refused)] == ["vantaa", "espoo"]
    assert refused.policy_ids == ("other-agency-without-grant",)


def test_a_partners_camera_without_purpose_asks_for_one() -> None:
    access = Access(PolicyEngine.load(), AuditRecorder(RecordingBus(), "video"))
    grant = Grant("a1", "vantaa", "espoo", live=True)
    unreasoned = Scope("espoo", "p1", "person", frozenset({"operator"}))
    with pytest.raises(PurposeRequired):
        access.require(unreasoned, "camera.view_live", Resource("camera", "c9", "vantaa", grant))
    assert access.require(OPERATOR, "camera.view_live", Resource("camera", "c9", "vantaa", grant)).allowed


class Facts:
    def disabled(self, agency_id: str) -> bool:
        return agency_id == "closed"

    def barred_purposes(self, agency_id: str) -> frozenset[str]:
        return frozenset({"pursuit"}) if agency_id == "vantaa" else frozenset()


def test_a_purpose_barred_by_the_owner_is_refused_to_the_partner() -> None:
    # R21
    access = Access(PolicyEngine.load(), AuditRecorder(RecordingBus(), "video"), Facts())
    grant = Grant("a1", "vantaa", "espoo", live=True)
    decision = access.decide(OPERATOR, "camera.view_live", Resource("camera", "c9", "vantaa", grant))
    assert decision.policy_ids == ("purpose-barred",)


def test_people_of_a_switched_off_agency_are_refused() -> None:
    access = Access(PolicyEngine.load(), AuditRecorder(RecordingBus(), "video"), Facts())
    decision = access.decide(Scope("closed", "p", "person", frozenset({"operator"})), "alert.list", Resource.collection("closed"))
    assert decision.policy_ids == ("agency-disabled",)


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "secret",
        "deviceKey",
        "device_key",
        "key",
        "token",
        "api_token",
        "totp_seed",
        "passphrase",
        "Authorization",
        "private_key",
    ],
)
def test_secret_members_are_removed(name: str) -> None:
    cleaned = json.loads(json_without_secrets(json.dumps({"a": [{name: "hunter2", "label": "x"}]})))
    assert cleaned == {"a": [{name: REMOVED, "label": "x"}]}


@pytest.mark.parametrize("name", ["monkey", "keyboard_layout", "purpose", "passenger_count", "camera_id"])
def test_ordinary_members_stay(name: str) -> None:
    assert json.loads(json_without_secrets(json.dumps({name: "x"}))) == {name: "x"}


def test_credentials_inside_texts_are_removed() -> None:
    text = 'rtsp://admin:pa:ss@10.0.0.1/stream "Bearer abc.def" eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2ln'
    cleaned = text_without_secrets(text)
    assert "pa:ss" not in cleaned and "abc.def" not in cleaned and "eyJzdWIi" not in cleaned
    assert "10.0.0.1/stream" in cleaned
    assert "pa:ss" not in json_without_secrets(json.dumps({"stream_url": "rtsp://admin:pa:ss@10.0.0.1/stream"}))

"""The policies against the contracts: nothing forgotten, nothing invented, nobody sees what was not granted."""

import itertools
import re

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcc_chassis.access import Decision, Grant, PolicyEngine, Resource
from rtcc_chassis.access.policies import PolicyError, policy_text, schema_text
from rtcc_chassis.rpc.contracts import all_rules
from rtcc_chassis.scope import PrincipalKind, Scope

ROLES = ("operator", "supervisor", "officer", "investigator", "dispatcher", "auditor", "administrator", "platform_operator")
PICTURES = ("camera.view_live", "camera.snapshot")
LOG = (
    "audit.read", "audit.who_saw", "audit.prove", "audit.verify", "audit.checkpoint", "audit.review", "audit.review_list",
    "audit.review_read",
)  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> PolicyEngine:
    return PolicyEngine.load()


def contract_actions() -> set[str]:
    return {rule.action for rule in all_rules().values()}


def person(*roles: str, agency_id: str = "espoo", purpose: str = "", case_number: str = "") -> Scope:
    return Scope(agency_id, "p1", "person", frozenset(roles), purpose=purpose, case_number=case_number)


def schema_actions() -> set[str]:
    return set(re.findall(r'"([a-z_]+\.[a-z_]+)"', schema_text()))


def test_policies_fit_their_schema() -> None:
    result = cedarpy.validate_policies(policy_text(), schema_text())
    assert result.validation_passed, [str(error) for error in result.errors]


def test_schema_lists_exactly_the_actions_of_the_contracts() -> None:
    assert schema_actions() == contract_actions()


def test_every_action_is_permitted_to_somebody_by_name() -> None:
    permits = "\n".join(part for part in policy_text().split(";") if "permit" in part)
    assert set(re.findall(r'Action::"([a-z_]+\.[a-z_]+)"', permits)) == contract_actions()


def test_every_policy_has_its_own_id_and_every_forbid_a_reason() -> None:
    text = re.sub(r"//[^\n]*", "", policy_text())
    policies = [part for part in re.split(r"(?<=;)", text) if "permit" in part or "forbid" in part]
    names = [re.search(r'@id\("([a-z0-9-]+)"\)', part) for part in policies]
    assert all(names)
    found = [name[1] for name in names if name]
    assert len(found) == len(set(found))
    assert [part for part in policies if re.search(r"\bforbid\b", part) and "@reason" not in part] == []


def test_purpose_group_is_what_the_contracts_require(engine: PolicyEngine) -> None:
    # R18
    everybody = person(*ROLES)
    needing = {
        action
        for action in contract_actions()
        if "purpose-missing" in engine.decide(everybody, action, Resource.collection("espoo")).policy_ids
    }
    assert needing == {rule.action for rule in all_rules().values() if rule.purpose_required}


def test_purpose_without_case_number_is_not_enough(engine: PolicyEngine) -> None:
    # R18
    asking = person("operator", purpose="investigation")
    assert not engine.decide(asking, "plate_read.search", Resource.collection("espoo")).allowed
    complete = person("operator", purpose="investigation", case_number="26-1")
    assert engine.decide(complete, "plate_read.search", Resource.collection("espoo")).allowed


@pytest.mark.parametrize("action", sorted(contract_actions()))
def test_nobody_without_a_role_may_do_anything(engine: PolicyEngine, action: str) -> None:
    assert not engine.decide(person(purpose="x", case_number="1"), action, Resource.collection("espoo")).allowed
    unknown = person("root", purpose="x", case_number="1")
    assert not engine.decide(unknown, action, Resource.collection("espoo")).allowed


def test_auditor_reads_the_log_and_nothing_else(engine: PolicyEngine) -> None:
    # R12
    auditor = person("auditor", purpose="review", case_number="1")
    allowed = {action for action in contract_actions() if engine.decide(auditor, action, Resource.collection("espoo")).allowed}
    assert allowed == {*LOG, "audit.read_own", "agency.list"}


def test_who_administers_does_not_read_the_log_of_others(engine: PolicyEngine) -> None:
    # R12
    for role, action in itertools.product(("administrator", "platform_operator"), LOG):
        assert not engine.decide(person(role), action, Resource.collection("espoo")).allowed


def test_platform_operator_sees_no_video_and_no_identities(engine: PolicyEngine) -> None:
    operator = person("platform_operator", purpose="x", case_number="1")
    allowed = {action for action in contract_actions() if engine.decide(operator, action, Resource.collection("espoo")).allowed}
    assert allowed == {"account.enrol", "agency.create", "agency.list", "agency.update", "audit.read_own", "person.create"}


def test_platform_operator_sets_up_an_agency_that_is_not_his(engine: PolicyEngine) -> None:
    operator = person("platform_operator")
    assert engine.decide(operator, "person.create", Resource("person", "p2", "vantaa")).allowed
    assert not engine.decide(person("administrator"), "person.create", Resource("person", "p2", "vantaa")).allowed


@pytest.mark.parametrize("kind", ["device", "service"])
def test_rights_of_people_do_not_leak_to_machines(engine: PolicyEngine, kind: PrincipalKind) -> None:
    machine = Scope("espoo", "service:unknown", kind, frozenset({"operator"}), purpose="x", case_number="1")
    allowed = {action for action in contract_actions() if engine.decide(machine, action, Resource.collection("espoo")).allowed}
    if kind == "service":
        assert allowed == set()
    else:
        # a device holding a role would be a person: tokens of devices carry none
        assert engine.decide(Scope("espoo", "d1", "device", frozenset()), "fix.submit", Resource.collection("espoo")).allowed


def test_services_have_their_own_rights_only(engine: PolicyEngine) -> None:
    assert engine.decide(Scope.platform("video"), "camera.read_stream", Resource("camera", "c1", "espoo")).allowed
    assert not engine.decide(Scope.platform("gateway"), "camera.read_stream", Resource("camera", "c1", "espoo")).allowed
    assert not engine.decide(Scope.service("video", "vantaa"), "camera.read_stream", Resource("camera", "c1", "espoo")).allowed


grants = st.builds(
    Grant,
    agreement_id=st.just("a1"),
    grantor_agency_id=st.sampled_from(["espoo", "vantaa", "turku"]),
    grantee_agency_id=st.sampled_from(["espoo", "vantaa", "turku"]),
    live=st.booleans(),
    purposes=st.frozensets(st.sampled_from(["investigation", "pursuit"])),
    attestation_missing=st.booleans(),
    recorded=st.booleans(),
    export=st.booleans(),
)


@given(
    roles=st.frozensets(st.sampled_from(ROLES)),
    action=st.sampled_from(sorted(contract_actions())),
    caller=st.sampled_from(["espoo", "vantaa"]),
    owner=st.sampled_from(["espoo", "vantaa"]),
    grant=st.none() | grants,
    purpose=st.sampled_from(["", "investigation", "pursuit", "barred"]),
    case_number=st.sampled_from(["", "26-1"]),
    barred=st.frozensets(st.sampled_from(["barred", "pursuit"])),
    disabled=st.booleans(),
)
@settings(max_examples=1500, deadline=None)
def test_decisions_agree_with_an_obvious_oracle(
    engine: PolicyEngine,
    roles: frozenset[str],
    action: str,
    caller: str,
    owner: str,
    grant: Grant | None,
    purpose: str,
    case_number: str,
    barred: frozenset[str],
    disabled: bool,
) -> None:
    # R16, R18, R20, R21
    scope = person(*roles, agency_id=caller, purpose=purpose, case_number=case_number)
    decision = engine.decide(scope, action, Resource("camera", "c1", owner, grant), barred_purposes=barred, agency_disabled=disabled)
    by_role = any(
        engine.decide(person(role, agency_id="x", purpose="ok", case_number="1"), action, Resource.collection("x")).allowed
        for role in roles
    )
    assert decision.allowed == (by_role and _borders_allow(scope, action, owner, grant, barred, disabled)), decision
    assert decision.allowed or decision.reason


RECORDED = {"footage.list", "footage.read", "footage.play", "footage.picture", "footage.export"}
GRANTABLE = {
    *PICTURES, *RECORDED,
    "alert.read", "alert.read_image", "camera.rank", "camera.health", "position.list", "position.nearest", "shared_alert.list",
    "shared_alert.acknowledge", "shared_camera.list", "subscription.create", "track.list",
    "arrival_card.read", "person_record.read", "person_record.read_photo", "person_record.search", "vehicle_record.search",
}  # fmt: skip
PURPOSE = {rule.action for rule in all_rules().values() if rule.purpose_required}


def _borders_allow(scope: Scope, action: str, owner: str, grant: Grant | None, barred: frozenset[str], disabled: bool) -> bool:
    reasoned = bool(scope.purpose and scope.case_number)
    if disabled or scope.purpose in barred or (action in PURPOSE and not reasoned):
        return False
    if grant is None:
        setting_up = "platform_operator" in scope.roles and action in ("agency.create", "agency.update", "person.create", "account.enrol")
        return owner == scope.agency_id or setting_up
    if grant.grantor_agency_id != owner or grant.grantee_agency_id != scope.agency_id or grant.attestation_missing:
        return False
    if grant.purposes and scope.purpose not in grant.purposes:
        return False
    if action in PICTURES and not (grant.live and reasoned):
        return False
    if action in RECORDED and not (grant.recorded and (grant.export or action != "footage.export")):
        return False
    setting_up = "platform_operator" in scope.roles and action in ("agency.create", "agency.update", "person.create", "account.enrol")
    return owner == scope.agency_id or action in GRANTABLE or setting_up


def test_a_refusal_names_its_policy_and_its_reason(engine: PolicyEngine) -> None:
    decision = engine.decide(person("operator"), "camera.view_live", Resource("camera", "c1", "vantaa"))
    assert decision == Decision(
        False, ("other-agency-without-grant",), "It belongs to another agency and no sharing agreement gives it to yours."
    )


def test_a_policy_that_fails_to_evaluate_refuses() -> None:
    # Cedar skips a failing forbid: the engine must not
    broken = (
        '@id("all") permit (principal, action, resource); @id("broken") forbid (principal, action, resource) when { resource.missing };'
    )
    decision = PolicyEngine(broken, schema_text()).decide(person("operator"), "alert.list", Resource.collection("espoo"))
    assert not decision.allowed


def test_unreadable_policies_stop_the_start() -> None:
    with pytest.raises(PolicyError):
        PolicyEngine("permit (principal", schema_text())

"""Every call of every contract, tried by everybody who must be turned away; each try stands in the audit log.

The list is made from the contracts: a new call is tried without anybody writing a test for it.
"""

import asyncio
import base64
import json
import time
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from proof import incident_things, record_things
from proof.platform import RunningPlatform
from proof.requests import OF_A_THING, ids_named_in
from proof.world import OWNER, ROLES, STRANGER, World
from rtcc.contract.v1.contract_pb2 import AUDIENCE_DEVICE, AUDIENCE_PERSON, AUDIENCE_SERVICE
from rtcc.ledger.v1.ledger_pb2 import OUTCOME_DENIED, OUTCOME_FAILED, AuditEntry
from rtcc_chassis.access import PolicyEngine, Resource
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.rpc import CallRule, all_rules
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import poll
from rtcc_chassis.tokens import TokenIssuer

RULES = sorted(all_rules().values(), key=lambda rule: rule.path)
FOR_PEOPLE = [rule for rule in RULES if rule.audience == AUDIENCE_PERSON]
# calls in which the answer may tell a stranger that a thing exists somewhere: none of its content
TURNED_AWAY = {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED}
# what changes by itself between two looks
_RESTLESS = {"attempts", "last_error", "next_attempt_at", "last_seen_at", "age_s", "refreshed_at", "stale", "viewers", "last_frame_age_s"}


def named(rule: CallRule) -> str:
    return f"{rule.service}.{rule.method}"


each_call = pytest.mark.parametrize("rule", RULES, ids=named)
each_call_for_people = pytest.mark.parametrize("rule", FOR_PEOPLE, ids=named)


async def refused(
    platform: RunningPlatform, rule: CallRule, metadata: tuple[tuple[str, str], ...], code: grpc.StatusCode, who: str
) -> None:
    answer = await platform.call(rule, rule.request_type(), metadata)
    assert answer.code is code, f"{who} got {answer.code.name} from {rule.path}: {answer.details}"


async def denied_entry(platform: RunningPlatform, rule: CallRule, principal_id: str) -> AuditEntry:
    return await platform.audit.find(lambda entry: entry.action == rule.action and entry.outcome == OUTCOME_DENIED, by=principal_id)


@each_call
async def test_nobody_is_answered(platform: RunningPlatform, rule: CallRule) -> None:
    # R1
    before = len(platform.audit.entries)
    tried = ((), (("authorization", "Bearer "),), (("authorization", "Basic YTpi"),), (("authorization", "Bearer garbage"),))
    await asyncio.gather(*(refused(platform, rule, headers, grpc.StatusCode.UNAUTHENTICATED, "nobody") for headers in tried))
    await platform.audit.find(
        lambda entry: entry.place == rule.path and not entry.principal_id and entry.outcome == OUTCOME_DENIED, since=before
    )


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def unsigned(token: str) -> str:
    """The same claims with `alg: none` (RFC 8725 section 2.1)."""
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    return f"{header}.{token.split('.')[1]}."


def tampered(token: str) -> str:
    """One claim changed, the signature kept."""
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    claims["agency"] = STRANGER
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.{signature}"


class ExpiredIssuer(TokenIssuer):
    """Signs with the right key, an hour ago."""

    def token(self, scope: Scope) -> str:
        real = time.time
        try:
            time.time = lambda: real() - 3600
            return super().token(scope)
        finally:
            time.time = real


@each_call
async def test_a_forged_or_expired_token_is_not_believed(platform: RunningPlatform, world: World, rule: CallRule) -> None:
    person = world.everything(OWNER)
    good = platform.issuers["gateway"].token(person)
    key_file = platform.supervisor.installation.credentials.token_keys["gateway"]
    forgeries = {
        "an unknown key": TokenIssuer("gateway", Ed25519PrivateKey.generate()).token(person),
        "another service that names a person": platform.issuers["video"].token(person),
        "a service in the name of another": platform.issuers["video"].token(Scope.platform("registry")),
        "no algorithm": unsigned(good),
        "a changed agency": tampered(good),
        "an hour ago": ExpiredIssuer.from_file("gateway", key_file).token(replace(person, session_id=new_id())),
    }
    tries = (refused(platform, rule, bearer(token), grpc.StatusCode.UNAUTHENTICATED, who) for who, token in forgeries.items())
    await asyncio.gather(*tries)


@each_call
async def test_a_role_without_the_right_is_refused_and_audited(
    platform: RunningPlatform, world: World, policies: PolicyEngine, rule: CallRule
) -> None:
    # R8
    async def refused_and_audited(scope: Scope) -> None:
        await refused(platform, rule, platform.metadata(scope), grpc.StatusCode.PERMISSION_DENIED, str(scope.roles))
        entry = await denied_entry(platform, rule, scope.principal_id)
        assert (entry.agency_id, entry.place, entry.purpose) == (OWNER, rule.path, scope.purpose)

    tried = []
    for role in (*ROLES, "nonsense"):
        scope = replace(world.stranger(OWNER, "operator"), roles=frozenset({role}))
        if rule.audience == AUDIENCE_PERSON and policies.decide(scope, rule.action, Resource.collection(OWNER)).allowed:
            continue
        tried.append(refused_and_audited(scope))
    assert tried
    await asyncio.gather(*tried)


@each_call
async def test_a_caller_of_another_kind_is_refused_and_audited(platform: RunningPlatform, world: World, rule: CallRule) -> None:
    device = Scope(OWNER, f"attempt-{new_id()}", "device", frozenset())
    # what video may: its own calls, a camera's address, and the custody of what it hands over
    videos = rule.service == "video" or rule.action in ("camera.read_stream", "audit.who_saw")
    outsider = Scope.service("location" if videos else "video", OWNER)
    outsider = replace(outsider, purpose="investigation", case_number=f"attempt-{new_id()}")
    for scope, audience in ((device, AUDIENCE_DEVICE), (outsider, AUDIENCE_SERVICE)):
        if rule.audience == audience and scope is device:
            continue
        await refused(platform, rule, platform.metadata(scope), grpc.StatusCode.PERMISSION_DENIED, scope.principal_id)
        await denied_entry(platform, rule, scope.principal_id)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.purpose_required], ids=named)
async def test_a_query_without_purpose_and_case_is_refused_and_audited(platform: RunningPlatform, world: World, rule: CallRule) -> None:
    # R18
    asking = replace(world.everything(OWNER), principal_id=f"attempt-{new_id()}")
    for missing in ({"purpose": ""}, {"case_number": ""}, {"purpose": "", "case_number": ""}, {"purpose": "  "}):
        scope = replace(asking, **missing)
        await refused(platform, rule, platform.metadata(scope), grpc.StatusCode.FAILED_PRECONDITION, str(missing))
    await denied_entry(platform, rule, asking.principal_id)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.privileged], ids=named)
async def test_a_privileged_act_with_an_old_sign_in_is_refused_and_audited(platform: RunningPlatform, world: World, rule: CallRule) -> None:
    # R4
    signed_in_at = datetime.now(UTC) - timedelta(minutes=11)
    scope = replace(world.everything(OWNER), roles=frozenset(ROLES), principal_id=f"attempt-{new_id()}", signed_in_at=signed_in_at)
    await refused(platform, rule, platform.metadata(scope), grpc.StatusCode.PERMISSION_DENIED, "an old sign-in")
    entry = await denied_entry(platform, rule, scope.principal_id)
    assert "sign-in" in entry.reason


def test_every_call_that_names_a_thing_is_tried_across_agencies() -> None:
    naming = {rule.method for rule in RULES if list(ids_named_in(rule.request_type.DESCRIPTOR)) or rule.object_field}
    assert naming == set(OF_A_THING), "teach tests/proof/requests the new call, in the module of its service"


@pytest.mark.parametrize("rule", [rule for rule in FOR_PEOPLE if rule.method in OF_A_THING], ids=named)
async def test_another_agency_gets_and_changes_nothing(platform: RunningPlatform, world: World, rule: CallRule) -> None:
    request = await OF_A_THING[rule.method](world, OWNER)
    before = await settled_lists(world, OWNER)
    stranger = replace(world.everything(STRANGER), principal_id=f"attempt-{new_id()}", idempotency_key=new_id())
    answer = await platform.call(rule, request, platform.metadata(stranger))
    # what the stranger sent may come back, nothing else of the owner's may
    known = set(texts_of(request))
    if answer.message is not None:
        leaked = (set(texts_of(answer.message)) & await things_of(world, OWNER)) - known
        assert not leaked, f"{rule.path} told {leaked}"
        assert not _about_an_existing_thing(rule), f"{rule.path} answered about a thing of another agency"
    else:
        assert answer.code in TURNED_AWAY | {grpc.StatusCode.ABORTED}, f"{answer.code.name} {answer.details}"
    after = await lists(world, OWNER)
    changed = {method: after[method] for method in before if not same(after[method], before[method])}
    assert not changed, f"{rule.path} changed {changed}, before: { {method: before[method] for method in changed} }"
    await platform.audit.find(
        lambda entry: entry.action == rule.action and (answer.message is not None or entry.outcome in (OUTCOME_DENIED, OUTCOME_FAILED)),
        by=stranger.principal_id,
    )
    # the same request by the owner's own people is understood: the refusal was about who asked
    owner = replace(world.everything(OWNER), roles=frozenset(ROLES), idempotency_key=new_id())
    allowed = await platform.call(rule, request, platform.metadata(owner))
    assert allowed.code not in {*TURNED_AWAY, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL}, (
        f"{allowed.code.name} {allowed.details}"
    )


def _about_an_existing_thing(rule: CallRule) -> bool:
    """Creating with a taken id may make an own thing; a search or list has its answer checked instead."""
    return bool(rule.object_field) and not rule.method.startswith(("Create", "Search", "ListAccesses"))


@pytest.mark.parametrize("rule", [rule for rule in FOR_PEOPLE if rule.method not in OF_A_THING], ids=named)
async def test_a_list_holds_nothing_of_another_agency(platform: RunningPlatform, world: World, rule: CallRule) -> None:
    owned = await one_of_everything(world)
    request = rule.request_type()
    if rule.method in ("RankCameras", "FindNearest"):
        request.coordinate.latitude_deg, request.coordinate.longitude_deg = 60.17, 24.94  # type: ignore[attr-defined] # by their contract
    if rule.method == "ListAgreements":
        request.include_changes = True  # type: ignore[attr-defined] # by its contract
    if rule.method == "SearchPersonRecords":
        request.name = "Proof Person"  # type: ignore[attr-defined] # by its contract
    if rule.method == "ImportCameras":
        request.format, request.dry_run, request.content = "csv", True, b"name\n"  # type: ignore[attr-defined] # by its contract
    stranger = replace(world.everything(STRANGER), idempotency_key=new_id())
    answer = await platform.call(rule, request, platform.metadata(stranger))
    if answer.message is None:
        assert answer.code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT), answer
        return
    allowed = {OWNER, "Anchor Police"} if rule.method == "ListAgencies" else set()
    leaked = set(texts_of(answer.message)) & (owned | {OWNER, "Anchor Police"}) - allowed
    assert not leaked, f"{rule.path} told {leaked}"


def texts_of(message: Message) -> Iterator[str]:
    """Every text anywhere in a message."""
    for field, value in message.ListFields():
        for item in _values(field, value):
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                yield from texts_of(item)
            elif field.type == FieldDescriptor.TYPE_STRING:
                yield item


_LISTS: dict[str, dict[str, Any]] = {
    "ListAlerts": {"include_closed": True, "limit": 500},
    "ListHotLists": {},
    "ListAlertRules": {},
    "ListContacts": {},
    "GetNotificationSettings": {},
    "ListDeliveries": {"limit": 500},
    "ListSubscriptions": {},
    "ListSharedAlerts": {"limit": 500},
    "ListSessions": {},
    "ListQuarantine": {"limit": 500},
    "ListCalls": {"limit": 500},
    "ListNewestEvents": {"limit": 500},
    "ListPeople": {},
    "ListCameras": {},
    "ListZones": {},
    "ListSources": {},
    "ListUnits": {},
    "ListAgreements": {"include_changes": True},
    "ListViewers": {},
    "SearchTracks": {"limit": 500},
    "ListRecordImports": {},
    "SearchPersonRecords": {"address": record_things.RECORD_ADDRESS, "limit": 50},
    "ListIncidents": {"include_closed": True, "limit": 500},
    "ListTips": {"include_promoted": True, "limit": 500},
    "ListFloorPlans": {},
    "GetTipLine": {},
}


# what a service writes when an event reaches it, after the call that made the event was answered
_MOVED_BY_EVENTS = frozenset(
    {
        "ListAlerts", "ListDeliveries", "ListSharedAlerts", "ListQuarantine", "ListCalls", "ListNewestEvents", "ListCameras", "ListSources",
        "ListUnits", "ListIncidents", "SearchTracks",
    }
)  # fmt: skip


async def lists(world: World, agency_id: str, methods: Collection[str] = _LISTS.keys()) -> dict[str, Message]:
    """All that an agency's own people see of it."""
    by_method = {rule.method: rule for rule in RULES}
    scope = world.everything(agency_id)
    asked = (world.platform.ask(method, scope, by_method[method].request_type(**_LISTS[method])) for method in methods)
    return dict(zip(methods, await asyncio.gather(*asked), strict=True))


async def settled_lists(world: World, agency_id: str) -> dict[str, Message]:
    """Once what making a thing set off (its alert, a message about it) has come: two looks at what events move show the same."""
    state = await lists(world, agency_id)

    async def stands_still() -> bool:
        before = dict(state)
        state.update(await lists(world, agency_id, _MOVED_BY_EVENTS))
        return all(same(state[method], before[method]) for method in _MOVED_BY_EVENTS)

    await poll(stands_still)
    return state


def same(one: Message, other: Message) -> bool:
    """But for what moves by itself. Leaving that out means a walk through every field, so the bytes are compared first."""
    if one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True):
        return True
    return str(_settled(one)) == str(_settled(other))


async def things_of(world: World, agency_id: str) -> set[str]:
    """Ids and names that only this agency's answers hold; the platform's own words are nobody's."""
    others = {rule.service for rule in RULES} | {text for answer in (await lists(world, STRANGER)).values() for text in texts_of(answer)}
    return {text for answer in (await lists(world, agency_id)).values() for text in texts_of(answer) if len(text) > 5} - others


def _settled(message: Message) -> Message:
    copy = type(message)()
    copy.CopyFrom(message)
    _drop_restless(copy)
    return copy


def _drop_restless(message: Message) -> None:
    for field, value in message.ListFields():
        if field.name in _RESTLESS:
            message.ClearField(field.name)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for item in _values(field, value):
                _drop_restless(item)


def _values(field: FieldDescriptor, value: Any) -> Iterator[Any]:
    """Of a repeated field, a map whose values are messages, or a single one."""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        yield from value.values()
    else:
        yield from value if field.is_repeated else (value,)


async def one_of_everything(world: World) -> frozenset[str]:
    """So that an empty list proves something; what only the owner's answers hold, asked once."""
    if not world.owned:
        for agency_id in (OWNER, STRANGER):
            for make in (
                World.camera, World.zone, World.source, World.unit, World.alert, World.hot_list, World.quarantined, World.track,
                World.alarm, World.notification, record_things.person_record, record_things.record_import, incident_things.incident,
                incident_things.floor_plan, incident_things.tip,
            ):  # fmt: skip
                await make(world, agency_id)
        world.owned = frozenset(await things_of(world, OWNER))
    return world.owned

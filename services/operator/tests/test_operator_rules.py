"""Rules without the world: conditions, back-off, the queue, tokens."""

import asyncio
import base64
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nkeys
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.objects import Objects
from rtcc_chassis.settings import ChassisSettings, InvalidSetting
from rtcc_operator.app.work_queue import WorkQueue
from rtcc_operator.bootstrap import bootstrap
from rtcc_operator.bootstrap import main as bootstrap_main
from rtcc_operator.buckets import S3Buckets
from rtcc_operator.cluster import own_namespace
from rtcc_operator.domain.accounts import agency_account, devices_user, source_user, source_user_key
from rtcc_operator.domain.agreements import agreement_id, made_by, plan, same_terms
from rtcc_operator.domain.back_off import back_off_s
from rtcc_operator.domain.conditions import Condition, merged, summary
from rtcc_operator.domain.keys import InvalidKey, Key
from rtcc_operator.domain.nats_jwt import UnreadableToken, claims_of, credentials_file, same_meaning, signed, token_of_credentials
from rtcc_operator.domain.resources import BusLimits

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def test_a_transition_time_moves_only_with_the_state() -> None:
    first = merged([], [Condition("Ready", "False", "Waiting")], 1, NOW)
    later = NOW + timedelta(hours=1)
    same = merged(first, [Condition("Ready", "False", "Other")], 2, later)
    assert (same[0]["lastTransitionTime"], same[0]["reason"], same[0]["observedGeneration"]) == (first[0]["lastTransitionTime"], "Other", 2)
    assert merged(same, [Condition("Ready", "True", "AsDeclared")], 2, later)[0]["lastTransitionTime"] == "2026-11-27T01:00:00Z"


def test_ready_names_the_first_part_that_is_not() -> None:
    parts = [Condition("RegistryReady", "True", "AsDeclared"), Condition("BusReady", "False", "Unavailable", "away")]
    assert summary(parts) == Condition("Ready", "False", "Unavailable", "BusReady: away")
    assert summary(parts[:1]).holds


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_back_off_grows_to_its_bound_and_is_spread(failures: int, chance: float) -> None:
    wait_s = back_off_s(failures, chance)
    assert 0.5 <= wait_s <= 300
    assert back_off_s(failures + 1, 0.0) >= back_off_s(failures, 0.0)
    assert back_off_s(failures, 0.0) * 2 >= wait_s


async def test_a_key_is_worked_on_once_at_a_time_and_again_when_it_changed() -> None:
    queue, key = WorkQueue(0.01, 0.02), ("agencies", "a")
    for _ in range(3):
        queue.add(key)
    assert await queue.take() == key
    queue.add(key)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await queue.take()
    queue.done(key)
    assert await queue.take() == key
    assert queue.failed(key) <= 0.01
    async with asyncio.timeout(30):
        assert await queue.take() == key


@given(st.text(max_size=20), st.integers(0, 2**33))
def test_a_token_is_signed_and_read_back(name: str, issued_at_s: int) -> None:
    operator, account = _OPERATOR, _ACCOUNT
    token = signed(operator, account.public, name, {"type": "account", "version": 2}, issued_at_s)
    header, body, signature = token.split(".")
    nkeys.from_seed(bytearray(operator.seed.encode())).verify(f"{header}.{body}".encode(), _decoded(signature))
    assert json.loads(_decoded(header)) == {"typ": "JWT", "alg": "ed25519-nkey"}
    payload = claims_of(token)
    assert (payload["iss"], payload["sub"], payload["name"], payload["iat"]) == (operator.public, account.public, name, issued_at_s)


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


_OPERATOR, _PLATFORM, _ACCOUNT = Key.new("operator"), Key.new("account"), Key.new("account")


def test_the_same_account_minted_later_is_the_same_and_another_limit_is_not() -> None:
    def token(when: int, limits: BusLimits, opened: bool = True) -> str:
        return agency_account(_OPERATOR, _PLATFORM, _ACCOUNT.public, "west", limits, when, open_=opened)

    assert same_meaning(token(1, BusLimits()), token(2, BusLimits()))
    assert not same_meaning(token(1, BusLimits()), token(1, BusLimits(connections_most=5)))
    closed = claims_of(token(1, BusLimits(), opened=False))["nats"]
    assert closed["limits"]["conn"] == 0
    assert "imports" not in closed


def test_a_sources_login_is_always_the_same_user_and_another_agencys_is_not() -> None:
    other = Key.new("account")
    assert source_user_key(_ACCOUNT, "panel") == source_user_key(Key(_ACCOUNT.seed, "account"), "panel")
    assert len({source_user_key(_ACCOUNT, "panel"), source_user_key(_ACCOUNT, "sensor"), source_user_key(other, "panel")}) == 3
    token = source_user(_ACCOUNT, "panel", 1)
    assert (claims_of(token)["iss"], claims_of(token)["sub"]) == (_ACCOUNT.public, source_user_key(_ACCOUNT, "panel"))


def test_revoked_users_stay_revoked_at_every_look() -> None:
    def token(when: int, *revoked: str) -> str:
        return agency_account(_OPERATOR, _PLATFORM, _ACCOUNT.public, "west", BusLimits(), when, revoked=revoked)

    assert same_meaning(token(1, "UB", "UA"), token(2, "UA", "UB"))
    assert not same_meaning(token(1, "UA"), token(1))
    assert all(until_s > time.time() + 10 * 365 * 86400 for until_s in claims_of(token(1, "UA"))["nats"]["revocations"].values())


def test_an_activation_is_for_one_account_and_one_subject() -> None:
    token = agency_account(_OPERATOR, _PLATFORM, _ACCOUNT.public, "west", BusLimits(), 1)
    for entry in claims_of(token)["nats"]["imports"]:
        activation = claims_of(entry["token"])
        assert (activation["iss"], activation["sub"]) == (_PLATFORM.public, _ACCOUNT.public)
        assert activation["nats"]["subject"] == entry["subject"]
        assert ".west." in entry["subject"]


@given(st.text(max_size=60))
def test_what_is_no_token_is_an_error(text: str) -> None:
    with pytest.raises(UnreadableToken):
        claims_of(text)


def test_credentials_carry_their_token_and_wrong_seeds_are_named_without_being_told() -> None:
    user = Key.new("user")
    token = devices_user(_ACCOUNT, user, "west", 1)
    assert token_of_credentials(credentials_file(token, user.seed)) == token
    with pytest.raises(InvalidKey) as caught:
        Key(user.seed, "account")
    assert user.seed not in caught.value.message
    for wrong in ("", "SUAB", "nonsense" * 8):
        with pytest.raises(InvalidKey):
            Key(wrong, "user")


def _agreement(generation: int, **fields: object) -> pb.Agreement:
    terms = {"grantor_agency_id": "west", "grantee_agency_id": "east", "alert_kinds": ["gunshot"], "status": pb.AGREEMENT_STATUS_ACTIVE}
    return pb.Agreement(agreement_id=agreement_id("u-1", generation), **(terms | fields))  # type: ignore[arg-type] # the test's own fields


def test_own_agreements_are_told_by_the_resource_and_ordered_by_generation() -> None:
    listed = [_agreement(2), _agreement(10), pb.Agreement(agreement_id="k8s-u-12-1"), pb.Agreement(agreement_id="by-hand")]
    assert [found.agreement_id for found in made_by("u-1", listed)] == ["k8s-u-1-10", "k8s-u-1-2"]


def test_a_plan_keeps_what_fits_and_ends_the_rest() -> None:
    declared = _agreement(0)
    fitting, old = _agreement(3, changed_by="x", revision=4), _agreement(2, alert_kinds=["plate_hit"])
    assert plan(declared, [fitting, old]).keep == fitting
    assert plan(declared, [fitting, old]).superseded == (old,)
    assert plan(declared, [old]).narrow == old
    ended = _agreement(2, status=pb.AGREEMENT_STATUS_REVOKED)
    assert plan(declared, [ended]) == plan(declared, [])


def test_terms_are_compared_without_order_and_without_a_start_that_was_not_declared() -> None:
    declared = _agreement(0, alert_kinds=["gunshot", "plate_hit"])
    stored = _agreement(1, alert_kinds=["plate_hit", "gunshot"], revision=2)
    stored.valid_from.FromDatetime(NOW)
    assert same_terms(declared, stored)
    declared.valid_from.FromDatetime(NOW + timedelta(days=1))
    assert not same_terms(declared, stored)


def test_the_pods_own_namespace_is_read_or_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "namespace"
    with pytest.raises(InvalidSetting, match="RTCC_OPERATOR_NAMESPACE"):
        own_namespace(path)
    path.write_text("rtcc-south\n")
    assert own_namespace(path) == "rtcc-south"


def test_bootstrap_never_replaces_a_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "keys"
    written = bootstrap(folder, "/data/accounts", 1)
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}
    assert bootstrap_main([str(folder)]) == 1
    assert "never replaced" in capsys.readouterr().err


async def test_a_quota_is_set_where_the_server_has_minios_admin_interface() -> None:
    """No MinIO can be had for tests: this answers as its admin interface is documented to, and only that."""
    asked: list[tuple[str, str, bytes]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.method, request.path_qs, await request.read()))
        return web.json_response({"quota": 0})

    app = web.Application()
    app.router.add_route("*", "/minio/admin/v3/{command}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settings = ChassisSettings(
        database_url="", s3_endpoint=f"127.0.0.1:{runner.addresses[0][1]}", s3_access_key="key", s3_secret_key="secret-secret"
    )
    objects = Objects.connect(settings)
    try:
        assert await S3Buckets(settings, objects).set_quota("west", 5_000_000) == "enforced"
    finally:
        objects.close()
        await runner.cleanup()
    assert asked[-1][:2] == ("PUT", "/minio/admin/v3/set-bucket-quota?bucket=rtcc-west")
    assert json.loads(asked[-1][2]) == {"quota": 5_000_000, "quotatype": "hard"}

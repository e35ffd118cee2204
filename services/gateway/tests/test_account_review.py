"""R7: idle accounts end by themselves and stay under a yearly review; with a real registry beside the gateway."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
import pytest_asyncio

from rtcc.gateway.v1 import account_review_pb2 as pb
from rtcc.gateway.v1.account_review_pb2_grpc import AccountReviewServiceStub
from rtcc.ledger.v1 import ledger_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc.registry.v1.registry_pb2_grpc import RegistryServiceStub
from rtcc_chassis.errors import InvalidInput, Refused, from_rpc
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import AUDIT
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_gateway.service import serve as serve_gateway
from rtcc_registry.service import serve as serve_registry

CHIEF = person("west", "administrator", name="Chief")
OWNER = Scope.platform("standalone")


class Accounts:
    """Registry and gateway, and accounts that were used some days ago."""

    def __init__(self, platform: TestPlatform) -> None:
        self.platform = platform

    async def review(self, scope: Scope, method: str, **fields: Any) -> Any:
        stub = (await self.platform.context("gateway")).channels.stub("gateway", AccountReviewServiceStub)
        try:
            return await getattr(stub, method)(getattr(pb, f"{method}Request")(**fields), metadata=self.platform.metadata(scope))
        except grpc.RpcError as error:
            raise from_rpc(error) from None

    async def registry(self, scope: Scope, method: str, **fields: Any) -> Any:
        stub = (await self.platform.context("registry")).channels.stub("registry", RegistryServiceStub)
        return await getattr(stub, method)(getattr(registry_pb2, f"{method}Request")(**fields), metadata=self.platform.metadata(scope))

    async def person(self, login: str, *, agency_id: str = "west", used_days_ago: float | None = None) -> str:
        wanted = registry_pb2.Person(agency_id=agency_id, login=login, display_name=login.title(), roles=["operator"])
        made = (await self.registry(OWNER, "CreatePerson", person=wanted)).person
        if used_days_ago is not None:
            await self.used(made.person_id, agency_id, used_days_ago)
        return str(made.person_id)

    async def used(self, person_id: str, agency_id: str, days_ago: float) -> None:
        used_at = datetime.now(UTC) - timedelta(days=days_ago)
        async with (await self.platform.context("gateway")).database.transaction(Scope.platform("gateway")) as connection:
            await connection.execute(
                """insert into account (person_id, agency_id, created_at, used_at) values ($1, $2, $3, $3)
                   on conflict (person_id) do update set used_at = excluded.used_at""",
                person_id,
                agency_id,
                used_at,
            )

    async def enabled(self, person_id: str) -> bool:
        people = (await self.registry(CHIEF, "ListPeople")).people
        return next(bool(one.enabled) for one in people if one.person_id == person_id)

    async def audit(self) -> list[ledger_pb2.AuditEntry]:
        context, entries = await self.platform.context("registry"), []

        async def take(deliveries: Any) -> None:
            entries.extend(delivery.parse(ledger_pb2.AuditEntry) for delivery in deliveries)

        tail = context.bus.tail(AUDIT, ["audit.west"], take, start="all")
        task = context.lifecycle.spawn(tail.run(), "test tail")
        await tail.caught_up()
        task.cancel()
        return entries


@pytest_asyncio.fixture
async def accounts(small_platform: TestPlatform, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Accounts]:
    monkeypatch.setenv("RTCC_GATEWAY_LISTEN", "127.0.0.1:0")
    monkeypatch.setenv("RTCC_GATEWAY_ACCOUNT_SWEEP_S", "0.1")
    await small_platform.serve({"registry": serve_registry, "gateway": serve_gateway})
    accounts = Accounts(small_platform)
    for agency_id in ("west", "east"):
        await accounts.registry(OWNER, "CreateAgency", agency_id=agency_id, name=agency_id.title())
    yield accounts


async def test_an_account_that_nobody_used_for_90_days_is_switched_off_and_told(accounts: Accounts) -> None:  # R7
    idle, active, never = (
        await accounts.person("idle", used_days_ago=91),
        await accounts.person("active", used_days_ago=89),
        await accounts.person("never"),
    )

    async def ended() -> bool:
        return not await accounts.enabled(idle)

    await poll(ended)
    assert await accounts.enabled(active)
    assert await accounts.enabled(never)

    async def told() -> list[ledger_pb2.AuditEntry]:
        # the switch shows a moment before the call that turned it is written down
        return [one for one in await accounts.audit() if one.action == "person.set_enabled"]

    (entry,) = await poll(told)
    assert (entry.principal_id, list(entry.object_ids)) == ("service:gateway", [f"person:{idle}"])


async def test_who_is_switched_on_again_gets_the_full_time(accounts: Accounts) -> None:  # R7
    person_id = await accounts.person("back", used_days_ago=200)

    async def ended() -> bool:
        return not await accounts.enabled(person_id)

    await poll(ended)
    await accounts.registry(CHIEF, "SetPersonEnabled", person_id=person_id, enabled=True)

    async def used_now() -> bool:
        report = await accounts.review(CHIEF, "ListReviewedAccounts")
        (line,) = report.accounts
        return (
            line.enabled and line.HasField("last_used_at") and line.last_used_at.ToDatetime(UTC) > datetime.now(UTC) - timedelta(minutes=5)
        )

    await poll(used_now)
    # an account made for it is ended by the next sweeps, this one isn't
    probe = await accounts.person("probe", used_days_ago=100)

    async def probe_ended() -> bool:
        return not await accounts.enabled(probe)

    await poll(probe_ended)
    assert await accounts.enabled(person_id)


async def test_the_yearly_report_names_each_account_and_who_went_through_it(accounts: Accounts) -> None:  # R7
    await accounts.person("soon", used_days_ago=80)
    await accounts.person("fresh", used_days_ago=1)
    await accounts.person("never")
    await accounts.person("foreign", agency_id="east", used_days_ago=1)

    async def all_known() -> bool:
        return len((await accounts.review(CHIEF, "ListReviewedAccounts")).accounts) >= 3

    await poll(all_known)
    report = await accounts.review(CHIEF, "ListReviewedAccounts")
    lines = [(line.login, line.enrolled, line.ending_soon) for line in report.accounts]
    assert lines == [("fresh", True, False), ("never", False, False), ("soon", True, True)]
    assert report.due
    with pytest.raises(InvalidInput):
        await accounts.review(CHIEF, "CompleteAccountReview", note=" ")
    done = (await accounts.review(CHIEF, "CompleteAccountReview", note="All still work here.")).review
    assert (done.reviewed_by, done.accounts, done.enabled) == (CHIEF.principal_id, 3, 3)
    report = await accounts.review(CHIEF, "ListReviewedAccounts")
    assert not report.due
    assert [review.note for review in report.reviews] == ["All still work here."]
    for scope in (person("west", "operator"), person("west", "auditor")):
        with pytest.raises(Refused):
            await accounts.review(scope, "ListReviewedAccounts")
    assert not (await accounts.review(person("east", "administrator"), "ListReviewedAccounts")).reviews

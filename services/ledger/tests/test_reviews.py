"""R13: a week of the log is looked at, and who looked stands for good. On real NATS and PostgreSQL."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import grpc
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from rtcc.ledger.v1 import review_pb2 as pb
from rtcc.ledger.v1.review_pb2_grpc import ReviewServiceStub
from rtcc_chassis.access import AuditDraft, Outcome
from rtcc_chassis.errors import InvalidInput, NotFound, Refused, from_rpc
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_ledger.review_app import week_start_of
from rtcc_ledger.review_store import ReviewStore
from rtcc_ledger.reviews import WEEK, week_name, week_start
from rtcc_ledger.service import serve

NOW = datetime.now(UTC)
# Wednesday of last week, and of the one before that
LAST = datetime.fromisocalendar(*(NOW - WEEK).isocalendar()[:2], 3).replace(tzinfo=UTC)
EARLIER = LAST - WEEK
AINO, BEN = person("espoo", "operator", name="Aino"), person("vantaa", "operator", name="Ben")
AUDITOR = person("espoo", "auditor", name="Auditor")
SUPERVISOR = person("espoo", "supervisor", name="Supervisor")


class Log:
    """The running ledger with entries of former weeks."""

    def __init__(self, platform: TestPlatform) -> None:
        self.platform = platform
        self.count = 0

    async def call(self, scope: Scope, method: str, **fields: Any) -> Any:
        stub = (await self.platform.context("ledger")).channels.stub("ledger", ReviewServiceStub)
        try:
            return await getattr(stub, method)(getattr(pb, f"{method}Request")(**fields), metadata=self.platform.metadata(scope))
        except grpc.RpcError as error:
            raise from_rpc(error) from None

    async def record(
        self, when: datetime, scope: Scope = AINO, outcome: Outcome = Outcome.ALLOWED, action: str = "camera.view_live", **more: Any
    ) -> None:
        context = await self.platform.context("ledger")
        await context.access.record(AuditDraft(action, "test", outcome, scope, occurred_at=when, **more))
        self.count += 1

    async def stored(self) -> None:
        database = (await self.platform.context("ledger")).database

        async def there() -> bool:
            async with database.transaction(Scope.service("ledger", "espoo")) as connection:
                return bool(
                    await connection.fetchval("select count(*) from ledger_entry where recorded_at < $1", week_start_of(NOW)) >= self.count
                )

        await poll(there)


@pytest_asyncio.fixture
async def log(small_platform: TestPlatform) -> AsyncIterator[Log]:
    await small_platform.serve({"ledger": serve})
    log = Log(small_platform)
    await log.record(LAST)
    await log.record(LAST, outcome=Outcome.DENIED)
    await log.record(LAST, outcome=Outcome.FAILED)
    await log.record(LAST, SUPERVISOR, action="person.set_roles")
    await log.record(LAST, BEN, owner_agency_id="espoo", object_ids=("camera:c1",))
    await log.record(EARLIER)
    await log.stored()
    yield log


async def test_each_complete_week_is_listed_in_numbers(log: Log) -> None:  # R13
    weeks = (await log.call(AUDITOR, "ListReviews")).weeks
    assert [week.week for week in weeks] == [week_name(LAST), week_name(EARLIER)]
    week = weeks[0]
    assert (week.entries, week.people, week.refused, week.failed, week.rights_changed, week.across_agencies) == (5, 3, 1, 1, 1, 1)
    assert not week.reviews
    # last week ended seven days ago at most; the one before it is late
    assert [week.overdue for week in weeks] == [False, True]


async def test_what_merits_a_look_is_shown_with_its_reasons_and_paged(log: Log) -> None:  # R13
    answer = await log.call(AUDITOR, "GetReview", week=week_name(LAST), limit=3)
    reasons = [list(entry.reasons) for entry in answer.entries]
    assert reasons == [["across_agencies"], ["rights_changed"], ["failed"]]
    older = await log.call(AUDITOR, "GetReview", week=week_name(LAST), before_leaf=answer.entries[-1].stored.leaf_index)
    assert [list(entry.reasons) for entry in older.entries] == [["refused"]]
    assert not (await log.call(AUDITOR, "GetReview", week=week_name(EARLIER))).entries


async def test_a_look_is_kept_with_who_gave_it_and_what_of_it_was_ones_own(log: Log) -> None:  # R12 R13
    name = week_name(EARLIER)
    week = (await log.call(AUDITOR, "CompleteReview", week=name, note="Nothing unusual.")).week
    assert not week.overdue
    week = (await log.call(SUPERVISOR, "CompleteReview", week=week_name(LAST), note="Aino was refused: talked to her.", findings=True)).week
    (review,) = week.reviews
    assert (review.reviewed_by, review.findings, review.own_entries) == (SUPERVISOR.principal_id, True, 1)
    week = (await log.call(AUDITOR, "CompleteReview", week=week_name(LAST), note="Seen too.")).week
    assert [look.own_entries for look in week.reviews] == [0, 1]
    # neither changed nor deleted, by nobody
    database = (await log.platform.context("ledger")).database
    for statement in ("update ledger_review set note = 'x'", "delete from ledger_review", "truncate ledger_review"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.transaction(Scope.platform("ledger")) as connection:
                await connection.execute(statement)


async def test_what_nobody_looked_at_is_counted(log: Log) -> None:  # R13
    store = ReviewStore((await log.platform.context("ledger")).database)
    overdue = await store.overdue(Scope.platform("ledger"), NOW, 12)
    assert overdue["espoo"] == 1
    await log.call(AUDITOR, "CompleteReview", week=week_name(EARLIER), note="Nothing unusual.")
    assert (await store.overdue(Scope.platform("ledger"), NOW, 12))["espoo"] == 0
    # a week later the next one is late
    assert (await store.overdue(Scope.platform("ledger"), NOW + WEEK, 12))["espoo"] == 1


async def test_a_log_is_reviewed_by_its_own_supervisors_and_auditors(log: Log) -> None:
    for scope in (AINO, person("espoo", "administrator")):
        for method, fields in (
            ("ListReviews", {}),
            ("GetReview", {"week": week_name(LAST)}),
            ("CompleteReview", {"week": week_name(LAST)}),
        ):
            with pytest.raises(Refused):
                await log.call(scope, method, **fields)
    stranger = person("turku", "auditor")
    assert not (await log.call(stranger, "ListReviews")).weeks
    with pytest.raises(NotFound):
        await log.call(stranger, "GetReview", week=week_name(LAST))
    for wrong in ({"week": week_name(NOW), "note": "x"}, {"week": "yesterday", "note": "x"}, {"week": week_name(LAST), "note": " "}):
        with pytest.raises(InvalidInput):
            await log.call(AUDITOR, "CompleteReview", **wrong)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)))
def test_a_week_s_name_leads_back_to_its_monday(moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC)
    starts_at = week_start(week_name(moment), datetime(2200, 1, 1, tzinfo=UTC))
    assert starts_at.weekday() == 0
    assert starts_at <= moment < starts_at + timedelta(days=7)


@given(st.text(max_size=12))
def test_what_is_no_week_is_refused(text: str) -> None:
    try:
        assert week_name(week_start(text, NOW)) == text
    except InvalidInput as error:
        assert error.violations[0].field == "week"

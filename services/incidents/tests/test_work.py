"""What people do with incidents: create, send units, write the timeline, close, reopen."""

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.errors import Conflict, InvalidInput, NotFound, Refused
from rtcc_chassis.scope import Scope

from .conftest import DISPATCHER, NEIGHBOUR, OFFICER, OPERATOR, SUPERVISOR, Incidents, position, repeating


async def test_incidents_are_numbered_per_agency_and_year_without_a_gap(incidents: Incidents) -> None:
    made = await asyncio.gather(*(incidents.create() for _ in range(8)))
    year = datetime.now(ZoneInfo("Europe/Helsinki")).year % 100
    assert sorted(incident.number for incident in made) == [f"{year:02}-{count:04}" for count in range(1, 9)]
    other = await incidents.create(NEIGHBOUR)
    assert other.number.endswith("-0001")
    assert [found.number for found in await incidents.list_(number=made[3].number)] == [made[3].number]


async def test_a_repeated_request_makes_one_incident(incidents: Incidents) -> None:
    scope = repeating(DISPATCHER, "k1")
    first, second = await incidents.create(scope), await incidents.create(scope)
    assert first.incident_id == second.incident_id
    assert len(await incidents.list_()) == 1


async def test_open_ones_are_listed_by_priority_and_unknown_comes_last(incidents: Incidents) -> None:
    for priority in (3, 0, 1):
        await incidents.create(priority=priority)
    assert [incident.priority for incident in await incidents.list_()] == [1, 3, 0]


async def test_a_unit_goes_through_its_statuses_each_with_its_time(incidents: Incidents) -> None:
    incident = await incidents.dispatched("e1")
    for status in (pb.UNIT_STATUS_EN_ROUTE, pb.UNIT_STATUS_ON_SCENE, pb.UNIT_STATUS_CLEAR):
        answer = await incidents.ask("SetUnitStatus", DISPATCHER, incident_id=incident.incident_id, unit_id="e1", status=status)
        assert answer.won
    (work,) = answer.incident.assignments
    times = [work.dispatched_at, work.en_route_at, work.on_scene_at, work.clear_at]
    assert [time.ToNanoseconds() for time in times] == sorted(time.ToNanoseconds() for time in times) and work.status == 4
    entries = [entry for entry in await incidents.timeline(incident.incident_id) if entry.kind == "unit"]
    assert [entry.unit.status for entry in entries] == [1, 2, 3, 4]


async def test_the_first_report_of_a_status_wins(incidents: Incidents) -> None:
    incident = await incidents.dispatched("e1")
    fields = {"incident_id": incident.incident_id, "unit_id": "e1", "status": pb.UNIT_STATUS_ON_SCENE}
    answers = await asyncio.gather(*(incidents.ask("SetUnitStatus", DISPATCHER, **fields) for _ in range(3)))
    assert sorted(answer.won for answer in answers) == [False, False, True]
    # a phone that had no network tells of "en route" later: its time is filled in, the status stays
    stamp = datetime.now(UTC) - timedelta(seconds=1)
    late = await incidents.ask("SetUnitStatus", DISPATCHER, **fields | {"status": pb.UNIT_STATUS_EN_ROUTE, "occurred_at": stamp})
    assert not late.won and late.incident.assignments[0].HasField("en_route_at")
    assert late.incident.assignments[0].status == pb.UNIT_STATUS_ON_SCENE


async def test_a_unit_works_on_one_incident_and_the_first_dispatcher_wins(incidents: Incidents) -> None:
    await incidents.add_unit("e1")
    made = [await incidents.create() for _ in range(4)]
    answers = await asyncio.gather(*(incidents.ask("AssignUnit", DISPATCHER, incident_id=one.incident_id, unit_id="e1") for one in made))
    winner = next(answer.incident for answer in answers if answer.won)
    assert sum(answer.won for answer in answers) == 1
    assert {answer.busy_incident_number for answer in answers if not answer.won} == {winner.number}
    other = next(one for one in made if one.incident_id != winner.incident_id)
    taken = await incidents.ask("AssignUnit", DISPATCHER, incident_id=other.incident_id, unit_id="e1", take_over=True)
    assert taken.won
    left = (await incidents.ask("GetIncident", DISPATCHER, incident_id=winner.incident_id)).incident
    assert left.assignments[0].status == pb.UNIT_STATUS_CLEAR


async def test_an_officer_sets_the_status_of_the_own_unit_alone(incidents: Incidents) -> None:
    incident = await incidents.dispatched("e1", "e2")
    await incidents.rides_with(OFFICER, "e1")
    fields = {"incident_id": incident.incident_id, "status": pb.UNIT_STATUS_EN_ROUTE}
    assert (await incidents.ask("SetUnitStatus", OFFICER, unit_id="e1", **fields)).won
    with pytest.raises(Refused, match="ride with"):
        await incidents.ask("SetUnitStatus", OFFICER, unit_id="e2", **fields)
    with pytest.raises(Refused):
        await incidents.ask("AssignUnit", OFFICER, incident_id=incident.incident_id, unit_id="e1")


async def test_a_unit_of_another_agency_is_not_sent(incidents: Incidents) -> None:
    incident = await incidents.create()
    await incidents.add_unit("w1", "west")
    with pytest.raises(NotFound):
        await incidents.ask("AssignUnit", DISPATCHER, incident_id=incident.incident_id, unit_id="w1")


async def test_the_timeline_is_in_the_order_of_what_happened(incidents: Incidents) -> None:
    incident = await incidents.create()
    now = datetime.now(UTC)
    for text, minutes in (("second", 5), ("first", 9), ("third", 1)):
        at = now - timedelta(minutes=minutes)
        await incidents.ask("AddTimelineEntry", OFFICER, incident_id=incident.incident_id, text=text, occurred_at=at)
    notes = [entry.text for entry in await incidents.timeline(incident.incident_id) if entry.kind == "note"]
    assert notes == ["first", "second", "third"]
    newer = await incidents.timeline(incident.incident_id, after_sequence=3)
    assert [entry.text for entry in newer] == ["third"]


async def test_an_entry_is_corrected_by_a_new_one_and_never_changed(incidents: Incidents) -> None:
    incident = await incidents.create()
    fields = {"incident_id": incident.incident_id}
    wrong = (await incidents.ask("AddTimelineEntry", OPERATOR, text="two men", **fields)).entry
    right = (await incidents.ask("AddTimelineEntry", OPERATOR, text="three men", corrects=wrong.entry_id, **fields)).entry
    found = {entry.entry_id: entry for entry in await incidents.timeline(incident.incident_id)}
    assert (found[wrong.entry_id].text, found[wrong.entry_id].corrected_by) == ("two men", right.entry_id)
    with pytest.raises(InvalidInput, match="corrected before"):
        await incidents.ask("AddTimelineEntry", OPERATOR, text="four", corrects=wrong.entry_id, **fields)
    other = await incidents.create()
    with pytest.raises(InvalidInput, match="no entry of this incident"):
        await incidents.ask("AddTimelineEntry", OPERATOR, incident_id=other.incident_id, text="x", corrects=right.entry_id)


@pytest.mark.parametrize("statement", ["update timeline_entry set body = ''", "delete from timeline_entry"])
async def test_the_database_itself_refuses_to_change_an_entry(incidents: Incidents, statement: str) -> None:
    await incidents.create()
    with pytest.raises(asyncpg.RaiseError, match="written once"):
        async with incidents.context.database.transaction(Scope.platform("incidents")) as connection:
            await connection.execute(statement)


async def test_a_record_is_named_by_its_id_alone(incidents: Incidents) -> None:
    incident = await incidents.create()
    record = pb.RecordReference(record_kind="person", record_id="p1", role="suspect")
    await incidents.ask("AddTimelineEntry", OPERATOR, incident_id=incident.incident_id, record=record)
    with pytest.raises(InvalidInput, match="isn't stored here"):
        labelled = pb.RecordReference(record_kind="person", record_id="p1", label="Smith, John")
        await incidents.ask("AddTimelineEntry", OPERATOR, incident_id=incident.incident_id, record=labelled)
    # identity is away: the reader learns that there is a record, and no name
    (entry,) = [entry for entry in await incidents.timeline(incident.incident_id) if entry.kind == "record"]
    assert (entry.record.record_id, entry.record.role, entry.record.label) == ("p1", "suspect", "")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"text": "  "}, "text"),
        ({"text": "x" * 8_001}, "text"),
        ({"text": "x", "position": position(91, 0)}, "position.coordinate.latitude_deg"),
        ({"text": "x", "occurred_at": datetime.now(UTC) + timedelta(hours=1)}, "occurred_at"),
        ({"clip": pb.ClipReference(camera_id="c1")}, "clip"),
        ({"record": pb.RecordReference(record_kind="alien", record_id="x")}, "record.record_kind"),
        ({"floor_plan": pb.FloorPlanReference(floor_plan_id="none")}, "floor_plan.floor_plan_id"),
    ],
)
async def test_a_bad_entry_is_refused_with_the_field_named(incidents: Incidents, fields: dict[str, object], named: str) -> None:
    incident = await incidents.create()
    with pytest.raises(InvalidInput) as refused:
        await incidents.ask("AddTimelineEntry", OPERATOR, incident_id=incident.incident_id, **fields)
    assert [violation.field for violation in refused.value.violations] == [named]


async def test_an_incident_closes_with_an_outcome_when_its_units_are_clear(incidents: Incidents) -> None:
    incident = await incidents.dispatched("e1")
    fields = {"incident_id": incident.incident_id, "outcome": "report_taken"}
    with pytest.raises(Conflict, match="E1"):
        await incidents.ask("CloseIncident", DISPATCHER, **fields)
    closed = (await incidents.ask("CloseIncident", DISPATCHER, note="all quiet", clear_units=True, **fields)).incident
    assert (closed.state, closed.outcome, closed.closed_by_name) == (pb.INCIDENT_STATE_CLOSED, "report_taken", "Dina D")
    assert closed.assignments[0].status == pb.UNIT_STATUS_CLEAR
    assert (await incidents.ask("CloseIncident", DISPATCHER, **fields)).incident.revision == closed.revision
    with pytest.raises(Conflict, match="Dina D"):
        await incidents.ask("CloseIncident", OPERATOR, incident_id=incident.incident_id, outcome="unfounded")
    # the unit is free again
    other = await incidents.create()
    assert (await incidents.ask("AssignUnit", DISPATCHER, incident_id=other.incident_id, unit_id="e1")).won


async def test_a_supervisor_reopens_and_says_why(incidents: Incidents) -> None:
    incident = await incidents.create()
    await incidents.ask("CloseIncident", DISPATCHER, incident_id=incident.incident_id, outcome="unfounded")
    for scope in (DISPATCHER, OPERATOR, OFFICER):
        with pytest.raises(Refused):
            await incidents.ask("ReopenIncident", scope, incident_id=incident.incident_id, reason="x")
    with pytest.raises(InvalidInput):
        await incidents.ask("ReopenIncident", SUPERVISOR, incident_id=incident.incident_id)
    opened = (await incidents.ask("ReopenIncident", SUPERVISOR, incident_id=incident.incident_id, reason="new witness")).incident
    assert (opened.state, opened.reopened, opened.outcome) == (pb.INCIDENT_STATE_OPEN, 1, "")


async def test_a_change_on_an_old_reading_is_refused(incidents: Incidents) -> None:
    incident = await incidents.create()
    fields = {"incident_id": incident.incident_id, "revision": incident.revision}
    await incidents.ask("UpdateIncident", DISPATCHER, title="One", **fields)
    with pytest.raises(Conflict, match="revision 2"):
        await incidents.ask("UpdateIncident", DISPATCHER, title="Two", **fields)


async def test_another_agency_reaches_nothing(incidents: Incidents) -> None:
    incident = await incidents.create()
    for method, fields in (
        ("GetIncident", {}),
        ("ListTimeline", {}),
        ("UpdateIncident", {"title": "x"}),
        ("AddTimelineEntry", {"text": "x"}),
        ("CloseIncident", {"outcome": "resolved"}),
        ("ReopenIncident", {"reason": "x"}),
    ):
        with pytest.raises(NotFound):
            await incidents.ask(method, NEIGHBOUR, incident_id=incident.incident_id, **fields)

"""Calls for service become incidents; alerts near them join."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.errors import Conflict
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import poll

from .conftest import DISPATCHER, HERE, NEIGHBOUR, Incidents, alert, call, position

NOW = datetime.now(UTC)


async def test_a_call_becomes_an_incident_and_its_updates_change_that_one(incidents: Incidents) -> None:
    await incidents.publish(call("c1", "new", at=NOW), call("c1", "dispatched", at=NOW + timedelta(seconds=5), priority=1))
    incident = await incidents.of_call("c1", lambda found: found.call_status == "dispatched")
    assert (incident.number[2:], incident.kind, incident.priority, incident.origin) == ("-0001", "Burglary", 1, "call")
    assert incident.title == "Burglary, Fleminginkatu 12"
    entries = await incidents.timeline(incident.incident_id)
    assert [(entry.kind, entry.call.status) for entry in entries] == [("call", "new"), ("call", "dispatched")]
    assert len(await incidents.list_()) == 1


async def test_a_report_that_comes_again_changes_nothing(incidents: Incidents) -> None:
    first = call("c1", "new")
    await incidents.publish(first)
    await incidents.of_call("c1")
    # another message id: the stream doesn't see the repetition, the service must
    await incidents.publish(first, message_id="again")
    await incidents.publish(call("c2"))
    await incidents.of_call("c2")
    incident = await incidents.of_call("c1")
    assert (incident.revision, incident.timeline_entries) == (1, 1)
    assert sorted(found.number[3:] for found in await incidents.list_()) == ["0001", "0002"]


async def test_a_late_report_is_kept_and_rewrites_nothing(incidents: Incidents) -> None:
    await incidents.publish(call("c1", "on scene", at=NOW), call("c1", "new", at=NOW - timedelta(seconds=60), address="Old street 1"))
    incident = await incidents.of_call("c1", lambda found: found.timeline_entries == 2)
    assert (incident.call_status, incident.address) == ("on scene", "Fleminginkatu 12, Helsinki")
    assert [entry.call.status for entry in await incidents.timeline(incident.incident_id)] == ["new", "on scene"]


async def test_a_supplemental_location_never_overwrites_the_regulated_one(incidents: Incidents) -> None:  # R32
    elsewhere = position(60.2, 25.0)
    supplemental = call("c1", "update", at=NOW + timedelta(seconds=5), where=elsewhere, labels=["supplemental_location"])
    await incidents.publish(call("c1", at=NOW), supplemental)
    incident = await incidents.of_call("c1", lambda found: found.HasField("supplemental_position"))
    assert incident.position.coordinate == position().coordinate
    assert incident.supplemental_position.coordinate == elsewhere.coordinate


async def test_what_a_person_decided_stays_when_the_call_is_reported_again(incidents: Incidents) -> None:
    await incidents.publish(call("c1", at=NOW))
    incident = await incidents.of_call("c1")
    moved = position(60.19, 24.96)
    await incidents.ask("UpdateIncident", DISPATCHER, incident_id=incident.incident_id, priority=1, position=moved)
    await incidents.publish(call("c1", "dispatched", at=NOW + timedelta(seconds=5), priority=4))
    incident = await incidents.of_call("c1", lambda found: found.call_status == "dispatched")
    assert (incident.priority, incident.position.coordinate) == (1, moved.coordinate)


async def test_dispatch_closes_what_nobody_works_on_and_opens_it_again(incidents: Incidents) -> None:
    await incidents.publish(call("c1", at=NOW), call("c1", "Closed", at=NOW + timedelta(seconds=9)))
    incident = await incidents.of_call("c1", lambda found: found.state == pb.INCIDENT_STATE_CLOSED)
    assert (incident.outcome, incident.closed_by) == ("resolved", "")
    await incidents.publish(call("c1", "dispatched", at=NOW + timedelta(seconds=20)))
    incident = await incidents.of_call("c1", lambda found: found.state == pb.INCIDENT_STATE_OPEN)
    assert incident.outcome == ""


async def test_dispatch_does_not_close_under_a_unit(incidents: Incidents) -> None:
    await incidents.publish(call("c1", at=NOW))
    incident = await incidents.of_call("c1")
    await incidents.add_unit("e1")
    await incidents.ask("AssignUnit", DISPATCHER, incident_id=incident.incident_id, unit_id="e1")
    await incidents.publish(call("c1", "closed", at=NOW + timedelta(seconds=9)))
    incident = await incidents.of_call("c1", lambda found: found.call_status == "closed")
    assert incident.state == pb.INCIDENT_STATE_OPEN


async def test_an_alert_near_a_call_joins_it_whichever_comes_first(incidents: Incidents) -> None:
    before = alert(position(HERE[0] + 0.001, HERE[1]))
    await incidents.publish(before)
    await poll(lambda: known(incidents, before.alert_id))
    await incidents.publish(call("c1"))
    incident = await incidents.of_call("c1", lambda found: len(found.alert_ids) == 1)
    after, far, old = alert(), alert(position(HERE[0] + 0.01, HERE[1])), alert(seconds_ago=300)
    await incidents.publish(far, old, after)
    incident = await incidents.of_call("c1", lambda found: after.alert_id in found.alert_ids)
    assert list(incident.alert_ids) == [before.alert_id, after.alert_id]
    assert incident.signals == 3
    entries = [entry for entry in await incidents.timeline(incident.incident_id) if entry.kind == "alert"]
    assert [(entry.alert.alert_id, entry.alert.automatic, entry.author_id) for entry in entries] == [
        (before.alert_id, True, ""),
        (after.alert_id, True, ""),
    ]


async def known(incidents: Incidents, alert_id: str) -> bool:
    async with incidents.context.database.transaction(Scope.platform("incidents")) as connection:
        return bool(await connection.fetchval("select true from known_alert where alert_id = $1", alert_id))


async def test_a_call_and_an_alert_at_the_same_moment_find_each_other(incidents: Incidents) -> None:
    places = {f"c{number}": position(60 + number / 50, 25) for number in range(25)}
    pairs = [(call(call_id, where=where), alert(where)) for call_id, where in places.items()]
    await asyncio.gather(*(incidents.publish(message) for pair in pairs for message in pair))
    for call_id in places:
        await incidents.of_call(call_id, lambda found: len(found.alert_ids) == 1)


async def test_an_alert_belongs_to_one_incident_and_can_be_taken_off(incidents: Incidents) -> None:
    hit = alert(position(61, 25))
    await incidents.publish(hit)
    await poll(lambda: known(incidents, hit.alert_id))
    first, second = await incidents.create(), await incidents.create()
    answer = await incidents.ask("AttachAlert", DISPATCHER, incident_id=first.incident_id, alert_id=hit.alert_id)
    assert answer.won and list(answer.incident.alert_ids) == [hit.alert_id]
    late = await incidents.ask("AttachAlert", DISPATCHER, incident_id=second.incident_id, alert_id=hit.alert_id)
    assert not late.won and late.other_incident_number == first.number and not late.incident.alert_ids
    await incidents.ask("DetachAlert", DISPATCHER, incident_id=first.incident_id, alert_id=hit.alert_id, reason="other street")
    entries = [entry for entry in await incidents.timeline(first.incident_id) if entry.kind == "alert"]
    joined, taken_off = sorted(entries, key=lambda entry: entry.sequence)
    assert joined.corrected_by == taken_off.entry_id and taken_off.corrects == joined.entry_id
    again = await incidents.ask("AttachAlert", DISPATCHER, incident_id=second.incident_id, alert_id=hit.alert_id)
    assert again.won
    with pytest.raises(Conflict, match="another incident"):
        await incidents.create(alert_id=hit.alert_id)
    assert len(await incidents.list_()) == 2


async def test_two_attach_one_alert_at_the_same_moment_and_one_wins(incidents: Incidents) -> None:
    hit = alert(position(61, 25))
    await incidents.publish(hit)
    await poll(lambda: known(incidents, hit.alert_id))
    made = [await incidents.create() for _ in range(4)]
    answers = await asyncio.gather(
        *(incidents.ask("AttachAlert", DISPATCHER, incident_id=one.incident_id, alert_id=hit.alert_id) for one in made)
    )
    assert sum(answer.won for answer in answers) == 1


async def test_every_change_is_published_in_order(incidents: Incidents) -> None:
    # an id of its own: the stream knows those of other tests, and takes each message once
    call_id = new_id()
    await incidents.publish(call(call_id, at=NOW), call(call_id, "dispatched", at=NOW + timedelta(seconds=5)))
    await incidents.of_call(call_id, lambda found: found.call_status == "dispatched")

    async def both() -> bool:
        # what another test made may still be on its way here
        own = [message.revision for message in incidents.published if call_id in message.call_ids]
        assert own == [1, 2][: len(own)]
        return len(own) == 2

    await poll(both)


async def test_a_neighbour_sees_no_incident(incidents: Incidents) -> None:
    await incidents.publish(call("c1"))
    await incidents.of_call("c1")
    assert await incidents.list_(NEIGHBOUR, include_closed=True) == []

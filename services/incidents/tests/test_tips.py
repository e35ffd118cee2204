"""The tip line end to end inside the service: taken in, bounded, grouped, moderated, promoted."""

import asyncio
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from nats.js.errors import NotFoundError
from PIL import Image

from rtcc.event.v1 import event_pb2
from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.errors import Conflict, Exhausted, InvalidInput, NotFound, Refused
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import EVENTS, event_subject
from rtcc_chassis.testing import poll

from .conftest import DISPATCHER, GATEWAY, NEIGHBOUR, OFFICER, OPERATOR, SUPERVISOR, Incidents, position

TEXT = "White van, two men carry boxes out of the kiosk"
LIKE_IT = "two men with a white van at the kiosk, they carry boxes"


def jpeg() -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (60.0, 10.0, 0.0), 3: "E", 4: (24.0, 57.0, 0.0)})
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


async def open_line(incidents: Incidents) -> None:
    await incidents.ask("SetTipLine", SUPERVISOR, tip_line=pb.TipLine(open=True, notice="Thank you"))


async def submit(incidents: Incidents, text: str = TEXT, **fields: Any) -> pb.SubmitTipResponse:
    request = {"agency_id": "east", "form_key": new_id(), "text": text, **fields}
    answer: pb.SubmitTipResponse = await incidents.ask("SubmitTip", GATEWAY, **request)
    return answer


async def tips(incidents: Incidents, scope: Scope = OPERATOR, **fields: Any) -> list[pb.Tip]:
    return list((await incidents.ask("ListTips", scope, **fields)).tips)


async def test_a_closed_line_takes_nothing(incidents: Incidents) -> None:
    with pytest.raises(NotFound):
        await submit(incidents)
    await open_line(incidents)
    await submit(incidents)
    await incidents.ask("SetTipLine", SUPERVISOR, tip_line=pb.TipLine(open=False))
    with pytest.raises(NotFound):
        await submit(incidents)


async def test_only_the_gateway_hands_tips_in_and_only_people_of_the_agency_read_them(incidents: Incidents) -> None:
    await open_line(incidents)
    await submit(incidents)
    for scope in (OPERATOR, OFFICER, Scope.platform("video")):
        with pytest.raises(Refused):
            await incidents.ask("SubmitTip", scope, agency_id="east", form_key=new_id(), text=TEXT)
    assert len(await tips(incidents)) == 1
    assert await tips(incidents, NEIGHBOUR) == []
    with pytest.raises(Refused):
        await tips(incidents, OFFICER)


async def test_the_same_form_sent_twice_is_one_tip_with_one_code(incidents: Incidents) -> None:
    await open_line(incidents)
    key = new_id()
    answers = await asyncio.gather(*(submit(incidents, form_key=key) for _ in range(3)))
    assert len({answer.reference_code for answer in answers}) == 1
    (tip,) = await tips(incidents)
    assert (tip.reference_code, tip.channel, tip.state, tip.contact) == (answers[0].reference_code, "form", pb.TIP_STATE_NEW, "")


async def test_a_tip_is_an_event_that_doesnt_say_how_to_reach_its_sender(incidents: Incidents) -> None:
    await open_line(incidents)
    answer = await submit(incidents, contact="+358 40 000 0000", address="Kaarlenkatu 3")
    found: list[event_pb2.Event] = []

    async def announced() -> bool:
        try:
            message = await incidents.context.bus.jetstream.get_last_msg(EVENTS.name, event_subject("east", "tip"))
        except NotFoundError:
            return False
        found[:] = [event_pb2.Event.FromString(message.data or b"")]
        return found[0].event_id == answer.tip_id

    await poll(announced)
    assert (found[0].tip.text, found[0].tip.reference_code, found[0].tip.contact) == (TEXT, answer.reference_code, "")
    # it comes back to us, and is known
    await poll(incidents.idle)
    assert len(await tips(incidents)) == 1


async def test_a_sender_and_an_agency_have_bounds(incidents: Incidents) -> None:
    await open_line(incidents)
    for _ in range(10):
        await submit(incidents, sender_hash="ab" * 32)
    with pytest.raises(Exhausted, match="10"):
        await submit(incidents, sender_hash="ab" * 32)
    await submit(incidents, sender_hash="cd" * 32)
    async with incidents.context.database.transaction(Scope.platform("incidents")) as connection:
        await connection.execute("insert into tip_sender select 'east', 'x', now() from generate_series(1, 300)")
    with pytest.raises(Exhausted, match="300"):
        await submit(incidents, sender_hash="ef" * 32)


async def test_nothing_about_a_sender_is_kept_for_long(incidents: Incidents) -> None:
    from rtcc_incidents.store.tips import TipStore

    async with incidents.context.database.transaction(Scope.platform("incidents")) as connection:
        await connection.execute("insert into tip_sender values ('east', 'x', now() - interval '3 hours'), ('east', 'y', now())")
        store = TipStore(incidents.context.database, None)  # type: ignore[arg-type] # forgetting tells nobody
    await store.forget_senders(Scope.platform("incidents"), datetime.now(UTC))
    async with incidents.context.database.transaction(Scope.platform("incidents")) as connection:
        assert [row["sender_hash"] for row in await connection.fetch("select sender_hash from tip_sender")] == ["y"]
        columns = {row[0] for row in await connection.fetch("select column_name from information_schema.columns where table_name = 'tip'")}
    assert not {name for name in columns if "address" in name or "sender" in name or "ip" in name.split("_")}


async def test_a_photo_is_kept_without_where_it_was_taken(incidents: Incidents) -> None:
    await open_line(incidents)
    answer = await submit(incidents, photo=jpeg())
    (tip,) = await tips(incidents)
    assert tip.has_photo and not tip.HasField("position")
    kept = (await incidents.ask("GetTipPhoto", OPERATOR, tip_id=answer.tip_id)).jpeg
    assert not Image.open(io.BytesIO(kept)).getexif()
    with pytest.raises(InvalidInput, match="SVG"):
        await submit(incidents, photo=b"<svg/>")
    with pytest.raises(NotFound):
        await incidents.ask("GetTipPhoto", NEIGHBOUR, tip_id=answer.tip_id)


async def test_tips_about_one_thing_are_one_group_and_a_person_may_judge_otherwise(incidents: Incidents) -> None:
    await open_line(incidents)
    here = position().coordinate
    first = await submit(incidents, TEXT, coordinate=here)
    second = await submit(incidents, LIKE_IT, coordinate=here)
    other = await submit(incidents, "A dog has been barking since yesterday", coordinate=here)
    groups = {tip.tip_id: tip.group_id for tip in await tips(incidents)}
    assert groups[first.tip_id] == groups[second.tip_id] == first.tip_id and groups[other.tip_id] == other.tip_id
    alone = (await incidents.ask("GroupTip", OPERATOR, tip_id=second.tip_id)).tip
    assert alone.group_id == second.tip_id
    beside = (await incidents.ask("GroupTip", OPERATOR, tip_id=other.tip_id, with_tip_id=first.tip_id)).tip
    assert beside.group_id == first.tip_id


async def test_a_tip_is_moderated_and_spam_leaves_the_list(incidents: Incidents) -> None:
    await open_line(incidents)
    answer = await submit(incidents)
    tip = (await incidents.ask("ModerateTip", OPERATOR, tip_id=answer.tip_id, state=pb.TIP_STATE_SPAM, note="advert")).tip
    assert (tip.state, tip.moderated_by_name, tip.moderation_note) == (pb.TIP_STATE_SPAM, "Olga O", "advert")
    assert await tips(incidents) == []
    assert len(await tips(incidents, state=pb.TIP_STATE_SPAM)) == 1
    with pytest.raises(Conflict, match="accept it first"):
        await incidents.ask("PromoteTip", OPERATOR, tip_id=answer.tip_id)
    with pytest.raises(NotFound):
        await incidents.ask("ModerateTip", NEIGHBOUR, tip_id=answer.tip_id, state=pb.TIP_STATE_SPAM)


async def test_a_group_is_promoted_to_one_incident_and_the_first_wins(incidents: Incidents) -> None:
    await open_line(incidents)
    here = position().coordinate
    first = await submit(incidents, TEXT, coordinate=here, category="crime", photo=jpeg())
    second = await submit(incidents, LIKE_IT, coordinate=here)
    answers = await asyncio.gather(
        *(incidents.ask("PromoteTip", scope, tip_id=tip.tip_id) for scope in (OPERATOR, SUPERVISOR) for tip in (first, second)),
    )
    assert sum(answer.won for answer in answers) == 1
    assert len({answer.incident.incident_id for answer in answers}) == 1
    incident = (await incidents.ask("GetIncident", OPERATOR, incident_id=answers[0].incident.incident_id)).incident
    assert (incident.origin, incident.signals, incident.position.coordinate) == ("tip", 2, here)
    assert sorted(incident.tip_ids) == sorted([first.tip_id, second.tip_id])
    entries = await incidents.timeline(incident.incident_id)
    assert sorted(entry.kind for entry in entries) == ["photo", "tip", "tip"]
    photo = next(entry.photo for entry in entries if entry.kind == "photo")
    picture = await incidents.ask("GetIncidentPhoto", OFFICER, incident_id=incident.incident_id, photo_id=photo.photo_id)
    assert picture.jpeg.startswith(b"\xff\xd8")
    assert await tips(incidents) == [] and len(await tips(incidents, include_promoted=True)) == 2


async def test_a_tip_joins_an_incident_that_is_there(incidents: Incidents) -> None:
    await open_line(incidents)
    incident, answer = await incidents.create(), await submit(incidents)
    joined = await incidents.ask("PromoteTip", DISPATCHER, tip_id=answer.tip_id, incident_id=incident.incident_id)
    assert joined.won and list(joined.incident.tip_ids) == [answer.tip_id]


async def test_a_webhooks_tip_comes_by_the_event_stream_once(incidents: Incidents) -> None:
    event = event_pb2.Event(event_id=new_id(), agency_id="east", source_id="tips-vendor", kind="tip")
    event.occurred_at.FromDatetime(datetime.now(UTC))
    event.received_at.FromDatetime(datetime.now(UTC))
    event.tip.CopyFrom(event_pb2.Tip(channel="webhook", text=TEXT, contact="caller 7", reference_code="V-17"))
    await incidents.publish(event)
    await incidents.publish(event, message_id="again")

    async def arrived() -> list[pb.Tip]:
        return await tips(incidents)

    (tip,) = await poll(arrived)
    await poll(incidents.idle)
    assert (tip.tip_id, tip.contact, tip.reference_code, tip.channel) == (event.event_id, "caller 7", "V-17", "webhook")
    assert len(await tips(incidents)) == 1

"""Photos, floor plans and what is told before arrival, on real servers."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from PIL import Image

from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.identity.v1 import identity_pb2, identity_pb2_grpc
from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import Conflict, InvalidInput, NotFound, PurposeRequired, Refused
from rtcc_chassis.scope import Scope, current_scope
from rtcc_chassis.testing import Servers, person, test_platform
from rtcc_incidents.service import serve

from .conftest import DISPATCHER, HERE, NEIGHBOUR, OFFICER, OPERATOR, SUPERVISOR, Incidents, position, repeating


def picture(kind: str = "PNG", size: tuple[int, int] = (200, 100), **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "white").save(buffer, kind, **options)
    return buffer.getvalue()


def with_position() -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (60.0, 30.0, 0.0), 3: "E", 4: (25.0, 0.0, 0.0)})
    return picture("JPEG", exif=exif)


def points(shift_deg: float = 0.0) -> list[pb.ControlPoint]:
    """A plan of 200 x 100 pixels, some 20 m wide, at the place of the tests."""
    return [
        pb.ControlPoint(
            x_px=x, y_px=y, coordinate=Coordinate(latitude_deg=HERE[0] - y * 9e-7 + shift_deg, longitude_deg=HERE[1] + x * 1.8e-6)
        )
        for x, y in ((0, 0), (200, 0), (200, 100), (0, 100))
    ]


async def plan(incidents: Incidents, scope: Scope = SUPERVISOR, image: bytes = b"", **more: Any) -> pb.FloorPlan:
    wanted = pb.FloorPlan(**{"name": "School", "floor": "1", "address": "Fleminginkatu 12", "control_points": points(), **more})
    answer = await incidents.ask("CreateFloorPlan", scope, floor_plan=wanted, image=image or picture())
    return pb.FloorPlan.FromString(answer.floor_plan.SerializeToString())


@pytest.mark.parametrize("keep", [False, True])
async def test_a_photos_place_is_kept_on_purpose_only(incidents: Incidents, keep: bool) -> None:
    incident = await incidents.create()
    fields = {"incident_id": incident.incident_id, "image": with_position(), "keep_position": keep, "caption": "door"}
    entry = (await incidents.ask("AddIncidentPhoto", OFFICER, **fields)).entry
    assert entry.HasField("position") is keep and (not keep or entry.position.coordinate.latitude_deg == 60.5)
    kept = (await incidents.ask("GetIncidentPhoto", OPERATOR, incident_id=incident.incident_id, photo_id=entry.photo.photo_id)).jpeg
    assert not Image.open(io.BytesIO(kept)).getexif() and len(kept) == entry.photo.size_bytes
    with pytest.raises(NotFound):
        await incidents.ask("GetIncidentPhoto", NEIGHBOUR, incident_id=incident.incident_id, photo_id=entry.photo.photo_id)


@pytest.mark.parametrize(("ago", "believed"), [(timedelta(minutes=10), True), (timedelta(days=9_000), False), (-timedelta(days=1), False)])
async def test_a_photo_stands_where_it_was_taken_in_time_unless_the_clock_is_wrong(
    incidents: Incidents, ago: timedelta, believed: bool
) -> None:
    incident, now = await incidents.create(), datetime.now(UTC).replace(microsecond=0)
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0x9003: f"{now - ago:%Y:%m:%d %H:%M:%S}", 0x9011: "+00:00"})
    fields = {"incident_id": incident.incident_id, "image": picture("JPEG", exif=exif)}
    entry = (await incidents.ask("AddIncidentPhoto", OFFICER, **fields)).entry
    assert (entry.occurred_at.ToDatetime(UTC) == now - ago) is believed
    assert believed or now <= entry.occurred_at.ToDatetime(UTC) <= entry.recorded_at.ToDatetime(UTC)


async def test_a_cameras_picture_keeps_the_way_back_to_its_recording(incidents: Incidents) -> None:
    incident, now = await incidents.create(), datetime.now(UTC)
    shown = pb.ClipReference(camera_id="c1", camera_name="North gate")
    fields = {"incident_id": incident.incident_id, "image": picture()}
    with pytest.raises(InvalidInput, match="taken_from"):
        await incidents.ask("AddIncidentPhoto", OFFICER, **fields, taken_from=shown)
    getattr(shown, "from").FromDatetime(now - timedelta(seconds=5))
    shown.until.FromDatetime(now)
    entry = (await incidents.ask("AddIncidentPhoto", OFFICER, **fields, taken_from=shown)).entry
    assert entry.photo.taken_from == shown
    assert (await incidents.timeline(incident.incident_id))[-1].photo.taken_from == shown


async def test_a_repeated_photo_is_one_and_what_is_none_is_refused(incidents: Incidents) -> None:
    incident, scope = await incidents.create(), repeating(OFFICER, "photo-1")
    for _ in range(2):
        await incidents.ask("AddIncidentPhoto", scope, incident_id=incident.incident_id, image=picture())
    assert [entry.kind for entry in await incidents.timeline(incident.incident_id)].count("photo") == 1
    with pytest.raises(InvalidInput, match="SVG"):
        await incidents.ask("AddIncidentPhoto", OFFICER, incident_id=incident.incident_id, image=b"<svg/>")


async def test_a_floor_plan_is_laid_marked_and_found_by_its_place(incidents: Incidents) -> None:
    made = await plan(incidents, marks=[pb.FloorPlanMark(kind="exit", label="main door", x_px=100, y_px=0)])
    assert (made.width_px, made.height_px, made.content_type, made.revision) == (200, 100, "image/png", 1)
    assert made.residual_most_m < 0.01 and len(made.corners) == 4
    assert abs(made.marks[0].coordinate.longitude_deg - (HERE[1] + 100 * 1.8e-6)) < 1e-9
    image = await incidents.ask("GetFloorPlanImage", OFFICER, floor_plan_id=made.floor_plan_id)
    assert image.content_type == "image/png" and image.image.startswith(b"\x89PNG")
    for fields in (
        {"address": "FLEMINGINKATU 12 B"},
        {"coordinate": Coordinate(latitude_deg=HERE[0] - 4e-5, longitude_deg=HERE[1] + 1e-4)},
    ):
        found = (await incidents.ask("ListFloorPlans", OFFICER, **fields)).floor_plans
        assert [one.floor_plan_id for one in found] == [made.floor_plan_id]
    assert not (await incidents.ask("ListFloorPlans", OFFICER, address="Kaarlenkatu 3")).floor_plans
    incident = await incidents.create(address="Fleminginkatu 12, Helsinki")
    opened = await incidents.ask("GetIncident", OFFICER, incident_id=incident.incident_id)
    assert [one.floor_plan_id for one in opened.floor_plans] == [made.floor_plan_id]


async def test_marks_and_points_change_by_revision(incidents: Incidents) -> None:
    made = await plan(incidents, marks=[pb.FloorPlanMark(kind="exit", x_px=0, y_px=0)])
    hazard = pb.FloorPlanMark(kind="hazard", label="gas", x_px=50, y_px=50)
    fields = {"floor_plan_id": made.floor_plan_id, "revision": 1}
    marked = (await incidents.ask("UpdateFloorPlan", SUPERVISOR, marks=[hazard], replace_marks=True, **fields)).floor_plan
    assert [mark.label for mark in marked.marks] == ["gas"] and marked.revision == 2
    with pytest.raises(Conflict, match="revision 2"):
        await incidents.ask("UpdateFloorPlan", SUPERVISOR, marks=[], replace_marks=True, **fields)
    moved = (await incidents.ask("UpdateFloorPlan", SUPERVISOR, floor_plan_id=made.floor_plan_id, control_points=points(1e-4))).floor_plan
    assert moved.marks[0].coordinate.latitude_deg - marked.marks[0].coordinate.latitude_deg == pytest.approx(1e-4, abs=1e-9)
    with pytest.raises(Refused):
        await incidents.ask("UpdateFloorPlan", OPERATOR, floor_plan_id=made.floor_plan_id, replace_marks=True)
    await incidents.ask("DeleteFloorPlan", SUPERVISOR, floor_plan_id=made.floor_plan_id)
    with pytest.raises(NotFound):
        await incidents.ask("GetFloorPlanImage", SUPERVISOR, floor_plan_id=made.floor_plan_id)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"name": ""}, "floor_plan.name"),
        ({"control_points": points()[:2]}, "control_points"),
        ({"marks": [pb.FloorPlanMark(kind="treasure")]}, "marks[0].kind"),
        ({"marks": [pb.FloorPlanMark(kind="exit", x_px=201)]}, "marks[0]"),
        ({"image": b"<svg xmlns='http://www.w3.org/2000/svg'/>"}, "image"),
        ({"floor_plan_id": "../x"}, "floor_plan.floor_plan_id"),
    ],
)
async def test_a_bad_plan_is_refused_with_the_field_named(incidents: Incidents, more: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await plan(incidents, **more)
    assert refused.value.violations[0].field == named


class _Identity(identity_pb2_grpc.IdentityServiceServicer):
    """Answers with who asked and why, as far as they may know."""

    async def GetArrivalCard(self, request: Any, context: Any) -> identity_pb2.GetArrivalCardResponse:
        scope = current_scope()
        place = f"{request.address} for {scope.principal_id}: {scope.purpose} {scope.case_number}"
        return identity_pb2.GetArrivalCardResponse(place=place)

    async def GetPersonRecord(self, request: Any, context: Any) -> identity_pb2.GetPersonRecordResponse:
        answer = identity_pb2.GetPersonRecordResponse()
        answer.person.person.names.add(given_names="John", surname=f"Smith {current_scope().case_number}")
        return answer


async def _serve_identity(ctx: ServiceContext) -> None:
    ctx.rpc.add(identity_pb2_grpc.add_IdentityServiceServicer_to_server, _Identity())
    ctx.lifecycle.ready()
    await ctx.lifecycle.stopping.wait()


def on_the_way(number: str, scope: Scope = OFFICER) -> Scope:
    return replace(scope, purpose="dispatch", case_number=number)


async def test_before_arrival_there_are_plans_hazards_and_what_happened_there(incidents: Incidents) -> None:
    await plan(
        incidents, marks=[pb.FloorPlanMark(kind="hazard", label="gas", x_px=50, y_px=50), pb.FloorPlanMark(kind="exit", x_px=1, y_px=1)]
    )
    old = await incidents.create(address="fleminginkatu 12", kind="Fire")
    near = await incidents.create(address="Other street 1", position=position(HERE[0] + 1e-4), kind="Noise")
    await incidents.create(address="Kaarlenkatu 3", position=position(HERE[0] + 0.01))
    incident = await incidents.create(address="Fleminginkatu 12, Helsinki", position=position())
    answer = await incidents.ask("GetArrivalBriefing", on_the_way(incident.number), incident_id=incident.incident_id)
    assert [mark.label for mark in answer.hazards] == ["gas"] and len(answer.floor_plans) == 1
    assert [(prior.number, prior.same_address) for prior in answer.prior_incidents] == [(near.number, False), (old.number, True)]
    # identity is away here: said, and the rest is told
    assert len(answer.missing) == 1 and "people and vehicles" in answer.missing[0]


async def test_the_purpose_dispatch_is_bound_to_the_incident(incidents: Incidents) -> None:  # R18
    incident = await incidents.create()
    fields = {"incident_id": incident.incident_id}
    with pytest.raises(PurposeRequired):
        await incidents.ask("GetArrivalBriefing", OFFICER, **fields)
    with pytest.raises(Refused, match=incident.number):
        await incidents.ask("GetArrivalBriefing", on_the_way("26-9999"), **fields)
    with pytest.raises(NotFound):
        await incidents.ask("GetArrivalBriefing", on_the_way(incident.number, NEIGHBOUR), **fields)
    await incidents.ask("CloseIncident", DISPATCHER, outcome="resolved", **fields)
    with pytest.raises(Refused, match="closed"):
        await incidents.ask("GetArrivalBriefing", on_the_way(incident.number), **fields)
    other = person("east", "officer", name="Otto O", purpose="investigation", case_number="26-5")
    assert (await incidents.ask("GetArrivalBriefing", other, **fields)).incident.number == incident.number


async def test_identity_is_asked_in_the_readers_own_name(servers: Servers) -> None:
    from rtcc.incidents.v1.incidents_pb2_grpc import IncidentsServiceStub

    await servers.s3_endpoint()
    async with test_platform(servers) as platform:
        await platform.serve({"incidents": serve, "identity": _serve_identity})
        context = await platform.context("incidents")
        incidents = Incidents(platform, context, context.channels.stub("incidents", IncidentsServiceStub))
        incident = await incidents.create(address="Fleminginkatu 12")
        scope = on_the_way(incident.number)
        answer = await incidents.ask("GetArrivalBriefing", scope, incident_id=incident.incident_id)
        assert answer.arrival_card.place == f"Fleminginkatu 12 for {OFFICER.principal_id}: dispatch {incident.number}"
        assert not answer.missing
        record = pb.RecordReference(record_kind="person", record_id="p1", role="suspect")
        await incidents.ask("AddTimelineEntry", OFFICER, incident_id=incident.incident_id, record=record)
        named = [entry.record.label for entry in await incidents.timeline(incident.incident_id, scope) if entry.kind == "record"]
        unnamed = [entry.record.label for entry in await incidents.timeline(incident.incident_id) if entry.kind == "record"]
        assert (named, unnamed) == ([f"Smith {incident.number}, John"], [""])

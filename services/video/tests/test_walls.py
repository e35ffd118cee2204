"""Walls of cameras over real gRPC and PostgreSQL: who sees, changes and removes which."""

from collections.abc import AsyncIterator
from math import isqrt
from typing import Any

import grpc
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_ACTIVE, AGREEMENT_STATUS_REVOKED, Agreement, Camera
from rtcc.video.v1 import wall_pb2 as pb
from rtcc.video.v1 import wall_pb2_grpc
from rtcc_chassis.clock import utc_now
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import Conflict, InvalidInput, NotFound, Refused, from_rpc
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import directory_subject
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_video.service import serve
from rtcc_video.walls.domain import TILES, Slot, Wall, check_wall

OPERATOR = person("east", "operator", name="East Operator")
COLLEAGUE = person("east", "supervisor", name="East Supervisor")
STRANGER = person("west", "operator", name="West Operator")
LOBBY = pb.Wall(
    name=" Lobby ", tiles=9, slots=[pb.WallSlot(cell=0, span=2, camera_id="c1"), pb.WallSlot(cell=2, span=1, follow_alerts=True)]
)


class Desk:
    """The service's wall calls, as somebody."""

    def __init__(self, platform: TestPlatform, context: ServiceContext) -> None:
        self._platform, self._context = platform, context
        self._stub = wall_pb2_grpc.WallServiceStub(context.channels.channel("video"))

    async def store(self, type_name: str, identifier: str, message: Camera | Agreement) -> None:
        subject = directory_subject(type_name, "east", identifier)
        await self._context.bus.publish(subject, message, message_id=new_id(), agency_id="east")

    async def call(self, scope: Scope, method: str, **fields: Any) -> Any:
        try:
            return await getattr(self._stub, method)(getattr(pb, f"{method}Request")(**fields), metadata=self._platform.metadata(scope))
        except grpc.RpcError as error:
            raise from_rpc(error) from None

    async def save(self, scope: Scope, wall: pb.Wall, **changes: Any) -> pb.Wall:
        wanted = pb.Wall()
        wanted.CopyFrom(wall)
        for field, value in changes.items():
            setattr(wanted, field, value)
        saved: pb.Wall = (await self.call(scope, "SaveWall", wall=wanted)).wall
        return saved

    async def names(self, scope: Scope) -> list[str]:
        return [wall.name for wall in (await self.call(scope, "ListWalls")).walls]


@pytest_asyncio.fixture
async def desk(small_platform: TestPlatform) -> AsyncIterator[Desk]:
    found = Desk(small_platform, await small_platform.context("video"))
    await found.store("camera", "c1", Camera(camera_id="c1", agency_id="east", name="North", enabled=True))
    await small_platform.serve({"video": serve})
    yield found
    await small_platform.close()


async def test_a_wall_is_the_agencys_or_its_makers_and_nobody_elses(desk: Desk) -> None:
    shared = await desk.save(OPERATOR, LOBBY)
    assert (shared.name, shared.revision, shared.changed_by_name, list(shared.slots)) == ("Lobby", 1, "East Operator", list(LOBBY.slots))
    mine = await desk.save(OPERATOR, LOBBY, name="Mine", personal=True)
    assert await desk.names(OPERATOR) == ["Lobby", "Mine"]
    assert await desk.names(COLLEAGUE) == ["Lobby"]
    assert await desk.names(STRANGER) == []
    for scope in (COLLEAGUE, STRANGER):
        with pytest.raises(NotFound):
            await desk.save(scope, mine, name="Taken")
        with pytest.raises(NotFound):
            await desk.call(scope, "RemoveWall", wall_id=mine.wall_id)
    with pytest.raises(NotFound):
        await desk.save(STRANGER, shared)
    with pytest.raises(Refused):
        await desk.names(person("east", "officer"))

    changed = await desk.save(COLLEAGUE, shared, tiles=16)
    assert (changed.wall_id, changed.revision, changed.changed_by_name) == (shared.wall_id, 2, "East Supervisor")
    with pytest.raises(Conflict, match="East Supervisor changed this wall"):
        await desk.save(OPERATOR, shared, name="Older")
    # who makes it personal has it from then on
    await desk.save(COLLEAGUE, changed, personal=True)
    assert await desk.names(OPERATOR) == ["Mine"]
    await desk.call(OPERATOR, "RemoveWall", wall_id=mine.wall_id)
    assert await desk.names(OPERATOR) == []


# R16
async def test_a_wall_names_own_and_granted_cameras_alone(desk: Desk) -> None:
    for scope, camera_id in ((OPERATOR, "nowhere"), (STRANGER, "c1")):
        with pytest.raises(NotFound, match="camera"):
            await desk.save(scope, pb.Wall(name="Quay", tiles=1, slots=[pb.WallSlot(span=1, camera_id=camera_id)]))
    agreement = Agreement(agreement_id="a1", grantor_agency_id="east", grantee_agency_id="west", status=AGREEMENT_STATUS_ACTIVE)
    agreement.camera_ids.append("c1")
    agreement.cameras_live = True
    await desk.store("agreement", "a1", agreement)

    async def granted() -> pb.Wall | None:
        try:
            return await desk.save(STRANGER, pb.Wall(name="Quay", tiles=1, slots=[pb.WallSlot(span=1, camera_id="c1")]))
        except NotFound:
            return None

    wall = await poll(granted)
    assert wall is not None
    agreement.status = AGREEMENT_STATUS_REVOKED
    await desk.store("agreement", "a1", agreement)

    async def ended() -> bool:
        try:
            await desk.save(STRANGER, pb.Wall(name="Other", tiles=1, slots=[pb.WallSlot(span=1, camera_id="c1")]))
        except NotFound:
            return True
        return False

    await poll(ended)
    # what stands already may stay: it shows nothing
    assert (await desk.save(STRANGER, wall, name="Quay, old")).revision == 2


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("wall.name", {"name": " "}),
        ("wall.name", {"name": "x" * 61}),
        ("wall.tiles", {"tiles": 5}),
        ("wall.revision", {"revision": 2**32 - 1}),
        ("span", {"slots": [Slot(0, 4, "c1", False)]}),
        ("cell", {"slots": [Slot(8, 2, "c1", False)]}),
        ("cell", {"slots": [Slot(4_000_000_000, 1, "c1", False)]}),
        ("over another slot", {"slots": [Slot(0, 2, "c1", False), Slot(4, 1, "c2", False)]}),
        ("camera_id", {"slots": [Slot(0, 1, "", False)]}),
        ("camera_id", {"slots": [Slot(0, 1, "c1", True)]}),
        ("camera_id", {"slots": [Slot(0, 1, "c" * 81, False)]}),
    ],
)
def test_what_is_no_wall_is_refused_with_its_field(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=field):
        check_wall(wall(**changes))


@given(
    tiles=st.sampled_from(TILES),
    slots=st.lists(st.builds(Slot, st.integers(0, 20), st.integers(0, 5), st.just("c1"), st.just(False)), max_size=4),
)
def test_a_wall_is_valid_when_each_cell_is_painted_once_at_most(tiles: int, slots: list[Slot]) -> None:
    side = isqrt(tiles)
    # the oracle paints on a floor that is large enough for anything
    painted = [
        (slot.cell // side + down, slot.cell % side + right) for slot in slots for down in range(slot.span) for right in range(slot.span)
    ]
    inside = all(row < side and column < side for row, column in painted) and all(slot.span for slot in slots)
    valid = inside and len(set(painted)) == len(painted)
    try:
        check_wall(wall(tiles=tiles, slots=slots))
        assert valid
    except InvalidInput:
        assert not valid


def wall(**changes: Any) -> Wall:
    fields: dict[str, Any] = {"name": "Lobby", "tiles": 9, "slots": [Slot(0, 1, "c1", False)], "revision": 0} | changes
    made = (fields["tiles"], tuple(fields["slots"]), False, "p1", fields["revision"])
    return Wall("", str(fields["name"]).strip(), *made, utc_now(), "p1", "Somebody")

"""GET /v1/live: the handshake, the snapshot, and the reader of one socket."""

import asyncio
import functools
import math

from aiohttp import WSMsgType, web
from google.protobuf.message import DecodeError

from rtcc.geo.v1.geo_pb2 import BoundingBox
from rtcc.live.v1 import live_pb2 as pb
from rtcc_chassis.access import AuditDraft, Outcome, Resource
from rtcc_chassis.errors import InvalidInput, Refused, RtccError
from rtcc_chassis.scope import Scope
from rtcc_gateway.domain import CrossSiteRequest, RateLimit
from rtcc_gateway.http.door import DOOR, Caller, Door
from rtcc_gateway.live.feed import PLACE
from rtcc_gateway.live.frames import cursor_sequences, frame, listed, portions
from rtcc_gateway.live.hub import HUB, LiveHub
from rtcc_gateway.live.socket import CLOSE_BAD_FRAME, CLOSE_IDLE, CLOSE_NOT_ALLOWED, CLOSE_RESTART, CLOSE_TOO_MANY, LiveSocket
from rtcc_gateway.live.view import FEED_KINDS, AgencyView

PROTOCOL = "rtcc.live.v1"
_HELLO_S = 10.0
_FRAME_BYTES = 16 * 1024
_PORTION_BYTES = 256 * 1024
_FRAMES_PER_S, _FRAMES_BURST = 20.0, 60
_ACTIONS = {
    "alerts": "alert.list",
    "shared_alerts": "shared_alert.list",
    "calls": "call.list",
    "incidents": "incident.list",
    "cameras": "camera.list",
    "shared_cameras": "shared_camera.list",
    "camera_states": "camera.health",
    "positions": "position.list",
    "tracks": "track.list",
    "agreements": "agreement.list",
}


async def live(request: web.Request) -> web.StreamResponse:
    """One console window."""
    door, hub = request.app[DOOR], request.app[HUB]
    origin = request.headers.get("Origin")
    # cookies ride on WebSocket handshakes of any site: the origin must be ours (RFC 6455 section 10.2)
    if origin is None or not door.is_own_origin(origin):
        raise CrossSiteRequest
    caller = await door.caller(request, changes=False)
    # the heartbeat finds dead peers
    ws = web.WebSocketResponse(protocols=(PROTOCOL,), heartbeat=20.0, max_msg_size=_FRAME_BYTES, compress=False, autoclose=True)
    if not ws.can_prepare(request):
        raise InvalidInput.one("Upgrade", "this path is a WebSocket")
    await ws.prepare(request)
    if hub.sockets_of(caller.session.session_id) >= door.settings.sockets_per_session:
        await ws.close(code=CLOSE_TOO_MANY, message=b"too many sockets")
        return ws
    socket = LiveSocket(
        ws=ws, session_id=caller.session.session_id, person_id=caller.person.person_id, agency_id=caller.person.agency_id,
        scope=caller.scope, feeds=feeds_of(door, caller.scope), backlog_bytes=door.settings.socket_backlog_bytes,
        abort=functools.partial(_abort, request), unit_id=caller.person.unit_id,
    )  # fmt: skip
    if not socket.feeds:
        await door.ctx.access.record(AuditDraft("live.open", PLACE, Outcome.DENIED, caller.scope, reason="no role that watches"))
        await ws.close(code=CLOSE_NOT_ALLOWED, message=b"your roles show nothing live")
        return ws
    await _serve(door, hub, socket, caller)
    return ws


def feeds_of(door: Door, scope: Scope) -> frozenset[str]:
    """What the person's roles show."""
    own = Resource.collection(scope.agency_id)
    return frozenset(feed for feed, action in _ACTIONS.items() if door.ctx.access.decide(scope, action, own).allowed)


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _serve(door: Door, hub: LiveHub, socket: LiveSocket, caller: Caller) -> None:
    writer = asyncio.create_task(socket.write(), name="live writer")
    try:
        hello = await _hello(socket)
        if hello is not None:
            await _start(door, hub, socket, caller, hello)
            await _read(door, socket)
    except (RtccError, TimeoutError) as error:
        # the client comes back and asks again
        socket.end(CLOSE_NOT_ALLOWED if isinstance(error, Refused) else CLOSE_RESTART, "not available")
    finally:
        hub.leave(socket)
        socket.end(CLOSE_RESTART, "closed")
        await writer


async def _hello(socket: LiveSocket) -> pb.Hello | None:
    try:
        async with asyncio.timeout(_HELLO_S):
            message = await socket.ws.receive()
    except TimeoutError:
        socket.end(CLOSE_IDLE, "no hello")
        return None
    body = _client_frame(socket, message.type, message.data)
    if body is None or body.WhichOneof("body") != "hello":
        socket.end(CLOSE_BAD_FRAME, "the first frame must be hello")
        return None
    return body.hello


async def _start(door: Door, hub: LiveHub, socket: LiveSocket, caller: Caller, hello: pb.Hello) -> None:
    """Snapshot or the missed part; what happens meanwhile is held and follows."""
    view = await hub.view_for(socket)
    if hello.HasField("viewport"):
        _look(socket, hello.viewport)
    # nothing below may wait between reading the books and joining: afterwards every change is held
    sequences = cursor_sequences(hello.cursor, view.cursor().split(".")[0], len(FEED_KINDS))
    starts = {}
    for index, kind in enumerate(FEED_KINDS):
        if kind in socket.feeds:
            starts[kind] = view.feeds[kind].starting_entries(sequences[index] if sequences else None)
    resumed = bool(starts) and all(resumes for _, resumes in starts.values())
    if not resumed:
        starts = {kind: (view.feeds[kind].book.open_entries(), False) for kind in starts}
    cursor = view.head_cursor()
    cameras, states = view.camera_snapshot(socket), hub.camera_states_for(view, socket)
    agreements = pb.Agreements(agreements=view.agreements_of_agency()) if "agreements" in socket.feeds else None
    socket.hold()
    hub.join(socket, view)
    await _audit_start(door, socket, view, cameras)
    for kind, (entries, _) in starts.items():
        if entries:
            await view.feeds[kind].audit([socket], entries)
    now = door.ctx.clock()
    bodies = [("welcome", _welcome(door, view, caller, resumed).SerializeToString())]
    if {"cameras", "shared_cameras"} & socket.feeds:
        bodies.append(("cameras", cameras.SerializeToString()))
    if states.cameras:
        bodies.append(("camera_states", states.SerializeToString()))
    if agreements is not None:
        bodies.append(("agreements", agreements.SerializeToString()))
    for kind, (entries, _) in starts.items():
        # revoked while the log was written: must not leave
        kept = [entry.payload for entry in entries if view.feeds[kind].book.get(entry.key) is not None]
        for index, part in enumerate(portions(kept, _PORTION_BYTES)):
            bodies.append((kind, listed(part, snapshot=not resumed and index == 0)))
    # the cursor stands on the last frame alone: a client that loses the connection before it starts over
    last = len(bodies) - 1
    socket.release([frame(kind, body, now, cursor if index == last else "") for index, (kind, body) in enumerate(bodies)])


def _welcome(door: Door, view: AgencyView, caller: Caller, resumed: bool) -> pb.Welcome:
    """Agencies: the own one and those it has agreements with; nobody else's name belongs on this screen."""
    known = {caller.person.agency_id}
    for agreement in view.agreements_of_agency():
        known |= {agreement.grantor_agency_id, agreement.grantee_agency_id}
    return pb.Welcome(
        agency_id=caller.person.agency_id,
        person_id=caller.person.person_id,
        display_name=caller.person.display_name,
        roles=sorted(caller.person.roles),
        resumed=resumed,
        agencies=[agency for agency in door.people.agencies if agency.agency_id in known],
    )


async def _audit_start(door: Door, socket: LiveSocket, view: AgencyView, cameras: pb.Cameras) -> None:
    """The opening itself, and in the partners' logs that their cameras' places were shown."""
    drafts = [AuditDraft("live.open", PLACE, Outcome.ALLOWED, socket.scope, object_ids=(f"session:{socket.session_id}",))]
    groups: dict[tuple[str, str], list[str]] = {}
    for shared in cameras.shared_cameras:
        groups.setdefault((shared.camera.agency_id, shared.agreement_id), []).append(f"camera:{shared.camera.camera_id}")
    drafts += [
        AuditDraft(
            "shared_camera.list",
            PLACE,
            Outcome.ALLOWED,
            socket.scope,
            object_ids=tuple(ids),
            owner_agency_id=owner,
            agreement_id=agreement_id,
        )
        for (owner, agreement_id), ids in groups.items()
    ]
    await door.ctx.access.record_many(drafts)


async def _read(door: Door, socket: LiveSocket) -> None:
    """Until the client leaves or breaks a rule."""
    rate = RateLimit(_FRAMES_PER_S, _FRAMES_BURST, keys=1)
    loop = asyncio.get_running_loop()
    async for message in socket.ws:
        if socket.closed:
            return
        body = _client_frame(socket, message.type, message.data)
        if body is None or rate.take("", loop.time()) > 0:
            socket.end(CLOSE_BAD_FRAME, "a frame that can't be read, or too many")
            return
        kind = body.WhichOneof("body")
        if kind == "viewport":
            _look(socket, body.viewport)
        elif kind == "ping":
            now = door.ctx.clock()
            pong = pb.Pong(client_time_us=body.ping.client_time_us, server_time_us=int(now.timestamp() * 1e6))
            socket.send(frame("pong", pong.SerializeToString(), now))


def _client_frame(socket: LiveSocket, kind: WSMsgType, data: object) -> pb.ClientFrame | None:
    if kind is not WSMsgType.BINARY or not isinstance(data, bytes):
        return None
    try:
        return pb.ClientFrame.FromString(data)
    except DecodeError:
        return None


def _look(socket: LiveSocket, viewport: pb.Viewport) -> None:
    """Another part of the map; a box that isn't one shows nothing."""
    box = viewport.box
    values = (box.south_deg, box.west_deg, box.north_deg, box.east_deg)
    fits = all(math.isfinite(value) for value in values) and -90 <= box.south_deg < box.north_deg <= 90
    if fits and all(-180 <= value <= 180 for value in (box.west_deg, box.east_deg)):
        copy = BoundingBox()
        copy.CopyFrom(box)
        socket.box = copy
    else:
        socket.box = None
    socket.position_snapshot_due = socket.track_snapshot_due = True

"""Rules about cameras: what a valid one is, and which ones show a place best."""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from rtcc.geo.v1 import geo_pb2
from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.geometry import coordinate_violations, ranked_for
from rtcc_registry.domain.findings import Findings

RANGE_LONGEST_M = 5_000.0
STREAM_URL_LENGTH = 512
STREAMS_MOST = 4
MAIN_STREAM = "main"
# beside the addresses in a camera's secret: the SHA-256 of its device's key; no stream's id has an underscore
PUBLISH_KEY = "publish_key_sha256"
# there as well: where it is moved
CONTROL = "control_url"
NO_CONTROL = "none"
RANK_DEFAULT = 4
# Beyond this no camera helps to see a place.
RANK_REACH_M = 5_000.0
RANK_MOST = 16

_STREAM_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")
_SCHEMES = frozenset({"rtsp", "rtsps", "rtspu", "rtmp", "rtmps", "http", "https", "udp"})
# "file:<name>" stays below the video service's own folder: one name, no way up.
_FILE_STREAM = re.compile(r"file:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")


def checked_camera(camera: pb.Camera, prefix: str = "camera") -> pb.Camera:
    """A valid camera with a bearing in [0, 360). Raises InvalidInput with every field that is wrong."""
    found = Findings(prefix)
    result = pb.Camera()
    result.CopyFrom(camera)
    result.name = found.text("name", camera.name)
    result.owner = found.text("owner", camera.owner, needed=False)
    if camera.camera_id:
        found.identifier("camera_id", camera.camera_id)
    known = camera.kind in pb.CameraKind.values() and camera.kind != pb.CAMERA_KIND_UNSPECIFIED
    found.require(known, "kind", "must be street, plate_reader, body, vehicle or community")
    if camera.HasField("coordinate"):
        found.extend(coordinate_violations(camera.coordinate, f"{prefix}.coordinate" if prefix else "coordinate"))
    else:
        found.add("coordinate", "is needed: where the camera stands")
    bearing_known = math.isfinite(camera.bearing_deg) and 0 <= camera.bearing_deg <= 360
    found.require(bearing_known, "bearing_deg", "must be 0 to 360 degrees clockwise from true north")
    result.bearing_deg = camera.bearing_deg % 360 if bearing_known else 0.0
    opening_known = math.isfinite(camera.field_of_view_deg) and 0 < camera.field_of_view_deg <= 360
    found.require(opening_known, "field_of_view_deg", "must be above 0 and at most 360 degrees (360: a dome)")
    range_known = math.isfinite(camera.range_m) and 0 <= camera.range_m <= RANGE_LONGEST_M
    found.require(range_known, "range_m", f"must be 0 (unknown) to {RANGE_LONGEST_M:.0f} metres")
    problem = stream_problem(camera.stream_url)
    found.require(not problem, "stream_url", problem)
    found.require(camera.pull in pb.CameraPull.values(), "pull", "must be always, on_demand or left out")
    found.require(not (camera.published and camera.stream_url), "stream_url", "a camera that publishes by itself has no address")
    _check_streams(camera, found)
    problem = control_problem(camera.control_url)
    found.require(not problem, "control_url", problem)
    # the platform's word: a key is made by its own call
    result.ClearField("publish_key_set_at")
    found.raise_if_any()
    return result


def _check_streams(camera: pb.Camera, found: Findings) -> None:
    found.require(len(camera.streams) <= STREAMS_MOST, "streams", f"at most {STREAMS_MOST} further streams are kept")
    seen = {MAIN_STREAM}
    for index, stream in enumerate(camera.streams[:STREAMS_MOST]):
        place = f"streams[{index}]"
        found.require(bool(_STREAM_ID.match(stream.stream_id)), f"{place}.stream_id", "must be 1 to 32 of a-z, 0-9 and '-'")
        found.require(stream.stream_id not in seen, f"{place}.stream_id", "is taken: 'main' is the camera's own stream, others are unique")
        seen.add(stream.stream_id)
        found.text(f"{place}.label", stream.label, needed=False)
        found.require(stream.role in pb.CameraStreamRole.values(), f"{place}.role", "must be low, analytics or left out")
        problem = stream_problem(stream.stream_url)
        found.require(not problem, f"{place}.stream_url", problem)


def stream_problem(stream_url: str) -> str:
    """Why a stream's address can't be used; "" when it can. The text never repeats the address: it may hold a password."""
    if not stream_url:
        return ""
    if len(stream_url) > STREAM_URL_LENGTH or not stream_url.isprintable() or " " in stream_url:
        return f"must be at most {STREAM_URL_LENGTH} printable characters without spaces"
    if stream_url.startswith("file:"):
        return "" if _FILE_STREAM.match(stream_url) else "a file stream is file:<name>, one name without folders"
    try:
        parts = urlsplit(stream_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is no address: check host and port"
    if parts.scheme not in _SCHEMES or not host:
        return "must be rtsp://, rtsps:// (TLS), rtspu:// (RTP over UDP), rtmp:// or http(s):// with a host, udp://host:port or file:<name>"
    if parts.scheme == "udp" and port is None:
        return "udp:// needs the port that the stream is sent to"
    return ""


def control_problem(control_url: str) -> str:
    """As `stream_problem`, of the address where a camera is moved."""
    if control_url in ("", NO_CONTROL):
        return ""
    if len(control_url) > STREAM_URL_LENGTH or not control_url.isprintable() or " " in control_url:
        return f"must be at most {STREAM_URL_LENGTH} printable characters without spaces"
    try:
        parts = urlsplit(control_url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no address: check host and port"
    if parts.scheme not in ("onvif", "onvifs") or not host or not parse_qs(parts.query).get("profile"):
        return 'must be onvif://host:port/onvif/device_service?profile=<token>, onvifs://... (TLS), or "none"'
    return ""


def addresses_of(camera: pb.Camera, stored: Mapping[str, str]) -> dict[str, str]:
    """Every stream's address by its id, the hash of the device's key and where it is moved, after `camera` was written over `stored`.

    An empty address keeps the stored one; a stream that is left out goes.
    """
    wanted = {MAIN_STREAM: camera.stream_url} | {stream.stream_id: stream.stream_url for stream in camera.streams}
    if camera.published:
        del wanted[MAIN_STREAM]
    merged = {stream_id: url or stored.get(stream_id, "") for stream_id, url in wanted.items()}
    if camera.published:
        merged[PUBLISH_KEY] = stored.get(PUBLISH_KEY, "")
    merged[CONTROL] = "" if camera.control_url == NO_CONTROL else camera.control_url or stored.get(CONTROL, "")
    return {stream_id: url for stream_id, url in merged.items() if url}


def pack_addresses(addresses: Mapping[str, str]) -> str:
    """What is kept, sealed, as the camera's secret."""
    return json.dumps(dict(sorted(addresses.items()))) if addresses else ""


def unpack_addresses(secret: str) -> dict[str, str]:
    """The other way round; a plain address, as older versions stored it, is the main stream's."""
    if not secret.startswith("{"):
        return {MAIN_STREAM: secret} if secret else {}
    return {str(stream_id): str(url) for stream_id, url in json.loads(secret).items()}


def without_stream(camera: pb.Camera) -> pb.Camera:
    """The camera as it may leave the service: its streams' addresses hold credentials."""
    result = pb.Camera()
    result.CopyFrom(camera)
    result.has_stream = camera.published or bool(camera.stream_url) or camera.has_stream
    result.ClearField("stream_url")
    result.movable = camera.control_url not in ("", NO_CONTROL)
    result.ClearField("control_url")
    for stream in result.streams:
        stream.ClearField("stream_url")
    return result


def in_box(camera: pb.Camera, box: geo_pb2.BoundingBox) -> bool:
    """Whether a camera stands in a box; west > east means across the antimeridian."""
    latitude, longitude = camera.coordinate.latitude_deg, camera.coordinate.longitude_deg
    if not box.south_deg <= latitude <= box.north_deg:
        return False
    if box.west_deg <= box.east_deg:
        return box.west_deg <= longitude <= box.east_deg
    return longitude >= box.west_deg or longitude <= box.east_deg


def checked_rank_limit(limit: int) -> int:
    if limit > RANK_MOST:
        raise InvalidInput.one("limit", f"at most {RANK_MOST} cameras are ranked")
    return limit or RANK_DEFAULT


@dataclass(frozen=True, slots=True)
class Ranked:
    """`agreement_id` is empty for the viewer's own camera."""

    camera: pb.Camera
    distance_m: float
    in_view: bool
    agreement_id: str


def rank(
    cameras: Iterable[pb.Camera],
    coordinate: geo_pb2.Coordinate,
    limit: int,
    granted_by: Callable[[pb.Camera], str | None],
) -> list[Ranked]:
    """The `limit` best cameras for a place: those that have it in view first, then by distance, then by id.

    `granted_by` gives the agreement of a partner's camera, "" for an own one and None for one that may not be seen.
    """
    granted = {camera.camera_id: (camera, by) for camera in cameras if (by := granted_by(camera)) is not None}
    best = ranked_for([camera for camera, _ in granted.values()], coordinate, limit, reach_m=RANK_REACH_M)
    return [Ranked(camera, away_m, in_view, granted[camera.camera_id][1]) for camera, away_m, in_view in best]

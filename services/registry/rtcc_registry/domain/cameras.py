"""Rules about cameras: what a valid one is, and which ones show a place best."""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from rtcc.geo.v1 import geo_pb2
from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.geometry import coordinate_violations, ranked_for
from rtcc_registry.domain.findings import Findings

RANGE_LONGEST_M = 5_000.0
STREAM_URL_LENGTH = 512
RANK_DEFAULT = 4
# Beyond this no camera helps to see a place.
RANK_REACH_M = 5_000.0
RANK_MOST = 16

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
    found.raise_if_any()
    return result


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
        host, _port = parts.hostname, parts.port
    except ValueError:
        return "is no address: check host and port"
    if parts.scheme not in ("rtsp", "rtsps") or not host:
        return "must be rtsp://host/path, rtsps://host/path or file:<name>"
    return ""


def without_stream(camera: pb.Camera) -> pb.Camera:
    """The camera as it may leave the service: the stream's address holds credentials."""
    result = pb.Camera()
    result.CopyFrom(camera)
    result.has_stream = bool(camera.stream_url) or camera.has_stream
    result.ClearField("stream_url")
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

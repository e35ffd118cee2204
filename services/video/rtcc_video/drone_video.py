"""Drones' metadata out of their video: what MISB ST 0601 says of a camera's place and view, at a pace that a map needs."""

from datetime import UTC, datetime, timedelta

from prometheus_client import Counter

from rtcc.airspace.v1 import drone_video_pb2 as pb
from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc_video.sources.klv import BadKlv
from rtcc_video.sources.uas_metadata import UasMetadata, read_packets

# a stream's clock that is farther from ours isn't believed: a recording that is played again, a drone without a fix
_CLOCK_OFF_MOST = timedelta(seconds=50)
_SENT_EVERY_S = 0.2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# "thinned": the map needs no more; "placeless": no position in it; "damaged": no such set, or its checksum doesn't fit
METADATA = Counter("rtcc_video_drone_metadata_total", "Packets of drones' metadata by what became of them.", ["outcome"])
for _outcome in ("taken", "thinned", "placeless", "damaged"):
    METADATA.labels(_outcome)


def drone_video_message(agency_id: str, camera_id: str, metadata: UasMetadata, received_at: datetime) -> pb.DroneVideo | None:
    """What others are told; None without a place."""
    latitude_deg, longitude_deg = metadata.sensor_latitude_deg, metadata.sensor_longitude_deg
    if latitude_deg is None or longitude_deg is None or (latitude_deg, longitude_deg) == (0.0, 0.0):
        return None
    message = pb.DroneVideo(
        agency_id=agency_id,
        camera_id=camera_id,
        pitch_deg=_first(metadata.full_pitch_deg, metadata.pitch_deg),
        roll_deg=_first(metadata.full_roll_deg, metadata.roll_deg),
        mission_id=metadata.mission_id,
        platform_tail=metadata.platform_tail,
        platform_designation=metadata.platform_designation,
        platform_call_sign=metadata.platform_call_sign,
        view=_view(camera_id, metadata),
    )
    position = message.position
    position.coordinate.CopyFrom(Coordinate(latitude_deg=latitude_deg, longitude_deg=longitude_deg))
    if metadata.sensor_ellipsoid_height_m is not None:
        position.altitude_m = metadata.sensor_ellipsoid_height_m
    if metadata.heading_deg is not None:
        position.heading_deg = metadata.heading_deg % 360
    if metadata.ground_speed_mps is not None:
        position.speed_mps = metadata.ground_speed_mps
    if metadata.sensor_altitude_m is not None and metadata.frame_elevation_m is not None:
        message.height_m = metadata.sensor_altitude_m - metadata.frame_elevation_m
    message.observed_at.FromDatetime(_observed_at(metadata.time_us, received_at))
    message.received_at.FromDatetime(received_at)
    return message


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _observed_at(time_us: int, received_at: datetime) -> datetime:
    # what isn't near our own clock can't be believed, and what is far beyond it is no date at all
    if abs(time_us - (received_at - _EPOCH) // timedelta(microseconds=1)) > _CLOCK_OFF_MOST // timedelta(microseconds=1):
        return received_at
    return _EPOCH + timedelta(microseconds=time_us)


def _view(camera_id: str, metadata: UasMetadata) -> pb.CameraView:
    view = pb.CameraView(
        camera_id=camera_id,
        corners=[Coordinate(latitude_deg=latitude, longitude_deg=longitude) for latitude, longitude in metadata.corners],
        elevation_deg=metadata.relative_elevation_deg,
        horizontal_field_deg=metadata.horizontal_field_deg,
        vertical_field_deg=metadata.vertical_field_deg,
        slant_range_m=metadata.slant_range_m,
    )
    if metadata.frame_latitude_deg is not None and metadata.frame_longitude_deg is not None:
        view.frame_center.latitude_deg, view.frame_center.longitude_deg = metadata.frame_latitude_deg, metadata.frame_longitude_deg
    if metadata.heading_deg is not None and metadata.relative_azimuth_deg is not None:
        view.bearing_deg = (metadata.heading_deg + metadata.relative_azimuth_deg) % 360
    return view


class DroneVideos:
    """Takes packets as they come out of the streams and keeps the newest of each camera until they are fetched."""

    def __init__(self) -> None:
        self._newest: dict[str, pb.DroneVideo] = {}
        self._next_s: dict[str, float] = {}

    def take(self, agency_id: str, camera_id: str, data: bytes, received_at: datetime, now_s: float) -> None:
        """A packet of a camera's data stream; never raises. `now_s`: monotonic."""
        if now_s < self._next_s.get(camera_id, 0.0):
            METADATA.labels("thinned").inc()
            return
        try:
            newest = read_packets(data)[-1]
        except BadKlv:
            METADATA.labels("damaged").inc()
            return
        message = drone_video_message(agency_id, camera_id, newest, received_at)
        if message is None:
            METADATA.labels("placeless").inc()
            return
        METADATA.labels("taken").inc()
        self._next_s[camera_id] = now_s + _SENT_EVERY_S
        self._newest[camera_id] = message

    def fetch(self) -> list[pb.DroneVideo]:
        """What came since the last fetch, the newest of each camera."""
        found = list(self._newest.values())
        self._newest.clear()
        return found

    def forget(self, camera_id: str) -> None:
        """The camera is gone."""
        self._newest.pop(camera_id, None)
        self._next_s.pop(camera_id, None)

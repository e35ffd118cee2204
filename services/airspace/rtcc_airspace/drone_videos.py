"""Own drones by what their video says of them (MISB ST 0601): told by the video service over the bus, shown as telemetry is."""

import asyncio
import logging
import math
from collections.abc import Callable

from google.protobuf.message import DecodeError
from nats.aio.msg import Msg

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc.airspace.v1.drone_video_pb2 import CameraView, DroneVideo
from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc_airspace.app.receiving import DRONE_VIDEO, OwnSerials, Receiving
from rtcc_airspace.domain.observations import (
    ALTITUDE,
    HEADING,
    HEIGHT,
    SPEED,
    Identity,
    Observations,
    Refusals,
    Subject,
    blank_row,
)
from rtcc_chassis.errors import RtccError
from rtcc_chassis.signed_sources import RegisteredSource

_LOG = logging.getLogger(__name__)
DRONE_VIDEO_SUBJECT = "drone_video.*"
_WAITING_MOST = 5_000
_HEIGHT_MOST_M = 20_000.0
_SPEED_MOST_MPS = 300.0


class DroneVideos:
    """Keeps the newest of each camera until the next batch: what is older by then nobody needs."""

    def __init__(self, receiving: Receiving, own_serials: OwnSerials) -> None:
        self._receiving = receiving
        self._own_serials = own_serials
        self._newest: dict[tuple[str, str], Observations] = {}

    async def on_message(self, message: Msg) -> None:
        """drone_video.<agency_id>."""
        try:
            video = DroneVideo.FromString(message.data)
        except DecodeError:
            _LOG.warning("%s holds something that can't be read", message.subject)
            return
        if message.subject != f"drone_video.{video.agency_id}":
            _LOG.warning("%s holds a message of another agency", message.subject)
            return
        seen = sighting(video, self._own_serials)
        if seen is not None and (len(self._newest) < _WAITING_MOST or (video.agency_id, video.camera_id) in self._newest):
            self._newest[video.agency_id, video.camera_id] = seen

    async def run(self, every_s: float) -> None:
        """For ever: what came, in one go for each agency."""
        while True:
            await asyncio.sleep(every_s)
            newest, self._newest = self._newest, {}
            by_agency: dict[str, list[Observations]] = {}
            for (agency_id, _), seen in newest.items():
                by_agency.setdefault(agency_id, []).append(seen)
            await asyncio.gather(*(self._take(agency_id, Observations.joined(parts)) for agency_id, parts in by_agency.items()))

    async def _take(self, agency_id: str, observations: Observations) -> None:
        source = RegisteredSource("video", agency_id, DRONE_VIDEO, True)
        try:
            await self._receiving.take_sightings(source, observations, Refusals())
        except RtccError as error:
            # the next one comes in a moment
            _LOG.warning("places of own drones by their video: %s", error.message)


def sighting(video: DroneVideo, own_serials: Callable[[str], frozenset[str]]) -> Observations | None:
    """None without a place on the globe. A drone whose tail number is the device id of one of the agency's units is that drone, and one
    track with what its Remote ID says; any other is known by its camera.
    """
    place = video.position.coordinate
    if not _on_globe(place):
        return None
    row = blank_row(
        round(place.latitude_deg * 1e7),
        round(place.longitude_deg * 1e7),
        video.observed_at.ToMicroseconds(),
        video.received_at.ToMicroseconds(),
    )
    position = video.position
    if position.HasField("altitude_m") and abs(position.altitude_m) <= _HEIGHT_MOST_M:
        row[ALTITUDE] = round(position.altitude_m * 10)
    if video.HasField("height_m") and abs(video.height_m) <= _HEIGHT_MOST_M:
        row[HEIGHT] = round(video.height_m * 10)
    if position.HasField("heading_deg") and math.isfinite(position.heading_deg):
        row[HEADING] = round(position.heading_deg * 100) % 36_000
    if position.HasField("speed_mps") and 0 <= position.speed_mps <= _SPEED_MOST_MPS:
        row[SPEED] = round(position.speed_mps * 100)
    tail = video.platform_tail
    known = tail != "" and tail in own_serials(video.agency_id)
    key = f"serial:{tail}" if known else f"own:camera:{video.camera_id}"
    identity = Identity(
        serial_number=tail if known else "",
        registration="" if known else tail,
        aircraft_type="own drone",
        model=video.platform_designation,
        description=f"mission {video.mission_id}" if video.mission_id else "",
        call_sign=video.platform_call_sign or tail,
    )
    subject = Subject(key, pb.TRACK_KIND_OWN_DRONE, identity, f"camera:{video.camera_id}")
    return Observations.of([key], [row], {key: subject}, {key: _believed(video.view)})


def _believed(view: CameraView) -> CameraView:
    """The view without places that are none."""
    told = CameraView()
    told.CopyFrom(view)
    if told.HasField("frame_center") and not _on_globe(told.frame_center):
        told.ClearField("frame_center")
    if len(told.corners) != 4 or not all(map(_on_globe, told.corners)):
        told.ClearField("corners")
    return told


def _on_globe(place: Coordinate) -> bool:
    # 0, 0 is what a device without a fix tells; comparisons with not-a-number are false
    return (place.latitude_deg, place.longitude_deg) != (0, 0) and abs(place.latitude_deg) <= 90 and abs(place.longitude_deg) <= 180

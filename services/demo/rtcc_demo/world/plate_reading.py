"""Which plates the plate-reading cameras read, and how well."""

from __future__ import annotations

import random
from dataclasses import dataclass

from rtcc_demo.world.city import Camera
from rtcc_demo.world.geometry import Metres, distance_m, turn_deg
from rtcc_demo.world.streets import Street, StreetGraph
from rtcc_demo.world.traffic import Mover
from rtcc_demo.world.vehicles import Vehicle, misread

MISREAD_RATE = 0.04
MISSED_RATE = 0.02
READING_SHARE = 0.8
"""A plate is legible in this nearer share of the camera's range."""
NEAREST_M = 5.0
STEEPEST_DEG = 40.0
"""Beyond this angle between the camera's axis and the vehicle's the plate can't be read."""
FORGET_AFTER_S = 8.0


@dataclass(frozen=True, slots=True)
class PlateRead:
    """One plate seen by one camera. `plate` is what was read; candidates are (plate, confidence), best first."""

    read_number: int
    camera: Camera
    vehicle: Vehicle
    plate: str
    confidence: float
    candidates: tuple[tuple[str, float], ...]
    captured_s: float
    at: Metres
    front: bool
    """Whether the vehicle faces the camera."""


class PlateReaders:
    """All plate-reading cameras. A vehicle is read once a pass."""

    def __init__(self, cameras: list[Camera], random_source: random.Random) -> None:
        self._cameras = cameras
        self._random = random_source
        self._seen: dict[tuple[str, str], float] = {}
        self._reads = 0

    def look(self, now_s: float, movers: list[tuple[Mover, Vehicle]], two_way: set[int]) -> list[PlateRead]:
        """The reads of this moment."""
        reads = []
        for mover, vehicle in movers:
            at = mover.position(two_way)
            for camera in self._cameras:
                if abs(camera.at[0] - at[0]) > camera.range_m or abs(camera.at[1] - at[1]) > camera.range_m:
                    continue
                if legible(camera, at, mover.heading_deg):
                    key = (camera.camera_id, vehicle.plate)
                    passed_s = self._seen.get(key)
                    self._seen[key] = now_s
                    if passed_s is None or now_s - passed_s > FORGET_AFTER_S:
                        reads += self._read(camera, vehicle, now_s, at, mover.heading_deg)
        if len(self._seen) > 2_000:
            self._seen = {key: seen_s for key, seen_s in self._seen.items() if now_s - seen_s <= FORGET_AFTER_S}
        return reads

    def _read(self, camera: Camera, vehicle: Vehicle, now_s: float, at: Metres, heading_deg: float) -> list[PlateRead]:
        if self._random.random() < MISSED_RATE:
            return []
        self._reads += 1
        distance_share = distance_m(camera.at, at) / camera.range_m
        confidence = min(0.995, max(0.55, self._random.gauss(0.97 - 0.08 * distance_share, 0.02)))
        plate = vehicle.plate
        if self._random.random() < MISREAD_RATE:
            plate = misread(self._random, plate)
            confidence = min(confidence, self._random.uniform(0.62, 0.84))
        other = vehicle.plate if plate != vehicle.plate else misread(self._random, plate)
        candidates = (
            ((plate, round(confidence, 3)), (other, round(min(1 - confidence, 0.3), 3)))
            if other != plate
            else ((plate, round(confidence, 3)),)
        )
        front = abs(turn_deg(camera.bearing_deg, heading_deg)) > 90.0
        return [PlateRead(self._reads, camera, vehicle, plate, round(confidence, 3), candidates, now_s, at, front)]


def legible(camera: Camera, at: Metres, heading_deg: float) -> bool:
    """Whether a plate there, on a vehicle heading that way, can be read: in view, near, and not too oblique."""
    if not camera.sees(at) or not NEAREST_M <= distance_m(camera.at, at) <= camera.range_m * READING_SHARE:
        return False
    oblique_deg = abs(turn_deg(camera.bearing_deg, heading_deg))
    return min(oblique_deg, 180.0 - oblique_deg) <= STEEPEST_DEG


def watched_streets(camera: Camera, graph: StreetGraph) -> list[Street]:
    """The streets on which a vehicle gets read by this camera, the longest stretch in view first."""
    scores = []
    for street in graph.streets:
        marks = range(0, int(street.length_m) + 1, 2)
        score = sum(legible(camera, street.at(mark), street.bearing_at(mark)) for mark in marks)
        if score >= 3:
            scores.append((score, street))
    return [street for _, street in sorted(scores, key=lambda item: (-item[0], item[1].number))]

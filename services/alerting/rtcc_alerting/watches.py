"""Events that nobody sends: a unit in need seen in its positions, a camera that stopped seen in its health."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from rtcc.event.v1 import event_pb2
from rtcc.location.v1.location_pb2 import PositionBatch
from rtcc.registry.v1.registry_pb2 import Camera, Unit
from rtcc.video.v1 import video_pb2
from rtcc_alerting.rule_table import CAMERA_STATE, UNIT_PANIC
from rtcc_chassis.clock import Clock
from rtcc_chassis.directory import Mirror
from rtcc_chassis.identifiers import derived_id

Events = list[event_pb2.Event]
Handle = Callable[[Sequence[event_pb2.Event]], Awaitable[None]]
_DOWN = (video_pb2.CAMERA_STATE_FAILED, video_pb2.CAMERA_STATE_STALLED)
# several instances hear the same: within it they make the same event
_SAME_WITHIN_S = 600


class UnitWatch:
    """Each press of a panic button once, however many fixes say so."""

    def __init__(self, units: Mirror[Unit], clock: Clock) -> None:
        self._units = units
        self._clock = clock
        self._pressed: set[str] = set()

    def events_of(self, batch: PositionBatch) -> Events:
        """What began with this batch."""
        if not self._pressed and not any(batch.panic):
            return []
        events = []
        for row, unit_id in enumerate(batch.unit_ids):
            pressed = row < len(batch.panic) and batch.panic[row]
            if not pressed:
                self._pressed.discard(unit_id)
            elif unit_id not in self._pressed:
                self._pressed.add(unit_id)
                events.append(self._event(batch, row, unit_id))
        return events

    def _event(self, batch: PositionBatch, row: int, unit_id: str) -> event_pb2.Event:
        unit = self._units.get(unit_id)
        call_sign = unit.call_sign if unit is not None and unit.agency_id == batch.agency_id else unit_id
        event = event_pb2.Event(
            event_id=derived_id("unit_panic", unit_id, str(batch.fixed_at_us[row])),
            agency_id=batch.agency_id,
            source_id=unit_id,
            kind=UNIT_PANIC,
            marker=event_pb2.Marker(uid=unit_id, call_sign=call_sign, emergency="panic"),
        )
        event.position.coordinate.latitude_deg = batch.latitude_e7[row] / 1e7
        event.position.coordinate.longitude_deg = batch.longitude_e7[row] / 1e7
        event.occurred_at.FromMicroseconds(batch.fixed_at_us[row])
        event.received_at.FromMicroseconds(batch.received_at_us[row])
        return event


class CameraWatch:
    """A camera that sends nothing for a while, told once, and its return, told once. Nobody watching it is no failure."""

    def __init__(self, cameras: Mirror[Camera], clock: Clock, down_after: timedelta) -> None:
        self._cameras = cameras
        self._clock = clock
        self._down_after = down_after
        self._since: dict[str, datetime] = {}
        # True: told that it is down; False: told that it sends
        self._told: dict[str, bool] = {}

    async def hear(self, agency_id: str, health: video_pb2.CameraHealth, handle: Handle) -> None:
        """`handle` takes the event, if there is one; when it fails, the next report tries again."""
        camera = self._cameras.get(health.camera_id)
        if camera is None or camera.agency_id != agency_id:
            return
        now = self._clock()
        if not camera.enabled or health.state in (video_pb2.CAMERA_STATE_LIVE, video_pb2.CAMERA_STATE_IDLE):
            self._since.pop(health.camera_id, None)
            down = False
        else:
            since = self._since.setdefault(health.camera_id, now)
            down = health.state in _DOWN and now - since >= self._down_after
        if self._told.get(health.camera_id) == down or (not down and health.state != video_pb2.CAMERA_STATE_LIVE):
            return
        await handle([_camera_event(camera, health.reason if down else "", now, down=down)])
        self._told[health.camera_id] = down


def _camera_event(camera: Camera, reason: str, now: datetime, *, down: bool) -> event_pb2.Event:
    state = event_pb2.ALARM_STATE_ACTIVE if down else event_pb2.ALARM_STATE_RESTORED
    bucket = str(int(now.astimezone(UTC).timestamp()) // _SAME_WITHIN_S)
    event = event_pb2.Event(
        event_id=derived_id("camera_state", camera.camera_id, str(state), bucket),
        agency_id=camera.agency_id,
        source_id=camera.camera_id,
        kind=CAMERA_STATE,
        alarm=event_pb2.Alarm(
            panel_id=camera.camera_id, alarm_type="technical", state=state, site_name=camera.name or camera.camera_id, note=reason[:200]
        ),
    )
    if camera.HasField("coordinate"):
        event.position.coordinate.CopyFrom(camera.coordinate)
    event.occurred_at.FromDatetime(now)
    event.received_at.FromDatetime(now)
    return event

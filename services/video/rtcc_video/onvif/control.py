"""Moving cameras: take, renew, move, give back; and stopping what moves when the lease, the session or the right ends."""

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from prometheus_client import Counter, Gauge

from rtcc.registry.v1.registry_pb2 import Camera
from rtcc_chassis.access import Access, AuditDraft, Outcome, touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import Conflict, Exhausted, InvalidInput, NotFound, RtccError, Unavailable
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_video.app import Rights
from rtcc_video.domain import StreamAddresses
from rtcc_video.onvif.address import parse_device_address
from rtcc_video.onvif.device import OnvifDevice, Reach, Vector
from rtcc_video.onvif.lease_store import LeaseStore
from rtcc_video.onvif.leases import MOVEMENT_S, Lease, new_lease
from rtcc_video.onvif.soap import DeviceRefuses
from rtcc_video.sources.source import SourceFailed

_log = logging.getLogger(__name__)

TAKE, TAKE_OVER, MOVE = "camera.take_control", "camera.take_over_control", "camera.move"
SET_PRESET, REMOVE_PRESET = "camera.set_preset", "camera.remove_preset"
_ENDED = "camera.control_ended"
_DEVICES_MOST = 64
_WAITING_MOST = 4
_SWEEP_EVERY_S = 1.0

LEASES = Gauge("rtcc_video_controlled_cameras", "Cameras that somebody moves now.")
MOVEMENTS = Counter("rtcc_video_camera_movements_total", "Movements that people asked for, by what came of them.", ["outcome"])
for _outcome in ("carried_out", "failed"):
    MOVEMENTS.labels(_outcome)

type ReadAddresses = Callable[[str, str], Awaitable[StreamAddresses]]
# what is done with a device under its lock
type Act = Callable[[OnvifDevice], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Place:
    """A place to go to, absolute."""

    vector: Vector


@dataclass(frozen=True, slots=True)
class PresetPlace:
    """A place that the device remembers."""

    token: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Everything stands still."""


type Movement = Vector | Place | PresetPlace | Stop


@dataclass(slots=True)
class _Kept:
    """A camera's device; calls go one by one."""

    device: OnvifDevice
    lock: asyncio.Lock
    waiting: int = 0


class Control:
    """See the module. One a process; the leases are the installation's."""

    def __init__(self, store: LeaseStore, rights: Rights, access: Access, addresses: ReadAddresses, reach: Reach, clock: Clock) -> None:
        self._store = store
        self._rights = rights
        self._access = access
        self._addresses = addresses
        self._reach = reach
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._holders: dict[str, str] = {}

    def holder_name(self, camera_id: str) -> str:
        """Who moves the camera, as of the last second; "" when nobody does."""
        return self._holders.get(camera_id, "")

    async def take(self, scope: Scope, camera_id: str, *, take_over: bool) -> tuple[Lease, list[tuple[str, str]]]:
        """The lease, and the device's presets as (token, name).

        Raises `Conflict` naming who has it, `Refused`, `Unavailable`, `InvalidInput`.
        """
        camera = self._rights.camera(camera_id)
        self._rights.require(scope, TAKE_OVER if take_over else TAKE, camera)
        if not camera.movable:
            raise InvalidInput.one("camera_id", "it can't be moved: enter its control address in the camera registry")
        wanted = new_lease(scope, camera_id, camera.agency_id, new_id(), self._clock())
        held, ended = await self._store.take(scope, wanted, take_over=take_over)
        if held.lease_id != wanted.lease_id:
            raise Conflict(f"{held.holder_name} moves this camera until {held.until:%H:%M:%S} UTC at least. A supervisor may take it over.")
        if ended is not None:
            over = ended.until <= wanted.since
            await self._stopped(ended, "ran out" if over else "taken anew" if ended.principal_id == scope.principal_id else "taken over")
        self._holders[camera_id] = wanted.holder_name
        presets: list[tuple[str, str]] = []

        async def read(device: OnvifDevice) -> None:
            presets.extend(await device.presets())

        try:
            await self._act(camera.agency_id, camera_id, read)
        except DeviceRefuses as error:
            _log.info("camera %s tells no presets: %s", camera_id, error.reason)
        except (SourceFailed, RtccError) as error:
            reason = error.reason if isinstance(error, SourceFailed) else error.message
            await self._give_back(scope, camera_id, wanted.lease_id, "the device can't be used")
            raise Unavailable(f"the control of camera {camera.name or camera_id}", reason) from error
        return wanted, presets

    async def renew(self, scope: Scope, camera_id: str, lease_id: str) -> Lease:
        """Raises `Conflict` when the lease is over, `Refused` when the right is."""
        self._rights.require(scope, MOVE, self._rights.camera(camera_id))
        return await self._extended(scope, camera_id, lease_id, movements=0)

    async def release(self, scope: Scope, camera_id: str, lease_id: str) -> None:
        """Harmless when it is over already."""
        camera = self._rights.camera(camera_id)
        self._rights.require(scope, MOVE, camera)
        await self._give_back(scope, camera_id, lease_id, "given back")

    async def move(self, scope: Scope, camera_id: str, lease_id: str, movement: Movement) -> None:
        """Raises `Conflict` when the lease is over or the device doesn't do this, `Refused`, `Exhausted`, `Unavailable`."""
        camera = self._rights.camera(camera_id)
        self._rights.require(scope, MOVE, camera)

        async def carry_out(device: OnvifDevice) -> None:
            # under the camera's lock: whoever ends the lease stops the camera after this
            await self._extended(scope, camera_id, lease_id, movements=0 if isinstance(movement, Stop) else 1)
            match movement:
                case Vector():
                    await device.move(movement, MOVEMENT_S)
                case Place(vector):
                    await device.go_to(vector)
                case PresetPlace(token):
                    await device.go_to_preset(token)
                case Stop():
                    await device.stop()

        try:
            await self._told(camera, carry_out, always=isinstance(movement, Stop))
        except (Conflict, Unavailable) as error:
            # not what a lease that is over refuses
            if isinstance(error.__cause__, SourceFailed):
                MOVEMENTS.labels("failed").inc()
            raise
        MOVEMENTS.labels("carried_out").inc()

    async def set_preset(self, scope: Scope, camera_id: str, lease_id: str, name: str, token: str) -> tuple[str, list[tuple[str, str]]]:
        """The device remembers where it looks now: (token, all presets). With a token, in place of that preset. Raises as `move`."""
        camera = self._rights.camera(camera_id)
        self._rights.require(scope, SET_PRESET, camera)
        found = ""
        presets: list[tuple[str, str]] = []

        async def carry_out(device: OnvifDevice) -> None:
            nonlocal found
            await self._extended(scope, camera_id, lease_id, movements=0)
            before = dict(await device.presets())
            if token and token not in before:
                raise DeviceRefuses("The device remembers no such place.", lasting=True)
            found = await device.set_preset(name, token)
            _changed(camera, before.get(token, ""), name)
            presets.extend(await device.presets())

        await self._told(camera, carry_out)
        return found, presets

    async def remove_preset(self, scope: Scope, camera_id: str, lease_id: str, token: str) -> list[tuple[str, str]]:
        """The device forgets a place; the presets that are left. Raises as `move`."""
        camera = self._rights.camera(camera_id)
        self._rights.require(scope, REMOVE_PRESET, camera)
        presets: list[tuple[str, str]] = []

        async def carry_out(device: OnvifDevice) -> None:
            await self._extended(scope, camera_id, lease_id, movements=0)
            before = dict(await device.presets())
            await device.remove_preset(token)
            _changed(camera, before.get(token, token), "")
            presets.extend(await device.presets())

        await self._told(camera, carry_out)
        return presets

    async def run(self) -> None:
        """For ever: ends what ran out and learns who moves what. A database that is away ends nothing; the devices stop by themselves."""
        while True:
            await asyncio.sleep(_SWEEP_EVERY_S)
            try:
                await self.sweep()
            except RtccError as error:
                _log.warning("leases of cameras' controls: %s", error.message)

    async def sweep(self) -> None:
        """One round of `run`."""
        scope, now = Scope.platform("video"), self._clock()
        if not self._holders and not any(camera.movable for camera in self._rights.cameras.values()):
            return
        await self._all_stopped(await self._store.end(scope, before=now), "ran out")
        self._holders = {lease.camera_id: lease.holder_name for lease in await self._store.current(scope, now)}
        LEASES.set(len(self._holders))

    async def end_session(self, session_id: str) -> None:
        """The session was signed out or locked."""
        await self._all_stopped(await self._store.end(Scope.platform("video"), session_id=session_id), "the session ended")

    async def end_person(self, principal_id: str) -> None:
        """The person's roles changed: what is still allowed can be taken again."""
        await self._all_stopped(await self._store.end(Scope.platform("video"), principal_id=principal_id), "the rights changed")

    async def camera_changed(self, camera_id: str, camera: Camera | None) -> None:
        """It may be gone, off, or not to be moved any more, which ends its lease; or its device has another address now."""
        if camera is None or not camera.enabled or not camera.movable:
            await self._all_stopped(await self._store.end(Scope.platform("video"), camera_id=camera_id), "the camera was changed")
        self._kept.pop(camera_id, None)

    async def _extended(self, scope: Scope, camera_id: str, lease_id: str, *, movements: int) -> Lease:
        lease = await self._store.extend(scope, camera_id, lease_id, self._clock(), movements=movements)
        if lease is None:
            raise Conflict("Your control of this camera is over: take it again.")
        return lease

    async def _give_back(self, scope: Scope, camera_id: str, lease_id: str, reason: str) -> None:
        lease = await self._store.release(scope, camera_id, lease_id)
        if lease is not None:
            await self._stopped(lease, reason)

    async def _all_stopped(self, leases: Sequence[Lease], reason: str) -> None:
        await asyncio.gather(*(self._stopped(lease, reason) for lease in leases))

    async def _stopped(self, lease: Lease, reason: str) -> None:
        """The lease is over: the camera stands still, and its owner's log says who moved it, for how long and how often."""
        self._holders.pop(lease.camera_id, None)
        if lease.movements:
            try:
                await self._act(lease.agency_id, lease.camera_id, OnvifDevice.stop, always=True)
            except (SourceFailed, RtccError) as error:
                _log.warning("camera %s couldn't be stopped, it stops by itself within %.0f s: %s", lease.camera_id, MOVEMENT_S, error)
        draft = AuditDraft(
            action=_ENDED, place="video", outcome=Outcome.ALLOWED, scope=lease.holder(), object_ids=(f"camera:{lease.camera_id}",),
            reason=f"{reason}; {lease.movements} movements since {lease.since.isoformat(timespec='seconds')}",
            owner_agency_id=lease.agency_id,
        )  # fmt: skip
        try:
            await self._access.record(draft)
        except RtccError as error:
            _log.error("the end of %s's control of camera %s has no audit entry: %s", lease.principal_id, lease.camera_id, error.message)

    async def _told(self, camera: Camera, act: Act, *, always: bool = False) -> None:
        """`_act`, with the device's refusals as errors of the contract."""
        try:
            await self._act(camera.agency_id, camera.camera_id, act, always=always)
        except DeviceRefuses as error:
            raise Conflict(error.reason) from error
        except SourceFailed as error:
            raise Unavailable(f"the control of camera {camera.name or camera.camera_id}", error.reason) from error

    async def _act(self, agency_id: str, camera_id: str, act: Act, *, always: bool = False) -> None:
        """When the camera's turn comes. `always`: however many wait; what stops a camera is never turned away."""
        kept = await self._device(agency_id, camera_id)
        if kept.waiting >= _WAITING_MOST and not always:
            raise Exhausted("the number of movements of this camera that wait", _WAITING_MOST)
        kept.waiting += 1
        try:
            async with kept.lock:
                await act(kept.device)
        finally:
            kept.waiting -= 1

    async def _device(self, agency_id: str, camera_id: str) -> _Kept:
        kept = self._kept.get(camera_id)
        if kept is not None:
            self._kept.move_to_end(camera_id)
            return kept
        url = (await self._addresses(agency_id, camera_id)).control
        if not url:
            raise NotFound("control of the camera", camera_id[:80])
        # meanwhile another call may have opened it
        kept = self._kept.get(camera_id)
        if kept is None:
            kept = _Kept(OnvifDevice(parse_device_address(url), self._reach, self._clock), asyncio.Lock())
            self._kept[camera_id] = kept
            while len(self._kept) > _DEVICES_MOST:
                self._kept.popitem(last=False)
        return kept


def _changed(camera: Camera, before: str, after: str) -> None:
    """What of the device's memory was changed, for the call's audit entry: names of places."""
    touched(
        f"camera:{camera.camera_id}",
        owner_agency_id=camera.agency_id,
        old_value=json.dumps({"preset": before}),
        new_value=json.dumps({"preset": after}),
    )

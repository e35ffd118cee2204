"""rtcc.video.v1.OnvifService and PtzService: messages to domain and back."""

import asyncio
import math
from typing import Any

from rtcc.video.v1 import onvif_pb2, onvif_pb2_grpc, ptz_pb2, ptz_pb2_grpc
from rtcc_chassis.access import touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import Exhausted, InvalidInput, Unavailable
from rtcc_chassis.scope import current_scope
from rtcc_video.onvif.address import parse_device_address
from rtcc_video.onvif.control import Control, Movement, Place, PresetPlace, Stop
from rtcc_video.onvif.device import OnvifDevice, Reach, Vector
from rtcc_video.onvif.discovery import discover
from rtcc_video.onvif.leases import Lease
from rtcc_video.onvif.media import Profile
from rtcc_video.onvif.soap import SignInRefused
from rtcc_video.sources.source import SourceFailed

_ADDRESS_MOST = 512
_ACCOUNT_MOST = 128
_PRESET_NAME_MOST = 64
_PRESET_TOKEN_MOST = 64
_DISCOVERY_S = 3.0
_READINGS_AT_ONCE = 4


class OnvifServicer(onvif_pb2_grpc.OnvifServiceServicer):
    """`target`: where probes are sent."""

    def __init__(self, reach: Reach, target: tuple[str, int], clock: Clock) -> None:
        self._reach = reach
        self._target = target
        self._clock = clock
        self._free = _READINGS_AT_ONCE
        self._discovering = asyncio.Lock()

    async def DiscoverDevices(self, request: onvif_pb2.DiscoverDevicesRequest, context: Any) -> onvif_pb2.DiscoverDevicesResponse:
        try:
            async with self._discovering:
                found = await discover(self._target, self._reach.networks, _DISCOVERY_S)
        except OSError as error:
            raise Unavailable("discovery", "the video service's network carries no multicast: enter the device's address") from error
        devices = [
            onvif_pb2.DiscoveredDevice(address=device.address, name=device.name, hardware=device.hardware, location=device.location)
            for device in found
        ]
        return onvif_pb2.DiscoverDevicesResponse(devices=devices)

    async def ReadDevice(self, request: onvif_pb2.ReadDeviceRequest, context: Any) -> onvif_pb2.ReadDeviceResponse:
        for field, most in (("address", _ADDRESS_MOST), ("username", _ACCOUNT_MOST), ("password", _ACCOUNT_MOST)):
            value = getattr(request, field)
            if len(value) > most or not value.isprintable():
                raise InvalidInput.one(field, f"at most {most} printable characters are taken")
        try:
            address = parse_device_address(request.address, request.username, request.password)
        except SourceFailed as error:
            raise InvalidInput.one("address", error.reason) from error
        # what was asked stands in the log, whatever comes of it
        touched(f"device:{address.authority}")
        if self._free == 0:
            raise Exhausted("the number of devices that are asked at once", _READINGS_AT_ONCE)
        self._free -= 1
        try:
            told = await OnvifDevice(address, self._reach, self._clock).describe()
        except SignInRefused as error:
            raise InvalidInput.one("password", error.reason) from error
        except SourceFailed as error:
            if error.lasting:
                raise InvalidInput.one("address", error.reason) from error
            raise Unavailable("the device", error.reason) from error
        finally:
            self._free += 1
        return onvif_pb2.ReadDeviceResponse(
            manufacturer=told.manufacturer,
            model=told.model,
            firmware_version=told.firmware_version,
            serial_number=told.serial_number,
            profiles=[_profile(profile, address.control_url(profile.token)) for profile in told.profiles],
        )


class PtzServicer(ptz_pb2_grpc.PtzServiceServicer):
    """The contract's calls; rights and audit are the gate's and the app's."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def TakeControl(self, request: ptz_pb2.TakeControlRequest, context: Any) -> ptz_pb2.TakeControlResponse:
        lease, presets = await self._control.take(current_scope(), request.camera_id, take_over=False)
        return ptz_pb2.TakeControlResponse(control=_message(lease), presets=_presets(presets))

    async def TakeOverControl(self, request: ptz_pb2.TakeOverControlRequest, context: Any) -> ptz_pb2.TakeOverControlResponse:
        lease, presets = await self._control.take(current_scope(), request.camera_id, take_over=True)
        return ptz_pb2.TakeOverControlResponse(control=_message(lease), presets=_presets(presets))

    async def RenewControl(self, request: ptz_pb2.RenewControlRequest, context: Any) -> ptz_pb2.RenewControlResponse:
        return ptz_pb2.RenewControlResponse(
            control=_message(await self._control.renew(current_scope(), request.camera_id, request.lease_id))
        )

    async def ReleaseControl(self, request: ptz_pb2.ReleaseControlRequest, context: Any) -> ptz_pb2.ReleaseControlResponse:
        await self._control.release(current_scope(), request.camera_id, request.lease_id)
        return ptz_pb2.ReleaseControlResponse()

    async def MoveCamera(self, request: ptz_pb2.MoveCameraRequest, context: Any) -> ptz_pb2.MoveCameraResponse:
        await self._control.move(current_scope(), request.camera_id, request.lease_id, movement_of(request))
        return ptz_pb2.MoveCameraResponse()

    async def SetPreset(self, request: ptz_pb2.SetPresetRequest, context: Any) -> ptz_pb2.SetPresetResponse:
        name = request.name.strip()
        if not 1 <= len(name) <= _PRESET_NAME_MOST or not name.isprintable():
            raise InvalidInput.one("name", f"must be 1 to {_PRESET_NAME_MOST} printable characters")
        if len(request.token) > _PRESET_TOKEN_MOST:
            raise InvalidInput.one("token", "must be the token of a preset, or empty for a new one")
        token, presets = await self._control.set_preset(current_scope(), request.camera_id, request.lease_id, name, request.token)
        return ptz_pb2.SetPresetResponse(token=token, presets=_presets(presets))

    async def RemovePreset(self, request: ptz_pb2.RemovePresetRequest, context: Any) -> ptz_pb2.RemovePresetResponse:
        if not 1 <= len(request.token) <= _PRESET_TOKEN_MOST:
            raise InvalidInput.one("token", "must be the token of a preset")
        presets = await self._control.remove_preset(current_scope(), request.camera_id, request.lease_id, request.token)
        return ptz_pb2.RemovePresetResponse(presets=_presets(presets))


def movement_of(request: ptz_pb2.MoveCameraRequest) -> Movement:
    """Raises `InvalidInput`."""
    match request.WhichOneof("movement"):
        case "continuous":
            return _vector("continuous", request.continuous, -1.0)
        case "absolute":
            return Place(_vector("absolute", request.absolute, 0.0))
        case "preset":
            if not 1 <= len(request.preset) <= _PRESET_TOKEN_MOST:
                raise InvalidInput.one("preset", "must be the token of a preset")
            return PresetPlace(request.preset)
        case "stop":
            return Stop()
        case _:
            raise InvalidInput.one("movement", "is needed: continuous, absolute, preset or stop")


def _vector(field: str, vector: ptz_pb2.PtzVector, least_zoom: float) -> Vector:
    for name, value, least in (("pan", vector.pan, -1.0), ("tilt", vector.tilt, -1.0), ("zoom", vector.zoom, least_zoom)):
        if not (math.isfinite(value) and least <= value <= 1.0):
            raise InvalidInput.one(f"{field}.{name}", f"must be {least:g} to 1")
    return Vector(vector.pan, vector.tilt, vector.zoom)


def _profile(profile: Profile, control_url: str) -> onvif_pb2.MediaProfile:
    return onvif_pb2.MediaProfile(
        token=profile.token,
        name=profile.name,
        codec=profile.codec,
        width_px=profile.width_px,
        height_px=profile.height_px,
        frames_per_second=profile.frames_per_second,
        kilobits_per_second=profile.kilobits_per_second,
        stream_url=profile.stream_url,
        control_url=control_url if profile.movable else "",
    )


def _presets(presets: list[tuple[str, str]]) -> list[ptz_pb2.Preset]:
    return [ptz_pb2.Preset(token=token, name=name) for token, name in presets]


def _message(lease: Lease) -> ptz_pb2.Control:
    message = ptz_pb2.Control(camera_id=lease.camera_id, lease_id=lease.lease_id, holder_name=lease.holder_name)
    message.since.FromDatetime(lease.since)
    message.until.FromDatetime(lease.until)
    message.ends_at.FromDatetime(lease.ends_at)
    return message

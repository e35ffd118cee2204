"""Machines at the door: signed webhooks, receivers of Remote ID and ADS-B, and the OsmAnd protocol."""

import asyncio
import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import grpc
from aiohttp import web

from rtcc.airspace.v1 import airspace_pb2, airspace_pb2_grpc
from rtcc.intake.v1 import intake_pb2, intake_pb2_grpc
from rtcc.location.v1 import location_pb2, location_pb2_grpc
from rtcc_chassis.errors import InvalidInput, Unauthenticated, from_rpc
from rtcc_gateway.http.door import DOOR, Door, read_body
from rtcc_gateway.http.json_bodies import json_response, parse_json

HOOK_BYTES = 1024 * 1024
_FIX_BYTES = 64 * 1024
_BATCH_S = 0.05
_BATCH_FIXES = 100
_KNOTS_TO_MPS = 1852 / 3600
_ALARMS = frozenset({"sos", "panic", "duress"})


async def receive_hook(request: web.Request) -> web.StreamResponse:
    """POST /v1/hooks/{source_id}: the signature is verified by intake; the answer is sent when the event is durable."""
    door = request.app[DOOR]
    source_id, address = request.match_info["source_id"], door.address(request)
    door.take_device(f"hook {source_id[:80]} {address}")
    body = await read_body(request, HOOK_BYTES)
    stub: Any = door.ctx.channels.stub("intake", intake_pb2_grpc.IntakeServiceStub)
    message = intake_pb2.SubmitDeliveryRequest(
        source_id=source_id,
        timestamp=_header(request, "Rtcc-Timestamp"),
        delivery_id=_header(request, "Rtcc-Delivery"),
        signature=_header(request, "Rtcc-Signature"),
        body=body,
        source_address=address,
    )
    try:
        response = await stub.SubmitDelivery(message, metadata=door.ctx.tokens.metadata(), timeout=door.settings.call_timeout_s)
    except grpc.RpcError as error:
        raise from_rpc(error) from error
    answer = {"outcome": intake_pb2.DeliveryOutcome.Name(response.outcome)}
    answer |= {name: value for name in ("event_id", "quarantine_id", "reason") if (value := getattr(response, name))}
    return json_response(answer, 200 if response.outcome == intake_pb2.DELIVERY_OUTCOME_DUPLICATE else 202)


async def receive_reception(request: web.Request) -> web.StreamResponse:
    """POST /v1/airspace/{source_id}: what a receiver heard, signed like a webhook; airspace verifies and answers when it is durable."""
    door = request.app[DOOR]
    source_id, address = request.match_info["source_id"], door.address(request)
    door.take_device(f"airspace {source_id[:80]} {address}")
    body = await read_body(request, HOOK_BYTES)
    stub: Any = door.ctx.channels.stub("airspace", airspace_pb2_grpc.AirspaceServiceStub)
    message = airspace_pb2.SubmitReceptionRequest(
        source_id=source_id,
        timestamp=_header(request, "Rtcc-Timestamp"),
        delivery_id=_header(request, "Rtcc-Delivery"),
        signature=_header(request, "Rtcc-Signature"),
        body=body,
        source_address=address,
    )
    try:
        response = await stub.SubmitReception(message, metadata=door.ctx.tokens.metadata(), timeout=door.settings.call_timeout_s)
    except grpc.RpcError as error:
        raise from_rpc(error) from error
    return json_response({"accepted": response.accepted, "rejected": response.rejected, "reasons": list(response.reasons)}, 202)


def _header(request: web.Request, name: str) -> str:
    value = request.headers.get(name, "")
    if len(value) > 256 or not value.isascii() or not value.isprintable():
        raise InvalidInput.one(name, "must be at most 256 printable ASCII characters")
    return value


async def receive_osmand(request: web.Request) -> web.StreamResponse:
    """GET or POST /v1/osmand: query, form or the JSON of Traccar Client 9. The device key is verified by location."""
    door = request.app[DOOR]
    address = door.address(request)
    door.take_device(f"osmand {address}")
    body = await read_body(request, _FIX_BYTES) if request.method == "POST" else b""
    received_at = door.ctx.clock()
    parameters = dict(request.query)
    if body.lstrip()[:1] == b"{":
        device_id, fix = fix_of_json(parse_json(body), received_at)
    else:
        parameters |= _form(body)
        device_id, fix = fix_of_parameters(parameters, received_at)
    key = parameters.get("key") or _bearer(request)
    uplink = request.app[UPLINK]
    accepted, rejected, reasons = await uplink.submit(device_id, key, fix, address)
    if rejected and not accepted:
        raise InvalidInput.one("fix", "; ".join(reasons) or "was refused")
    return json_response({"accepted": accepted, "rejected": rejected, "reasons": reasons})


def _form(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode("utf-8"), max_num_fields=100))
    except ValueError as error:
        raise InvalidInput.one("", "the form can't be read") from error


def _bearer(request: web.Request) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def fix_of_parameters(parameters: Mapping[str, str], received_at: datetime) -> tuple[str, location_pb2.Fix]:
    """OsmAnd's parameters (www.traccar.org/osmand): speed in knots, times in seconds, milliseconds or ISO 8601."""
    device_id = parameters.get("id") or parameters.get("deviceid") or ""
    latitude, longitude = parameters.get("lat"), parameters.get("lon")
    if latitude is None and "location" in parameters:
        latitude, _, longitude = parameters["location"].partition(",")
    fix = location_pb2.Fix()
    coordinate = fix.position.coordinate
    coordinate.latitude_deg = _number("lat", latitude, -90, 90)
    coordinate.longitude_deg = _number("lon", longitude, -180, 180)
    if "accuracy" in parameters:
        fix.position.accuracy_m = max(0.0, _number("accuracy", parameters["accuracy"], -1e6, 1e6))
    if "altitude" in parameters:
        fix.position.altitude_m = _number("altitude", parameters["altitude"], -1000, 100_000)
    heading = parameters.get("bearing", parameters.get("heading"))
    if heading is not None and (degrees := _number("bearing", heading, -360, 360)) >= 0:
        fix.position.heading_deg = degrees
    if "speed" in parameters and (knots := _number("speed", parameters["speed"], -1e4, 1e4)) >= 0:
        fix.position.speed_mps = knots * _KNOTS_TO_MPS
    if "batt" in parameters:
        fix.battery_percent = _number("batt", parameters["batt"], 0, 100)
    fix.panic = parameters.get("alarm", "").lower() in _ALARMS
    fix.fixed_at.FromDatetime(_time(parameters.get("timestamp"), received_at))
    return _device(device_id), fix


def fix_of_json(body: Mapping[str, Any], received_at: datetime) -> tuple[str, location_pb2.Fix]:
    """Traccar Client 9 (transistorsoft background geolocation): speed in m/s, unknown values negative."""
    location = body.get("location")
    coords = location.get("coords") if isinstance(location, dict) else None
    if not isinstance(location, dict) or not isinstance(coords, dict):
        raise InvalidInput.one("location.coords", "is missing")
    fix = location_pb2.Fix()
    fix.position.coordinate.latitude_deg = _number("location.coords.latitude", coords.get("latitude"), -90, 90)
    fix.position.coordinate.longitude_deg = _number("location.coords.longitude", coords.get("longitude"), -180, 180)
    for name, field_name, low, high in (
        ("accuracy", "accuracy_m", -1e6, 1e6), ("altitude", "altitude_m", -1000, 100_000),
        ("heading", "heading_deg", -360, 360), ("speed", "speed_mps", -1e4, 1e4),
    ):  # fmt: skip
        if coords.get(name) is not None:
            value = _number(f"location.coords.{name}", coords[name], low, high)
            if name == "altitude" or value >= 0:
                setattr(fix.position, field_name, value)
    battery = location.get("battery")
    if isinstance(battery, dict) and isinstance(battery.get("level"), int | float) and 0 <= battery["level"] <= 1:
        fix.battery_percent = float(battery["level"]) * 100
    extras = location.get("extras")
    fix.panic = location.get("event") in _ALARMS or (isinstance(extras, dict) and str(extras.get("alarm", "")).lower() in _ALARMS)
    timestamp = location.get("timestamp")
    fix.fixed_at.FromDatetime(_time(str(timestamp) if timestamp is not None else None, received_at))
    return _device(str(body.get("device_id", ""))), fix


def _device(device_id: str) -> str:
    if not 1 <= len(device_id) <= 128 or not device_id.isprintable():
        raise InvalidInput.one("id", "must name the device in 1 to 128 characters")
    return device_id


def _number(name: str, value: object, low: float, high: float) -> float:
    if value is None or isinstance(value, bool):
        raise InvalidInput.one(name, "is missing or no number")
    try:
        number = float(str(value)[:40])
    except ValueError as error:
        raise InvalidInput.one(name, f"{str(value)[:40]!r} is not a number") from error
    if not math.isfinite(number) or not low <= number <= high:
        raise InvalidInput.one(name, f"must be between {low:g} and {high:g}")
    return number


def _time(text: str | None, received_at: datetime) -> datetime:
    """Absent: when it was received. Whether a time is too far in the future is location's rule."""
    if not text:
        return received_at
    try:
        if text.replace(".", "", 1).isdigit() and len(text) <= 20:
            seconds = float(text)
            # Traccar's own rule: more than ten digits are milliseconds
            return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)
        moment = datetime.fromisoformat(text[:40])
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidInput.one("timestamp", f"{text[:40]!r} is not Unix seconds, milliseconds or ISO 8601") from error
    if not 1970 <= moment.year <= 9998:
        raise InvalidInput.one("timestamp", "is out of range")
    return moment


Outcome = tuple[int, int, list[str]]


@dataclass(slots=True)
class _Batch:
    """Fixes of one device that wait for one call; every sender waits for the same answer."""

    key: str
    address: str
    fixes: list[location_pb2.Fix] = field(default_factory=list)
    due: asyncio.Event = field(default_factory=asyncio.Event)
    answer: "asyncio.Future[Outcome]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Uplink:
    """Gathers a device's fixes for 50 ms into one call; a panic goes at once."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._waiting: dict[tuple[str, str], _Batch] = {}
        self._calls: set[asyncio.Task[None]] = set()

    async def submit(self, device_id: str, key: str, fix: location_pb2.Fix, address: str) -> Outcome:
        """(accepted, rejected, reasons) of the batch, when it is durable."""
        if not key or len(key) > 256:
            raise Unauthenticated("The device key is missing: send key=... or Authorization: Bearer ...")
        batch = self._waiting.get((device_id, key))
        if batch is None:
            batch = self._waiting[device_id, key] = _Batch(key, address)
            task = asyncio.create_task(self._send(device_id, batch))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
        batch.fixes.append(fix)
        if len(batch.fixes) >= _BATCH_FIXES or fix.panic:
            self._waiting.pop((device_id, key), None)
            batch.due.set()
        return await asyncio.shield(batch.answer)

    async def _send(self, device_id: str, batch: _Batch) -> None:
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(batch.due.wait(), _BATCH_S)
            if self._waiting.get((device_id, batch.key)) is batch:
                del self._waiting[device_id, batch.key]
            stub: Any = self._door.ctx.channels.stub("location", location_pb2_grpc.LocationServiceStub)
            message = location_pb2.SubmitFixesRequest(
                device_id=device_id, device_key=batch.key, fixes=batch.fixes, source_address=batch.address
            )
            timeout = self._door.settings.call_timeout_s
            response = await stub.SubmitFixes(message, metadata=self._door.ctx.tokens.metadata(), timeout=timeout)
            batch.answer.set_result((response.accepted, response.rejected, list(response.reasons)))
        except grpc.RpcError as error:
            batch.answer.set_exception(from_rpc(error))
        except Exception as error:
            batch.answer.set_exception(error)
        # senders that went away leave nobody to look at the answer
        batch.answer.exception()


UPLINK = web.AppKey("uplink", Uplink)

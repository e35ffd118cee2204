"""A client of the live socket, and what the services behind the gateway would publish."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from rtcc.alerting.v1.alerting_pb2 import ALERT_STATE_NEW, Alert
from rtcc.exchange.v1.exchange_pb2 import SharedAlert
from rtcc.geo.v1.geo_pb2 import BoundingBox
from rtcc.live.v1 import live_pb2 as pb
from rtcc.location.v1.location_pb2 import PositionBatch
from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_ACTIVE, Agreement
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.streams import alert_subject, position_subject, shared_alert_subject

from .conftest import Gateway

HELSINKI = BoundingBox(south_deg=60.1, west_deg=24.8, north_deg=60.3, east_deg=25.1)


class Console:
    """A client of the socket that keeps every frame."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.frames: list[pb.ServerFrame] = []

    async def hello(self, cursor: str = "", box: BoundingBox = HELSINKI) -> None:
        await self.ws.send_bytes(pb.ClientFrame(hello=pb.Hello(cursor=cursor, viewport=pb.Viewport(box=box))).SerializeToString())

    async def until(self, kind: str, test: Any = lambda body: True, deadline_s: float = 30.0) -> Any:
        """The first frame of that kind that passes, among those not looked at yet."""
        async with asyncio.timeout(deadline_s):
            while True:
                message = await self.ws.receive()
                assert message.type is aiohttp.WSMsgType.BINARY, (message.type, message.data, self.ws.close_code)
                frame = pb.ServerFrame.FromString(message.data)
                self.frames.append(frame)
                if frame.WhichOneof("body") == kind and test(getattr(frame, kind)):
                    return getattr(frame, kind)

    async def closed(self) -> int | None:
        """Read on until the server closes; the close code that it sent, whether our answer still reached it or not."""
        told: int | None = None
        async with asyncio.timeout(30):
            while not self.ws.closed:
                message = await self.ws.receive()
                if message.type is aiohttp.WSMsgType.BINARY:
                    self.frames.append(pb.ServerFrame.FromString(message.data))
                elif message.type is aiohttp.WSMsgType.CLOSE:
                    told = message.data
        return self.ws.close_code if told is None else told

    def all(self, kind: str) -> list[Any]:
        return [getattr(frame, kind) for frame in self.frames if frame.WhichOneof("body") == kind]

    @property
    def cursor(self) -> str:
        return next(frame.cursor for frame in reversed(self.frames) if frame.cursor)


@asynccontextmanager
async def console(
    gateway: Gateway, browser: aiohttp.ClientSession, cursor: str = "", box: BoundingBox = HELSINKI
) -> AsyncIterator[Console]:
    async with browser.ws_connect("/v1/live", protocols=["rtcc.live.v1"]) as ws:
        opened = Console(ws)
        await opened.hello(cursor)
        yield opened


def alert(alert_id: str, revision: int = 1, agency_id: str = "harbor", **more: Any) -> Alert:
    return Alert(alert_id=alert_id, agency_id=agency_id, kind="plate_hit", severity=2, state=ALERT_STATE_NEW, revision=revision, **more)


async def publish_alert(gateway: Gateway, message: Alert) -> None:
    await gateway.context.bus.publish(
        alert_subject(message.agency_id), message, message_id=f"{message.alert_id}.{message.revision}", agency_id=message.agency_id
    )


async def publish_shared(gateway: Gateway, message: SharedAlert) -> None:
    subject = shared_alert_subject(message.grantee_agency_id)
    await gateway.context.bus.publish(subject, message, message_id=new_id(), agency_id=message.grantee_agency_id)


def agreement(**more: Any) -> Agreement:
    return Agreement(
        agreement_id="agreement-1", grantor_agency_id="coast", grantee_agency_id="harbor", status=AGREEMENT_STATUS_ACTIVE,
        alert_kinds=["plate_hit"], camera_ids=["coast-1"], cameras_live=True, **more,
    )  # fmt: skip


async def publish_positions(gateway: Gateway, agency_id: str, units: dict[str, tuple[float, float]], second: int) -> None:
    batch = PositionBatch(agency_id=agency_id)
    for unit_id, (latitude, longitude) in units.items():
        batch.unit_ids.append(unit_id)
        batch.latitude_e7.append(round(latitude * 1e7))
        batch.longitude_e7.append(round(longitude * 1e7))
        batch.heading_cdeg.append(9000)
        batch.speed_cmps.append(1000)
        batch.accuracy_dm.append(50)
        batch.fixed_at_us.append(gateway.began_us + (second - 60) * 1_000_000)
        batch.received_at_us.append(gateway.began_us + (second - 60) * 1_000_000)
        batch.panic.append(False)
    await gateway.context.bus.publish(position_subject(agency_id), batch, message_id=new_id(), agency_id=agency_id)

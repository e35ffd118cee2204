"""An alert carries what opening it needs: cameras, units, place and the image."""

from collections.abc import Callable

import grpc
import pytest

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.location.v1.location_pb2 import PositionBatch
from rtcc.registry.v1.registry_pb2 import Camera, Unit
from rtcc_chassis.clock import utc_now
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import directory_subject, position_subject
from rtcc_chassis.testing import poll

from .conftest import OPERATOR, Alerting, plate_read

JPEG = b"\xff\xd8\xff\xe0picture"


@pytest.fixture
def directory(alerting: Alerting) -> Callable[..., object]:
    async def put(type_name: str, identifier: str, message: Camera | Unit) -> None:
        subject = directory_subject(type_name, message.agency_id, identifier)
        await alerting.context.bus.publish(subject, message, message_id=f"{type_name}-{identifier}", agency_id=message.agency_id)
        mirror = alerting.context.directory.mirror(type_name, type(message))

        async def mirrored() -> bool:
            return mirror.get(identifier) is not None

        await poll(mirrored)

    return put


async def test_the_alert_names_the_best_cameras_and_nearest_units_of_its_own_agency(
    alerting: Alerting, directory: Callable[..., object]
) -> None:
    for number in range(6):
        place = Coordinate(latitude_deg=60.17 + (number + 1) / 2000, longitude_deg=24.94)
        owner = "west" if number == 1 else "east"
        # number 3 looks at the place, the others look away
        looks = {3: 180.0}.get(number, 0.0)
        camera = Camera(
            camera_id=f"c{number}",
            agency_id=owner,
            name=f"Camera {number}",
            enabled=True,
            coordinate=place,
            bearing_deg=looks,
            field_of_view_deg=60,
            range_m=400,
        )
        await directory("camera", f"c{number}", camera)
    await directory("unit", "u1", Unit(unit_id="u1", agency_id="east", call_sign="4A12"))
    now_us = int(utc_now().timestamp() * 1e6)
    # the nearest of all is a bus: location names it, the registry doesn't
    for agency_id, unit_id in (("west", "w1"), ("east", "bus-550"), ("east", "u1")):
        batch = PositionBatch(
            agency_id=agency_id,
            unit_ids=[unit_id],
            latitude_e7=[601_705_000 if unit_id == "bus-550" else 601_710_000],
            longitude_e7=[249_400_000],
            fixed_at_us=[now_us],
        )
        await alerting.context.bus.publish(position_subject(agency_id), batch, message_id=f"p-{unit_id}", agency_id=agency_id)
    await alerting.hot_list("Stolen", "ABC123")

    async def unit_known() -> bool:
        # the position stream is followed without acknowledgement: reads come until one finds the unit
        await alerting.publish(plate_read("ABC123"))
        return any(alert.context.units for alert in await alerting.list_())

    await poll(unit_known, every_s=0.2)
    alert = (await alerting.list_())[0]
    # plate_read names no camera of this agency as its reader: c1 is another agency's
    assert [(camera.camera_id, camera.in_view) for camera in alert.context.cameras] == [
        ("c3", True),
        ("c0", False),
        ("c2", False),
        ("c4", False),
    ]
    assert [(unit.unit_id, unit.call_sign) for unit in alert.context.units] == [("u1", "4A12")]
    assert 105 < alert.context.units[0].distance_m < 118


async def test_the_image_of_a_hit_is_given_to_its_own_agency(alerting: Alerting) -> None:
    await alerting.hot_list("Stolen", "ABC123", "XYZ789")
    objects = alerting.context.objects
    await alerting.publish(plate_read("ABC123", image_object="plate-reads/x.jpg"), plate_read("XYZ789"))
    alerts = {alert.plate_match.listed_plate: alert.alert_id for alert in await alerting.until(lambda alerts: len(alerts) == 2)}
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await alerting.stub.GetAlertImage(pb.GetAlertImageRequest(alert_id=alerts["XYZ789"]), metadata=alerting.as_(OPERATOR))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    await objects.put(Scope.service("intake", "east"), "east", "plate-reads/x.jpg", JPEG, "image/jpeg")
    answer = await alerting.stub.GetAlertImage(pb.GetAlertImageRequest(alert_id=alerts["ABC123"]), metadata=alerting.as_(OPERATOR))
    assert answer.jpeg == JPEG

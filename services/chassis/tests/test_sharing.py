"""Agreements: default nothing, and each condition alone takes the grant away."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc.alerting.v1.alerting_pb2 import Alert
from rtcc.geo.v1.geo_pb2 import Coordinate, Polygon
from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_ACTIVE, AGREEMENT_STATUS_REVOKED, Agreement, Camera
from rtcc_chassis.sharing import REDACTIONS, camera_grant, grants_alert, in_force, person_grants, redacted, tracks_grant, units_grant

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SQUARE = Polygon(corners=[Coordinate(latitude_deg=a, longitude_deg=b) for a, b in ((60, 24), (60, 25), (61, 25), (61, 24))])


def _agreement(**changes: object) -> Agreement:
    agreement = Agreement(
        agreement_id="g1", grantor_agency_id="a", grantee_agency_id="b", status=AGREEMENT_STATUS_ACTIVE,
        alert_kinds=["plate_hit"], camera_ids=["c1"], cameras_live=True, units=True, tracks=True, area=SQUARE,
    )  # fmt: skip
    agreement.MergeFrom(Agreement(**changes))
    return agreement


def _camera(**changes: object) -> Camera:
    camera = Camera(camera_id="c1", agency_id="a", coordinate=Coordinate(latitude_deg=60.5, longitude_deg=24.5), enabled=True)
    camera.MergeFrom(Camera(**changes))
    return camera


def _alert() -> Alert:
    alert = Alert(alert_id="x", agency_id="a", kind="plate_hit", note="secret note", acknowledged_by="p1", acknowledged_by_name="Ann")
    alert.position.coordinate.CopyFrom(Coordinate(latitude_deg=60.5, longitude_deg=24.5))
    alert.event.plate_read.image_object = "image"
    alert.event.plate_read.vehicle_make = "Volvo"
    alert.plate_match.entry_source = "ORI1"
    for camera_id in ("c1", "c2"):
        alert.context.cameras.add(camera_id=camera_id, agency_id="a")
    alert.context.units.add(unit_id="u1")
    return alert


def test_a_barred_receiver_gets_nothing_whatever_the_agreement_says() -> None:  # R19
    barred = _agreement(barred_reason="West bars federal receivers (R19).")
    assert not in_force(barred, NOW)
    assert camera_grant([barred], _camera(), "b", NOW) is None
    assert not grants_alert(barred, _alert(), NOW)
    assert units_grant([barred], "a", "b", Coordinate(latitude_deg=60.5, longitude_deg=24.5), NOW) is None


def test_a_full_agreement_grants() -> None:
    assert camera_grant([_agreement()], _camera(), "b", NOW) is not None
    assert grants_alert(_agreement(), _alert(), NOW)
    assert units_grant([_agreement()], "a", "b", Coordinate(latitude_deg=60.5, longitude_deg=24.5), NOW) is not None
    assert tracks_grant([_agreement()], "a", "b", Coordinate(latitude_deg=60.5, longitude_deg=24.5), NOW) is not None


def test_recordings_and_copies_of_them_are_granted_apart_from_the_live_picture() -> None:  # R16
    assert camera_grant([_agreement()], _camera(), "b", NOW, recorded=True) is None
    seen = camera_grant([_agreement(cameras_recorded=True)], _camera(), "b", NOW, recorded=True)
    assert seen is not None and (seen.recorded, seen.export) == (True, False)
    copied = camera_grant([_agreement(cameras_recorded=True, cameras_export=True)], _camera(), "b", NOW, recorded=True)
    assert copied is not None and copied.export
    only_recorded = _agreement(cameras_recorded=True)
    only_recorded.cameras_live = False
    assert camera_grant([only_recorded], _camera(), "b", NOW) is None
    assert camera_grant([only_recorded], _camera(), "b", NOW, recorded=True) is not None
    assert camera_grant([_agreement(cameras_recorded=True)], _camera(camera_id="c2"), "b", NOW, recorded=True) is None


def test_units_and_tracks_are_granted_apart_and_only_inside_the_area() -> None:  # R16
    inside, outside = Coordinate(latitude_deg=60.5, longitude_deg=24.5), Coordinate(latitude_deg=59.5, longitude_deg=24.5)
    units, tracks = _agreement(), _agreement()
    units.tracks, tracks.units = False, False
    assert units_grant([tracks], "a", "b", inside, NOW) is None and tracks_grant([units], "a", "b", inside, NOW) is None
    assert units_grant([tracks, units], "a", "b", inside, NOW) is not None
    assert tracks_grant([units, tracks], "a", "b", inside, NOW) is not None
    assert tracks_grant([tracks], "a", "b", outside, NOW) is None
    assert tracks_grant([tracks], "a", "c", inside, NOW) is None


def test_an_empty_agreement_grants_nothing() -> None:
    empty = Agreement(agreement_id="g", grantor_agency_id="a", grantee_agency_id="b", status=AGREEMENT_STATUS_ACTIVE)
    assert camera_grant([empty], _camera(), "b", NOW) is None
    assert not grants_alert(empty, _alert(), NOW)
    assert units_grant([empty], "a", "b", Coordinate(latitude_deg=60.5, longitude_deg=24.5), NOW) is None
    assert tracks_grant([empty], "a", "b", Coordinate(latitude_deg=60.5, longitude_deg=24.5), NOW) is None


@pytest.mark.parametrize("viewer", ["a2", "c", ""])
def test_nobody_but_the_grantee_gets_the_camera(viewer: str) -> None:
    assert camera_grant([_agreement()], _camera(), viewer, NOW) is None


def test_conditions_end_a_grant() -> None:  # R16
    revoked = _agreement()
    revoked.status = AGREEMENT_STATUS_REVOKED
    ended, future, unattested = _agreement(), _agreement(), _agreement(attestation_required=True)
    ended.valid_until.FromDatetime(NOW)
    future.valid_from.FromDatetime(NOW + timedelta(seconds=1))
    for agreement in (revoked, ended, future, unattested):
        assert not in_force(agreement, NOW)
        assert camera_grant([agreement], _camera(), "b", NOW) is None
        assert not grants_alert(agreement, _alert(), NOW)


def test_attestation_opens_what_demands_it() -> None:  # R20
    agreement = _agreement(attestation_required=True)
    agreement.attested_at.FromDatetime(NOW)
    assert in_force(agreement, NOW)


def test_outside_the_area_nothing_is_granted() -> None:
    outside = _camera(coordinate=Coordinate(latitude_deg=62, longitude_deg=24.5))
    assert camera_grant([_agreement()], outside, "b", NOW) is None


def test_cameras_granted_during_alerts_need_an_open_one() -> None:
    agreement = _agreement(cameras_only_during_alert=True)
    assert camera_grant([agreement], _camera(), "b", NOW) is None
    assert camera_grant([agreement], _camera(), "b", NOW, frozenset({"g1"})) is not None


def test_a_shared_copy_names_no_people_and_only_granted_cameras() -> None:
    copy = redacted(_alert(), _agreement())
    assert [choice.camera_id for choice in copy.context.cameras] == ["c1"]
    assert (copy.note, copy.acknowledged_by, copy.acknowledged_by_name) == ("", "", "")
    assert copy.agreement_id == "g1"


@given(st.sets(st.sampled_from(REDACTIONS)), st.booleans())
def test_redactions_remove_their_fields_and_touch_nothing_else(names: set[str], units: bool) -> None:
    agreement = _agreement()
    agreement.redactions[:] = sorted(names)
    agreement.units = units
    original = _alert()
    copy = redacted(original, agreement)
    assert (copy.event.plate_read.image_object == "") == ("image" in names)
    assert (copy.event.plate_read.vehicle_make == "") == ("vehicle" in names)
    assert (copy.plate_match.entry_source == "") == ("hot_list_source" in names)
    assert bool(copy.context.units) == units
    assert original == _alert()


def _persons(**changes: object) -> Agreement:
    agreement = Agreement(
        agreement_id="g1",
        grantor_agency_id="a",
        grantee_agency_id="b",
        status=AGREEMENT_STATUS_ACTIVE,
        person_fields=["identity", "cautions"],
    )
    agreement.MergeFrom(Agreement(**changes))
    return agreement


def test_persons_are_granted_by_the_agreement_that_gives_most_and_never_mixed() -> None:
    wider = _persons(agreement_id="g2", person_fields=["warrants"])
    granted = person_grants([_persons(), wider], "b", NOW)
    assert granted["a"][0].agreement_id == "g2"
    assert granted["a"][1] == {"identity", "cautions", "warrants"}


@pytest.mark.parametrize(
    "changes", [{"status": AGREEMENT_STATUS_REVOKED}, {"grantee_agency_id": "c"}, {"attestation_required": True}, {"area": SQUARE}], ids=str
)
def test_each_condition_alone_takes_persons_away(changes: dict[str, object]) -> None:
    assert "a" in person_grants([_persons()], "b", NOW)
    assert person_grants([_persons(**changes)], "b", NOW) == {}


def test_fields_without_identity_grant_nobody() -> None:
    assert person_grants([_agreement(person_fields=["cautions"])], "b", NOW) == {}

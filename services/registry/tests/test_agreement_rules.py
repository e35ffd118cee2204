"""Narrowing only narrows: single rules by name, and the containment of areas against shapely."""

from datetime import UTC, datetime, timedelta

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.errors import Conflict, InvalidInput
from rtcc_registry.domain.agreements import checked_agreement, narrowed, revoked, without_camera
from rtcc_registry.domain.containment import crosses_itself, ring_within

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SQUARE = [(60.0, 24.0), (60.0, 25.0), (61.0, 25.0), (61.0, 24.0)]


def agreement(**terms: object) -> pb.Agreement:
    """An active grant of everything testable."""
    area = terms.pop("area", SQUARE)
    made = pb.Agreement(
        agreement_id="a1", grantor_agency_id="west", grantee_agency_id="east", status=pb.AGREEMENT_STATUS_ACTIVE, revision=3,
        alert_kinds=["plate_hit", "gunshot"], camera_ids=["c1", "c2"], cameras_live=True, units=True, purposes=["pursuit", "homicide"],
        redactions=["caller_number"],
    )  # fmt: skip
    made.valid_from.FromDatetime(NOW - timedelta(days=1))
    made.valid_until.FromDatetime(NOW + timedelta(days=10))
    for name, value in terms.items():
        if isinstance(value, list):
            del getattr(made, name)[:]
            getattr(made, name).extend(value)
        elif isinstance(value, datetime):
            getattr(made, name).FromDatetime(value)
        else:
            setattr(made, name, value)
    if area:
        for latitude, longitude in area:  # type: ignore[attr-defined] # a list of pairs
            made.area.corners.add(latitude_deg=latitude, longitude_deg=longitude)
    return made


def refused_fields(old: pb.Agreement, new: pb.Agreement) -> set[str]:
    with pytest.raises(InvalidInput) as caught:
        narrowed(old, new, NOW)
    return {violation.field.removeprefix("agreement.") for violation in caught.value.violations}


@pytest.mark.parametrize(
    ("field", "wider"),
    [
        ("camera_ids", {"camera_ids": ["c1", "c2", "c3"]}),
        ("redactions", {"redactions": []}),
        ("purposes", {"purposes": []}),
        ("purposes", {"purposes": ["pursuit", "curiosity"]}),
        ("valid_until", {"valid_until": NOW + timedelta(days=11)}),
        ("valid_from", {"valid_from": NOW - timedelta(days=2)}),
        ("area", {"area": None}),
        ("area", {"area": [(59.9, 24.0), (60.0, 25.0), (61.0, 25.0)]}),
    ],
)
def test_a_wider_term_is_refused_by_name(field: str, wider: dict[str, object]) -> None:
    assert field in refused_fields(agreement(), agreement(**wider))


def test_tracks_are_granted_alone_and_never_added_later() -> None:
    assert refused_fields(agreement(tracks=False), agreement(tracks=True)) == {"tracks"}
    assert not narrowed(agreement(tracks=True), agreement(tracks=False), NOW).tracks
    alone = pb.Agreement(grantee_agency_id="east", tracks=True)
    assert checked_agreement(alone, "west", NOW, ()).tracks


def test_person_fields_only_ever_become_fewer() -> None:
    old = agreement(area=None, person_fields=["identity", "cautions"])
    assert refused_fields(old, agreement(area=None, person_fields=["identity", "cautions", "phones"])) == {"person_fields"}
    assert list(narrowed(old, agreement(area=None, person_fields=["identity"]), NOW).person_fields) == ["identity"]


@pytest.mark.parametrize(
    ("fields", "area"), [(["cautions"], None), (["identity", "intelligence"], None), (["identity", "diary"], None), (["identity"], SQUARE)]
)
def test_persons_are_granted_with_a_name_by_known_fields_and_everywhere(fields: list[str], area: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_agreement(agreement(area=area, person_fields=fields), "west", NOW, {"c1", "c2"})
    assert {violation.field for violation in caught.value.violations} == {"agreement.person_fields"}


@pytest.mark.parametrize("field", ["cameras_live", "units"])
def test_a_right_not_granted_is_not_gained(field: str) -> None:
    assert refused_fields(agreement(**{field: False}), agreement()) == {field}


@pytest.mark.parametrize("field", ["cameras_only_during_alert", "attestation_required"])
def test_a_condition_is_not_lifted(field: str) -> None:
    assert refused_fields(agreement(**{field: True}), agreement()) == {field}


def test_a_dropped_end_is_refused() -> None:
    endless = agreement()
    endless.ClearField("valid_until")
    assert refused_fields(agreement(), endless) == {"valid_until"}


def test_narrower_terms_become_the_next_revision_between_the_same_sides() -> None:
    new = narrowed(
        agreement(),
        agreement(camera_ids=["c1"], alert_kinds=[], units=False, redactions=["caller_number", "image"], area=SQUARE[:3]),
        NOW,
    )
    assert (new.revision, list(new.camera_ids), new.units, new.grantor_agency_id) == (4, ["c1"], False, "west")


def test_an_attestation_is_neither_forged_nor_lost() -> None:
    forged = agreement(attested_at=NOW)
    assert not narrowed(agreement(), forged, NOW).HasField("attested_at")
    assert narrowed(forged, agreement(), NOW).HasField("attested_at")
    assert not checked_agreement(forged, "west", NOW, {"c1", "c2"}).HasField("attested_at")


def test_a_change_based_on_an_old_revision_conflicts() -> None:
    with pytest.raises(Conflict):
        narrowed(agreement(), agreement(revision=2), NOW)


def test_a_revoked_agreement_takes_no_change() -> None:
    with pytest.raises(Conflict):
        narrowed(revoked(agreement()), agreement(), NOW)


def test_a_deleted_camera_leaves_the_grant() -> None:
    assert list(without_camera(agreement(), "c1").camera_ids) == ["c2"]


def test_only_own_cameras_are_granted() -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_agreement(agreement(), "west", NOW, {"c1"})
    assert [violation.field for violation in caught.value.violations] == ["agreement.camera_ids"]


def test_a_border_that_crosses_itself_is_no_area() -> None:
    bow_tie = [(60.0, 24.0), (61.0, 25.0), (60.0, 25.0), (61.0, 24.0)]
    with pytest.raises(InvalidInput):
        checked_agreement(agreement(area=bow_tie), "west", NOW, {"c1", "c2"})


KINDS = st.sets(st.sampled_from(["plate_hit", "gunshot"]))
CAMERAS = st.sets(st.sampled_from(["c1", "c2", "c3"]))
PURPOSES = st.sets(st.sampled_from(["pursuit", "homicide", "missing"]))


@given(KINDS, CAMERAS, st.booleans(), PURPOSES, KINDS, CAMERAS, st.booleans(), PURPOSES)
def test_what_narrowing_accepts_grants_nothing_more(
    kinds: set[str],
    cameras: set[str],
    live: bool,
    purposes: set[str],
    kinds2: set[str],
    cameras2: set[str],
    live2: bool,
    purposes2: set[str],
) -> None:
    old = agreement(alert_kinds=sorted(kinds), camera_ids=sorted(cameras), cameras_live=live, purposes=sorted(purposes))
    new = agreement(alert_kinds=sorted(kinds2), camera_ids=sorted(cameras2), cameras_live=live2, purposes=sorted(purposes2))
    everything = {"pursuit", "homicide", "missing"}
    less = kinds2 <= kinds and cameras2 <= cameras and live2 <= live and (purposes2 or everything) <= (purposes or everything)
    # an empty list of purposes means any: it is only taken where any was agreed
    less = less and bool(purposes2 or not purposes)
    try:
        narrowed(old, new, NOW)
        accepted = True
    except InvalidInput:
        accepted = False
    assert accepted == less


GRID = st.tuples(st.integers(0, 6), st.integers(0, 6)).map(lambda p: (float(p[0]), float(p[1])))


@st.composite
def simple_rings(draw: st.DrawFn) -> list[tuple[float, float]]:
    ring = draw(st.lists(GRID, min_size=3, max_size=7, unique=True).filter(lambda r: shapely.Polygon(r).is_valid))
    return ring


@given(simple_rings(), simple_rings())
def test_containment_agrees_with_shapely(inner: list[tuple[float, float]], outer: list[tuple[float, float]]) -> None:
    assert ring_within(inner, outer) == shapely.Polygon(outer).covers(shapely.Polygon(inner))


@given(st.lists(GRID, min_size=4, max_size=8, unique=True))
def test_a_ring_called_simple_is_valid_for_shapely(ring: list[tuple[float, float]]) -> None:
    if shapely.Polygon(ring).is_valid:
        assert not crosses_itself(ring)
    elif shapely.Polygon(ring).area > 0 and not shapely.LinearRing(ring).is_simple:
        assert crosses_itself(ring) or _folds_back(ring)


def _folds_back(ring: list[tuple[float, float]]) -> bool:
    """A corner whose two edges run over each other: neighbours, which `crosses_itself` leaves alone; it holds no area."""
    for before, corner, after in zip([ring[-1], *ring[:-1]], ring, [*ring[1:], ring[0]], strict=True):
        first, second = (before[0] - corner[0], before[1] - corner[1]), (after[0] - corner[0], after[1] - corner[1])
        if first[0] * second[1] == first[1] * second[0] and first[0] * second[0] + first[1] * second[1] > 0:
            return True
    return False


def test_recordings_are_never_added_later_and_no_copies_without_them() -> None:
    assert refused_fields(agreement(), agreement(cameras_recorded=True)) == {"cameras_recorded"}
    seen, copied = agreement(cameras_recorded=True), agreement(cameras_recorded=True, cameras_export=True)
    assert refused_fields(seen, copied) == {"cameras_export"}
    assert not narrowed(copied, seen, NOW).cameras_export
    with pytest.raises(InvalidInput):
        checked_agreement(agreement(cameras_export=True), "west", NOW, ("c1", "c2"))

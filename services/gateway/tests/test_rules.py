"""Pure rules, against obvious oracles and against whatever hypothesis finds."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcc.geo.v1.geo_pb2 import BoundingBox, Coordinate, Polygon
from rtcc.live.v1 import live_pb2 as pb
from rtcc.location.v1.location_pb2 import PositionBatch
from rtcc.registry.v1.registry_pb2 import CreateCameraRequest, RankCamerasRequest
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.geometry import polygon_contains
from rtcc_gateway.credentials import Passwords, Seal, SealBroken, accepted_step, new_totp_secret
from rtcc_gateway.domain import RateLimit, Session, SessionPolicy, safe_next, too_many
from rtcc_gateway.http.devices import fix_of_json, fix_of_parameters
from rtcc_gateway.http.json_bodies import parse_json
from rtcc_gateway.http.transcoding import request_message
from rtcc_gateway.live.book import Book, Entry
from rtcc_gateway.live.frames import cursor_sequences, cursor_text, frame, listed, portions
from rtcc_gateway.live.units import UnitTable, cell_box, polygon_mask

NOW = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


async def test_a_password_is_kept_by_argon2id_with_the_costs_that_rfc_9106_recommends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the light hashes of the other tests
    passwords = Passwords()
    stored = await passwords.hash("correct horse battery staple")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await passwords.verify(stored, "correct horse battery staple")
    assert not await passwords.verify(stored, "correct horse battery stable")


@given(st.binary(max_size=300))
def test_any_bytes_as_json_are_an_object_or_a_named_error(body: bytes) -> None:
    try:
        assert isinstance(parse_json(body), dict)
    except InvalidInput as error:
        assert error.violations


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(["camera", "coordinate", "limit", "x"]), JSON, max_size=3))
def test_any_json_is_a_request_or_a_named_error(value: dict[str, Any]) -> None:
    body = json.dumps(value).encode()
    for kind in (CreateCameraRequest, RankCamerasRequest):
        try:
            message = request_message(kind, path_fields={}, query=[], body=body, has_body=True)
            json_format.MessageToDict(message)
        except InvalidInput as error:
            assert error.violations and len(error.message) < 500


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), max_size=5))
def test_any_query_is_a_request_or_a_named_error(query: list[tuple[str, str]]) -> None:
    try:
        request_message(RankCamerasRequest, path_fields={}, query=query, body=b"", has_body=False)
    except InvalidInput as error:
        assert error.violations


def test_path_wins_over_body() -> None:
    body = b'{"camera": {"cameraId": "b", "name": "x"}}'
    message: Any = request_message(CreateCameraRequest, path_fields={"camera.camera_id": "a"}, query=[], body=body, has_body=True)
    assert message.camera.camera_id == "a" and message.camera.name == "x"


OSMAND = ["id", "lat", "lon", "timestamp", "speed", "bearing", "altitude", "accuracy", "batt", "alarm", "location"]


@given(st.dictionaries(st.sampled_from(OSMAND), st.text(max_size=24)))
def test_any_osmand_query_is_a_fix_on_the_globe_or_a_named_error(parameters: dict[str, str]) -> None:
    try:
        device_id, fix = fix_of_parameters(parameters, NOW)
    except InvalidInput as error:
        assert error.violations[0].field
    else:
        assert device_id and abs(fix.position.coordinate.latitude_deg) <= 90 and abs(fix.position.coordinate.longitude_deg) <= 180


@given(st.fixed_dictionaries({"device_id": JSON, "location": st.fixed_dictionaries({"coords": JSON, "timestamp": JSON, "battery": JSON})}))
def test_any_osmand_document_is_a_fix_or_a_named_error(document: dict[str, Any]) -> None:
    try:
        fix_of_json(document, NOW)
    except InvalidInput as error:
        assert error.violations


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 3)), max_size=60), st.floats(0.1, 10), st.integers(1, 20))
def test_rate_limit_never_gives_more_than_burst_plus_rate(takes: list[tuple[float, int]], rate: float, burst: int) -> None:
    limit, given_to = RateLimit(rate, burst), {}
    for at, key in sorted(takes):
        if limit.take(key, at) == 0:
            given_to.setdefault(key, []).append(at)
    for times in given_to.values():
        for first in range(len(times)):
            for last in range(first, len(times)):
                assert last - first + 1 <= burst + rate * (times[last] - times[first]) + 1e-6


def test_rate_limit_table_is_bounded() -> None:
    limit = RateLimit(1, 1, keys=100)
    for key in range(10_000):
        limit.take(key, 0.0)
    assert len(limit) == 100


@given(st.lists(st.integers(0, 3000), max_size=10))
def test_lock_counts_only_the_window(ages_s: list[int]) -> None:  # R2
    failures = [NOW - timedelta(seconds=age) for age in ages_s]
    assert too_many(failures, NOW, 5, 900) == (len([age for age in ages_s if age < 900]) >= 5)


@given(st.integers(0, 50_000), st.integers(0, 50_000), st.booleans(), st.booleans())
def test_session_standing_follows_the_limits(age_s: int, idle_s: int, locked: bool, exempt: bool) -> None:  # R3 R4
    idle_s = min(idle_s, age_s)
    started, active = NOW - timedelta(seconds=age_s), NOW - timedelta(seconds=idle_s)
    session = Session("s", "p", "a", "totp", started, started, active, active, locked, exempt, "", "")
    standing = session.standing(NOW, SessionPolicy(1800, 43_200, 600))
    if age_s >= 43_200:
        assert standing == "expired"
    else:
        assert standing == ("locked" if locked or (idle_s >= 1800 and not exempt) else "open")


@given(st.text(max_size=60))
def test_next_is_always_a_path_of_ours(path: str) -> None:
    safe = safe_next(path)
    assert safe.startswith("/") and not safe.startswith(("//", "/\\")) and safe.isascii() and not any(c.isspace() for c in safe)


def test_code_works_within_one_step_and_only_once() -> None:
    import pyotp

    secret = new_totp_secret()
    code = pyotp.TOTP(secret).at(NOW)
    step = int(NOW.timestamp()) // 30
    assert accepted_step(secret, code, NOW, 0) == step
    assert accepted_step(secret, code, NOW + timedelta(seconds=30), 0) == step
    assert accepted_step(secret, code, NOW + timedelta(seconds=61), 0) is None
    assert accepted_step(secret, code, NOW, step) is None
    for bad in ("", "12345", "1234567", "abcdef", "１２３４５６"):
        assert accepted_step(secret, bad, NOW, 0) is None


def test_sealed_secret_opens_only_for_its_person() -> None:
    seal = Seal(b"k" * 32)
    sealed = seal.close("secret", "p1")
    assert seal.open(sealed, "p1") == "secret"
    for other, person_id in ((seal, "p2"), (Seal(b"j" * 32), "p1")):
        with pytest.raises(SealBroken):
            other.open(sealed, person_id)


def test_frame_is_the_message_that_protobuf_would_write() -> None:
    alerts = pb.Alerts(snapshot=True)
    alerts.alerts.add(alert_id="a")
    alerts.alerts.add(alert_id="b")
    parsed = pb.ServerFrame.FromString(frame("alerts", listed((one.SerializeToString() for one in alerts.alerts), snapshot=True), NOW, "c"))
    expected = pb.ServerFrame(cursor="c", alerts=alerts)
    expected.sent_at.FromDatetime(NOW)
    assert parsed == expected


@given(st.lists(st.binary(max_size=50), max_size=30))
def test_portions_keep_everything_in_order(payloads: list[bytes]) -> None:
    parts = portions(payloads, 100)
    assert [payload for part in parts for payload in part] == payloads and parts
    assert all(sum(map(len, part)) <= 100 for part in parts)


@given(st.text(max_size=40))
def test_only_own_cursors_are_believed(cursor: str) -> None:
    assert cursor_sequences(cursor, "epoch0123456", 3) is None
    assert cursor_sequences(cursor_text("epoch0123456", (1, 22, 3)), "epoch0123456", 3) == (1, 22, 3)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6), st.booleans()), max_size=40), st.integers(0, 40))
def test_book_resumes_to_the_same_state(changes: list[tuple[int, int, bool]], seen: int) -> None:
    """Whoever stops at any sequence and resumes there holds what one who never left holds."""
    book, always, resumed = Book(floor=0), {}, {}
    for sequence, (key, revision, is_open) in enumerate(changes, 1):
        entry = Entry(f"k{key}", (revision,), sequence, b"", is_open, None)
        if book.apply(entry):
            always[entry.key] = entry
            if sequence <= seen:
                resumed[entry.key] = entry
        else:
            assert always[entry.key].revision >= entry.revision
    missed = book.since(min(seen, book.head))
    assert missed is not None
    resumed |= {entry.key: entry for entry in missed}
    assert resumed == always


def test_book_that_forgot_does_not_pretend_to_resume() -> None:
    book = Book(floor=10, kept=20)
    assert book.since(9) is None and book.since(11) is None and book.since(10) == []
    for number in range(50):
        book.apply(Entry(f"k{number}", (1,), 11 + number, b"", number % 2 == 0, None))
    assert book.since(11) is None and book.since(60) == []


corner = st.builds(Coordinate, latitude_deg=st.integers(-8, 8).map(float), longitude_deg=st.integers(-8, 8).map(float))


@given(st.builds(Polygon, corners=st.lists(corner, max_size=8)), st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), max_size=10))
def test_polygon_mask_agrees_with_the_chassis(polygon: Polygon, points: list[tuple[float, float]]) -> None:
    latitude, longitude = np.array([p[0] for p in points], float), np.array([p[1] for p in points], float)
    expected = [polygon_contains(polygon, Coordinate(latitude_deg=a, longitude_deg=b)) for a, b in points]
    assert polygon_mask(polygon, latitude, longitude).tolist() == expected


@given(st.floats(-89, 88), st.floats(-179, 178), st.floats(0.0001, 1), st.floats(0.0001, 1))
def test_cell_box_covers_the_view_and_not_much_more(south: float, west: float, height: float, width: float) -> None:
    box = BoundingBox(south_deg=south, west_deg=west, north_deg=south + height, east_deg=west + width)
    cell = cell_box(box)
    assert cell.south_deg <= south and cell.north_deg >= south + height and cell.west_deg <= west and cell.east_deg >= west + width
    assert (cell.north_deg - cell.south_deg) <= height + max(height, width, 1e-4) + 1e-6


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 50), st.floats(-90, 90), st.floats(-180, 180)), max_size=40), st.integers(1, 7))
def test_newest_fix_of_a_unit_stands_whatever_the_order(fixes: list[tuple[int, int, float, float]], size: int) -> None:
    table, newest = UnitTable(), {}
    for start in range(0, len(fixes), size):
        part = fixes[start : start + size]
        batch = PositionBatch(agency_id="harbor")
        for unit, second, latitude, longitude in part:
            batch.unit_ids.append(f"u{unit}")
            batch.latitude_e7.append(int(latitude * 1e7))
            batch.longitude_e7.append(int(longitude * 1e7))
            batch.heading_cdeg.append(0)
            batch.speed_cmps.append(0)
            batch.fixed_at_us.append(second)
        table.apply(batch)
        for unit, second, latitude, longitude in sorted(part, key=lambda one: one[1]):
            known = newest.get(unit)
            # at equal times the first batch stays, inside a batch the last
            if known is None or second > known[0] or (second == known[0] and known[3] == start):
                newest[unit] = (second, int(latitude * 1e7), int(longitude * 1e7), start)
    for unit, (second, latitude_e7, longitude_e7, _) in newest.items():
        row = table.unit_ids.index(f"u{unit}")
        assert (table._fixed_at_us[row], table._latitude_e7[row], table._longitude_e7[row]) == (second, latitude_e7, longitude_e7)


def test_columns_decode_to_what_went_in() -> None:
    table = UnitTable()
    batch = PositionBatch(
        agency_id="harbor", unit_ids=["a", "b"], latitude_e7=[601_700_000, -5], longitude_e7=[249_400_000, 7], heading_cdeg=[36_000, 9050],
        speed_cmps=[65_535, 120], fixed_at_us=[1_000_000, 3_000_000], panic=[True, False],
    )  # fmt: skip
    table.apply(batch)
    rows = np.array([0, 1])
    body = pb.Positions.FromString(table.columns(rows, np.zeros(2, bool), datetime.fromtimestamp(5, UTC), snapshot=True))
    assert np.cumsum(body.latitude_delta_e7).tolist() == [601_700_000, -5] and np.cumsum(body.longitude_delta_e7).tolist() == [
        249_400_000,
        7,
    ]
    assert list(body.heading_deg) == [360, 90] and list(body.speed_cmps) == [0, 120]
    assert list(body.age_ds) == [40, 20] and list(body.flags) == [1, 0]

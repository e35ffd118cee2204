"""Only what a source signed, just now, is believed."""

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc_chassis import signature
from rtcc_chassis.errors import Unauthenticated
from rtcc_intake.domain import valid_delivery_id

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DOCUMENT = Path(__file__).parents[3] / "docs" / "integrators" / "webhooks.md"


def test_worked_example_of_the_documentation_holds() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    documented = re.search(r"v1=[0-9a-f]{64}", text)
    assert documented is not None
    body = b'{"read_id":"0001","plate":"ABC123","camera_id":"1"}'
    assert body.decode() in text
    assert signature.sign("rtcc-example-secret", "1767225600", "read-0001", body) == documented.group()


@given(st.text(min_size=1, max_size=40), st.binary(max_size=200), st.from_regex(r"[A-Za-z0-9_:\-]{1,128}", fullmatch=True))
def test_signature_is_plain_hmac_sha256(secret: str, body: bytes, delivery_id: str) -> None:
    expected = hmac.new(secret.encode(), b"1767225600." + delivery_id.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert signature.matches(secret, "1767225600", delivery_id, body, f"v1={expected}")


@given(st.binary(min_size=1, max_size=60), st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_any_changed_byte_of_the_body_is_noticed(body: bytes, position: int, change: int) -> None:
    signed = signature.sign("secret", "1767225600", "d1", body)
    index = position % len(body)
    changed = body[:index] + bytes([body[index] ^ change]) + body[index + 1 :]
    assert not signature.matches("secret", "1767225600", "d1", changed, signed)


@given(st.text(max_size=120))
def test_garbage_is_no_signature(garbage: str) -> None:
    assert not signature.matches("secret", "1767225600", "d1", b"{}", garbage)


def test_one_of_two_signatures_is_enough_while_a_secret_changes() -> None:
    old, new = (signature.sign(secret, "1767225600", "d1", b"{}") for secret in ("old", "new"))
    assert signature.matches("new", "1767225600", "d1", b"{}", f"{old}, {new}")


def test_a_dot_can_not_move_bytes_from_the_body_into_the_delivery_id() -> None:
    signed = signature.sign("secret", "1767225600", "a", b"b.{}")
    assert signature.matches("secret", "1767225600", "a.b", b"{}", signed)
    assert not valid_delivery_id("a.b")


@pytest.mark.parametrize("seconds", [-299, 0, 299])
def test_time_stamps_within_five_minutes_are_taken(seconds: int) -> None:
    signature.check_age(str(int((NOW + timedelta(seconds=seconds)).timestamp())), NOW)


@pytest.mark.parametrize(
    "timestamp",
    ["", "soon", "-5", "1e9", "９９９", "999999999999", str(int(NOW.timestamp()) - 301), str(int(NOW.timestamp()) + 301)],
)
def test_other_time_stamps_are_refused(timestamp: str) -> None:
    with pytest.raises(Unauthenticated):
        signature.check_age(timestamp, NOW)

"""STUN against the vectors of RFC 5769 and against noise."""

import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc_video.engine import stun

# RFC 5769, 2.1 to 2.3.
REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae"
    "802200105354554e207465737420636c69656e74"
    "002400046e0001ff"
    "80290008932ff9b151263b36"
    "000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004e57a3bcf"
)
RESPONSE_IPV4 = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004c07d4c96"
)
RESPONSE_IPV6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014a382954e4be67bf11784c97c8292c275bfe3ed41"
    "80280004c8fb0b4c"
)
PASSWORD = b"VOkJxbRl1RmTxUk/WvJxBt"


def test_request_of_rfc_5769_is_read_and_authentic() -> None:
    message = stun.parse_stun(REQUEST)
    assert message.kind == stun.BINDING_REQUEST
    assert message.username == "evtj:h6vY"
    assert message.attributes[stun.ATTRIBUTE_PRIORITY] == bytes.fromhex("6e0001ff")
    assert stun.ATTRIBUTE_CONTROLLED in message.attributes
    assert message.is_authentic(PASSWORD)
    assert not message.is_authentic(b"another")


@pytest.mark.parametrize(("data", "host"), [(RESPONSE_IPV4, "192.0.2.1"), (RESPONSE_IPV6, "2001:db8:1234:5678:11:2233:4455:6677")])
def test_responses_of_rfc_5769_are_read_and_authentic(data: bytes, host: str) -> None:
    message = stun.parse_stun(data)
    assert message.is_authentic(PASSWORD)
    mapped = message.attributes[stun.ATTRIBUTE_MAPPED_ADDRESS]
    assert stun.decode_address(mapped, message.transaction) == (host, 32853)
    assert stun.encode_address(host, 32853, message.transaction) == mapped


def test_answer_to_a_check_is_authentic_and_names_the_sender() -> None:
    request = stun.parse_stun(REQUEST)
    answer = stun.parse_stun(stun.answer_check(request, b"secret", "::ffff:198.51.100.7", 40000))
    assert answer.transaction == request.transaction
    assert answer.is_authentic(b"secret")
    assert stun.decode_address(answer.attributes[stun.ATTRIBUTE_MAPPED_ADDRESS], answer.transaction) == ("198.51.100.7", 40000)


@given(st.binary(max_size=140), st.binary(max_size=200))
def test_a_prepared_key_signs_as_hmac_does(password: bytes, signed: bytes) -> None:
    key = stun.IntegrityKey(password)
    assert key.sign(signed) == hmac.digest(password, signed, "sha1")
    assert key.sign(b"another") != key.sign(signed) or signed == b"another"
    assert key.sign(signed) == hmac.digest(password, signed, "sha1"), "one message left a trace in the next"


@given(st.ip_addresses(), st.integers(0, 65535), st.binary(min_size=12, max_size=12))
def test_the_answer_made_in_few_steps_is_what_any_message_is_made_of(host: Any, port: int, transaction: bytes) -> None:
    request = stun.StunMessage(stun.BINDING_REQUEST, transaction, {}, None, b"")
    mapped = stun.encode_address(str(host), port, transaction)
    whole = stun.build_stun(stun.BINDING_SUCCESS, transaction, [(stun.ATTRIBUTE_MAPPED_ADDRESS, mapped)], PASSWORD)
    assert stun.answer_check(request, PASSWORD, str(host), port) == whole
    assert stun.answer_check(request, stun.IntegrityKey(PASSWORD), str(host), port) == whole
    assert stun.parse_stun(whole).is_authentic(stun.IntegrityKey(PASSWORD))
    assert not stun.parse_stun(whole).is_authentic(stun.IntegrityKey(PASSWORD + b"x"))


@given(st.integers(0, len(REQUEST) - 9), st.integers(1, 255))
def test_any_changed_byte_before_the_fingerprint_is_refused_or_not_authentic(position: int, change: int) -> None:
    changed = bytearray(REQUEST)
    changed[position] ^= change
    try:
        message = stun.parse_stun(bytes(changed))
    except stun.MalformedStun:
        return
    assert not message.is_authentic(PASSWORD)
    assert not message.is_authentic(stun.IntegrityKey(PASSWORD))


@given(st.binary(max_size=200) | st.binary(max_size=120).map(lambda rest: REQUEST[:20] + rest))
def test_noise_is_malformed_and_nothing_worse(data: bytes) -> None:
    try:
        message = stun.parse_stun(data)
    except stun.MalformedStun:
        return
    assert message.username is None or isinstance(message.username, str)
    message.is_authentic(b"x")

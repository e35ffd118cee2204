"""Our SRTP bytes against libsrtp's, and DTLS with ourselves as both ends."""

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from rtcc_video.engine.dtls import DtlsFailed, DtlsIdentity, DtlsSession
from rtcc_video.engine.frames import Run
from rtcc_video.engine.rtp import build_goodbye, build_rtp_header
from rtcc_video.engine.srtp import (
    AEAD_AES_128_GCM,
    AES128_CM_SHA1_80,
    GcmProtector,
    LibsrtpProtector,
    RtcpProtector,
    SrtpFailed,
    SrtpKeys,
    SrtpProfile,
    derive_session_key,
    split_keying_material,
)

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
SSRC = 0x1234ABCD


def test_key_derivation_of_rfc_3711_appendix_b3() -> None:
    key = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139")
    salt = bytes.fromhex("0EC675AD498AFEEBB6960B3AABE6")
    assert derive_session_key(key, salt, 0, 16).hex().upper() == "C61E7A93744F39EE10734AFE3FF7A087"
    assert derive_session_key(key, salt, 2, 14).hex().upper() == "30CBBC08863D8C85D49DB34A9AE1"


@settings(deadline=None, max_examples=30)
@given(
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=12, max_size=12),
    st.integers(60_000, 65_535),
    st.binary(min_size=1, max_size=1186),
)
def test_gcm_bytes_equal_libsrtp_across_the_sequence_wrap(key: bytes, salt: bytes, first: int, payload: bytes) -> None:
    ours = GcmProtector(key, salt)
    theirs = Session(Policy(key=key + salt, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM))
    # libsrtp learns of a wrap from consecutive packets within its window.
    for index in range(first, 65_536 + 40, 97):
        header = build_rtp_header(99, False, index, 1000, SSRC)
        assert b"".join(ours.protect(Run([header], [payload], index, SSRC, len(payload)), 0)) == theirs.protect(header + payload)


def keys_of(profile: SrtpProfile, is_server: bool) -> SrtpKeys:
    return split_keying_material(profile, bytes(range(profile.exported_bytes)), is_server)


@pytest.mark.parametrize("profile", [AEAD_AES_128_GCM, AES128_CM_SHA1_80])
def test_rtcp_of_one_side_is_read_by_the_other_once(profile: SrtpProfile) -> None:
    server, client = RtcpProtector(keys_of(profile, True)), RtcpProtector(keys_of(profile, False))
    packet = server.protect(build_goodbye(5))
    assert client.unprotect(packet) == build_goodbye(5)
    with pytest.raises(SrtpFailed):
        client.unprotect(packet)


@given(st.binary(max_size=80))
def test_rtcp_noise_does_not_authenticate(noise: bytes) -> None:
    with pytest.raises(SrtpFailed):
        RtcpProtector(keys_of(AEAD_AES_128_GCM, True)).unprotect(noise)


def test_aes_cm_packets_are_read_by_libsrtp_and_may_be_repeated() -> None:
    protector = LibsrtpProtector(keys_of(AES128_CM_SHA1_80, True))
    header = build_rtp_header(99, True, 7, 1000, SSRC)
    first, again = (protector.protect(Run([header], [b"picture"], 7, SSRC, 7), 0) for _ in range(2))
    assert first == again
    client = keys_of(AES128_CM_SHA1_80, False)
    policy = Policy(
        key=client.remote_key + client.remote_salt, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=Policy.SRTP_PROFILE_AES128_CM_SHA1_80
    )
    assert Session(policy).unprotect(first[0]) == header + b"picture"


def handshake(server: DtlsSession, client: DtlsSession, lose_first: bool = False) -> None:
    waiting, receiver = client.start(), server
    if lose_first:
        waiting = []
    for _ in range(12):
        answers = []
        for datagram in waiting:
            assert len(datagram) <= 1200
            answers += receiver.receive(datagram)
        waiting, receiver = answers, client if receiver is server else server


def test_both_ends_get_each_others_keys_and_prefer_gcm() -> None:
    one, two = DtlsIdentity(NOW), DtlsIdentity(NOW)
    server = DtlsSession(one, [("sha-256", two.fingerprint_sha256)])
    client = DtlsSession(two, [("sha-256", one.fingerprint_sha256)], is_server=False)
    handshake(server, client)
    assert server.keys is not None
    assert client.keys is not None
    assert server.keys.profile is AEAD_AES_128_GCM
    assert (server.keys.local_key, server.keys.local_salt) == (client.keys.remote_key, client.keys.remote_salt)
    assert server.timeout_s() is None
    for datagram in server.close():
        client.receive(datagram)
    assert client.closed_by_peer


def test_a_certificate_that_was_not_announced_is_refused() -> None:
    one, two, impostor = DtlsIdentity(NOW), DtlsIdentity(NOW), DtlsIdentity(NOW)
    server = DtlsSession(one, [("sha-256", two.fingerprint_sha256)])
    client = DtlsSession(impostor, [("sha-256", one.fingerprint_sha256)], is_server=False)
    with pytest.raises(DtlsFailed, match="isn't the one"):
        handshake(server, client)
    assert server.keys is None


@settings(deadline=None, max_examples=50)
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5))
def test_handshake_noise_fails_cleanly_or_is_ignored(noise: list[bytes]) -> None:
    session = DtlsSession(DtlsIdentity(NOW), [("sha-256", "AA")])
    try:
        for datagram in noise:
            session.receive(b"\x16" + datagram)
    except DtlsFailed:
        pass
    assert session.keys is None

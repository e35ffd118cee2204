"""Checkpoints are readable without our software: the formats of C2SP."""

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from rtcc_ledger.note import (
    CheckpointSigner,
    CheckpointText,
    CheckpointVerifier,
    MalformedCheckpoint,
    UnusableKey,
    key_id,
    signed_note,
    split_note,
    verifier_key,
)

TEXT = CheckpointText("openrtcc/espoo", 7, bytes(range(32)), 3, datetime(2026, 5, 1, 12, 0, 0, 5, tzinfo=UTC))


@pytest.fixture
def signer() -> CheckpointSigner:
    return CheckpointSigner("openrtcc", Ed25519PrivateKey.from_private_bytes(bytes(32)))


def test_text_is_a_checkpoint_of_tlog_checkpoint() -> None:
    lines = TEXT.to_text().split("\n")
    assert lines[:3] == ["openrtcc/espoo", "7", base64.b64encode(bytes(range(32))).decode()]
    assert lines[3:] == ["number 3", "signed-at 2026-05-01T12:00:00.000005+00:00", ""]
    assert CheckpointText.from_text(TEXT.to_text()) == TEXT


def test_a_key_hash_is_that_of_the_go_checksum_database() -> None:
    # the published verifier key of sum.golang.org names its own hash
    name, expected, key = "sum.golang.org", "033de0ae", "Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    assert key_id(name, base64.b64decode(key)[1:]) == expected
    assert verifier_key(name, base64.b64decode(key)[1:]) == f"{name}+{expected}+{key}"


def test_a_complete_note_is_verified_with_nothing_but_the_key(signer: CheckpointSigner) -> None:
    text = TEXT.to_text()
    note = signed_note(text, signer.name, signer.key_id, signer.sign(text))
    body, _, signature_line = note.rpartition("\n\n")
    blob = base64.b64decode(signature_line.split()[2])
    assert blob[:4] == hashlib.sha256(b"openrtcc\n\x01" + signer.public_key).digest()[:4]
    Ed25519PublicKey.from_public_bytes(signer.public_key).verify(blob[4:], body.encode() + b"\n")
    assert split_note(note) == (text, "openrtcc", signer.key_id, blob[4:])


def test_only_known_keys_and_unchanged_texts_hold(signer: CheckpointSigner) -> None:
    text = TEXT.to_text()
    signature = signer.sign(text)
    verifier = CheckpointVerifier("openrtcc", [signer.public_key])
    assert verifier.holds(text, signature, signer.key_id)
    assert not verifier.holds(text.replace("\n7\n", "\n8\n"), signature, signer.key_id)
    assert not verifier.holds(text, bytes(64), signer.key_id)
    stranger = CheckpointSigner("openrtcc", Ed25519PrivateKey.generate())
    assert not verifier.holds(text, stranger.sign(text), stranger.key_id)
    assert not verifier.holds(text, stranger.sign(text), signer.key_id)


@given(text=st.text(max_size=200))
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(MalformedCheckpoint):
        CheckpointText.from_text(text)
    with pytest.raises(MalformedCheckpoint):
        split_note(text)


@pytest.mark.parametrize(
    "change", [("\n7\n", "\n07\n"), ("number 3", "number  3"), ("+00:00", "Z"), ("+00:00\n", "+00:00\nmore\n"), ("openrtcc", "open\nrtcc")]
)
def test_a_second_spelling_of_a_checkpoint_is_refused(change: tuple[str, str]) -> None:
    with pytest.raises(MalformedCheckpoint):
        CheckpointText.from_text(TEXT.to_text().replace(*change))


def test_a_derived_key_is_stable_and_not_the_token_key(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    path = tmp_path / "token.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    first, second = CheckpointSigner.derived("openrtcc", path), CheckpointSigner.derived("openrtcc", path)
    assert first.public_key == second.public_key != key.public_key().public_bytes_raw()
    assert CheckpointSigner.from_file("openrtcc", path).public_key == key.public_key().public_bytes_raw()


def test_a_file_that_is_no_key_says_so(tmp_path: Path) -> None:
    path = tmp_path / "nothing.pem"
    path.write_text("hello")
    with pytest.raises(UnusableKey, match="Ed25519"):
        CheckpointSigner.from_file("openrtcc", path)

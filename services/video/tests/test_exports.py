"""Exports: every changed byte is found by the program that goes with them, and who may not have one gets none (R27, R28)."""

import hashlib
import io
import json
import random
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_ACTIVE, Agreement
from rtcc.video.v1 import evidence_pb2 as pb
from rtcc_chassis.clock import utc_now
from rtcc_chassis.errors import Conflict, InvalidInput, NotFound, PurposeRequired, Refused
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.opus import CLOCK_HZ
from rtcc_video.recording import verify_export
from rtcc_video.recording.domain import Gap, GapKind
from rtcc_video.recording.export_archive import (
    Archive,
    Order,
    add_clips,
    certificate,
    init_path,
    init_with_sound_path,
    manifest_of,
    readme,
    segment_path,
    sign_and_finish,
    sound_path,
    verifier,
)
from rtcc_video.recording.export_store import ExportStore
from rtcc_video.recording.sound_fmp4 import init_with_sound
from rtcc_video.recording.verify_export import NotIntact, ed25519_verifies, verify

from .export_center import DETECTIVE, NOON, PARTNER, Center, recorded, serving_exports
from .sounds import heard, loudest_hz


def order(**fields: Any) -> Order:
    values: dict[str, Any] = {
        "export_id": "x1", "agency_id": "east", "owner_agency_id": "east", "camera_id": "c1", "camera": {"name": "North gate"},
        "starts_at": NOON + timedelta(seconds=0.4), "ends_at": NOON + timedelta(seconds=1.6), "reason": "for court", "purpose": "robbery",
        "case_number": "E-1", "agreement_id": "", "created_by": "p1", "created_by_name": "East Detective", "created_at": NOON,
    }  # fmt: skip
    return Order(**(values | fields))


def archive_of(units: list[AccessUnit], key: Ed25519PrivateKey) -> bytes:
    file = io.BytesIO()
    archive, mine, parts = Archive(file), order(with_sound=True), recorded(units)
    init = parts[0][1].init
    archive.add(init_path(init.init_id), init.data)
    archive.add(init_with_sound_path(init.init_id), init_with_sound(init))
    for number, (segment, raw, data) in enumerate(parts):
        archive.add(segment_path(number, segment), data)
        archive.add(sound_path(number, segment), raw.sound_bytes())
    segments = [segment for segment, _, _ in parts]
    clips = add_clips(archive, segments, mine)
    archive.add("custody.json", b"[]")
    archive.add("certificate.txt", certificate(mine, segments, key.public_key().public_bytes_raw()))
    archive.add("README.txt", readme(mine))
    archive.add("verify.py", verifier())
    gap = Gap("g", "east", "c1", NOON, NOON + timedelta(seconds=1), GapKind.CAMERA, "The camera was away.")
    sign_and_finish(archive, manifest_of(mine, segments, [gap], [init], clips, archive), key)
    return file.getvalue()


@pytest.fixture(scope="module")
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture(scope="module")
def intact(units: list[AccessUnit], key: Ed25519PrivateKey) -> bytes:
    return archive_of(units, key)


def test_an_export_is_a_plain_archive_whose_clip_plays_between_its_marks(intact: bytes, units: list[AccessUnit]) -> None:
    with zipfile.ZipFile(io.BytesIO(intact)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        manifest = json.loads(archive.read("manifest.json"))
        clip = archive.read("clip-1.mp4")
        text = archive.read("certificate.txt").decode()
    assert {"README.txt", "certificate.txt", "custody.json", "verify.py", "manifest.sig"} <= set(names)
    assert [manifest["case_number"], manifest["purpose"], manifest["exported_by"]["name"]] == ["E-1", "robbery", "East Detective"]
    assert [segment["clock_difference_ms"] for segment in manifest["segments"]] == [250, 250]
    assert manifest["gaps"][0]["reason"] == "The camera was away."
    assert (round(manifest["clips"][0]["mark_in_s"], 3), round(manifest["clips"][0]["mark_out_s"], 3)) == (0.4, 1.6)
    for segment in manifest["segments"]:
        assert segment["sha256"] in text and segment["sound"]["sha256"] in text
    with av.open(io.BytesIO(clip)) as container:
        assert sum(1 for packet in container.demux(video=0) for _ in packet.decode()) == len(units)
    with av.open(io.BytesIO(clip)) as container:
        wave = heard(frame for packet in container.demux(audio=0) for frame in packet.decode())
    assert len(wave) == 2 * CLOCK_HZ and abs(loudest_hz(wave[CLOCK_HZ // 2 :]) - 880) < 5


def test_the_program_in_the_export_says_intact_alone_and_without_our_software(
    intact: bytes, key: Ed25519PrivateKey, tmp_path: Path
) -> None:
    export = tmp_path / "export.zip"
    export.write_bytes(intact)
    with zipfile.ZipFile(export) as archive:
        archive.extract("verify.py", tmp_path)
    public = key.public_key().public_bytes_raw().hex()

    def run(*more: str) -> tuple[int, str]:
        # -I and -S: no package of ours, or of anybody, can be imported
        command = [sys.executable, "-I", "-S", str(tmp_path / "verify.py"), str(export), *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    code, told = run("--key", public, "--sha256", hashlib.sha256(intact).hexdigest())
    assert code == 0, told
    assert "intact: 2 segments of camera North gate, 2 with sound" in told
    assert public in told
    assert run("--key", "00" * 32)[0] == 1
    assert run("--sha256", "00" * 32)[0] == 1
    export.write_bytes(intact[:-1])
    assert run()[0] == 1


def test_every_changed_byte_is_found(intact: bytes) -> None:
    """Each byte of what isn't picture data, and a sample of the pictures: the hash of a file doesn't care which of its bytes it is."""
    with zipfile.ZipFile(io.BytesIO(intact)) as archive:
        pictures = [
            (one.header_offset + 60 + len(one.filename), one.header_offset + 30 + len(one.filename) + one.file_size)
            for one in archive.infolist()
            if one.filename.endswith((".m4s", ".mp4", ".py"))
        ]
    chance = random.Random(27)
    plain = [at for at in range(len(intact)) if not any(start <= at < end for start, end in pictures)]
    tried = chance.sample(plain, min(len(plain), 250)) + chance.sample(range(len(intact)), 150)
    for at in tried:
        changed = bytearray(intact)
        changed[at] ^= 1 << chance.randrange(8)
        with pytest.raises(NotIntact):
            verify(io.BytesIO(bytes(changed)))


@given(at=st.integers(0, 10_000_000), cut=st.booleans(), value=st.binary(min_size=1, max_size=4))
def test_no_insertion_and_no_cut_goes_unseen(intact: bytes, at: int, cut: bool, value: bytes) -> None:
    at %= len(intact)
    changed = intact[:at] if cut else intact[:at] + value + intact[at:]
    with pytest.raises(NotIntact):
        verify(io.BytesIO(changed))


def test_who_makes_hashes_and_manifest_anew_lacks_the_key(intact: bytes, units: list[AccessUnit], key: Ed25519PrivateKey) -> None:
    assert verify(io.BytesIO(intact))[1] == key.public_key().public_bytes_raw().hex()
    forged = archive_of([AccessUnit(unit.nals, unit.timestamp, unit.key) for unit in units[:40]], Ed25519PrivateKey.generate())
    assert verify(io.BytesIO(forged))[1] != key.public_key().public_bytes_raw().hex()


@given(st.binary(max_size=200))
def test_the_programs_ed25519_agrees_with_the_library(message: bytes) -> None:
    signer = Ed25519PrivateKey.generate()
    public, signature = signer.public_key().public_bytes_raw(), signer.sign(message)
    assert ed25519_verifies(public, message, signature)
    assert not ed25519_verifies(public, message + b"x", signature)
    wrong = bytearray(signature)
    wrong[len(message) % 64] ^= 1
    assert not ed25519_verifies(public, message, bytes(wrong))


@pytest_asyncio.fixture
async def center(
    small_platform: TestPlatform, units: list[AccessUnit], key: Ed25519PrivateKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Center]:
    async with serving_exports(small_platform, units, key, tmp_path, monkeypatch) as found:
        yield found


async def partners_export(center: Center) -> pb.Export:
    """Ordered as soon as the agreement has come through."""

    async def granted() -> pb.Export | None:
        try:
            return await center.order(PARTNER)
        except Refused:
            return None

    made = await poll(granted)
    assert made is not None
    return made


async def test_an_export_is_made_handed_out_in_parts_and_verified(center: Center, key: Ed25519PrivateKey) -> None:
    ordered = await center.order()
    ready = await center.finished(DETECTIVE, ordered.export_id)
    assert ready.state == pb.EXPORT_STATE_READY, ready.problem
    whole = await center.whole(DETECTIVE, ready)
    assert (len(whole), hashlib.sha256(whole).hexdigest()) == (ready.bytes, ready.sha256)
    manifest, public = verify(io.BytesIO(whole))
    assert public == key.public_key().public_bytes_raw().hex()
    assert (manifest["camera"]["name"], manifest["reason"], len(manifest["segments"])) == ("North", "for court", 2)
    # recorded with sound, which nobody asked for
    assert not ready.with_sound and manifest["sound"] == {"included": False}
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        custody = json.loads(archive.read("custody.json"))
        assert not [name for name in archive.namelist() if "sound" in name]
        with av.open(io.BytesIO(archive.read("clip-1.mp4"))) as container:
            assert [stream.type for stream in container.streams] == ["video"]
    # the entries that touched what is exported, and no other
    assert [entry["leaf_index"] for entry in custody] == [0]
    assert center.asked == ["camera:c1"]
    with pytest.raises(NotFound):
        await center.call(DETECTIVE, "GetExportPart", export_id=ready.export_id, part=ready.parts)


async def test_sound_is_handed_over_to_who_asks_for_it_and_may_hear_it(center: Center) -> None:
    ready = await center.finished(DETECTIVE, (await center.order(with_sound=True)).export_id)
    assert ready.with_sound and ready.state == pb.EXPORT_STATE_READY, ready.problem
    whole = await center.whole(DETECTIVE, ready)
    manifest, _ = verify(io.BytesIO(whole))
    assert manifest["sound"]["included"] and [segment["sound"]["bytes"] > 1000 for segment in manifest["segments"]] == [True, True]
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        for segment in manifest["segments"]:
            assert hashlib.sha256(archive.read(segment["sound"]["path"])).hexdigest() == segment["sound"]["sha256"]
        with av.open(io.BytesIO(archive.read("clip-1.mp4"))) as container:
            wave = heard(frame for packet in container.demux(audio=0) for frame in packet.decode())
    assert abs(loudest_hz(wave[CLOCK_HZ // 2 :]) - 880) < 5
    # a partner whose agreement lets copies of pictures go hears nothing all the same
    agreement = Agreement(agreement_id="a1", grantor_agency_id="east", grantee_agency_id="west", status=AGREEMENT_STATUS_ACTIVE)
    agreement.camera_ids.append("c1")
    agreement.cameras_recorded = agreement.cameras_export = True
    await center.store("agreement", "a1", agreement)

    await partners_export(center)
    with pytest.raises(Refused):
        await center.order(PARTNER, with_sound=True)
    east = Scope.service("video", "east")
    data = bytearray(await center.context.objects.get(east, "east", "footage/c1/2.sound.m4s"))
    data[-1] ^= 1
    await center.context.objects.put(east, "east", "footage/c1/2.sound.m4s", bytes(data), "audio/mp4")
    failed = await center.finished(DETECTIVE, (await center.order(with_sound=True)).export_id)
    assert failed.state == pb.EXPORT_STATE_FAILED and failed.problem.startswith("the sound of segment")
    # nothing says that there is sound where none was recorded
    async with center.context.database.transaction(east) as connection:
        await connection.execute("update footage_segment set sound_sha256 = '', sound_bytes = 0")
    assert not (await center.order(with_sound=True)).with_sound


async def test_a_recording_that_was_changed_in_the_store_is_not_exported(center: Center) -> None:
    east = Scope.service("video", "east")
    data = bytearray(await center.context.objects.get(east, "east", "footage/c1/2.m4s"))
    data[-1] ^= 1
    await center.context.objects.put(east, "east", "footage/c1/2.m4s", bytes(data), "video/mp4")
    failed = await center.finished(DETECTIVE, (await center.order()).export_id)
    assert failed.state == pb.EXPORT_STATE_FAILED
    assert "isn't what was recorded" in failed.problem
    with pytest.raises(Conflict):
        await center.call(DETECTIVE, "GetExportPart", export_id=failed.export_id)


async def test_an_export_is_held_by_one_process_and_taken_over_from_one_that_fell_silent(center: Center) -> None:
    store, platform, east = ExportStore(center.context.database), Scope.platform("video"), Scope.service("video", "east")
    # held by somebody long before the service looks: by its clock, for the next minutes
    for_minutes = utc_now() + timedelta(minutes=5)
    async with center.context.database.transaction(east) as connection:
        await connection.execute(
            """insert into footage_export (export_id, agency_id, owner_agency_id, camera_id, camera, starts_at, ends_at, state, reason,
                                           purpose, case_number, agreement_id, created_by, created_by_name, created_at, held_by, held_until)
               values ('x1', 'east', 'east', 'c1', '{}', $1, $2, 'running', 'r', 'p', '1', '', 'd', 'D', $1, 'first', $3)""",
            NOON,
            NOON + timedelta(seconds=2),
            for_minutes,
        )
    assert await store.take(platform, "second", utc_now(), for_minutes) is None
    assert await store.hold_on(east, "x1", "first", for_minutes)
    # the first falls silent: for the second it is past that time now
    taken = await store.take(platform, "second", for_minutes + timedelta(seconds=1), for_minutes + timedelta(minutes=5))
    assert taken is not None and taken.export_id == "x1"
    assert not await store.hold_on(east, "x1", "first", for_minutes)
    assert not await store.finish(east, "x1", "first", "00", 1, 1, NOON)
    await store.put_back(east, "x1", "second")
    # and the service itself makes it
    assert (await center.finished(DETECTIVE, "x1")).state == pb.EXPORT_STATE_READY


async def test_who_may_export(center: Center) -> None:
    with pytest.raises(PurposeRequired):
        await center.order(person("east", "investigator"))
    for scope in (person("east", "operator", purpose="p", case_number="c"), PARTNER):
        with pytest.raises(Refused):
            await center.order(scope)
    for field, value in (("reason", " "), ("ends_at", utc_now() + timedelta(hours=1)), ("ends_at", NOON + timedelta(hours=7))):
        with pytest.raises(InvalidInput):
            await center.order(**{field: value})
    with pytest.raises(NotFound):
        await center.order(starts_at=NOON - timedelta(hours=2), ends_at=NOON - timedelta(hours=1))
    agreement = Agreement(agreement_id="a1", grantor_agency_id="east", grantee_agency_id="west", status=AGREEMENT_STATUS_ACTIVE)
    agreement.camera_ids.append("c1")
    agreement.cameras_recorded = True
    await center.store("agreement", "a1", agreement)
    with pytest.raises(Refused):
        await center.order(PARTNER)
    agreement.cameras_export = True
    await center.store("agreement", "a1", agreement)

    made = await partners_export(center)
    ready = await center.finished(PARTNER, made.export_id)
    assert (ready.state, ready.owner_agency_id) == (pb.EXPORT_STATE_READY, "east")
    # the partner's archive is the partner's: the owner knows of it by its log
    assert not (await center.call(DETECTIVE, "ListExports")).exports
    with pytest.raises(NotFound):
        await center.call(DETECTIVE, "GetExportPart", export_id=ready.export_id)


def test_the_verifier_needs_nothing_of_ours() -> None:
    imported = [line for line in verifier().decode().splitlines() if line.startswith(("import ", "from "))]
    assert imported
    assert {line.split()[1].split(".")[0] for line in imported} <= sys.stdlib_module_names
    assert verify_export.FORMAT in verifier().decode()

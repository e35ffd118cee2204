"""Recorded sound over the contracts: who hears it, who doesn't even learn of it, and the playlists that lead to it."""

import hashlib
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import grpc
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_ACTIVE, Agreement
from rtcc.video.v1 import footage_pb2 as pb
from rtcc.video.v1 import footage_pb2_grpc
from rtcc_chassis.errors import InvalidInput, NotFound, PurposeRequired, Refused, from_rpc
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.opus import CLOCK_HZ
from rtcc_video.recording.playlist import entrance, playlist, sound_playlist
from rtcc_video.recording.sound_fmp4 import read_sound, sound_init

from .export_center import DETECTIVE, NOON, PARTNER, Center, recorded, serving_exports
from .sounds import heard as decoded

OPERATOR = person("east", "operator", name="East Operator", purpose="robbery", case_number="E-1")
CHIEF = person("east", "administrator", name="East Chief")


@pytest_asyncio.fixture
async def center(
    small_platform: TestPlatform, units: list[AccessUnit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Center]:
    async with serving_exports(small_platform, units, Ed25519PrivateKey.generate(), tmp_path, monkeypatch) as found:
        yield found


async def ask(center: Center, scope: Scope, method: str, **fields: Any) -> Any:
    stub = footage_pb2_grpc.FootageServiceStub(center.context.channels.channel("video"))
    try:
        return await getattr(stub, method)(getattr(pb, f"{method}Request")(**fields), metadata=center.platform.metadata(scope))
    except grpc.RpcError as error:
        raise from_rpc(error) from None


async def test_who_may_hear_hears_and_nobody_else_learns_that_there_is_sound(center: Center) -> None:
    window = {"camera_id": "c1", "starts_at": NOON, "ends_at": NOON + timedelta(seconds=2)}
    segments = (await ask(center, DETECTIVE, "ListFootage", **window)).segments
    assert len(segments) == 2 and all(segment.sound_bytes for segment in segments)
    heard = await ask(center, DETECTIVE, "GetFootageSound", camera_id="c1", sound_id=segments[1].segment_id)
    assert (heard.content_type, hashlib.sha256(heard.media).hexdigest()) == ("audio/mp4", segments[1].sound_sha256)
    assert len(read_sound(heard.media).packets) == 50
    assert (await ask(center, DETECTIVE, "GetFootageSound", camera_id="c1", sound_id="init")).media == sound_init()
    silence = (await ask(center, DETECTIVE, "GetFootageSound", camera_id="c1", sound_id=f"silence-{segments[1].segment_id}")).media
    started_s, ended_s = (stamp.ToNanoseconds() / 1e9 for stamp in (segments[1].started_at, segments[1].ended_at))
    assert abs(read_sound(silence).decode_time / CLOCK_HZ - started_s) < 0.001
    assert abs(sum(duration for _, duration in read_sound(silence).packets) / CLOCK_HZ - (ended_s - started_s)) < 0.001
    with av.open(io.BytesIO(sound_init() + silence)) as container:
        assert abs(decoded(frame for packet in container.demux(audio=0) for frame in packet.decode())).max() < 1e-4
    for sound_id in ("none", "silence-none", "silence-"):
        with pytest.raises(NotFound):
            await ask(center, DETECTIVE, "GetFootageSound", camera_id="c1", sound_id=sound_id)
    with pytest.raises(PurposeRequired):  # R18
        await ask(center, person("east", "investigator"), "GetFootageSound", camera_id="c1", sound_id="init")

    agreement = Agreement(agreement_id="a1", grantor_agency_id="east", grantee_agency_id="west", status=AGREEMENT_STATUS_ACTIVE)
    agreement.camera_ids.append("c1")
    agreement.cameras_recorded = agreement.cameras_export = agreement.cameras_live = True
    await center.store("agreement", "a1", agreement)

    async def granted() -> Any:
        try:
            return await ask(center, PARTNER, "ListFootage", **window)
        except Refused:
            return None

    assert await poll(granted) is not None
    # who watches a desk, and a partner whose agreement gives everything that one can give
    for scope in (OPERATOR, PARTNER):
        seen = (await ask(center, scope, "ListFootage", **window)).segments
        assert len(seen) == 2 and not any(segment.sound_bytes or segment.sound_sha256 for segment in seen)
        for sound_id in (segments[0].segment_id, f"silence-{segments[0].segment_id}", "init"):
            with pytest.raises(Refused):
                await ask(center, scope, "GetFootageSound", camera_id="c1", sound_id=sound_id)
        for rendition in (pb.FOOTAGE_RENDITION_WITH_SOUND, pb.FOOTAGE_RENDITION_SOUND):
            with pytest.raises(Refused):
                await ask(center, scope, "GetFootagePlaylist", **window, rendition=rendition)
        # their playlist is the one that there was before there was sound
        text = (await ask(center, scope, "GetFootagePlaylist", **window)).media.decode()
        assert text.count("media/") == 3 and "sound" not in text
    text = (await ask(center, DETECTIVE, "GetFootagePlaylist", **window, rendition=pb.FOOTAGE_RENDITION_WITH_SOUND)).media.decode()
    assert "TYPE=AUDIO" in text and 'opus"' in text
    text = (await ask(center, DETECTIVE, "GetFootagePlaylist", **window, rendition=pb.FOOTAGE_RENDITION_SOUND)).media.decode()
    assert [line for line in text.splitlines() if line.startswith("sound/")] == [f"sound/{one.segment_id}" for one in segments]
    for fields in ({"rendition": 9}, {"rendition": pb.FOOTAGE_RENDITION_SOUND, "starts_at": None, "ends_at": None}):
        with pytest.raises(InvalidInput):
            await ask(center, DETECTIVE, "GetFootagePlaylist", **(window | fields))


async def test_an_administrator_decides_whether_sound_is_kept(center: Center) -> None:
    policy = pb.RecordingPolicy(camera_id="c1", mode=pb.RECORDING_MODE_CONTINUOUS, keep_s=86_400)
    assert not (await ask(center, CHIEF, "SetRecordingPolicy", policy=policy)).policy.keep_sound
    policy.keep_sound = True
    with pytest.raises(Refused):
        await ask(center, DETECTIVE, "SetRecordingPolicy", policy=policy)
    assert (await ask(center, CHIEF, "SetRecordingPolicy", policy=policy)).policy.keep_sound
    assert [one.keep_sound for one in (await ask(center, CHIEF, "ListRecording")).policies] == [True]


def test_a_segment_without_sound_is_silence_beside_the_same_pictures(units: list[AccessUnit]) -> None:
    first, second = (segment for segment, _, _ in recorded(units))
    silent = replace(second, sound_sha256="", sound_bytes=0)
    inits = {one.init.init_id: one.init for _, one, _ in recorded(units)}
    ends_at = NOON + timedelta(seconds=2)
    lines = sound_playlist([first, silent], live=False).splitlines()
    assert [line for line in lines if line.startswith("sound/")] == [f"sound/{first.segment_id}", f"sound/silence-{silent.segment_id}"]
    assert playlist([first, silent], inits, live=False) == playlist([first, second], inits, live=False)
    # where there is no sound at all, nothing leads to it
    assert "AUDIO" not in entrance([silent], inits, NOON, ends_at) and "opus" not in entrance([silent], inits, NOON, ends_at)
    assert "AUDIO" in entrance([first, silent], inits, NOON, ends_at)

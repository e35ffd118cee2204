"""Live views over HTTPS by the whole service: real gRPC, NATS and PostgreSQL, a real RTSP camera, libav as the player."""

import asyncio
import contextlib
import io
import re

import av
import pytest

from rtcc.ledger.v1.ledger_pb2 import OUTCOME_ALLOWED, OUTCOME_FAILED
from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_REVOKED, Person
from rtcc.video.v1 import hls_pb2, video_pb2
from rtcc_chassis.clock import utc_now
from rtcc_chassis.errors import Exhausted, InvalidInput, NotFound, PurposeRequired, Refused, RtccError, Unavailable
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import person, poll

from .center import OPERATOR, PARTNER, Center

COLLEAGUE = person("east", "operator", name="Somebody Else")
HEALTH = video_pb2.ListCameraHealthRequest()


class Player:
    """One view and what it asks for."""

    def __init__(self, center: Center, scope: Scope, viewer_id: str, camera_id: str) -> None:
        self._center, self.scope, self.viewer_id, self.camera_id = center, scope, viewer_id, camera_id

    @classmethod
    async def open(cls, center: Center, scope: Scope, camera_id: str = "c1") -> "Player":
        opened = await center.call(scope, "OpenHlsViewer", hls_pb2.OpenHlsViewerRequest(camera_id=camera_id))
        return cls(center, scope, opened.viewer_id, camera_id)

    async def playlist(self, *, scope: Scope | None = None, **wanted: int) -> str:
        request = hls_pb2.GetHlsPlaylistRequest(camera_id=self.camera_id, viewer_id=self.viewer_id, **wanted)
        answer = await self._center.call(scope or self.scope, "GetHlsPlaylist", request)
        assert answer.content_type == "application/vnd.apple.mpegurl"
        return str(answer.media.decode())

    async def media(self, media_id: str, *, scope: Scope | None = None) -> bytes:
        request = hls_pb2.GetHlsMediaRequest(camera_id=self.camera_id, viewer_id=self.viewer_id, media_id=media_id)
        return bytes((await self._center.call(scope or self.scope, "GetHlsMedia", request)).media)

    async def close(self) -> None:
        await self._center.call(self.scope, "CloseViewer", video_pb2.CloseViewerRequest(camera_id=self.camera_id, viewer_id=self.viewer_id))


def named(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found[1]


HINT, MAP, SEQUENCE = r'PRELOAD-HINT:TYPE=PART,URI="media/([^"]+)"', r'MAP:URI="media/([^"]+)"', r"MEDIA-SEQUENCE:(\d+)"
LAST_PART = r'(?s).*#EXT-X-PART:DURATION=[0-9.]+,URI="media/([^"]+)"'


async def test_a_player_follows_the_camera_by_blocking_requests_and_the_log_has_one_entry_for_the_view(center: Center) -> None:
    await center.until(OPERATOR, "GetSnapshot", video_pb2.GetSnapshotRequest(camera_id="c1"))
    player = await Player.open(center, OPERATOR)
    text = await player.playlist()
    assert "CAN-BLOCK-RELOAD=YES" in text
    data = await player.media(named(text, MAP))
    seen, at = [], named(text, LAST_PART)
    data_of_parts = []
    for _ in range(8):
        # what is hinted at doesn't exist yet: the answer waits for it
        hint = named(text, HINT)
        data_of_parts.append(await player.media(hint))
        last = int(named(text, SEQUENCE)) + text.count("#EXTINF") - 1
        text = await player.playlist(hls_msn=last + 1, hls_part=0)
        seen.append(hint)
    numbers = [int(hint[1:].partition("-")[0]) for hint in seen]
    assert numbers == sorted(set(numbers)) and at not in seen
    segments = re.findall(r"(?m)^media/(s\d+)$", text)
    with av.open(io.BytesIO(data + await player.media(segments[-1]))) as container:
        pictures = list(container.decode(video=0))
    assert pictures[0].width == 320 and len(pictures) > 5
    viewers = await center.call(person("east", "supervisor"), "ListViewers", video_pb2.ListViewersRequest())
    assert [(viewer.viewer_id, viewer.viewer_name) for viewer in viewers.viewers] == [(player.viewer_id, "East Operator")]
    health = await center.until(OPERATOR, "ListCameraHealth", HEALTH, lambda answer: any(camera.viewers for camera in answer.cameras))
    assert [camera.viewers for camera in health.cameras if camera.camera_id == "c1"] == [1]
    await player.close()
    with pytest.raises(NotFound):
        await player.playlist()
    ended = await center.audited("camera.view_ended", agency_id="east")
    assert ended.bytes_out > sum(map(len, data_of_parts))
    assert "client left" in ended.reason
    fetched = [entry for entry in center.audit if entry.action == "camera.fetch_view"]
    assert all(entry.outcome != OUTCOME_ALLOWED for entry in fetched), "each part isn't an entry"
    assert sum(entry.action == "camera.view_live" for entry in center.audit) == 1


async def test_a_view_is_of_the_person_who_opened_it_and_of_its_own_camera(center: Center) -> None:
    await center.grant()
    await center.until(OPERATOR, "GetSnapshot", video_pb2.GetSnapshotRequest(camera_id="c1"))
    player = await Player.open(center, OPERATOR)
    text = await player.playlist()
    for stranger in (COLLEAGUE, PARTNER):
        for ask in (player.playlist(scope=stranger), player.media(named(text, MAP), scope=stranger)):
            with pytest.raises(NotFound):
                await ask
    with pytest.raises(NotFound):
        await Player(center, OPERATOR, player.viewer_id, "c2").playlist()
    with pytest.raises(NotFound):
        await Player(center, OPERATOR, "nothing", "c1").playlist()
    # a view that goes by WebRTC has no playlist, and one that goes by HTTPS no ICE session
    async with center.watching(OPERATOR) as (_, viewer_id):
        with pytest.raises(NotFound):
            await Player(center, OPERATOR, viewer_id, "c1").playlist()
    request = video_pb2.UpdateViewerRequest(camera_id="c1", viewer_id=player.viewer_id, etag="*", sdp_fragment="a=ice-ufrag:Zz9c\r\n")
    for update in (request, video_pb2.UpdateViewerRequest(camera_id="c1", viewer_id=player.viewer_id, shown_width_px=320)):
        with pytest.raises(NotFound):
            await center.call(OPERATOR, "UpdateViewer", update)
    await center.audited("camera.fetch_view", outcome=OUTCOME_FAILED)


async def test_hostile_requests_are_refused_at_once(center: Center) -> None:
    await center.until(OPERATOR, "GetSnapshot", video_pb2.GetSnapshotRequest(camera_id="c1"))
    player = await Player.open(center, OPERATOR)
    text = await player.playlist()
    for wanted in ({"hls_part": 0}, {"hls_msn": 2**64 - 1}, {"hls_msn": 10_000}, {"hls_msn": 1, "hls_part": 2**32 - 1}):
        with pytest.raises(InvalidInput):
            await player.playlist(**wanted)
    for name in ("../../etc/passwd", "p1", "s-1", "x" * 200, ""):
        with pytest.raises(InvalidInput):
            await player.media(name)
    init = named(text, MAP)[1:]
    for name in (f"p999999-{init}", "p0-" + "0" * 16, "s999999", "i" + "0" * 16):
        with pytest.raises(NotFound):
            await player.media(name)
    # a view may hold a few requests open, and no more
    far = int(named(text, SEQUENCE)) + text.count("#EXTINF") + 1
    answers = await asyncio.gather(*(player.playlist(hls_msn=far) for _ in range(12)), return_exceptions=True)
    assert {type(answer) for answer in answers if not isinstance(answer, str)} == {Exhausted}
    assert sum(isinstance(answer, Exhausted) for answer in answers) >= 5


async def test_a_revoked_agreement_cuts_a_partner_who_waits_within_five_seconds(center: Center) -> None:
    await center.grant()
    await center.until(PARTNER, "GetSnapshot", video_pb2.GetSnapshotRequest(camera_id="c1"))
    with pytest.raises(PurposeRequired):  # R18, R21
        await Player.open(center, person("west", "operator"))
    with pytest.raises(Refused):
        await Player.open(center, PARTNER, "c2")
    player, own = await Player.open(center, PARTNER), await Player.open(center, OPERATOR)
    # a native player can't repeat purpose and case: they stand with the view
    bare = person("west", "operator", name="West Operator")
    await player.playlist(scope=bare)

    async def follow() -> None:
        with contextlib.suppress(Refused, NotFound):
            while True:
                await player.media(named(await player.playlist(), HINT))

    follower = asyncio.create_task(follow())
    await center.grant(status=AGREEMENT_STATUS_REVOKED)
    revoked = utc_now()
    async with asyncio.timeout(60):
        await follower
    assert await center.ended_after_s(revoked, principal_agency_id="west", agreement_id="a1") < 5
    with pytest.raises((Refused, NotFound)):
        await player.media(named(await own.playlist(), MAP))
    ended = await center.audited("camera.view_ended", principal_agency_id="west")
    assert "right revoked" in ended.reason and ended.agreement_id == "a1"


async def test_a_disabled_person_and_a_session_that_ended_are_cut(center: Center) -> None:
    await center.until(OPERATOR, "GetSnapshot", video_pb2.GetSnapshotRequest(camera_id="c1"))
    player, other = await Player.open(center, OPERATOR), await Player.open(center, COLLEAGUE)
    await player.playlist()
    gone = Person(person_id=OPERATOR.principal_id, agency_id="east", enabled=False, roles=["operator"])
    await center.store("person", "east", OPERATOR.principal_id, gone)

    async def cut(one: Player) -> bool:
        try:
            await one.playlist()
        except (Refused, NotFound):
            return True
        return False

    await poll(lambda: cut(player), deadline_s=30)
    assert not await cut(other)
    await center.context.bus.publish_core("gateway.session", b'{"session_id": "test-session", "reason": "signed out"}')
    await poll(lambda: cut(other), deadline_s=30)
    await center.audited("camera.view_ended", principal_id=COLLEAGUE.principal_id)


@pytest.fixture
def short_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A view that nobody fetches ends after five seconds."""
    monkeypatch.setenv("RTCC_VIDEO_HLS_IDLE_S", "5")


@pytest.mark.usefixtures("short_idle")
async def test_a_view_that_nobody_fetches_ends_and_a_failed_camera_says_why(center: Center) -> None:
    await center.until(OPERATOR, "GetSnapshot", video_pb2.GetSnapshotRequest(camera_id="c1"))
    failed = await center.until(
        OPERATOR, "ListCameraHealth", HEALTH, lambda answer: any("can't be reached" in c.reason for c in answer.cameras)
    )
    assert failed
    with pytest.raises(Unavailable) as why:
        await Player.open(center, OPERATOR, "c3")
    assert "can't be reached" in why.value.message and "hidden-secret" not in why.value.message
    idle = await Player.open(center, OPERATOR)
    more = [await Player.open(center, OPERATOR) for _ in range(2)]
    with pytest.raises(Exhausted, match="your agency"):
        await Player.open(center, OPERATOR)

    async def left() -> bool:
        for player in more:
            await player.playlist()
        viewers = await center.call(person("east", "supervisor"), "ListViewers", video_pb2.ListViewersRequest())
        return idle.viewer_id not in {viewer.viewer_id for viewer in viewers.viewers}

    await poll(left, deadline_s=30)
    with pytest.raises(RtccError):
        await idle.playlist()

"""The use cases of footage: list, read, play and picture, each under the rights that the camera's owner grants."""

from datetime import datetime, timedelta
from typing import Final, Protocol

from rtcc.registry.v1.registry_pb2 import Camera
from rtcc_chassis.access import touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import InvalidInput, NotFound, Unavailable
from rtcc_chassis.scope import Scope
from rtcc_video.app import Rights
from rtcc_video.recording.domain import Coverage, Segment, check_window, coverage, microseconds
from rtcc_video.recording.fmp4 import TIMESCALE, Init, MalformedMp4, annex_b, read_segment
from rtcc_video.recording.playlist import SILENCE, Rendition, entrance, live_entrance, playlist, sound_playlist
from rtcc_video.recording.sound import sound_ticks
from rtcc_video.recording.sound_fmp4 import sound_init, write_silence
from rtcc_video.recording.store import FootageStore
from rtcc_video.snapshots import NoPicture

LIST: Final = "footage.list"
READ: Final = "footage.read"
PLAY: Final = "footage.play"
PICTURE: Final = "footage.picture"
LISTEN: Final = "footage.listen"
_SOUND_INIT: Final = "init"
_LIVE_WINDOW: Final = timedelta(seconds=20)
_LONGEST_LIVE: Final = timedelta(hours=6)
_FURTHEST_PICTURE: Final = timedelta(minutes=5)


class Objects(Protocol):
    """Where the bytes are."""

    async def get(self, scope: Scope, agency_id: str, key: str) -> bytes: ...


class Decoder(Protocol):
    """Makes a JPEG of a key picture. Raises `NoPicture`."""

    async def decode(self, picture: bytes) -> bytes: ...


class Footage:
    """Another agency's recordings are read in the owner's name, after its agreement has allowed it."""

    def __init__(self, store: FootageStore, objects: Objects, rights: Rights, decoder: Decoder, clock: Clock) -> None:
        self._store = store
        self._objects = objects
        self._rights = rights
        self._decoder = decoder
        self._clock = clock

    async def owner(self, scope: Scope, action: str, camera_id: str) -> Scope:
        """In whose name the camera's recordings are read, once the caller may. A removed camera's recordings stay its agency's.

        Raises `NotFound`, `Refused`, `PurposeRequired`.
        """
        camera = await self._camera(scope, camera_id)
        self._rights.require_recorded(scope, action, camera)
        return Scope.service("video", camera.agency_id)

    async def may_listen(self, scope: Scope, camera_id: str) -> bool:
        """Whether the caller may hear what is recorded of the camera; leaves no entry. Raises `NotFound`."""
        return self._rights.may_recorded(scope, LISTEN, await self._camera(scope, camera_id))

    async def list_window(
        self, scope: Scope, camera_id: str, starts_at: datetime, ends_at: datetime, action: str = LIST
    ) -> tuple[Coverage, list[Init]]:
        """What is recorded in the window and what isn't. The part of it that is still to come is no gap."""
        check_window(starts_at, ends_at)
        owner = await self.owner(scope, action, camera_id)
        segments, told = await self._store.footage(owner, camera_id, starts_at, ends_at)
        now = self._clock()
        if segments and now - segments[-1].ended_at < timedelta(seconds=20):
            # the segment that is being written isn't missing
            now = segments[-1].ended_at
        found = coverage(segments, told, starts_at, max(starts_at, min(ends_at, now)))
        inits = await self._store.inits(owner, sorted({segment.init_id for segment in segments}))
        return found, list(inits.values())

    async def media(self, scope: Scope, camera_id: str, media_id: str) -> bytes:
        """A segment or an initialisation segment."""
        owner = await self.owner(scope, READ, camera_id)
        if len(media_id) == 64:
            inits = await self._store.inits(owner, [media_id])
            if media_id not in inits:
                raise NotFound("initialisation segment", media_id)
            return inits[media_id].data
        segment = await self._store.segment(owner, camera_id, media_id[:80])
        if segment is None:
            raise NotFound("segment", media_id[:80])
        touched(f"segment:{segment.segment_id}", owner_agency_id=segment.agency_id)
        return await self._bytes(owner, segment)

    async def sound(self, scope: Scope, camera_id: str, sound_id: str) -> bytes:
        """The sound of a segment, silence of its length, or the initialisation segment of every sound."""
        owner = await self.owner(scope, LISTEN, camera_id)
        if sound_id == _SOUND_INIT:
            return sound_init()
        segment = await self._store.segment(owner, camera_id, sound_id.removeprefix(SILENCE)[:80])
        silence = sound_id.startswith(SILENCE)
        if segment is None or not (segment.sound_sha256 or silence):
            raise NotFound("sound of segment", sound_id[:80])
        if silence:
            starts, ends = sound_ticks(microseconds(segment.started_at)), sound_ticks(microseconds(segment.ended_at))
            return write_silence(starts, ends - starts)
        touched(f"segment:{segment.segment_id}", owner_agency_id=segment.agency_id)
        return await self._objects.get(owner, segment.agency_id, segment.sound_key)

    async def playlist(
        self,
        scope: Scope,
        camera_id: str,
        starts_at: datetime | None,
        ends_at: datetime | None,
        rendition: Rendition = Rendition.PICTURES,
    ) -> str:
        """See `playlist`. Without an end it is live; without a start too, it leads to the live one that begins now.

        With sound, or of the sound alone, for those who may hear it. Raises as `owner` does.
        """
        if rendition is not Rendition.PICTURES:
            await self.owner(scope, LISTEN, camera_id)
        now = self._clock()
        if ends_at is None and starts_at is not None and now - starts_at > _LONGEST_LIVE:
            raise InvalidInput.one("starts_at", f"lies more than {_LONGEST_LIVE} back: open the live playlist anew, or name an end")
        start = starts_at if starts_at is not None else now - _LIVE_WINDOW
        end = ends_at if ends_at is not None else max(now, start + timedelta(milliseconds=1))
        found, listed = await self.list_window(scope, camera_id, start, end, PLAY)
        inits = {init.init_id: init for init in listed}
        if rendition is Rendition.WITH_SOUND:
            return entrance(found.segments, inits, start, ends_at)
        if rendition is Rendition.SOUND and starts_at is not None:
            return sound_playlist(found.segments, live=ends_at is None)
        if starts_at is None:
            return live_entrance(found.segments, inits, start)
        return playlist(found.segments, inits, live=ends_at is None)

    async def picture(self, scope: Scope, camera_id: str, at: datetime) -> tuple[bytes, datetime]:
        """The newest key picture at or before a moment as JPEG, not older than five minutes."""
        owner = await self.owner(scope, PICTURE, camera_id)
        segment = await self._store.segment_at(owner, camera_id, at)
        if segment is None or at - segment.ended_at > _FURTHEST_PICTURE:
            raise NotFound("picture", f"of camera {camera_id[:80]} at {at.isoformat(timespec='seconds')}")
        touched(f"segment:{segment.segment_id}", owner_agency_id=segment.agency_id)
        inits = await self._store.inits(owner, [segment.init_id])
        data = await self._bytes(owner, segment)
        try:
            picture, taken_at = key_picture(inits[segment.init_id].data, data, segment, at)
        except (MalformedMp4, KeyError) as error:
            raise Unavailable(f"a picture of segment {segment.segment_id}", str(error)) from error
        try:
            return await self._decoder.decode(picture), taken_at
        except NoPicture as error:
            raise Unavailable(f"a picture of segment {segment.segment_id}", str(error)) from error

    async def _camera(self, scope: Scope, camera_id: str) -> Camera:
        camera = self._rights.cameras.get(camera_id)
        if camera is None:
            if not await self._store.knows_camera(scope, camera_id):
                raise NotFound("camera", camera_id[:80])
            camera = Camera(camera_id=camera_id, agency_id=scope.agency_id)
        return camera

    async def _bytes(self, owner: Scope, segment: Segment) -> bytes:
        return await self._objects.get(owner, segment.agency_id, segment.object_key)


def key_picture(init: bytes, data: bytes, segment: Segment, at: datetime) -> tuple[bytes, datetime]:
    """The newest key picture of a segment at or before `at`, as Annex B, and when it was taken. Raises `MalformedMp4`."""
    fragment = read_segment(data)
    wanted = microseconds(at) * TIMESCALE // 1_000_000
    ticks, chosen, chosen_ticks = fragment.decode_time, None, fragment.decode_time
    for sample in fragment.samples:
        if sample.key and (chosen is None or ticks <= wanted):
            chosen, chosen_ticks = sample, ticks
        ticks += sample.duration
    if chosen is None:
        raise MalformedMp4("the segment has no key picture")
    taken_at = segment.started_at + timedelta(microseconds=(chosen_ticks - fragment.decode_time) * 1_000_000 // TIMESCALE)
    return annex_b(init, chosen.data), taken_at


def need_window(starts_at: datetime | None, ends_at: datetime | None) -> tuple[datetime, datetime]:
    """Both ends. Raises `InvalidInput`."""
    if starts_at is None:
        raise InvalidInput.one("starts_at", "is needed")
    if ends_at is None:
        raise InvalidInput.one("ends_at", "is needed")
    return starts_at, ends_at

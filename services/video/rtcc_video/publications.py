"""The use cases of those who send: a camera's device with its key, a signed-in person; and ending those whose right is gone."""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from rtcc.registry.v1.registry_pb2 import Camera
from rtcc_chassis.access import touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import Exhausted, InvalidInput, NotFound, RtccError, Unauthenticated, Unavailable
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_video.app import Rights
from rtcc_video.engine.endpoint import Endpoint
from rtcc_video.engine.sdp import UnusableOffer
from rtcc_video.engine.viewer import CloseReason
from rtcc_video.feed import Feed
from rtcc_video.feeds import Feeds
from rtcc_video.ice_updates import update_ice
from rtcc_video.publishing.offer import OurSide, build_publisher_answer, parse_publisher_offer
from rtcc_video.publishing.publisher import Publisher, PublisherSettings
from rtcc_video.publishing.receiver import receive_sound
from rtcc_video.sources.source import SourceFailed

_log = logging.getLogger(__name__)

PUBLISH = "camera.publish"
_KEY_LENGTH_MOST = 256
_WRONG_KEY = "No camera publishes with this id and key. Make a new key in the camera registry, and send it as Authorization: Bearer <key>."
_KEPT_REASONS = frozenset({CloseReason.UNUSABLE, CloseReason.HANDSHAKE_FAILED})


@dataclass(frozen=True, slots=True)
class Publication:
    """Who sends a camera's pictures now. `scope` is the person's; None: the camera's device, by the key of that hash."""

    publisher: Publisher
    camera_id: str
    agency_id: str
    scope: Scope | None
    key_sha256: str
    source_address: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """A publication that begins: the answer to its offer, and its ICE session's name."""

    publisher_id: str
    answer_sdp: str
    etag: str


# Told of every publication that ended, and why.
type PublicationEnded = Callable[[Publication, CloseReason], None]


class Publications:
    """At most one a camera: a device that lost its network comes back before its old connection is known to be dead."""

    def __init__(
        self,
        limit: int,
        settings: PublisherSettings,
        rights: Rights,
        feeds: Feeds,
        endpoint: Endpoint,
        clock: Clock,
        schedule: Callable[[float, Callable[[], None]], object],
        on_ended: PublicationEnded,
        relay_id: str = "",
    ) -> None:
        self._relay_id = relay_id
        self._limit = limit
        self._settings = settings
        self._rights = rights
        self._feeds = feeds
        self._endpoint = endpoint
        self._clock = clock
        self._schedule = schedule
        self._on_ended = on_ended
        self._by_camera: dict[str, Publication] = {}

    def __len__(self) -> int:
        return len(self._by_camera)

    async def open_by_key(self, camera_id: str, key: str, offer_sdp: str, source_address: str) -> Opened:
        """A device begins. Raises `Unauthenticated`, `InvalidInput`, `Exhausted`, `Unavailable`."""
        camera, key_sha256 = await self._verified(camera_id, key)
        touched(f"camera:{camera.camera_id}", owner_agency_id=camera.agency_id)
        return self._open(camera, offer_sdp, None, key_sha256, source_address)

    async def close_by_key(self, camera_id: str, key: str, publisher_id: str, *, only_check: bool = False) -> None:
        """The device ends what it began, or asks whether it goes on. Raises `Unauthenticated`, `NotFound`."""
        camera, _ = await self._verified(camera_id, key)
        touched(f"camera:{camera.camera_id}", owner_agency_id=camera.agency_id)
        self._of_device(camera_id, publisher_id)
        if not only_check:
            self._endpoint.release(publisher_id, CloseReason.CLIENT_LEFT)

    async def update_by_key(self, camera_id: str, key: str, publisher_id: str, etag: str, fragment: str) -> tuple[str, str]:
        """Candidates or an ICE restart of what the device began: our fragment (empty for candidates) and the ICE session's name.

        Raises `Unauthenticated`, `NotFound`, `Conflict` for an ended ICE session, `InvalidInput`.
        """
        camera, _ = await self._verified(camera_id, key)
        touched(f"camera:{camera.camera_id}", owner_agency_id=camera.agency_id)
        self._of_device(camera_id, publisher_id)
        return update_ice(self._endpoint, publisher_id, etag, fragment)

    def open(self, scope: Scope, camera_id: str, offer_sdp: str) -> Opened:
        """A person begins. Raises `NotFound`, `Refused`, `InvalidInput`, `Exhausted`, `Unavailable`."""
        camera = self._rights.camera(camera_id)
        self._rights.require(scope, PUBLISH, camera)
        return self._open(camera, offer_sdp, scope, "", scope.source_address)

    def close(self, scope: Scope, camera_id: str, publisher_id: str) -> None:
        """Ends the caller's own publication. Raises `NotFound` for any other."""
        self._own(scope, camera_id, publisher_id)
        self._endpoint.release(publisher_id, CloseReason.CLIENT_LEFT)

    def update(self, scope: Scope, camera_id: str, publisher_id: str, etag: str, fragment: str) -> tuple[str, str]:
        """As `update_by_key`, of the caller's own publication. Raises `Refused` when the right is gone."""
        self._own(scope, camera_id, publisher_id)
        self._rights.require(scope, PUBLISH, self._rights.camera(camera_id))
        return update_ice(self._endpoint, publisher_id, etag, fragment)

    async def recheck(self, camera_id: str) -> None:
        """The camera changed: who sends must still be allowed to. A key that can't be asked for now ends nothing."""
        publication = self._by_camera.get(camera_id)
        if publication is None:
            return
        try:
            camera = self._rights.camera(camera_id)
        except NotFound:
            self._endpoint.release(publication.publisher.publisher_id, CloseReason.CAMERA_REMOVED)
            return
        if not camera.published or camera.agency_id != publication.agency_id:
            self._endpoint.release(publication.publisher.publisher_id, CloseReason.CAMERA_REMOVED)
        elif publication.scope is None:
            try:
                now_valid = await self._feeds.publish_key_sha256(camera_id)
            except SourceFailed as error:
                _log.warning("camera %s: its publishing key isn't known now: %s", camera_id, error.reason)
                return
            if not hmac.compare_digest(now_valid, publication.key_sha256):
                self._endpoint.release(publication.publisher.publisher_id, CloseReason.REVOKED)

    def end_person(self, concerned: Callable[[Scope], bool]) -> None:
        """Asks again for the persons that `concerned` picks, and ends what would be refused."""
        for publication in list(self._by_camera.values()):
            scope = publication.scope
            if scope is None or not concerned(scope):
                continue
            try:
                allowed = self._rights.may_publish(scope, self._rights.camera(publication.camera_id))
            except RtccError:
                allowed = False
            if not allowed:
                self._endpoint.release(publication.publisher.publisher_id, CloseReason.REVOKED)

    def end_session(self, session_id: str) -> None:
        """Ends what a session that was signed out or locked sends."""
        for publication in list(self._by_camera.values()):
            if publication.scope is not None and publication.scope.session_id == session_id:
                self._endpoint.release(publication.publisher.publisher_id, CloseReason.SESSION_ENDED)

    def end_cameras(self, camera_ids: Iterable[str], reason: CloseReason) -> None:
        """Ends who sends these: their devices began to send to another relay, or this one goes away."""
        for camera_id in camera_ids:
            publication = self._by_camera.get(camera_id)
            if publication is not None:
                self._endpoint.release(publication.publisher.publisher_id, reason)

    @property
    def camera_ids(self) -> list[str]:
        """The cameras whose devices send here."""
        return list(self._by_camera)

    def _of_device(self, camera_id: str, publisher_id: str) -> None:
        publication = self._by_camera.get(camera_id)
        if publication is None or publication.scope is not None or publication.publisher.publisher_id != publisher_id:
            raise NotFound("publisher", publisher_id[:80])

    def _own(self, scope: Scope, camera_id: str, publisher_id: str) -> None:
        publication = self._by_camera.get(camera_id)
        mine = publication is not None and publication.scope is not None and publication.scope.principal_id == scope.principal_id
        if publication is None or not mine or publication.publisher.publisher_id != publisher_id:
            raise NotFound("publisher", publisher_id[:80])
        touched(f"camera:{camera_id}", owner_agency_id=publication.agency_id)

    async def _verified(self, camera_id: str, key: str) -> tuple[Camera, str]:
        """The camera that this key opens, and the key's hash. Costs the same whether the camera exists or not."""
        given = hashlib.sha256(key[:_KEY_LENGTH_MOST].encode("utf-8", "replace")).hexdigest()
        camera = self._rights.cameras.get(camera_id)
        known = camera is not None and camera.enabled and camera.published
        try:
            expected = await self._feeds.publish_key_sha256(camera_id) if known else ""
        except SourceFailed as error:
            raise Unavailable("publishing", error.reason) from error
        matches = hmac.compare_digest(given, expected or secrets.token_hex(32))
        if camera is None or not known or not expected or not matches:
            raise Unauthenticated(_WRONG_KEY)
        return camera, given

    def _open(self, camera: Camera, offer_sdp: str, scope: Scope | None, key_sha256: str, source_address: str) -> Opened:
        feed = self._feeds.get(camera.camera_id)
        if feed is None or not camera.published:
            raise InvalidInput.one("camera_id", "its pictures are pulled: mark it in the camera registry as publishing by itself")
        if len(self._by_camera) >= self._limit and camera.camera_id not in self._by_camera:
            raise Exhausted("the number of devices that publish at once", self._limit)
        try:
            offer = parse_publisher_offer(offer_sdp, sound_allowed=feed.stream.sound.allowed)
        except UnusableOffer as error:
            raise InvalidInput.one("offer_sdp", str(error)) from error
        before = self._by_camera.get(camera.camera_id)
        if before is not None:
            self._endpoint.release(before.publisher.publisher_id, CloseReason.REPLACED)
        endpoint = self._endpoint
        publisher_id = f"{self._relay_id}.{new_id()}" if self._relay_id else new_id()
        sound = receive_sound(offer, self._feeds.sound_way(feed))
        publisher = Publisher(publisher_id, offer, feed, self._settings, endpoint.identity, endpoint.clock, self._schedule, sound)
        publication = Publication(publisher, camera.camera_id, camera.agency_id, scope, key_sha256, source_address, self._clock())
        self._by_camera[camera.camera_id] = publication
        # whatever relay took it before: from now on it is this one
        self._feeds.sends(camera.camera_id, True)
        feed.begin_publishing(publisher.ask_for_key_picture)
        endpoint.adopt(publisher, lambda reason: self._ended(publication, feed, reason))
        addresses, port, tcp = endpoint.announced
        ours = OurSide(publisher.link.ice_ufrag, publisher.link.ice_pwd, endpoint.identity.fingerprint_sha256, addresses, port, tcp)
        answer = build_publisher_answer(offer, ours, secrets.randbits(62))
        return Opened(publisher.publisher_id, answer, publisher.link.ice_ufrag)

    def _ended(self, publication: Publication, feed: Feed, reason: CloseReason) -> None:
        if self._by_camera.get(publication.camera_id) is publication:
            del self._by_camera[publication.camera_id]
            publisher = publication.publisher
            failure = publisher.failure or publisher.link.failure if reason in _KEPT_REASONS else ""
            feed.end_publishing(failure)
            self._feeds.sends(publication.camera_id, False)
        self._on_ended(publication, reason)

"""The use cases: open and close a view, snapshot, health, who watches; and ending views whose right is gone."""

import logging
from collections import Counter as Tally
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from rtcc.registry.v1.registry_pb2 import Agreement, Camera, Person
from rtcc_chassis.access import Access, Decision, Grant, Resource, deciding, touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import Conflict, Exhausted, InvalidInput, NotFound, Refused, RtccError, Unavailable
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.sharing import camera_grant
from rtcc_video.cascade.placement import Placement
from rtcc_video.domain import CameraHealth, CameraState, View
from rtcc_video.engine.endpoint import Endpoint, TooManyViewers
from rtcc_video.engine.sdp import UnusableOffer
from rtcc_video.engine.viewer import CloseReason, LinkFacts, Viewer, ViewerCounters
from rtcc_video.feed import Feed
from rtcc_video.feeds import Feeds
from rtcc_video.ice_servers import OpenedView, ice_servers
from rtcc_video.ice_updates import update_ice
from rtcc_video.listening import switch_sound
from rtcc_video.settings import VideoSettings
from rtcc_video.snapshots import NoPicture, Snapshot, Snapshots

_log = logging.getLogger(__name__)

VIEW_LIVE = "camera.view_live"
SNAPSHOT = "camera.snapshot"
LISTEN = "camera.listen"
# Shown no wider than this, a camera's smaller stream is enough.
SMALL_WIDTH_PX: Final = 480

# Told of every view that ended: the view, why, and what was sent.
type ViewEnded = Callable[[View, CloseReason, ViewerCounters], None]


class Mirror[M](Protocol):
    """The part of a directory mirror that is read here."""

    def get(self, identifier: str) -> M | None: ...

    def values(self) -> list[M]: ...


class Rights:
    """What the directory says about cameras, agreements and people, and the alerts that are open under an agreement."""

    def __init__(
        self, access: Access, cameras: Mirror[Camera], agreements: Mirror[Agreement], people: Mirror[Person], clock: Clock
    ) -> None:
        self.cameras = cameras
        self._access = access
        self._agreements = agreements
        self._people = people
        self._clock = clock
        self.open_shared_agreements: Callable[[], frozenset[str]] = frozenset

    def camera(self, camera_id: str) -> Camera:
        """An enabled camera. Raises `NotFound`."""
        camera = self.cameras.get(camera_id)
        if camera is None or not camera.enabled:
            raise NotFound("camera", camera_id[:80])
        return camera

    def require(self, scope: Scope, action: str, camera: Camera) -> Resource:
        """The camera as the caller may have it, named in the call's audit entry. Raises `Refused` or `PurposeRequired`."""
        resource = Resource("camera", camera.camera_id, camera.agency_id, self.grant(camera, scope.agency_id))
        self._access.require(scope, action, resource)
        return resource

    def may_publish(self, scope: Scope, camera: Camera) -> bool:
        """Whether a person who sends would be allowed to begin now, with the roles that the person has now."""
        person = self._people.get(scope.principal_id)
        if person is not None:
            if not person.enabled:
                return False
            scope = replace(scope, roles=frozenset(person.roles))
        resource = Resource("camera", camera.camera_id, camera.agency_id, self.grant(camera, scope.agency_id))
        return self._access.decide(scope, "camera.publish", resource).allowed

    def require_recorded(self, scope: Scope, action: str, camera: Camera) -> Resource:
        """The camera's recordings as the caller may have them. Raises `Refused` or `PurposeRequired`."""
        resource = Resource("camera", camera.camera_id, camera.agency_id, self.grant(camera, scope.agency_id, recorded=True))
        self._access.require(scope, action, resource)
        return resource

    def may_recorded(self, scope: Scope, action: str, camera: Camera) -> bool:
        """Whether the caller may have the camera's recordings; leaves no entry."""
        resource = Resource("camera", camera.camera_id, camera.agency_id, self.grant(camera, scope.agency_id, recorded=True))
        return self._access.decide(scope, action, resource).allowed

    def grant(self, camera: Camera, agency_id: str, *, recorded: bool = False) -> Grant | None:
        """The agreement that gives the camera, live or recorded, to another agency now; None for the owner and for strangers."""
        if camera.agency_id == agency_id:
            return None
        return camera_grant(self._agreements.values(), camera, agency_id, self._clock(), self.open_shared_agreements(), recorded=recorded)

    def shows(self, agency_id: str, camera_id: str) -> bool:
        """Whether people of the agency may look at the camera now, as far as agencies go: its own, or one that an agreement grants."""
        camera = self.cameras.get(camera_id)
        return camera is not None and (camera.agency_id == agency_id or self.grant(camera, agency_id) is not None)

    def may_hear(self, scope: Scope, camera: Camera) -> bool:
        """Whether the caller may hear the camera; leaves no entry."""
        return self._access.decide(scope, LISTEN, Resource("camera", camera.camera_id, camera.agency_id)).allowed

    def still_hears(self, view: View) -> bool:
        """As `still`, of a view whose sound is on."""
        camera, person = self.cameras.get(view.camera_id), self._people.get(view.scope.principal_id)
        if camera is None:
            return False
        return self.may_hear(view.with_roles(frozenset(person.roles)).scope if person is not None else view.scope, camera)

    def still(self, view: View, decided: dict[object, Decision]) -> Decision:
        """Whether a running view would be allowed if asked for now, with the roles of now; `decided`: of others at this very moment."""
        camera, person, scope = self.cameras.get(view.camera_id), self._people.get(view.scope.principal_id), view.scope
        if camera is None or not camera.enabled or camera.agency_id != view.owner_agency_id:
            return Decision(False, (), "The camera was removed, disabled or given to another agency.")
        if person is not None and not person.enabled:
            return Decision(False, (), "The account is disabled.")
        if person is not None and scope.roles != (roles := frozenset(person.roles)):
            scope = view.with_roles(roles).scope
        asked = (view.camera_id, *deciding(scope))
        if asked not in decided:
            resource = Resource("camera", camera.camera_id, camera.agency_id, self.grant(camera, scope.agency_id))
            decided[asked] = self._access.decide(scope, VIEW_LIVE, resource)
        return decided[asked]


class VideoApp:
    """See the module. `on_ended` is called once for every view, whatever ended it."""

    def __init__(
        self,
        settings: VideoSettings,
        rights: Rights,
        feeds: Feeds,
        endpoint: Endpoint,
        snapshots: Snapshots,
        clock: Clock,
        on_ended: ViewEnded,
        placement: Placement,
    ) -> None:
        self._placement = placement
        self._settings = settings
        self._rights = rights
        self._feeds = feeds
        self._endpoint = endpoint
        self._snapshots = snapshots
        self._clock = clock
        self._on_ended = on_ended
        self._views: dict[str, View] = {}
        self._health: dict[str, CameraHealth] = {}
        # of cameras that other relays take, as those tell it
        self._told: dict[str, CameraHealth] = {}
        # camera -> how many watch it at other relays
        self.watched_elsewhere: Callable[[], dict[str, int]] = dict
        # ends a view that doesn't go by the endpoint
        self.close_elsewhere: Callable[[str, CloseReason], object] = lambda viewer_id, reason: None
        # who moves a camera; "" when nobody does
        self.controlled_by: Callable[[str], str] = lambda camera_id: ""

    @property
    def views(self) -> list[View]:
        """Every open view."""
        return list(self._views.values())

    def open_viewer(self, scope: Scope, camera_id: str, offer_sdp: str, shown_width_px: int = 0, *, sound: bool = False) -> OpenedView:
        """A live view of a camera. Its ICE credentials are what enters the media plane: made for this one view, and worth nothing when
        they aren't used within seconds (`EndpointSettings.setup_timeout_s`). `sound`: switched on from the beginning, as by `set_sound`.

        Raises `NotFound`, `Refused`, `PurposeRequired`, `InvalidInput`, `Conflict`, `Exhausted`, `Unavailable`.
        """
        camera = self._rights.camera(camera_id)
        view, feed = self.admit(scope, camera)
        if sound:
            self._rights.require(scope, LISTEN, camera)
        viewer_id = view.viewer_id
        ends_s = self._endpoint.clock() + self._settings.view_limit_s
        try:
            may_hear = feed.stream.sound.allowed and self._rights.may_hear(scope, camera)
            viewer, answer = self._endpoint.open(viewer_id, feed.stream, offer_sdp, self._closed, ends_s, may_hear=may_hear)
        except UnusableOffer as error:
            raise InvalidInput.one("offer_sdp", str(error)) from error
        except TooManyViewers as error:
            raise Exhausted("the number of live views", error.limit) from error
        viewer.shown_small = 0 < shown_width_px <= SMALL_WIDTH_PX
        feed.want()
        self.begin(view)
        if sound:
            try:
                switch_sound(viewer, camera, on=True)
            except Conflict:
                self._endpoint.close(viewer_id, CloseReason.CLIENT_LEFT)
                raise
        servers = ice_servers(self._settings, viewer_id, self._clock().timestamp())
        return OpenedView(viewer_id, answer, viewer.credentials.ice_ufrag, servers)

    def admit(self, scope: Scope, camera: Camera) -> tuple[View, Feed]:
        """A view that the caller may open, and the feed of its camera; `begin` makes it count. Raises as `open_viewer`."""
        resource = self._rights.require(scope, VIEW_LIVE, camera)
        feed = self._feed(camera)
        mine = sum(view.scope.agency_id == scope.agency_id for view in self._views.values())
        if mine >= self._settings.agency_viewer_limit:
            raise Exhausted("the number of live views of your agency", self._settings.agency_viewer_limit)
        # names the relay, so that whoever comes back with it is led here
        viewer_id = f"{self._placement.relay_id}.{new_id()}"
        agreement_id = resource.grant.agreement_id if resource.grant else ""
        return View(viewer_id, camera.camera_id, camera.agency_id, scope, agreement_id, self._clock()), feed

    def begin(self, view: View) -> None:
        """The view runs from now on."""
        self._views[view.viewer_id] = view

    def ended(self, viewer_id: str, reason: CloseReason, counters: ViewerCounters) -> None:
        """The view is over, whatever carried it."""
        view = self._views.pop(viewer_id, None)
        if view is not None:
            self._on_ended(view, reason, counters)

    def show_viewer(self, scope: Scope, camera_id: str, viewer_id: str, shown_width_px: int) -> Viewer:
        """The caller's own view is shown larger or smaller. Raises `NotFound` for any other view, `Refused` when the right is gone."""
        viewer = self._own_viewer(scope, camera_id, viewer_id)
        viewer.show(shown_width_px <= SMALL_WIDTH_PX)
        return viewer

    def set_sound(self, scope: Scope, camera_id: str, viewer_id: str, *, on: bool) -> None:
        """Switches the sound of the caller's own view. Raises `NotFound` for any other, `Refused`, and `Conflict` where there is none."""
        viewer = self._own_viewer(scope, camera_id, viewer_id)
        camera = self._rights.camera(camera_id)
        self._rights.require(scope, LISTEN, camera)
        switch_sound(viewer, camera, on=on)

    def update_viewer(self, scope: Scope, camera_id: str, viewer_id: str, etag: str, fragment: str) -> tuple[str, str]:
        """Candidates or an ICE restart of the caller's own view: our fragment (empty for candidates) and the ICE session's name.

        Raises `NotFound` for any other view, `Refused` when the right is gone, `Conflict` for an ended ICE session, `InvalidInput`.
        """
        self._own_viewer(scope, camera_id, viewer_id)
        return update_ice(self._endpoint, viewer_id, etag, fragment)

    def close_viewer(self, scope: Scope, camera_id: str, viewer_id: str) -> None:
        """Ends the caller's own view. Raises `NotFound` for any other."""
        self._own_view(scope, camera_id, viewer_id)
        self._close(viewer_id, CloseReason.CLIENT_LEFT)

    async def snapshot(self, scope: Scope, camera_id: str) -> tuple[Snapshot, datetime]:
        """The newest key picture as JPEG and when it came. Raises `NotFound`, `Refused`, `PurposeRequired`, `Unavailable`."""
        camera = self._rights.camera(camera_id)
        self._rights.require(scope, SNAPSHOT, camera)
        feed = self._feed(camera)
        feed.want()
        try:
            snapshot = await self._snapshots.take(feed.stream)
        except NoPicture as error:
            raise Unavailable(f"a picture of camera {camera.name or camera_id}", str(error)) from error
        age_s = max(0.0, self._endpoint.clock() - snapshot.received_s)
        return snapshot, self._clock() - timedelta(seconds=age_s)

    def list_health(self, scope: Scope) -> list[CameraHealth]:
        """The caller agency's cameras, and those that it may watch under an agreement."""
        found: list[CameraHealth] = []
        for health in self._all_health():
            camera = self._rights.cameras.get(health.camera_id)
            if camera is None:
                continue
            if camera.agency_id == scope.agency_id:
                found.append(health)
                continue
            grant = self._rights.grant(camera, scope.agency_id)
            if grant is not None:
                touched(f"camera:{camera.camera_id}", owner_agency_id=camera.agency_id, agreement_id=grant.agreement_id)
                # who moves it is the owner's own business, and partners hear nothing
                found.append(replace(health, controlled_by="", sound_allowed=False, sound_reason="", sound_cores=0.0))
        return found

    def list_viewers(self, scope: Scope) -> list[tuple[View, LinkFacts]]:
        """Who watches the caller agency's cameras now, partners included, and how well it reaches them."""
        mine = [view for view in self._views.values() if view.owner_agency_id == scope.agency_id]
        return [(view, self._endpoint.link_facts(view.viewer_id)) for view in mine]

    def limited_views(self) -> int:
        """How many views get less than the whole stream."""
        return sum(bool(viewer.link_facts.limited_by) for viewer in self._endpoint.viewers)

    def end_views_without_right(self, concerned: Callable[[View], bool]) -> list[View]:
        """Asks again for every view that `concerned` picks, and ends those that would be refused. Returns the ended."""
        ended, decided = list[View](), dict[object, Decision]()
        for view in [view for view in self._views.values() if concerned(view)]:
            try:
                decision = self._rights.still(view, decided)
            except RtccError as error:
                decision = Decision(False, (), error.message)
            if not decision.allowed:
                _log.info("view %s of camera %s ends: %s", view.viewer_id, view.camera_id, decision.reason)
                gone = self._rights.cameras.get(view.camera_id) is None
                self._close(view.viewer_id, CloseReason.CAMERA_REMOVED if gone else CloseReason.REVOKED)
                ended.append(view)
                continue
            viewer = self._viewer(view.viewer_id)
            if viewer is not None and viewer.hears and not self._rights.still_hears(view):
                _log.info("view %s of camera %s hears no more: its right has ended", view.viewer_id, view.camera_id)
                viewer.set_sound(False)
        return ended

    def end_session(self, session_id: str) -> None:
        """Ends every view of a session that was signed out, ended by somebody else, or locked (R3)."""
        for view in [view for view in self._views.values() if view.scope.session_id == session_id]:
            self._close(view.viewer_id, CloseReason.SESSION_ENDED)

    def measure(self) -> list[CameraHealth]:
        """Takes every camera's health; returns those that somebody must be told of at once."""
        viewers = Tally(view.camera_id for view in self._views.values()) + Tally(self.watched_elsewhere())
        changed: list[CameraHealth] = []
        current: dict[str, CameraHealth] = {}
        for health in self._feeds.measure(dict(viewers)):
            if holder := self.controlled_by(health.camera_id):
                health = replace(health, controlled_by=holder)
            if health.differs(self._health.get(health.camera_id)):
                changed.append(health)
            current[health.camera_id] = health
        self._health = current
        return changed

    def health(self) -> Iterable[CameraHealth]:
        """Every camera that this relay takes, as last measured."""
        return self._health.values()

    def failure(self, camera_id: str) -> str:
        """Why no pictures of the camera can come now; "" while they may."""
        health = self._health.get(camera_id) or self._told.get(camera_id)
        return health.reason if health is not None and health.state is CameraState.FAILED else ""

    def hear_health(self, health: CameraHealth) -> None:
        """What a camera's relay tells of it."""
        camera = self._rights.cameras.get(health.camera_id)
        if camera is not None and camera.enabled:
            self._told[health.camera_id] = health

    def forget_health(self, camera_id: str) -> None:
        """The camera was removed or disabled."""
        self._told.pop(camera_id, None)

    def _all_health(self) -> list[CameraHealth]:
        elsewhere = [health for camera_id, health in self._told.items() if camera_id not in self._health]
        return [*self._health.values(), *elsewhere]

    def still_own(self, scope: Scope, camera_id: str, viewer_id: str) -> None:
        """Raises `NotFound` for any view but the caller's own, `Refused` when the right to it is gone: then it ends."""
        view = self._own_view(scope, camera_id, viewer_id)
        if self.end_views_without_right(lambda known: known is view):
            raise Refused(VIEW_LIVE, "The right to this view has ended.")

    def _own_viewer(self, scope: Scope, camera_id: str, viewer_id: str) -> Viewer:
        """As `still_own`, and `NotFound` for a view that goes by HTTPS."""
        self.still_own(scope, camera_id, viewer_id)
        viewer = self._viewer(viewer_id)
        if viewer is None:
            raise NotFound("WebRTC connection of the view", viewer_id[:80])
        return viewer

    def _viewer(self, viewer_id: str) -> Viewer | None:
        try:
            return self._endpoint.viewer(viewer_id)
        except KeyError:
            return None

    def _own_view(self, scope: Scope, camera_id: str, viewer_id: str) -> View:
        view = self._views.get(viewer_id)
        if view is None or view.camera_id != camera_id or not view.belongs_to(scope):
            raise NotFound("view", viewer_id[:80])
        touched(f"camera:{view.camera_id}", owner_agency_id=view.owner_agency_id, agreement_id=view.agreement_id)
        return view

    def _feed(self, camera: Camera) -> Feed:
        feed = self._feeds.get(camera.camera_id)
        if feed is None:
            why = "it has no stream address: enter one in the camera registry" if not camera.has_stream else "it is not being relayed"
            raise Unavailable(f"live video of camera {camera.name or camera.camera_id}", why)
        if (feed.published and not feed.publishing) or (
            camera.published and not feed.published and not self._placement.sent(camera.camera_id)
        ):
            raise Unavailable(f"live video of camera {camera.name or camera.camera_id}", "its device isn't sending now")
        if reason := self.failure(camera.camera_id):
            feed.retry()
            raise Unavailable(f"live video of camera {camera.name or camera.camera_id}", reason)
        return feed

    def _closed(self, viewer: Viewer, reason: CloseReason) -> None:
        self.ended(viewer.setup.viewer_id, reason, viewer.counters)

    def _close(self, viewer_id: str, reason: CloseReason) -> None:
        if not self._endpoint.close(viewer_id, reason):
            self.close_elsewhere(viewer_id, reason)

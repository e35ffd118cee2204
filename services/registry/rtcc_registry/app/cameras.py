"""The camera inventory: made by hand or imported, ranked for a place, its stream addresses kept inside."""

import asyncio
import hashlib
from collections.abc import Callable
from functools import partial

from rtcc.exchange.v1.exchange_pb2 import SharedAlert
from rtcc.geo.v1 import geo_pb2
from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.access import Access, Resource, touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.directory import Mirror
from rtcc_chassis.errors import Exhausted, InvalidInput, NotFound, Refused
from rtcc_chassis.geometry import coordinate_violations
from rtcc_chassis.scope import Scope
from rtcc_chassis.sharing import camera_grant
from rtcc_registry.app.acting import as_json, copy_of, created_id, new_key, require_agency, same_or_conflict
from rtcc_registry.app.records import AGREEMENT, CAMERA, Store, Work
from rtcc_registry.domain.agreements import stamped, without_camera
from rtcc_registry.domain.camera_import import ImportPlan, Parsed, parse, planned_import
from rtcc_registry.domain.cameras import (
    CONTROL,
    MAIN_STREAM,
    PUBLISH_KEY,
    Ranked,
    addresses_of,
    checked_camera,
    checked_rank_limit,
    in_box,
    pack_addresses,
    rank,
    unpack_addresses,
    without_stream,
)
from rtcc_registry.domain.people import owning_agency

VIDEO = "service:video"


class Cameras:
    """`cameras`, `agreements` and `shared_alerts` are directory mirrors: ranking reads no table."""

    def __init__(
        self,
        store: Store,
        access: Access,
        clock: Clock,
        most: int,
        cameras: Mirror[pb.Camera],
        agreements: Mirror[pb.Agreement],
        shared_alerts: Mirror[SharedAlert],
    ) -> None:
        self._store = store
        self._access = access
        self._clock = clock
        self._most = most
        self._cameras = cameras
        self._agreements = agreements
        self._shared_alerts = shared_alerts

    async def create(self, scope: Scope, camera: pb.Camera) -> pb.Camera:
        camera = checked_camera(camera)
        camera.agency_id = owning_agency(scope, camera.agency_id, "camera.create")
        camera.camera_id = created_id(scope, "camera.create", camera.camera_id)
        camera.enabled = True
        async with self._store.work(scope) as work:
            await self._require_room(work, camera.agency_id, 1)
            stored = without_stream(camera)
            if not await work.insert(CAMERA, stored, secret=pack_addresses(addresses_of(camera, {}))):
                return same_or_conflict(scope, "camera.create", CAMERA, stored, await work.get(CAMERA, camera.camera_id))
        touched(f"camera:{camera.camera_id}", owner_agency_id=camera.agency_id, new_value=as_json(stored))
        return stored

    async def update(self, scope: Scope, camera: pb.Camera) -> pb.Camera:
        """Replaces all but the agency; an empty stream address keeps the stored one."""
        camera = checked_camera(camera)
        async with self._store.work(scope) as work:
            old = await self._own(scope, work, camera.camera_id, "camera.update")
            new = await self._replace(work, old, camera)
        touched(f"camera:{new.camera_id}", owner_agency_id=new.agency_id, old_value=as_json(old), new_value=as_json(new))
        return new

    async def set_publish_key(self, scope: Scope, camera_id: str, *, remove: bool) -> str:
        """A fresh key for the camera's device, of which only the SHA-256 is kept; "" when it was taken away."""
        key = "" if remove else new_key()
        async with self._store.work(scope) as work:
            old = await self._own(scope, work, camera_id, "camera.set_publish_key")
            if not remove and not old.published:
                raise InvalidInput.one("camera_id", "its pictures are pulled: mark the camera as publishing by itself first")
            new = copy_of(old)
            kept = unpack_addresses(await work.secret(CAMERA, camera_id) or "")
            kept.pop(PUBLISH_KEY, None)
            new.ClearField("publish_key_set_at")
            if key:
                kept[PUBLISH_KEY] = hashlib.sha256(key.encode()).hexdigest()
                new.publish_key_set_at.FromDatetime(self._clock())
            await work.set_secret(CAMERA, camera_id, pack_addresses(kept))
            await work.replace(CAMERA, new)
        touched(f"camera:{camera_id}", owner_agency_id=new.agency_id, old_value=as_json(old), new_value=as_json(new))
        return key

    async def delete(self, scope: Scope, camera_id: str) -> None:
        """Gone here and from every agreement that named it, so that a later camera with its id isn't granted by accident."""
        async with self._store.work(scope) as work:
            old = await self._own(scope, work, camera_id, "camera.delete")
            for listed in await work.all(AGREEMENT):
                if camera_id in listed.camera_ids and listed.grantor_agency_id == old.agency_id:
                    await self._withdraw(scope, work, listed.agreement_id, camera_id)
            await work.delete(CAMERA, old)
        touched(f"camera:{camera_id}", owner_agency_id=old.agency_id, old_value=as_json(old))

    async def list_all(self, scope: Scope, box: geo_pb2.BoundingBox | None) -> list[pb.Camera]:
        async with self._store.work(scope) as work:
            cameras = await work.all(CAMERA)
        cameras = [camera for camera in cameras if box is None or in_box(camera, box)]
        touched(*(f"camera:{camera.camera_id}" for camera in cameras))
        return cameras

    async def rank(self, scope: Scope, coordinate: geo_pb2.Coordinate | None, limit: int) -> list[Ranked]:
        """Own cameras and those that an agreement gives the caller's agency at this moment."""
        limit = checked_rank_limit(limit)
        if coordinate is None:
            raise InvalidInput.one("coordinate", "is needed: the place to look at")
        if violations := coordinate_violations(coordinate, "coordinate"):
            raise InvalidInput(violations)
        best = rank(self._within_reach(scope), coordinate, limit, self._grants_of(scope))
        for choice in best:
            touched(f"camera:{choice.camera.camera_id}", owner_agency_id=choice.camera.agency_id, agreement_id=choice.agreement_id)
        return best

    async def stream_addresses(self, scope: Scope, camera_id: str) -> pb.GetCameraStreamResponse:
        """The main stream's address, the further streams with theirs, the SHA-256 of the device's key, where it is moved: for the video
        service.
        """
        if scope.principal_id != VIDEO:
            raise Refused("camera.read_stream", "Only the video service opens streams.")
        async with self._store.work(scope) as work:
            camera = await work.get(CAMERA, camera_id)
            secret = await work.secret(CAMERA, camera_id)
        if camera is None:
            raise NotFound("camera", camera_id)
        touched(f"camera:{camera_id}", owner_agency_id=camera.agency_id)
        addresses = unpack_addresses(secret or "")
        further = [
            pb.CameraStream(stream_id=stream.stream_id, label=stream.label, role=stream.role, stream_url=addresses[stream.stream_id])
            for stream in camera.streams
            if stream.stream_id in addresses
        ]
        return pb.GetCameraStreamResponse(
            stream_url=addresses.get(MAIN_STREAM, ""),
            streams=further,
            publish_key_sha256=addresses.get(PUBLISH_KEY, ""),
            control_url=addresses.get(CONTROL, ""),
        )

    async def import_cameras(
        self, scope: Scope, format_name: str, content: bytes, *, dry_run: bool
    ) -> tuple[int, int, list[pb.ImportProblem]]:
        """(created, updated, problems). Importing the same file again changes nothing: rows meet by id, else by name."""
        agency_id = owning_agency(scope, "", "camera.import")
        # in a thread: 20,000 rows are a second of work, and alerts run in this process
        parsed = await asyncio.to_thread(parse, format_name, content)
        async with self._store.work(scope) as work:
            await require_agency(work, agency_id)
            stored = await work.all(CAMERA)
            room = self._most - len(stored)
            addresses = {camera_id: unpack_addresses(secret) for camera_id, secret in (await work.secrets(CAMERA)).items()}
            plan = planned_import(parsed, agency_id, stored, addresses, room, partial(_imported_id, scope))
            if not dry_run:
                await self._carry_out(work, plan, parsed)
        for camera in (*plan.created, *plan.updated):
            touched(f"camera:{camera.camera_id}", owner_agency_id=agency_id)
        return len(plan.created), len(plan.updated), parsed.listed_problems()

    async def _carry_out(self, work: Work, plan: ImportPlan, parsed: Parsed) -> None:
        if plan.updated:
            await work.replace_many(CAMERA, [(camera, plan.streams.get(camera.camera_id)) for camera in plan.updated])
        if plan.created:
            made = await work.insert_many(CAMERA, [(camera, plan.streams.get(camera.camera_id, "")) for camera in plan.created])
            for camera in [camera for camera in plan.created if camera.camera_id not in made]:
                parsed.problem(plan.row_of[camera.camera_id], "camera_id", "is taken in this installation: choose another")
                plan.created.remove(camera)

    async def _replace(self, work: Work, old: pb.Camera, camera: pb.Camera) -> pb.Camera:
        new = without_stream(camera)
        new.agency_id = old.agency_id
        stored = unpack_addresses(await work.secret(CAMERA, old.camera_id) or "")
        addresses = addresses_of(camera, stored)
        new.has_stream = new.published or MAIN_STREAM in addresses
        new.movable = CONTROL in addresses
        if new.published and old.HasField("publish_key_set_at"):
            new.publish_key_set_at.CopyFrom(old.publish_key_set_at)
        if addresses != stored:
            await work.set_secret(CAMERA, new.camera_id, pack_addresses(addresses))
        await work.replace(CAMERA, new)
        return new

    async def _own(self, scope: Scope, work: Work, camera_id: str, action: str) -> pb.Camera:
        camera = await work.get(CAMERA, camera_id, lock=True)
        if camera is None:
            raise NotFound("camera", camera_id)
        self._access.require(scope, action, Resource("camera", camera_id, camera.agency_id))
        return camera

    async def _withdraw(self, scope: Scope, work: Work, agreement_id: str, camera_id: str) -> None:
        old = await work.get(AGREEMENT, agreement_id, lock=True)
        if old is None or camera_id not in old.camera_ids:
            return
        new = stamped(without_camera(old, camera_id), scope.principal_id, self._clock())
        await work.replace(AGREEMENT, new)
        await work.add_change(old, new)
        touched(f"agreement:{agreement_id}", owner_agency_id=old.grantor_agency_id, told_agency_ids=(old.grantee_agency_id,))

    async def _require_room(self, work: Work, agency_id: str, wanted: int) -> None:
        await require_agency(work, agency_id)
        if await work.count_of_agency(CAMERA, agency_id) + wanted > self._most:
            raise Exhausted(f"the number of cameras of {agency_id}", self._most)

    def _within_reach(self, scope: Scope) -> list[pb.Camera]:
        """Own cameras and those that agreements with the caller's agency name, granted now or not."""
        named = {
            camera_id
            for agreement in self._agreements.values()
            if agreement.grantee_agency_id == scope.agency_id
            for camera_id in agreement.camera_ids
        }
        partners = [camera for camera_id in named if (camera := self._cameras.get(camera_id)) is not None]
        return [*self._cameras.of_agency(scope.agency_id), *partners]

    def _grants_of(self, scope: Scope) -> Callable[[pb.Camera], str | None]:
        agreements = [agreement for agreement in self._agreements.values() if agreement.grantee_agency_id == scope.agency_id]
        open_agreements = frozenset(shared.agreement_id for shared in self._shared_alerts.values())
        now = self._clock()

        def granted_by(camera: pb.Camera) -> str | None:
            if camera.agency_id == scope.agency_id:
                return ""
            grant = camera_grant(agreements, camera, scope.agency_id, now, open_agreements)
            return grant.agreement_id if grant is not None else None

        return granted_by


def _imported_id(scope: Scope, name: str) -> str:
    """Without an id in the file, a repeat of the same call meets its first try by name."""
    return created_id(scope, f"camera.import/{name.casefold()}", "")

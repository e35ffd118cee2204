"""Every source that is switched on gets its MQTT login on this machine: its id as user, its secret as password."""

import asyncio
import logging
from typing import Any

import grpc

from rtcc.registry.v1.registry_pb2 import Agency, GetSourceSecretRequest, Source
from rtcc.registry.v1.registry_pb2_grpc import RegistryServiceStub
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.directory import Mirror
from rtcc_chassis.runner import Serve
from rtcc_chassis.scope import Scope
from rtcc_chassis.settings import read
from rtcc_standalone.folder import DataFolder, write_json
from rtcc_standalone.host_settings import HostSettings

_LOG = logging.getLogger(__name__)
_FETCHED = "gtfs_realtime"
_AGAIN_S = 1.0


def following_sources(serve: Serve) -> Serve:
    """`serve` of intake, which alone may ask for secrets, with the follower beside it. The supervisor tells nats-server."""

    async def serve_and_follow(context: ServiceContext) -> None:
        follower = SourceFollower(context, DataFolder(read(HostSettings, "standalone").data))
        context.lifecycle.spawn(follower.run(), "mqtt logins")
        await serve(context)

    return serve_and_follow


class SourceFollower:
    """Without its file a login is gone, and its connection is cut at the next reload."""

    def __init__(self, context: ServiceContext, folder: DataFolder) -> None:
        self._context = context
        self._folder = folder
        self._sources: Mirror[Source] = context.directory.mirror("source", Source)
        self._agencies: Mirror[Agency] = context.directory.mirror("agency", Agency)
        self._due: set[str] = set()
        self._wake = asyncio.Event()
        self._sources.on_change(lambda source_id, _old, _new: self._mark(source_id))
        self._agencies.on_change(lambda agency_id, _old, _new: self._mark(*(one.source_id for one in self._sources.of_agency(agency_id))))

    def _mark(self, *source_ids: str) -> None:
        self._due.update(source_ids)
        self._wake.set()

    async def run(self) -> None:
        """For ever. What can't be settled now is tried again a second later."""
        await self._sources.ready()
        self._mark(*(source.source_id for source in self._sources), *(path.stem for path in self._folder.sources.glob("*.json")))
        while True:
            await self._wake.wait()
            self._wake.clear()
            for source_id in sorted(self._due):
                try:
                    await self._settle(source_id)
                    self._due.discard(source_id)
                except grpc.RpcError as error:
                    _LOG.info("the MQTT login of source %s waits: %s", source_id, error)
            if self._due:
                await asyncio.sleep(_AGAIN_S)
                self._wake.set()

    async def _settle(self, source_id: str) -> None:
        path = self._folder.sources / f"{source_id}.json"
        source = self._sources.get(source_id)
        agency = self._agencies.get(source.agency_id) if source is not None else None
        if source is None or not source.enabled or source.adapter == _FETCHED or (agency is not None and not agency.enabled):
            path.unlink(missing_ok=True)
            return
        if path.is_file():
            return
        stub: Any = self._context.channels.stub("registry", RegistryServiceStub)
        metadata = self._context.tokens.metadata(Scope.service("intake", source.agency_id))
        answer = await stub.GetSourceSecret(GetSourceSecretRequest(source_id=source_id), metadata=metadata, timeout=10)
        if answer.secret:
            write_json(path, {"agency_id": source.agency_id, "password": answer.secret})

"""Machines that sign what they send: who they are from the directory's mirror, their secrets from the registry, kept for a while."""

import time
from dataclasses import dataclass
from typing import Any

import grpc

from rtcc.registry.v1.registry_pb2 import Agency, GetSourceSecretRequest, Source
from rtcc.registry.v1.registry_pb2_grpc import RegistryServiceStub
from rtcc_chassis.directory import Directory
from rtcc_chassis.errors import NotFound, Unavailable, from_rpc
from rtcc_chassis.rpc import Channels
from rtcc_chassis.scope import Scope
from rtcc_chassis.tokens import TokenIssuer

# a wrong signature may mean a changed secret, but it may not make us ask the registry for every wrong signature
_ASK_AGAIN_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class RegisteredSource:
    """What the registry says about a sender."""

    source_id: str
    agency_id: str
    adapter: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class _KeptSecret:
    secret: str
    asked_at_s: float


class RegistrySources:
    """`service`: in whose name the registry is asked; it must be one that may read secrets."""

    def __init__(self, directory: Directory, channels: Channels, tokens: TokenIssuer, service: str, lifetime_s: float) -> None:
        self._sources = directory.mirror("source", Source)
        self._agencies = directory.mirror("agency", Agency)
        self._channels = channels
        self._tokens = tokens
        self._service = service
        self._lifetime_s = lifetime_s
        self._secrets: dict[str, _KeptSecret] = {}
        self._sources.on_change(self._forget)

    async def ready(self) -> None:
        await self._sources.ready()

    def with_adapter(self, adapter: str) -> list[RegisteredSource]:
        """Every source that speaks so, of all agencies."""
        chosen = (self.get(source.source_id) for source in self._sources if source.adapter == adapter)
        return [source for source in chosen if source is not None]

    def get(self, source_id: str) -> RegisteredSource | None:
        source = self._sources.get(source_id)
        if source is None:
            return None
        agency = self._agencies.get(source.agency_id)
        enabled = source.enabled and (agency is None or agency.enabled)
        return RegisteredSource(source.source_id, source.agency_id, source.adapter, enabled)

    async def secret(self, source: RegisteredSource, *, newest: bool) -> str | None:
        """The signing secret. `newest`: ask the registry again unless it was asked a moment ago; None: no other than before."""
        kept = self._secrets.get(source.source_id)
        age_s = time.monotonic() - kept.asked_at_s if kept else float("inf")
        if kept is not None and age_s < self._lifetime_s and not newest:
            return kept.secret
        if newest and age_s < _ASK_AGAIN_AFTER_S:
            return None
        try:
            secret = await self._ask(source)
        except Unavailable:
            # a disabled source is known from the directory; a secret that is a little old is better than refusing every device
            if kept is None or newest:
                raise
            return kept.secret
        self._secrets[source.source_id] = _KeptSecret(secret, time.monotonic())
        return secret or None

    async def _ask(self, source: RegisteredSource) -> str:
        stub: Any = self._channels.stub("registry", RegistryServiceStub)
        metadata = self._tokens.metadata(Scope.service(self._service, source.agency_id))
        try:
            answer = await stub.GetSourceSecret(GetSourceSecretRequest(source_id=source.source_id), metadata=metadata)
        except grpc.RpcError as error:
            mapped = from_rpc(error)
            if isinstance(mapped, NotFound):
                return ""
            raise mapped from error
        return str(answer.secret)

    def _forget(self, source_id: str, old: Source | None, new: Source | None) -> None:
        self._secrets.pop(source_id, None)

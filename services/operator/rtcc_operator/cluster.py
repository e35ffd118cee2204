"""The Kubernetes API through the official client (`kubernetes.aio`), for one namespace."""

import base64
import hashlib
import logging
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import aiohttp
from kubernetes.aio import client, config, watch
from kubernetes.aio.client.exceptions import ApiException

from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import Refused, RtccError, Unavailable
from rtcc_chassis.settings import InvalidSetting
from rtcc_operator.app.ports import Absent, Change, LeaseRecord, Outdated, Resource, WatchExpired
from rtcc_operator.domain.resources import GROUP, KINDS, VERSION, Meta
from rtcc_operator.settings import OperatorSettings

_LOG = logging.getLogger(__name__)
_TIMEOUT_S = 15.0
_PAGE = 500
_COMPONENT = "rtcc-operator"
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def own_namespace(path: Path = _NAMESPACE_FILE) -> str:
    """Of the pod that we run in. Raises InvalidSetting outside of one."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidSetting("RTCC_OPERATOR_NAMESPACE", f"it isn't set and {path} can't be read: {error.strerror}") from error


async def connect(settings: OperatorSettings) -> client.ApiClient:
    """With the pod's service account, or a kubeconfig."""
    configuration = client.Configuration()
    if settings.kubeconfig:
        await config.load_kube_config(config_file=settings.kubeconfig, client_configuration=configuration)
    else:
        config.load_incluster_config(client_configuration=configuration)
    return client.ApiClient(configuration)


class KubernetesCluster:
    """Every write names the resourceVersion that it is based on, so that two writers can't undo each other."""

    def __init__(self, api: client.ApiClient, settings: OperatorSettings, clock: Clock) -> None:
        self._objects = client.CustomObjectsApi(api)
        self._core = client.CoreV1Api(api)
        self._leases = client.CoordinationV1Api(api)
        self._namespace = settings.namespace
        self._watch_timeout_s = settings.watch_timeout_s
        self._clock = clock

    def _named(self, plural: str) -> dict[str, Any]:
        return {"group": GROUP, "version": VERSION, "namespace": self._namespace, "plural": plural}

    async def list_all(self, plural: str) -> tuple[list[Resource], str]:
        found: list[Resource] = []
        page: str | None = None
        with _mapped(f"listing {plural}"):
            while True:
                more: dict[str, Any] = {"_continue": page} if page else {}
                answer = await self._objects.list_namespaced_custom_object(
                    **self._named(plural), limit=_PAGE, _request_timeout=_TIMEOUT_S, **more
                )
                found.extend(answer["items"])
                page = answer["metadata"].get("continue")
                if not page:
                    return found, str(answer["metadata"]["resourceVersion"])

    async def watch(self, plural: str, resource_version: str) -> AsyncIterator[Change]:
        # the client's own watch asks again at an expired place and passes over what was missed, unless the server ends it in time
        watching = watch.Watch()
        try:
            with _mapped(f"watching {plural}", gone=WatchExpired):
                async for event in watching.stream(
                    self._objects.list_namespaced_custom_object,
                    **self._named(plural),
                    resource_version=resource_version,
                    allow_watch_bookmarks=True,
                    timeout_seconds=self._watch_timeout_s,
                    _request_timeout=self._watch_timeout_s + _TIMEOUT_S,
                ):
                    resource = event["raw_object"]
                    version = str((resource.get("metadata") or {}).get("resourceVersion", ""))
                    yield Change(event["type"], resource, version)
        finally:
            await watching.close()

    async def get(self, plural: str, name: str) -> Resource:
        with _mapped(f"{KINDS[plural]} {name}"):
            found: Resource = await self._objects.get_namespaced_custom_object(
                **self._named(plural), name=name, _request_timeout=_TIMEOUT_S
            )
            return found

    async def set_finalizers(self, plural: str, resource: Resource, finalizers: Sequence[str]) -> Resource:
        changed = {**resource, "metadata": {**resource["metadata"], "finalizers": list(finalizers)}}
        meta = Meta.of(resource)
        with _mapped(f"{KINDS[plural]} {meta.name}"):
            stored: Resource = await self._objects.replace_namespaced_custom_object(
                **self._named(plural), name=meta.name, body=changed, _request_timeout=_TIMEOUT_S
            )
            return stored

    async def set_status(self, plural: str, resource: Resource, status: Mapping[str, Any]) -> Resource:
        meta = Meta.of(resource)
        with _mapped(f"the status of {KINDS[plural]} {meta.name}"):
            stored: Resource = await self._objects.replace_namespaced_custom_object_status(
                **self._named(plural), name=meta.name, body={**resource, "status": dict(status)}, _request_timeout=_TIMEOUT_S
            )
            return stored

    async def secret(self, name: str) -> dict[str, str] | None:
        try:
            with _mapped(f"the Secret {name}"):
                found = await self._core.read_namespaced_secret(name, self._namespace, _request_timeout=_TIMEOUT_S)
        except Absent:
            return None
        return {key: base64.b64decode(value).decode() for key, value in (found.data or {}).items()}

    async def create_secret(self, name: str, data: Mapping[str, str], labels: Mapping[str, str]) -> None:
        body = client.V1Secret(
            metadata=client.V1ObjectMeta(name=name, labels=dict(labels)),
            type="Opaque",
            data={key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
        )
        with _mapped(f"the Secret {name}"):
            await self._core.create_namespaced_secret(self._namespace, body, _request_timeout=_TIMEOUT_S)

    async def tell(self, meta: Meta, kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """An event that can't be stored is only logged: it is news, not state."""
        digest = hashlib.sha256(f"{meta.uid}/{kind}/{reason}/{message}".encode()).hexdigest()[:16]
        name, now = f"{meta.name[:200]}.{digest}", self._clock()
        try:
            with _mapped("events"):
                await self._core.create_namespaced_event(
                    self._namespace, self._event(name, meta, kind, reason, message, now), _request_timeout=_TIMEOUT_S
                )
        except Outdated:
            await self._told_again(name, now)
        except RtccError as error:
            _LOG.warning("an event of %s could not be stored: %s", meta.name, error.message)

    def _event(self, name: str, meta: Meta, kind: str, reason: str, message: str, now: datetime) -> client.CoreV1Event:
        return client.CoreV1Event(
            metadata=client.V1ObjectMeta(name=name, namespace=self._namespace),
            involved_object=client.V1ObjectReference(
                api_version=f"{GROUP}/{VERSION}",
                kind=meta.kind,
                name=meta.name,
                namespace=meta.namespace,
                uid=meta.uid,
                resource_version=meta.resource_version,
            ),
            type=kind,
            reason=reason,
            message=message[:1024],
            count=1,
            first_timestamp=now,
            last_timestamp=now,
            source=client.V1EventSource(component=_COMPONENT, host=socket.gethostname()),
            reporting_component=_COMPONENT,
            reporting_instance=socket.gethostname(),
        )

    async def _told_again(self, name: str, now: datetime) -> None:
        try:
            with _mapped("events"):
                event = await self._core.read_namespaced_event(name, self._namespace, _request_timeout=_TIMEOUT_S)
                event.count, event.last_timestamp = (event.count or 1) + 1, now
                await self._core.replace_namespaced_event(name, self._namespace, event, _request_timeout=_TIMEOUT_S)
        except RtccError as error:
            _LOG.info("the event %s was not counted: %s", name, error.message)

    async def lease(self, name: str) -> LeaseRecord | None:
        try:
            with _mapped(f"the Lease {name}"):
                return _record(await self._leases.read_namespaced_lease(name, self._namespace, _request_timeout=_TIMEOUT_S))
        except Absent:
            return None

    async def put_lease(self, name: str, record: LeaseRecord) -> LeaseRecord:
        body = client.V1Lease(
            metadata=client.V1ObjectMeta(name=name, resource_version=record.version or None),
            spec=client.V1LeaseSpec(
                # none is said by leaving it out
                holder_identity=record.holder or None,
                lease_duration_seconds=max(1, round(record.duration_s)),
                acquire_time=record.acquired_at,
                renew_time=record.renewed_at,
                lease_transitions=record.transitions,
            ),
        )
        with _mapped(f"the Lease {name}"):
            if record.version:
                return _record(await self._leases.replace_namespaced_lease(name, self._namespace, body, _request_timeout=_TIMEOUT_S))
            return _record(await self._leases.create_namespaced_lease(self._namespace, body, _request_timeout=_TIMEOUT_S))


def _record(lease: client.V1Lease) -> LeaseRecord:
    spec = lease.spec
    return LeaseRecord(
        holder=spec.holder_identity or "",
        duration_s=float(spec.lease_duration_seconds or 1),
        acquired_at=_utc(spec.acquire_time),
        renewed_at=_utc(spec.renew_time),
        transitions=spec.lease_transitions or 0,
        version=lease.metadata.resource_version or "",
    )


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment is not None else None


@contextmanager
def _mapped(what: str, gone: type[RtccError] = Unavailable) -> Any:
    """Answers of the API server as our errors."""
    try:
        yield
    except ApiException as error:
        text = f"{what}: {error.status} {error.reason}"
        if error.status == 404:
            raise Absent(f"{text}.") from error
        if error.status == 409:
            raise Outdated(f"{text}.") from error
        if error.status == 410:
            raise gone(f"{text}.") from error
        if error.status in (401, 403):
            raise Refused(what, "The controller's Role doesn't include it: compare with the chart's.") from error
        raise Unavailable(what, f"the API server answered {error.status} {error.reason}") from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unavailable(what, f"the API server can't be reached ({type(error).__name__})") from error

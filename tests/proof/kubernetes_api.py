"""A small Kubernetes API server for tests: what a controller leans on, as the real one does it.

Optimistic concurrency by resourceVersion (409), generation, the status subresource, finalizers and deletionTimestamp, list with pages,
watch with bookmarks, resume and 410 Gone, structural schemas (pruning, defaults, validation: 422), bearer tokens (401). It holds what
API conventions and "Kubernetes API Concepts" say; it is no etcd, has no admission, no RBAC and no server-side apply.
"""

import asyncio
import copy
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from proof.structural import admitted

Object = dict[str, Any]
_CRDS = Path(__file__).parents[2] / "charts" / "operator" / "crds"
TOKEN = "the-controllers-token"


def custom_resources() -> dict[str, Object]:
    """Our CustomResourceDefinitions by plural name."""
    found = (yaml.safe_load(path.read_text()) for path in sorted(_CRDS.glob("*.yaml")))
    return {crd["spec"]["names"]["plural"]: crd for crd in found}


class StatusError(Exception):
    """A metav1.Status as an answer."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        self.code = code
        self.body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason, "code": code}
        self.body["message"] = message
        super().__init__(message)


class KubernetesApi:
    """Objects by (plural, name) of one namespace; `log` is what watches read."""

    def __init__(self, namespace: str = "rtcc") -> None:
        self.namespace = namespace
        self.objects: dict[tuple[str, str], Object] = {}
        self.log: list[tuple[int, str, str, Object]] = []
        self.version = 1000
        self.compacted = 0
        self.watches: list[str] = []
        self.watch_connections: set[asyncio.Task[Any]] = set()
        self.calls: list[tuple[str, str]] = []
        # (method, plural) -> statuses that the next such calls get instead
        self.failing: dict[tuple[str, str], list[int]] = {}
        self._schemas = {plural: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for plural, crd in custom_resources().items()}
        self._kinds = {plural: crd["spec"]["names"]["kind"] for plural, crd in custom_resources().items()}
        self._more = asyncio.Condition()
        self.url = ""

    # what a person with kubectl does

    async def apply(self, manifest: Object) -> Object:
        """Create, or replace the spec and annotations of what is there."""
        plural = next(plural for plural, kind in self._kinds.items() if kind == manifest["kind"])
        key = (plural, manifest["metadata"]["name"])
        if key not in self.objects:
            return await self._create(plural, manifest)
        body = copy.deepcopy(self.objects[key])
        body["spec"] = manifest["spec"]
        body["metadata"]["annotations"] = manifest["metadata"].get("annotations", {})
        return await self._replace(plural, key[1], body, status=False)

    async def remove(self, plural: str, name: str) -> None:
        await self._delete(plural, name)

    def get(self, plural: str, name: str) -> Object | None:
        return self.objects.get((plural, name))

    def condition(self, plural: str, name: str, type_: str = "Ready") -> Object:
        """A status condition; empty while there is none."""
        conditions = ((self.get(plural, name) or {}).get("status") or {}).get("conditions", [])
        return next((entry for entry in conditions if entry["type"] == type_), {})

    def events(self, name: str) -> list[Object]:
        return [event for (plural, _), event in self.objects.items() if plural == "events" and event["involvedObject"]["name"] == name]

    async def compact(self) -> None:
        """Forget history: whoever watches from before gets 410 Gone."""
        self.version += 1
        self.compacted = self.version
        self.log.clear()

    def cut_watches(self) -> None:
        """As a restarting API server or load balancer does."""
        for task in list(self.watch_connections):
            task.cancel()

    # storage

    async def _store(self, plural: str, stored: Object, type_: str) -> Object:
        self.version += 1
        stored["metadata"]["resourceVersion"] = str(self.version)
        key = (plural, stored["metadata"]["name"])
        if type_ == "DELETED":
            self.objects.pop(key, None)
        else:
            self.objects[key] = stored
        self.log.append((self.version, plural, type_, copy.deepcopy(stored)))
        async with self._more:
            self._more.notify_all()
        return copy.deepcopy(stored)

    async def _create(self, plural: str, body: Object) -> Object:
        name = body["metadata"]["name"]
        if (plural, name) in self.objects:
            raise StatusError(409, "AlreadyExists", f'{plural} "{name}" already exists')
        stored = copy.deepcopy(body)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        stored["metadata"] |= {"uid": str(uuid.uuid4()), "namespace": self.namespace, "creationTimestamp": now}
        if plural in self._schemas:
            stored.pop("status", None)
            stored["metadata"]["generation"] = 1
            stored = self._checked(plural, stored)
        return await self._store(plural, stored, "ADDED")

    def _checked(self, plural: str, stored: Object) -> Object:
        tidy, problems = admitted(self._schemas[plural], stored)
        if problems:
            raise StatusError(422, "Invalid", "; ".join(problems))
        return tidy

    def _found(self, plural: str, name: str) -> Object:
        if (plural, name) not in self.objects:
            raise StatusError(404, "NotFound", f'{plural} "{name}" not found')
        return self.objects[plural, name]

    async def _replace(self, plural: str, name: str, body: Object, *, status: bool) -> Object:
        old = self._found(plural, name)
        wanted_version = body["metadata"].get("resourceVersion")
        if wanted_version and wanted_version != old["metadata"]["resourceVersion"]:
            raise StatusError(409, "Conflict", f"the object has been modified: {plural} {name}")
        new = _with_status(old, body) if status else _with_content(old, body)
        if plural in self._schemas:
            if not status:
                new.pop("status", None)
                if "status" in old:
                    new["status"] = copy.deepcopy(old["status"])
            new = self._checked(plural, new)
            if new.get("spec") != old.get("spec"):
                new["metadata"]["generation"] = old["metadata"]["generation"] + 1
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            return await self._store(plural, new, "DELETED")
        if _stripped(new) == _stripped(old):
            return copy.deepcopy(old)
        return await self._store(plural, new, "MODIFIED")

    async def _delete(self, plural: str, name: str) -> Object:
        stored = copy.deepcopy(self._found(plural, name))
        if not stored["metadata"].get("finalizers"):
            return await self._store(plural, stored, "DELETED")
        if not stored["metadata"].get("deletionTimestamp"):
            stored["metadata"]["deletionTimestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            stored["metadata"]["deletionGracePeriodSeconds"] = 0
            stored["metadata"]["generation"] = stored["metadata"].get("generation", 0) + 1
            await self._store(plural, stored, "MODIFIED")
        return stored

    # HTTP

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response(StatusError(401, "Unauthorized", "Unauthorized").body, status=401)
        plural, name, part = request.match_info["plural"], request.match_info.get("name"), request.match_info.get("part")
        self.calls.append((request.method, f"{plural}/{part}" if part else plural))
        try:
            if request.match_info["namespace"] != self.namespace:
                raise StatusError(403, "Forbidden", f"cannot access {plural} in the namespace {request.match_info['namespace']!r}")
            if failures := self.failing.get((request.method, plural)):
                raise StatusError(failures.pop(0), "InternalError", "told to fail")
            return await self._answer(request, plural, name, part)
        except StatusError as error:
            return web.json_response(error.body, status=error.code)

    async def _answer(self, request: web.Request, plural: str, name: str | None, part: str | None) -> web.StreamResponse:
        if name is None and request.method == "GET":
            if request.query.get("watch") in ("true", "True", "1"):
                return await self._watch(request, plural)
            return web.json_response(self._list(plural, request))
        if name is None:
            return web.json_response(await self._create(plural, await request.json()), status=201)
        if request.method == "GET":
            return web.json_response(self._found(plural, name))
        if request.method == "PUT":
            if part not in (None, "status") or (part and plural not in self._schemas):
                raise StatusError(404, "NotFound", "no such subresource")
            return web.json_response(await self._replace(plural, name, await request.json(), status=part == "status"))
        if request.method == "DELETE":
            return web.json_response(await self._delete(plural, name))
        raise StatusError(405, "MethodNotAllowed", request.method)

    def _list(self, plural: str, request: web.Request) -> Object:
        items = [item for (kind, _), item in sorted(self.objects.items(), key=lambda entry: entry[0]) if kind == plural]
        start, limit = int(request.query.get("continue", "0")), int(request.query.get("limit", "0"))
        page = items[start : start + limit] if limit else items
        meta: Object = {"resourceVersion": str(self.version)}
        if limit and start + limit < len(items):
            meta |= {"continue": str(start + limit), "remainingItemCount": len(items) - start - limit}
        kind = self._kinds.get(plural, plural.capitalize())
        return {"apiVersion": "v1", "kind": f"{kind}List", "metadata": meta, "items": copy.deepcopy(page)}

    async def _watch(self, request: web.Request, plural: str) -> web.StreamResponse:
        since = int(request.query.get("resourceVersion") or self.version)
        self.watches.append(f"{plural}@{since}")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)

        async def send(type_: str, item: Object) -> None:
            await response.write(json.dumps({"type": type_, "object": item}).encode() + b"\n")

        if since < self.compacted:
            await send("ERROR", StatusError(410, "Expired", f"too old resource version: {since} ({self.compacted})").body)
            return response
        task = asyncio.current_task()
        assert task is not None
        self.watch_connections.add(task)
        try:
            async with asyncio.timeout(float(request.query.get("timeoutSeconds", "60"))):
                while True:
                    for version, kind, type_, item in list(self.log):
                        if kind == plural and version > since:
                            await send(type_, item)
                    since = max(since, self.version)
                    async with self._more:
                        await self._more.wait_for(lambda since=since: self.version > since)  # type: ignore[misc] # the round's own
        except TimeoutError:
            await send("BOOKMARK", {"kind": self._kinds.get(plural, ""), "metadata": {"resourceVersion": str(self.version)}})
        except asyncio.CancelledError:
            if request.transport is not None:
                request.transport.close()
        finally:
            self.watch_connections.discard(task)
        return response


def _with_status(old: Object, body: Object) -> Object:
    """The status subresource: nothing else changes."""
    return {**copy.deepcopy(old), "status": copy.deepcopy(body.get("status", {}))}


def _with_content(old: Object, body: Object) -> Object:
    new = copy.deepcopy(body)
    new["metadata"] = copy.deepcopy(old["metadata"])
    for name in ("annotations", "labels", "finalizers"):
        new["metadata"][name] = body["metadata"].get(name) or ([] if name == "finalizers" else {})
    added = set(new["metadata"]["finalizers"]) - set(old["metadata"].get("finalizers", []))
    if old["metadata"].get("deletionTimestamp") and added:
        text = "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted"
        raise StatusError(422, "Invalid", text)
    return new


def _stripped(item: Object) -> Object:
    meta = {key: value for key, value in item["metadata"].items() if key != "resourceVersion" and value not in ({}, [])}
    return {**item, "metadata": meta}


@asynccontextmanager
async def kubernetes_api(folder: Path) -> AsyncIterator[KubernetesApi]:
    """Runs it on a free port; `folder` gets a kubeconfig."""
    api = KubernetesApi()
    app = web.Application()
    base = "/namespaces/{namespace}/{plural}"
    for prefix in ("/apis/openrtcc.org/v1alpha1", "/apis/coordination.k8s.io/v1", "/api/v1"):
        for path in (base, base + "/{name}", base + "/{name}/{part}"):
            app.router.add_route("*", prefix + path, api.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": api.url}}],
        "users": [{"name": "test", "user": {"token": TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": api.namespace}}],
    }  # fmt: skip
    (folder / "kubeconfig").write_text(json.dumps(config))
    try:
        yield api
    finally:
        api.cut_watches()
        await runner.cleanup()

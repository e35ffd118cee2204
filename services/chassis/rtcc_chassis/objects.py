"""Objects in any S3: one bucket an agency, capabilities checked at start. The client is synchronous and lives in threads."""

import asyncio
import contextlib
import hashlib
import io
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import urllib3
from minio import Minio
from minio.credentials.credentials import Credentials
from minio.error import MinioException, S3Error
from minio.helpers import DictType

from rtcc_chassis.errors import NotFound, Refused, RtccError, Unavailable
from rtcc_chassis.scope import EVERY_AGENCY, Scope
from rtcc_chassis.settings import ChassisSettings

_LOG = logging.getLogger(__name__)
_HASH = "x-amz-content-sha256"
_MISSING = {"NoSuchKey", "NoSuchBucket", "NoSuchObject"}


class UnfitObjectStore(RtccError):
    """This S3 can't do what the platform relies on."""

    def __init__(self, missing: str) -> None:
        self.what = missing
        super().__init__(f"The object store can't do {missing}: use SeaweedFS, MinIO, Ceph, Garage or a cloud's S3.")


class _Client(Minio):
    """minio with a body's hash given by the caller, who has it anyway: minio hashes each body anew to sign it, and with MD5 behind TLS.

    It is signed instead, so that a store that compares (AWS, MinIO; SeaweedFS doesn't) refuses other bytes, behind TLS, too.
    """

    def put_hashed(self, bucket: str, key: str, data: bytes, content_type: str, sha256: str) -> None:
        """One request, whatever the size; at most 5 GiB as S3 says."""
        self._put_object(bucket, key, data, headers={"Content-Type": content_type, _HASH: sha256})

    def _build_headers(
        self, host: str, headers: DictType | None = None, body: bytes | None = None, creds: Credentials | None = None
    ) -> tuple[DictType, datetime]:
        given = headers.get(_HASH) if headers else None
        if given is None or body is None:
            return super()._build_headers(host, headers, body, creds)
        built, date = super()._build_headers(host, headers, None, creds)
        built.pop("Content-MD5", None)
        built |= {"Content-Length": str(len(body)), _HASH: given}
        return built, date


class Objects:
    """Get and put by scope: an agency reads and writes its own bucket alone."""

    def __init__(self, client: _Client, bucket_prefix: str) -> None:
        self._client = client
        self._prefix = bucket_prefix
        self._buckets: set[str] = set()
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="objects")

    @classmethod
    def connect(cls, settings: ChassisSettings) -> "Objects":
        pool = urllib3.PoolManager(
            maxsize=8,
            retries=urllib3.Retry(total=2, backoff_factor=0.2),
            timeout=urllib3.Timeout(connect=2, read=20),
            ca_certs=settings.s3_authority or None,
        )
        client = _Client(
            settings.s3_endpoint,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key,
            secure=settings.s3_secure,
            http_client=pool,
        )
        return cls(client, settings.s3_bucket_prefix)

    async def put(self, scope: Scope, agency_id: str, key: str, data: bytes, content_type: str, sha256: str = "") -> str:
        """Store; the answer is the SHA-256 of the data in lower-case hex. The same key with the same data is the same object.

        `sha256`: the same, from a caller who has it already.
        """
        self._guard(scope, agency_id)
        bucket = self._prefix + agency_id
        await self._ensure_bucket(bucket)

        def store() -> str:
            digest = sha256 or hashlib.sha256(data).hexdigest()
            self._client.put_hashed(bucket, key, data, content_type, digest)
            return digest

        digest: str = await self._call(store)
        return digest

    async def get(self, scope: Scope, agency_id: str, key: str) -> bytes:
        """The whole object; NotFound when it isn't there."""
        self._guard(scope, agency_id)

        def read() -> bytes:
            response = self._client.get_object(self._prefix + agency_id, key)
            try:
                return bytes(response.read())
            finally:
                response.close()
                response.release_conn()

        data: bytes = await self._call(read, key)
        return data

    async def get_range(self, scope: Scope, agency_id: str, key: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; NotFound when it isn't there."""
        self._guard(scope, agency_id)

        def read() -> bytes:
            response = self._client.get_object(self._prefix + agency_id, key, offset=offset, length=length)
            try:
                return bytes(response.read())
            finally:
                response.close()
                response.release_conn()

        data: bytes = await self._call(read, key)
        return data

    async def put_file(self, scope: Scope, agency_id: str, key: str, path: Path, content_type: str) -> None:
        """Store a file of any size, in parts, without having it in memory."""
        self._guard(scope, agency_id)
        bucket = self._prefix + agency_id
        await self._ensure_bucket(bucket)
        await self._call(lambda: self._client.fput_object(bucket, key, str(path), content_type=content_type))

    async def remove(self, scope: Scope, agency_id: str, key: str) -> None:
        """Delete; nothing happens when it isn't there."""
        self._guard(scope, agency_id)
        await self._call(lambda: self._client.remove_object(self._prefix + agency_id, key), key)

    async def delete(self, scope: Scope, agency_id: str, key: str) -> None:
        """Gone for good; absent is fine."""
        self._guard(scope, agency_id)
        with contextlib.suppress(NotFound):
            await self._call(lambda: self._client.remove_object(self._prefix + agency_id, key), key)

    async def check_at_start(self) -> None:
        """Wait until the store answers, then check it once; spawn it. Raises UnfitObjectStore."""
        while True:
            try:
                await self.check_capabilities()
                return
            except Unavailable as error:
                _LOG.warning("the object store can't be checked yet: %s", error)
                await asyncio.sleep(2)

    async def check_capabilities(self) -> None:
        """What we rely on works on this S3: put, ranged get, list, delete. Raises UnfitObjectStore, or Unavailable when it is away."""
        bucket, key = f"{self._prefix}probe", "capability"
        await self._ensure_bucket(bucket)

        def probe() -> str:
            self._client.put_object(bucket, key, io.BytesIO(b"0123456789"), 10)
            response = self._client.get_object(bucket, key, offset=2, length=3)
            ranged = response.read() == b"234"
            response.close()
            response.release_conn()
            listed = any(item.object_name == key for item in self._client.list_objects(bucket))
            self._client.remove_object(bucket, key)
            return "" if ranged and listed else "listing" if ranged else "ranged reads"

        missing = await self._call(probe)
        if missing:
            raise UnfitObjectStore(missing)

    def _guard(self, scope: Scope, agency_id: str) -> None:
        if scope.agency_id not in (agency_id, EVERY_AGENCY):
            raise Refused("object access", f"The object belongs to {agency_id}.")

    async def _ensure_bucket(self, bucket: str) -> None:
        if bucket in self._buckets:
            return

        def ensure() -> None:
            if not self._client.bucket_exists(bucket):
                try:
                    self._client.make_bucket(bucket)
                except S3Error as error:
                    if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                        raise

        await self._call(ensure)
        self._buckets.add(bucket)

    async def _call(self, work: Callable[[], Any], key: str = "") -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except S3Error as error:
            if error.code in _MISSING:
                raise NotFound("object", key) from error
            raise Unavailable("the object store", f"it answered {error.code}") from error
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable("the object store") from error

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

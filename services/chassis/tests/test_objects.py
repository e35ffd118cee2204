"""Objects on a real S3 (SeaweedFS): by agency, checked at start."""

import asyncio
import dataclasses
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from minio.credentials.credentials import Credentials

from proof.door import Door, door_at
from rtcc_chassis.errors import NotFound, Refused, Unavailable
from rtcc_chassis.objects import Objects, _Client
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import TestPlatform


async def test_an_agency_reads_and_writes_its_own_bucket_alone(small_platform: TestPlatform) -> None:
    await small_platform.servers.s3_endpoint()
    objects = (await small_platform.context("intake")).objects
    own, other = Scope.service("intake", "anchor"), Scope.service("intake", "beacon")
    digest = await objects.put(own, "anchor", "reads/1.jpg", b"picture", "image/jpeg")
    assert len(digest) == 64
    assert await objects.get(own, "anchor", "reads/1.jpg") == b"picture"
    with pytest.raises(Refused):
        await objects.get(other, "anchor", "reads/1.jpg")
    with pytest.raises(NotFound):
        await objects.get(own, "anchor", "reads/none.jpg")


async def test_what_the_caller_hashed_is_stored_whole_and_under_any_size(small_platform: TestPlatform) -> None:
    await small_platform.servers.s3_endpoint()
    objects = (await small_platform.context("intake")).objects
    own, data = Scope.service("intake", "anchor"), bytes(range(256)) * 40_000
    sha256 = hashlib.sha256(data).hexdigest()
    # above 5 MiB minio would send parts
    assert await objects.put(own, "anchor", "hashed/1.bin", data, "video/mp4", sha256) == sha256
    assert await objects.get(own, "anchor", "hashed/1.bin") == data
    assert await objects.put(own, "anchor", "hashed/none.bin", b"", "video/mp4") == hashlib.sha256(b"").hexdigest()
    assert await objects.get(own, "anchor", "hashed/none.bin") == b""


@pytest.mark.parametrize("secure", [True, False])
def test_the_callers_hash_is_what_is_signed_so_that_a_store_can_refuse_other_bytes(secure: bool) -> None:
    client, credentials = _Client("s3.example", "key", "secret", secure=secure), Credentials("key", "secret")
    headers, _ = client._build_headers("s3.example", {"Content-Type": "video/mp4", "x-amz-content-sha256": "ab" * 32}, b"body", credentials)
    assert headers["x-amz-content-sha256"] == "ab" * 32
    assert headers["Content-Length"] == "4"
    assert "Content-MD5" not in headers
    plain, _ = client._build_headers("s3.example", {}, b"body", credentials)
    assert plain["x-amz-content-sha256"] == ("UNSIGNED-PAYLOAD" if secure else hashlib.sha256(b"body").hexdigest())


async def test_the_embedded_store_can_do_what_is_relied_on(small_platform: TestPlatform) -> None:
    await small_platform.servers.s3_endpoint()
    await (await small_platform.context("intake")).objects.check_capabilities()


@asynccontextmanager
async def _tls_in_front_of(endpoint: str, door: Door, folder: Path) -> AsyncIterator[str]:
    """What a load balancer or the store's own listener does; the answer is where it listens."""
    certificate, key = folder / "s3.crt", folder / "s3.key"
    certificate.write_text(door.certificate)
    key.write_text(door.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    host, _, port = endpoint.rpartition(":")

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=context)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(64 * 1024):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def test_a_store_with_an_authority_of_its_own_is_believed_by_who_was_told_it_alone(
    small_platform: TestPlatform, tmp_path: Path
) -> None:
    # R14
    plain = await small_platform.servers.s3_endpoint()
    scope = Scope.service("intake", "anchor")
    async with _tls_in_front_of(plain, door_at("127.0.0.1"), tmp_path) as endpoint:
        settings = dataclasses.replace(await small_platform.settings("intake"), s3_endpoint=endpoint, s3_secure=True)
        told = Objects.connect(dataclasses.replace(settings, s3_authority=str(tmp_path / "s3.crt")))
        untold = Objects.connect(settings)
        try:
            await told.put(scope, "anchor", "over/tls", b"picture", "image/jpeg")
            assert await told.get(scope, "anchor", "over/tls") == b"picture"
            with pytest.raises(Unavailable):
                await untold.get(scope, "anchor", "over/tls")
        finally:
            told.close()
            untold.close()


async def test_a_file_is_stored_and_read_in_parts_by_its_own_agency_alone(small_platform: TestPlatform, tmp_path: Path) -> None:
    await small_platform.servers.s3_endpoint()
    objects = (await small_platform.context("video")).objects
    own, other = Scope.service("video", "anchor"), Scope.service("video", "beacon")
    path = tmp_path / "export.zip"
    # more than one part of a multipart upload
    path.write_bytes(bytes(range(256)) * 25_000)
    await objects.put_file(own, "anchor", "exports/1.zip", path, "application/zip")
    assert await objects.get_range(own, "anchor", "exports/1.zip", 6_300_000, 10) == bytes(range(96, 106))
    for scope, key, error in ((other, "exports/1.zip", Refused), (own, "exports/none.zip", NotFound)):
        with pytest.raises(error):
            await objects.get_range(scope, "anchor", key, 0, 1)
    with pytest.raises(Refused):
        await objects.put_file(other, "anchor", "exports/2.zip", path, "application/zip")

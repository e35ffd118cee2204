"""TAK devices over TLS: signed in by a certificate of the source's own, cut off when it is void, and nobody else."""

import asyncio
import configparser
import dataclasses
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytak
import pytest

from rtcc.intake.v1 import intake_pb2 as pb
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.testing import poll

from .conftest import ADMINISTRATOR, NEIGHBOUR, Intake
from .test_deliveries import code_of
from .test_sources import newest


@dataclasses.dataclass
class Device:
    """A TAK device's files and where it connects."""

    folder: Path
    address: str

    def configuration(self) -> configparser.SectionProxy:
        parser = configparser.ConfigParser()
        parser["device"] = {
            "COT_URL": f"tls://{self.address}",
            "PYTAK_TLS_CLIENT_CERT": str(self.folder / "device.pem"),
            "PYTAK_TLS_CLIENT_KEY": str(self.folder / "device.key"),
            "PYTAK_TLS_CLIENT_CAFILE": str(self.folder / "authority.pem"),
        }
        return parser["device"]

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "authority.pem"))
        context.load_cert_chain(self.folder / "device.pem", self.folder / "device.key")
        return context


async def issued(intake: Intake, source_id: str, folder: Path, authority: Path) -> Device:
    answer = await intake.stub.IssueSourceCertificate(
        pb.IssueSourceCertificateRequest(source_id=source_id), metadata=intake.as_(ADMINISTRATOR)
    )
    folder.mkdir(exist_ok=True)
    (folder / "device.pem").write_text(answer.certificate)
    (folder / "device.key").write_text(answer.private_key)
    (folder / "authority.pem").write_text(answer.authority)
    assert answer.authority == authority.read_text()
    return Device(folder, answer.address)


def marker(uid: str) -> bytes:
    return bytes(pytak.gen_cot(lat="60.17", lon="24.94", uid=uid, cot_type="a-f-G-U-C", stale=60))


async def test_a_tak_client_signs_in_with_its_certificate_and_its_markers_stand_on_the_map(intake: Intake, tmp_path: Path) -> None:
    source_id, _ = await intake.source("cot")
    device = await issued(intake, source_id, tmp_path / "device", intake.tls.authority)
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    for uid in ("unit-1", "unit-2", "unit-1"):
        queue.put_nowait(marker(uid))

    async def connected() -> Any:
        try:
            return await pytak.txworker_factory(queue, device.configuration())
        except (OSError, ssl.SSLError, SyntaxError):
            return None

    # the listener learns of a new certificate within 2 seconds; TLS 1.3 tells a client of its refusal only when it reads
    worker = await poll(connected)
    task = asyncio.create_task(worker.run())
    try:

        async def shown() -> bool:
            if queue.empty():
                for uid in ("unit-1", "unit-2"):
                    queue.put_nowait(marker(uid))
            return {event.marker.uid for event in await newest(intake, "marker")} == {"unit-1", "unit-2"}

        async def reconnected() -> bool:
            nonlocal worker, task
            if task.done():
                worker = await poll(connected)
                task = asyncio.create_task(worker.run())
            return await shown()

        await poll(reconnected, every_s=0.3)
        (first, _) = await newest(intake, "marker")
        assert (first.agency_id, first.source_id) == ("east", source_id)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def ended(reader: asyncio.StreamReader, within_s: float) -> bool:
    """Whether the listener cut the connection: an end, or a reset."""
    try:
        return await asyncio.wait_for(reader.read(1), within_s) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@asynccontextmanager
async def signed_in(device: Device) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that the listener keeps: one that it cuts at once gives an end to read."""
    host, port = device.address.split(":")

    async def accepted() -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        try:
            reader, writer = await asyncio.open_connection(host, int(port), ssl=device.context(), server_hostname="localhost")
        except OSError:
            return None
        return None if await ended(reader, 0.3) else (reader, writer)

    reader, writer = await poll(accepted)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def test_a_voided_certificate_and_a_disabled_source_are_cut_off(intake: Intake, tmp_path: Path) -> None:
    source_id, _ = await intake.source("cot")
    old = await issued(intake, source_id, tmp_path / "old", intake.tls.authority)
    async with signed_in(old) as (reader, _):
        new = await issued(intake, source_id, tmp_path / "new", intake.tls.authority)
        assert await ended(reader, 30)
    async with signed_in(new) as (reader, writer):
        disable = registry_pb2.SetSourceEnabledRequest(source_id=source_id, enabled=False)
        await intake.registry.SetSourceEnabled(disable, metadata=intake.as_(ADMINISTRATOR))

        async def out() -> bool:
            writer.write(marker("unit-9"))
            return await ended(reader, 0.2)

        await poll(out)


async def test_nobody_comes_in_without_a_certificate_of_ours(intake: Intake, tmp_path: Path) -> None:
    source_id, _ = await intake.source("cot")
    device = await issued(intake, source_id, tmp_path / "device", intake.tls.authority)
    host, port = device.address.split(":")
    strangers = ssl.create_default_context(cafile=str(device.folder / "authority.pem"))
    # the services' own certificate is trusted by the same authority, and is no source's
    services = ssl.create_default_context(cafile=str(device.folder / "authority.pem"))
    services.load_cert_chain(intake.tls.certificate, intake.tls.key)
    for context in (strangers, services, None):
        try:
            reader, writer = await asyncio.open_connection(host, int(port), ssl=context, server_hostname="localhost" if context else None)
            writer.write(marker("intruder") * 3)
            assert await asyncio.wait_for(reader.read(1), 30) in (b"", b"\x15"), "an end, or a TLS alert"
        except TimeoutError:
            # an OSError, too, and no end of the connection
            pytest.fail("the connection was kept")
        except OSError:
            continue
    assert await intake.stored_messages("EVENTS") == 0
    assert await intake.waiting() == []
    other = intake.stub.IssueSourceCertificate(pb.IssueSourceCertificateRequest(source_id=source_id), metadata=intake.as_(NEIGHBOUR))
    assert await code_of(other) is grpc.StatusCode.NOT_FOUND

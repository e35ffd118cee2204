"""Backup of a running installation, restore beside it."""

import asyncio
import io
import stat
import tarfile
from pathlib import Path

import asyncpg
import nats
import pytest
from minio import Minio

from rtcc_standalone.archive import BackupError, backup, restore
from rtcc_standalone.installation import Installation, open_installation
from rtcc_standalone.servers.postgres import role_of
from rtcc_standalone.supervisor import Supervisor
from rtcc_standalone.throwaway import unusual_ports

from .conftest import Until


def silent(_text: str) -> None:
    """No progress in tests."""


def objects_of(installation: Installation) -> Minio:
    credentials = installation.credentials
    return Minio(
        f"127.0.0.1:{installation.ports['s3']}",
        access_key=credentials.s3_access_key,
        secret_key=credentials.s3_secret_key,
        secure=False,
        region="us-east-1",
    )


async def database_of(installation: Installation) -> asyncpg.Connection:
    return await asyncpg.connect(installation.postgres_server().url(role_of("ledger"), installation.credentials.database["ledger"]))


async def bus_of(installation: Installation) -> nats.aio.client.Client:
    return await nats.connect(
        f"nats://127.0.0.1:{installation.ports['nats']}", user="ledger", password=installation.credentials.nats["ledger"]
    )


async def test_backup_of_a_running_platform_restores_beside_it(mortal_servers: Supervisor, open_folder: Path, until: Until) -> None:
    original = mortal_servers.installation
    connection, client = await database_of(original), await bus_of(original)
    await connection.execute("create table ledger.kept (value text); insert into ledger.kept values ('row')")
    await client.jetstream().add_stream(name="KEPT", subjects=["kept"], max_bytes=1_000_000)
    await client.jetstream().publish("kept", b"message")
    await asyncio.to_thread(objects_of(original).put_object, "rtcc-probe", "kept", io.BytesIO(b"object"), 6)
    await connection.close()
    await client.close()

    archive = open_folder / "backup.tar.gz"
    size = await asyncio.to_thread(backup, original.folder, archive, silent)
    assert size > 100_000
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600

    target = open_folder / "restored"
    await asyncio.to_thread(restore, archive, target, silent)
    # the original runs on its ports again, so the copy needs others
    restored = open_installation(target, wanted_ports=unusual_ports())
    assert restored.installation_id == original.installation_id
    with restored.folder.exclusive():
        supervisor = Supervisor(restored, processes=())
        await supervisor.start()
        try:
            connection, client = await database_of(restored), await bus_of(restored)
            assert await connection.fetchval("select value from ledger.kept") == "row"
            assert (await client.jetstream().get_msg("KEPT", 1)).data == b"message"
            await connection.close()
            await client.close()
            answer = await asyncio.to_thread(objects_of(restored).get_object, "rtcc-probe", "kept")
            assert answer.read() == b"object"
        finally:
            await supervisor.stop()
    # the original goes on by itself
    await until(lambda: all(supervised.facts.state == "ready" for supervised in mortal_servers.supervised.values()))


def test_restore_refuses_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "precious").touch()
    with pytest.raises(BackupError, match="not empty"):
        restore(tmp_path / "any.tar.gz", tmp_path / "data", silent)


def test_restore_refuses_a_file_that_is_no_backup(tmp_path: Path) -> None:
    archive = tmp_path / "other.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("something"), io.BytesIO())
    with pytest.raises(BackupError, match="not a backup"):
        restore(archive, tmp_path / "data", silent)


def test_cut_off_backup_is_told(tmp_path: Path) -> None:
    archive = tmp_path / "cut.tar.gz"
    archive.write_bytes(b"\x1f\x8b\x08\x00")
    with pytest.raises(BackupError, match="Use another copy"):
        restore(archive, tmp_path / "data", silent)

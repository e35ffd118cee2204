"""Servers that are killed, supervisors that are killed, folders that are opened twice."""

import asyncio
import io
import os
import signal
import socket
import sys
from pathlib import Path

import asyncpg
import nats
import pytest
from minio import Minio

from rtcc_standalone.errors import FolderInUseError, PortTakenError
from rtcc_standalone.folder import DataFolder, read_json
from rtcc_standalone.installation import open_installation
from rtcc_standalone.launching import plain_environment
from rtcc_standalone.process_facts import descendants, exists
from rtcc_standalone.servers.postgres import role_of
from rtcc_standalone.supervisor import INFRASTRUCTURE, Supervisor
from rtcc_standalone.throwaway import unusual_ports

from .conftest import Until

_RUN = """
import asyncio, sys
from pathlib import Path
from rtcc_standalone.installation import open_installation
from rtcc_standalone.supervisor import Supervisor

async def main():
    installation = open_installation(Path(sys.argv[1]))
    with installation.folder.exclusive():
        supervisor = Supervisor(installation, processes=())
        await supervisor.start()
        print("ready", flush=True)
        await supervisor.wait()

asyncio.run(main())
"""


async def started_apart(folder: Path) -> asyncio.subprocess.Process:
    """A supervisor in a process of its own, ready; on ports that no other test has."""
    if not DataFolder(folder).installation.exists():
        open_installation(folder, wanted_ports=unusual_ports())
    environment = plain_environment(PYTHONUNBUFFERED="1")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _RUN, str(folder), stdout=asyncio.subprocess.PIPE, env=environment)
    assert process.stdout is not None
    async with asyncio.timeout(120):
        assert await process.stdout.readline() == b"ready\n"
    return process


async def test_no_process_outlives_a_killed_supervisor(open_folder: Path, until: Until) -> None:
    process = await started_apart(open_folder)
    family = [one for one in descendants(process.pid) if one != process.pid]
    commands = {Path(f"/proc/{one}/comm").read_text().strip() for one in family}
    assert {"nats-server", "weed", "postgres"} <= commands
    assert len(family) > 5  # PostgreSQL's own children are among them
    process.kill()
    await process.wait()
    await until(lambda: not [one for one in family if exists(one)])


async def test_start_after_a_killed_supervisor_is_clean_and_keeps_what_was_acknowledged(open_folder: Path) -> None:
    process = await started_apart(open_folder)
    installation = open_installation(open_folder)
    url = installation.postgres_server().url(role_of("registry"), installation.credentials.database["registry"])
    connection = await asyncpg.connect(url)
    await connection.execute("create table registry.kept (value text); insert into registry.kept values ('acknowledged')")
    client = await nats.connect(
        f"nats://127.0.0.1:{installation.ports['nats']}",
        user="intake",
        password=installation.credentials.nats["intake"],
        allow_reconnect=False,
    )
    await client.jetstream().add_stream(name="KEPT", subjects=["kept"], max_bytes=1_000_000)
    await client.jetstream().publish("kept", b"acknowledged")
    bucket = object_store(installation.ports["s3"], installation.credentials.s3_access_key, installation.credentials.s3_secret_key)
    await asyncio.to_thread(bucket.put_object, "rtcc-probe", "kept", io.BytesIO(b"acknowledged"), 12)
    process.kill()
    await process.wait()

    again = await started_apart(open_folder)
    try:
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("select value from registry.kept") == "acknowledged"
        await connection.close()
        client = await nats.connect(
            f"nats://127.0.0.1:{installation.ports['nats']}", user="intake", password=installation.credentials.nats["intake"]
        )
        assert (await client.jetstream().get_msg("KEPT", 1)).data == b"acknowledged"
        await client.close()
        answer = await asyncio.to_thread(bucket.get_object, "rtcc-probe", "kept")
        assert answer.read() == b"acknowledged"
    finally:
        again.kill()
        await again.wait()


def object_store(port: int, access_key: str, secret_key: str) -> Minio:
    return Minio(f"127.0.0.1:{port}", access_key=access_key, secret_key=secret_key, secure=False, region="us-east-1")


@pytest.mark.parametrize("name", INFRASTRUCTURE)
async def test_killed_server_comes_back(mortal_servers: Supervisor, until: Until, name: str) -> None:
    supervised = mortal_servers.supervised[name]
    first = supervised.facts.process_id
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervised.facts.state == "ready" and supervised.facts.process_id != first)
    assert supervised.facts.restarts == 1
    assert supervised.facts.last_exit == "signal SIGKILL"
    assert await supervised.server.is_ready()


async def test_second_supervisor_on_a_live_folder_is_refused(servers: Supervisor) -> None:
    folder = DataFolder(servers.installation.folder.path)
    assert folder.supervisor_id() == os.getpid()
    with pytest.raises(FolderInUseError, match=r"already runs.*\./rtcc down"), folder.exclusive():
        pass


async def test_taken_port_that_people_know_is_named_with_the_way_out(open_folder: Path) -> None:
    installation = open_installation(open_folder, wanted_ports=unusual_ports())
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", installation.ports["gateway"]))
        stranger.listen()
        with pytest.raises(PortTakenError, match=r"--port gateway=NUMBER"):
            await Supervisor(installation, processes=()).start()


async def test_taken_inner_port_moves_for_good(open_folder: Path) -> None:
    installation = open_installation(open_folder, wanted_ports=unusual_ports())
    before = installation.ports["s3"]
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", before))
        stranger.listen()
        supervisor = Supervisor(installation, processes=())
        await supervisor.start()
        assert await supervisor.supervised["objects"].server.is_ready()
        await supervisor.stop()
    assert open_installation(open_folder).ports["s3"] == installation.ports["s3"] != before


async def test_stale_postmaster_file_of_a_stranger_is_removed(open_folder: Path) -> None:
    process = await started_apart(open_folder)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    installation = open_installation(open_folder)
    data = installation.postgres_place().data
    await installation.postgres_server().wait_for_predecessor()
    (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n")
    again = await started_apart(open_folder)
    again.kill()
    await again.wait()


async def test_status_file_tells_ports_and_processes(servers: Supervisor) -> None:
    stored = read_json(servers.installation.folder.status)
    assert stored["ports"] == servers.installation.ports
    assert {name: process["state"] for name, process in stored["processes"].items()} == dict.fromkeys(INFRASTRUCTURE, "ready")


async def test_every_server_listens_on_loopback_only(servers: Supervisor) -> None:
    own = {one for name in INFRASTRUCTURE for one in descendants(servers.supervised[name].facts.process_id)}
    inodes = set()
    for process_id in own:
        for descriptor in Path(f"/proc/{process_id}/fd").iterdir():
            try:
                target = os.readlink(descriptor)
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    listening = []
    for table, loopback in (("tcp", "0100007F"), ("tcp6", "00000000000000000000000001000000")):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                listening.append((fields[1], fields[1].startswith(f"{loopback}:")))
    assert len(listening) > 5
    assert [address for address, closed in listening if not closed] == []


async def test_service_roles_see_their_own_schema_alone(servers: Supervisor) -> None:
    installation = servers.installation
    connection = await asyncpg.connect(installation.postgres_server().url(role_of("video"), installation.credentials.database["video"]))
    try:
        await connection.execute("create table video.mine (value int)")
        for statement in (
            "create table registry.foreign_table (value int)",
            "create schema other",
            "create table public.shared (value int)",
            "create role other",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_postgres_refuses_a_wrong_password(servers: Supervisor) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(servers.installation.postgres_server().url(role_of("video"), "wrong"))

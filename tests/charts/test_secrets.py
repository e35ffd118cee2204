"""`./rtcc secrets` makes what the charts mount: all of it, once, and for nobody else's eyes."""

import base64
import json
import stat
from pathlib import Path

import asyncpg
import pytest

from rtcc_chassis.database import Database
from rtcc_standalone.cli import main
from rtcc_standalone.credentials import ensure_credentials
from rtcc_standalone.folder import DataFolder
from rtcc_standalone.kubernetes.rendering import Object, called
from rtcc_standalone.kubernetes.rules import Installation
from rtcc_standalone.kubernetes.secrets import Plan, database_url, roles_sql
from rtcc_standalone.throwaway import throwaway_platform


def _made(folder: Path, *options: str) -> dict[str, Object]:
    assert main(["secrets", str(folder), "--installation", "region", *options]) == 0
    return {item["metadata"]["name"]: item for item in (json.loads(path.read_text()) for path in (folder / "manifests").iterdir())}


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    """Every option that names a file, and such a file."""
    names = (
        "database-authority",
        "nats-authority",
        "objects-authority",
        "objects-access-key",
        "objects-secret-key",
        "certificate",
        "certificate-key",
        "oidc-client-secret",
        "tak-certificate",
        "tak-certificate-key",
        "tak-authority",
    )
    options = []
    for name in names:
        (tmp_path / name).write_text(f"the {name}")
        options += [f"--{name}", str(tmp_path / name)]
    return options


def test_all_that_the_charts_mount_is_made(tmp_path: Path, given: list[str], consortium: list[Object]) -> None:
    made = _made(tmp_path / "keys", *given)
    used = set()
    for item, template, container in Installation(consortium).workloads():
        sources = {}
        for volume in template["spec"]["volumes"]:
            if name := volume.get("secret", {}).get("secretName") or volume.get("configMap", {}).get("name"):
                assert name in made, f"{called(item)} mounts {name}"
                assert made[name]["metadata"]["namespace"] == "region"
                sources[volume["name"]] = made[name]
                used.add(name)
        folders = {mount["mountPath"]: sources.get(mount["name"]) for mount in container["volumeMounts"]}
        for variable in container["env"]:
            folder, _, key = variable.get("value", "").rpartition("/")
            if source := folders.get(folder):
                assert key in source["data"], f"{called(item)}: {variable['name']}"
    assert used == set(made), "made and mounted by nobody"


def test_a_second_run_changes_nothing_and_a_new_service_gets_its_own(tmp_path: Path, given: list[str]) -> None:
    folder = tmp_path / "keys"
    first = _made(folder, *given)
    sql = (folder / "roles.sql").read_text()
    assert _made(folder, *given) == first
    assert (folder / "roles.sql").read_text() == sql
    (folder / "nats" / "airspace.creds").unlink()
    (folder / "secrets" / "tokens" / "airspace.pem").unlink()
    again = _made(folder, *given)
    changed = {name for name in first if again[name] != first[name]}
    assert changed == {"region-airspace", "region-trust"}


def test_secrets_are_for_their_owner_alone_and_never_in_the_checkout(tmp_path: Path, given: list[str], root: Path) -> None:
    folder = tmp_path / "keys"
    made = _made(folder, *given)
    for path in folder.rglob("*"):
        assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) or path.is_dir(), path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for item in made.values():
        if item["kind"] == "ConfigMap":
            assert "PRIVATE" not in json.dumps(item)
    assert "SCRAM-SHA-256$" in (folder / "roles.sql").read_text()
    assert main(["secrets", str(root / "keys")]) == 1
    assert not (root / "keys").exists()


def test_a_cluster_believes_its_services_and_not_the_command_line_of_one_machine(tmp_path: Path) -> None:
    made = _made(tmp_path / "keys")
    believed = json.loads(made["region-trust"]["data"]["trust.json"])
    assert "operator" in believed and "gateway" in believed and "standalone" not in believed
    assert "region-standalone" not in made
    held = base64.b64decode(made["region-operator"]["data"]["nats.creds"]).decode()
    assert "NATS USER JWT" in held


def test_the_nats_servers_are_told_the_operator_and_both_first_accounts(tmp_path: Path) -> None:
    _made(tmp_path / "keys")
    values = json.loads((tmp_path / "keys" / "nats" / "values.yaml").read_text())["config"]
    text = (tmp_path / "keys" / "nats" / "operator.conf").read_text()
    merged = values["merge"]
    assert len(merged["resolver_preload"]) == 2 and merged["system_account"] in merged["resolver_preload"]
    for token in (merged["operator"], *merged["resolver_preload"].values()):
        assert token.count(".") == 2 and token in text


async def test_the_databases_roles_can_do_their_work_and_no_more(tmp_path: Path, root: Path) -> None:
    async with throwaway_platform(processes=()) as supervisor:
        postgres = supervisor.installation.postgres_server()
        port = supervisor.installation.ports["postgres"]
        credentials = ensure_credentials(DataFolder(tmp_path))
        plan = Plan(database=f"127.0.0.1:{port}/cluster", database_options="")
        owner = await asyncpg.connect(postgres.superuser_url)
        await owner.execute("create database cluster")
        await owner.close()
        owner = await asyncpg.connect(postgres.superuser_url.rpartition("/")[0] + "/cluster")
        for _ in range(2):
            await owner.execute(roles_sql(credentials, plan))
        await owner.close()

        for folder in sorted((root / "services").glob("*/rtcc_*/migrations")):
            service = folder.parent.parent.name
            database = await Database.connect(database_url(service, credentials.database[service], plan), service)
            assert await database.migrate(folder) > 0, service
            await database.close()
        stranger = await asyncpg.connect(database_url("intake", credentials.database["intake"], plan))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stranger.fetch("select * from registry.rtcc_migration")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stranger.execute("create table public.mine (n int)")
        await stranger.close()

"""The keys of an installation in a cluster: a private folder, whose content is never replaced, only added to."""

import re
import time
from pathlib import Path
from typing import Any

from rtcc_operator.bootstrap import bootstrap
from rtcc_operator.domain.accounts import service_user
from rtcc_operator.domain.keys import Key
from rtcc_operator.domain.nats_jwt import credentials_file
from rtcc_standalone.credentials import SERVICES, Credentials, ensure_credentials
from rtcc_standalone.folder import DataFolder, write_json, write_private

OPERATOR = "operator"
_ACCOUNTS_FOLDER = "/data/accounts"
# of an account, as nkeys writes it
_PUBLIC_KEY_LENGTH = 56


def cluster_material(folder: Path) -> tuple[Credentials, dict[str, dict[str, str]]]:
    """Passwords, keys and certificates, and for each service what NATS in operator mode needs in its Secret."""
    credentials = ensure_credentials(DataFolder(folder), also=(OPERATOR,))
    keys = folder / "nats"
    if not (keys / "operator.conf").is_file():
        bootstrap(keys, _ACCOUNTS_FOLDER, int(time.time()))
    _add_missing_users(keys)
    write_json(keys / "values.yaml", nats_values((keys / "operator.conf").read_text()))
    found = {service: {"nats.creds": (keys / f"{service}.creds").read_text()} for service in (*SERVICES, OPERATOR)}
    found[OPERATOR] |= {name: (keys / name).read_text() for name in ("nats-operator-seed", "nats-platform-seed")}
    return credentials, found


def nats_values(operator_configuration: str) -> dict[str, Any]:
    """The same as values of NATS's own chart (JSON is YAML): who signs accounts, and the two that must exist before any."""
    known = re.findall(r"^\s*(\w+): (\S+)$", operator_configuration, re.MULTILINE)
    named = dict(known)
    preloaded = {name: token for name, token in known if name.startswith("A") and len(name) == _PUBLIC_KEY_LENGTH}
    merged = {"operator": named["operator"], "system_account": named["system_account"], "resolver_preload": preloaded}
    resolver = {"enabled": True, "dir": _ACCOUNTS_FOLDER, "merge": {"type": "full", "allow_delete": False}}
    return {"config": {"resolver": resolver, "merge": merged}}


def _add_missing_users(keys: Path) -> None:
    """A service that came with an upgrade gets its own user of the platform's account."""
    platform = Key((keys / "nats-platform-seed").read_text().strip(), "account")
    for service in SERVICES:
        path = keys / f"{service}.creds"
        if not path.is_file():
            user = Key.new("user")
            write_private(path, credentials_file(service_user(platform, user, service, int(time.time())), user.seed))

"""`python -m rtcc_operator.bootstrap FOLDER`: the keys of a new installation's NATS in operator mode, once, before anything runs.

Writes what the NATS servers are told (operator.conf) and one secret a file: seeds for the controller, credentials for each service.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from rtcc_operator.domain.accounts import operator_token, platform_account, service_user, system_account
from rtcc_operator.domain.keys import Key
from rtcc_operator.domain.nats_jwt import credentials_file

SERVICES = (
    "airspace",
    "alerting",
    "exchange",
    "gateway",
    "identity",
    "incidents",
    "intake",
    "ledger",
    "location",
    "registry",
    "video",
)


def bootstrap(folder: Path, resolver_folder: str, issued_at_s: int) -> list[Path]:
    """The files that were written. Raises FileExistsError rather than replace a key."""
    operator, system, platform = Key.new("operator"), Key.new("account"), Key.new("account")
    lines = [
        f"operator: {operator_token(operator, system, issued_at_s)}",
        f"system_account: {system.public}",
        "resolver {",
        "  type: full",
        f'  dir: "{resolver_folder}"',
        "  allow_delete: false",
        "}",
        "resolver_preload {",
        f"  {system.public}: {system_account(operator, system, issued_at_s)}",
        f"  {platform.public}: {platform_account(operator, platform, issued_at_s)}",
        "}",
    ]
    contents = {"operator.conf": "\n".join(lines) + "\n", "nats-operator-seed": operator.seed, "nats-platform-seed": platform.seed}
    for name, account in (("operator", system), *((service, platform) for service in SERVICES)):
        user = Key.new("user")
        contents[f"{name}.creds"] = credentials_file(service_user(account, user, name, issued_at_s), user.seed)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    written = []
    for name, text in contents.items():
        path = folder / name
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        written.append(path)
    return written


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m rtcc_operator.bootstrap", description=__doc__)
    parser.add_argument("folder", type=Path, help="a new folder for the secrets")
    parser.add_argument("--resolver-folder", default="/data/accounts", help="where the servers keep accounts (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        written = bootstrap(options.folder, options.resolver_folder, int(time.time()))
    except FileExistsError as error:
        print(f"{error.filename} exists: choose an empty folder, keys are never replaced.", file=sys.stderr)
        return 1
    print(f"{len(written)} files in {options.folder}. Include operator.conf in the servers' configuration, make Secrets of the others.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

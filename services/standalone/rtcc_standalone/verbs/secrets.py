"""secrets: what the charts name and never hold."""

import argparse
import json
from pathlib import Path

from rtcc_standalone.checkout import checkout_root
from rtcc_standalone.errors import StandaloneError
from rtcc_standalone.terminal import say, warn


class UnreadableFileError(StandaloneError):
    """A file named on the command line."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} can't be read: {reason}.")


class InsideCheckoutError(StandaloneError):
    """Private keys must not come near the repository."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} lies inside of this checkout, where keys could be committed by mistake. Choose a folder elsewhere.")


def secrets(options: argparse.Namespace) -> int:
    """Make what is missing, then write manifests and roles.sql."""
    from rtcc_standalone.folder import write_private
    from rtcc_standalone.kubernetes.material import cluster_material
    from rtcc_standalone.kubernetes.secrets import Plan, manifests, roles_sql

    folder = Path(options.folder).expanduser().resolve()
    if folder.is_relative_to(checkout_root()):
        raise InsideCheckoutError(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    credentials, nats = cluster_material(folder)
    named = {"nats.crt": options.nats_authority, "postgresql.crt": options.database_authority, "s3.crt": options.objects_authority}
    authorities = {name: _text(path) for name, path in named.items() if path}
    extra = {service: dict(keys) for service, keys in nats.items()}
    if options.oidc_client_secret:
        extra.setdefault("gateway", {})["oidc-client-secret"] = _text(options.oidc_client_secret)
    tak = {"cot.crt": options.tak_certificate, "cot.key": options.tak_certificate_key, "cot-ca.crt": options.tak_authority}
    extra.setdefault("intake", {}).update({key: _text(path) for key, path in tak.items() if path})
    verified = "sslmode=verify-full&sslrootcert=/etc/rtcc/authorities/postgresql.crt"
    plan = Plan(
        installation=options.installation,
        namespace=options.namespace or options.installation,
        database=options.database,
        # with the database's authority its name is verified, without one the link is only encrypted
        database_options=verified if options.database_authority else "sslmode=require",
        object_keys=(_text(options.objects_access_key), _text(options.objects_secret_key)),
        authorities=authorities,
        door=(_text(options.certificate), _text(options.certificate_key)),
        extra=extra,
    )
    objects = manifests(credentials, plan)
    for item in objects:
        write_private(folder / "manifests" / f"{item['kind'].lower()}-{item['metadata']['name']}.json", json.dumps(item, indent=1) + "\n")
    write_private(folder / "roles.sql", roles_sql(credentials, plan))
    say(f"{len(objects)} manifests in {folder / 'manifests'}, the database's roles in {folder / 'roles.sql'}")
    say(f"What the NATS servers are told: {folder / 'nats' / 'values.yaml'}")
    for missing, given in (("objects", all(plan.object_keys)), ("gateway-door", all(plan.door)), ("authorities", bool(authorities))):
        if not given:
            warn(f"{plan.installation}-{missing} is not among them: name its files, or make it otherwise (docs/operations/install.md)")
    say(f"Keep {folder} as safe as the data: whoever has it can speak in every service's name.")
    return 0


def _text(path: str | None) -> str:
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip() + ("\n" if path.endswith((".pem", ".crt", ".key")) else "")
    except OSError as error:
        raise UnreadableFileError(path, error.strerror or "unknown") from error

"""The Secrets and ConfigMaps that the charts name but never hold, and the SQL that makes the database's roles.

Everything comes from the material in one private folder: what is there stays, what is missing is made, so a second run changes nothing.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from rtcc_standalone.credentials import COMMAND_LINE, Credentials
from rtcc_standalone.kubernetes.rendering import Object
from rtcc_standalone.servers.postgres import SEARCHING, role_of

_SCRAM_ITERATIONS = 4096


@dataclass(frozen=True)
class Plan:
    """Where the installation's stores are and what its operators brought along. Certificates and keys are PEM texts."""

    installation: str = "rtcc"
    namespace: str = "rtcc"
    # host:port/database of PostgreSQL
    database: str = "postgresql.postgresql.svc:5432/rtcc"
    # the query of the database's addresses, without "?"
    database_options: str = "sslmode=verify-full&sslrootcert=/etc/rtcc/authorities/postgresql.crt"
    object_keys: tuple[str, str] = ("", "")
    # name in the ConfigMap -> PEM: nats.crt, postgresql.crt, s3.crt
    authorities: Mapping[str, str] = field(default_factory=dict)
    # certificate and key of the public address; empty: made by others (cert-manager)
    door: tuple[str, str] = ("", "")
    # service -> further keys of its Secret
    extra: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def manifests(credentials: Credentials, plan: Plan) -> list[Object]:
    """All objects that `kubectl apply` needs before `helm install`."""
    objects = [
        _secret(plan, "internal-tls", {
            "tls.crt": credentials.tls.certificate.read_text(),
            "tls.key": credentials.tls.key.read_text(),
            "ca.crt": credentials.tls.authority.read_text(),
        }, "kubernetes.io/tls"),
        _config(plan, "trust", {"trust.json": trusted(credentials.trust)}),
        *_services(credentials, plan),
    ]  # fmt: skip
    if all(plan.object_keys):
        objects.append(_secret(plan, "objects", dict(zip(("access-key", "secret-key"), plan.object_keys, strict=True))))
    if plan.authorities:
        objects.append(_config(plan, "authorities", dict(plan.authorities)))
    if all(plan.door):
        objects.append(_secret(plan, "gateway-door", dict(zip(("tls.crt", "tls.key"), plan.door, strict=True)), "kubernetes.io/tls"))
    return objects


def trusted(trust: Path) -> str:
    """Whose tokens are believed in a cluster: every service's, and not the command line's of one machine."""
    public: dict[str, str] = json.loads(trust.read_text())
    return json.dumps({name: key for name, key in public.items() if name != COMMAND_LINE}, indent=1, sort_keys=True)


def _services(credentials: Credentials, plan: Plan) -> Iterator[Object]:
    for service, key in credentials.token_keys.items():
        if service == COMMAND_LINE:
            continue
        values = {"token.pem": key.read_text(), **plan.extra.get(service, {})}
        if service in credentials.nats:
            values["nats-password"] = credentials.nats[service]
        if service in credentials.database:
            values["database-url"] = database_url(service, credentials.database[service], plan)
        if service == "alerting":
            values["sealing-secret"] = credentials.notification_sealing_secret.read_text()
        if service == "gateway":
            values["sealing-secret"] = credentials.sealing_secret.read_text()
        if service == "registry":
            values["sealing-secret"] = credentials.registry_sealing_secret.read_text()
        if service == "ledger":
            values["checkpoint.pem"] = credentials.checkpoint_key.read_text()
        if service == "video":
            values["evidence.pem"] = credentials.evidence_key.read_text()
        yield _secret(plan, service, values)


def database_url(service: str, password: str, plan: Plan) -> str:
    """The address with which a service signs in to its schema."""
    options = f"?{plan.database_options}" if plan.database_options else ""
    return f"postgresql://{role_of(service)}:{quote(password, safe='')}@{plan.database}{options}"


def _secret(plan: Plan, name: str, values: Mapping[str, str], kind: str = "Opaque") -> Object:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in sorted(values.items())}
    return {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": _metadata(plan, name), "data": data}


def _config(plan: Plan, name: str, values: Mapping[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(plan, name), "data": dict(sorted(values.items()))}


def _metadata(plan: Plan, name: str) -> Object:
    labels = {"app.kubernetes.io/part-of": "openrtcc", "app.kubernetes.io/instance": plan.installation}
    return {"name": f"{plan.installation}-{name}", "namespace": plan.namespace, "labels": labels}


def roles_sql(credentials: Credentials, plan: Plan) -> str:
    """What the database's owner runs, as often as they like: a role and a schema for each service, nothing for anybody else.

    Holds no password: PostgreSQL is told what it would store itself (RFC 5803).
    """
    database = plan.database.rpartition("/")[2]
    lines = [
        "-- Made by ./rtcc secrets. Run it as the database's owner: psql --single-transaction --set ON_ERROR_STOP=1 --file roles.sql",
        f'revoke all on database "{database}" from public;',
        "revoke all on schema public from public;",
    ]
    for service, password in sorted(credentials.database.items()):
        role = role_of(service)
        lines += [
            f"do $$ begin if not exists (select 1 from pg_roles where rolname = '{role}') then",
            f"  create role {role} login nosuperuser nocreatedb nocreaterole noinherit nobypassrls; end if; end $$;",
            f"alter role {role} password '{scram_verifier(role, password)}';",
            f'grant connect on database "{database}" to {role};',
            f"grant {role} to current_user;",
            f'create schema if not exists "{service}" authorization {role};',
        ]
        if service in SEARCHING:
            searcher = f"{role}_search"
            lines += [
                f"do $$ begin if not exists (select 1 from pg_roles where rolname = '{searcher}') then",
                f"  create role {searcher} nologin nosuperuser nocreatedb nocreaterole noinherit nobypassrls; end if; end $$;",
                f"grant {searcher} to {role} with inherit false, set true;",
            ]
    return "\n".join(lines) + "\n"


def scram_verifier(role: str, password: str) -> str:
    """SCRAM-SHA-256 as PostgreSQL stores it (RFC 5803). The salt comes from role and password, so that a second run gives the same."""
    salt = hmac.digest(password.encode(), f"openrtcc {role}".encode(), "sha256")[:16]
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored_text, server_text = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${_SCRAM_ITERATIONS}:{salt_text}${stored_text}:{server_text}"

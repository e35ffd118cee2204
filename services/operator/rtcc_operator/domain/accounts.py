"""Who may do what on the bus: the platform's account, one account an agency, the users in them.

An agency's account imports two subjects of the platform's and has nothing of its own: what its devices publish below `source.>`
arrives as `agency.<id>.source.>`, and `shared.>` is what was published for it as `shared.<id>.>`. Both exports are private; an
activation, signed by the platform's account for exactly this agency's account, names the subject that may be imported. So the
platform's own account never changes when agencies come and go.
"""

from collections.abc import Iterable
from typing import Any

from rtcc_operator.domain.keys import Key
from rtcc_operator.domain.nats_jwt import claims_of, signed
from rtcc_operator.domain.resources import BusLimits

# nats-server keeps the sessions of an agency's MQTT devices in streams of its account
MQTT_SESSIONS_BYTES, _MQTT_MEMORY_BYTES = 64 * 1024 * 1024, 1024 * 1024
# a user is revoked whose token is older than this (1 January 2100): for ever, and the same at every look
_FOR_EVER_S = 4_102_444_800
_UNLIMITED = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}


def agency_account(
    operator: Key,
    platform: Key,
    account: str,
    agency_id: str,
    limits: BusLimits,
    issued_at_s: int,
    *,
    open_: bool = True,
    mqtt: bool = False,
    revoked: Iterable[str] = (),
) -> str:
    """The account of an agency (public key `account`). `open_` False: no connection is let in and those there are cut.

    `mqtt`: devices may speak MQTT. `revoked`: public keys of users who may not sign in any more, and are cut.
    """
    claims: dict[str, Any] = {
        "type": "account",
        "version": 2,
        "limits": {
            **_UNLIMITED,
            "conn": limits.connections_most if open_ else 0,
            "subs": limits.subscriptions_most,
            "payload": limits.payload_bytes_most,
            "imports": 2,
            "exports": 0,
            "leaf": 0,
        },
        "default_permissions": {"pub": {}, "sub": {}},
        "authorization": {},
    }
    if mqtt:
        claims["limits"] |= {"mem_storage": _MQTT_MEMORY_BYTES, "disk_storage": MQTT_SESSIONS_BYTES, "streams": -1, "consumer": -1}
    if gone := sorted(revoked):
        claims["revocations"] = dict.fromkeys(gone, _FOR_EVER_S)
    if open_:
        claims["imports"] = [
            _import(platform, account, "source", "service", f"agency.{agency_id}.source.>", "source.>", issued_at_s),
            _import(platform, account, "shared", "stream", f"shared.{agency_id}.>", "shared.>", issued_at_s),
        ]
    return signed(operator, account, f"agency-{agency_id}", claims, issued_at_s)


def revoked_users(token: str) -> set[str]:
    """Public keys of those that an account's token keeps out."""
    return set(claims_of(token).get("nats", {}).get("revocations") or ())


def _import(platform: Key, account: str, name: str, kind: str, subject: str, local: str, issued_at_s: int) -> dict[str, Any]:
    activation = {"type": "activation", "version": 2, "subject": subject, "kind": kind}
    token = signed(platform, account, name, activation, issued_at_s)
    return {"name": name, "subject": subject, "account": platform.public, "token": token, "local_subject": local, "type": kind}


def platform_account(operator: Key, platform: Key, issued_at_s: int) -> str:
    """The account in which all services live."""
    claims = {
        "type": "account",
        "version": 2,
        "limits": {**_UNLIMITED, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1},
        "exports": [
            {"name": "source", "subject": "agency.*.source.>", "type": "service", "token_req": True, "response_type": "Singleton"},
            {"name": "shared", "subject": "shared.*.>", "type": "stream", "token_req": True},
        ],
        "default_permissions": {"pub": {}, "sub": {}},
        "authorization": {},
    }
    return signed(operator, platform.public, "platform", claims, issued_at_s)


def system_account(operator: Key, system: Key, issued_at_s: int) -> str:
    """The account of the servers themselves: who is in it may push accounts."""
    claims = {"type": "account", "version": 2, "limits": _UNLIMITED, "default_permissions": {"pub": {}, "sub": {}}, "authorization": {}}
    return signed(operator, system.public, "SYS", claims, issued_at_s)


def operator_token(operator: Key, system: Key, issued_at_s: int) -> str:
    """What `nats-server` is told to trust."""
    claims = {"type": "operator", "version": 2, "system_account": system.public}
    return signed(operator, operator.public, "openrtcc", claims, issued_at_s)


def devices_user(account: Key, user: Key, agency_id: str, issued_at_s: int) -> str:
    """Devices of an agency: publish below `source.>`, hear `shared.>` and answers.

    What stands on `source.<source_id>.event` is believed without a signature: a source's own login alone may publish there.
    """
    claims = {
        "type": "user",
        "version": 2,
        "pub": {"allow": ["source.>"], "deny": ["source.*.event", "source.*.event.>"]},
        "sub": {"allow": ["shared.>", "_INBOX.>"]},
        "subs": -1,
        "data": -1,
        "payload": -1,
    }
    return signed(account, user.public, f"{agency_id}-devices", claims, issued_at_s)


def source_user(account: Key, source_id: str, issued_at_s: int) -> str:
    """A source's own login over MQTT: it publishes on its subject and nothing else, and hears nothing.

    MQTT can sign no challenge, so whoever holds the token is the source (a bearer token; NATS documentation, "MQTT").
    """
    claims = {
        "type": "user",
        "version": 2,
        "pub": {"allow": [f"source.{source_id}.event", f"source.{source_id}.event.>"]},
        "sub": {"deny": [">"]},
        "subs": -1,
        "data": -1,
        "payload": -1,
        "bearer_token": True,
        "allowed_connection_types": ["MQTT"],
    }
    return signed(account, source_user_key(account, source_id), source_id, claims, issued_at_s)


def source_user_key(account: Key, source_id: str) -> str:
    """The public key of a source's login: known without a store, so that it can be revoked when its Secret is gone."""
    return account.derived(f"mqtt {source_id}").public


def service_user(account: Key, user: Key, name: str, issued_at_s: int) -> str:
    """One of our services, or the controller in the system account."""
    claims = {"type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}
    return signed(account, user.public, name, claims, issued_at_s)

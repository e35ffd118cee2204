"""What every use case does the same way."""

import base64
import json
import secrets

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from rtcc_chassis.errors import Conflict, InvalidInput
from rtcc_chassis.identifiers import derived_id, new_id
from rtcc_chassis.scope import EVERY_AGENCY, Scope
from rtcc_registry.app.records import AGENCY, Kind, Work

_KEY_BYTES = 32


def platform_scope() -> Scope:
    """For what no single agency can see: the list of agencies, the sweep of ended accounts."""
    return Scope.platform("registry")


def scope_for(scope: Scope, agency_id: str) -> Scope:
    """The transaction's scope for a record of `agency_id`, after the right to make it was decided."""
    return scope if agency_id == scope.agency_id or scope.agency_id == EVERY_AGENCY else Scope.service("registry", agency_id)


def created_id(scope: Scope, action: str, chosen_id: str) -> str:
    """The id of a new record: chosen, or derived from the idempotency key so that a repeat meets its first try, or new."""
    if chosen_id:
        return chosen_id
    if scope.idempotency_key:
        return derived_id(scope.agency_id, scope.principal_id, action, scope.idempotency_key)
    return new_id()


def same_or_conflict[M: Message](scope: Scope, action: str, kind: Kind[M], wanted: M, stored: M | None) -> M:
    """A repeated create is the same create, whatever became of the record since; another one with a taken id is a conflict."""
    identifier = kind.identifier(wanted)
    repeated = bool(scope.idempotency_key) and identifier == created_id(scope, action, "")
    if stored is not None and (repeated or stored == wanted):
        return stored
    raise Conflict(f"A {kind.name} with the id {identifier} exists: choose another id or change that {kind.name}.")


async def require_agency(work: Work, agency_id: str) -> None:
    """InvalidInput unless the agency exists and is switched on."""
    agency = await work.get(AGENCY, agency_id)
    if agency is None or not agency.enabled:
        raise InvalidInput.one("agency_id", f"{agency_id[:40]!r} is no agency of this installation that is switched on")


def copy_of[M: Message](message: M) -> M:
    result = type(message)()
    result.CopyFrom(message)
    return result


def new_key() -> str:
    """256 random bits as unpadded base64url."""
    return base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).rstrip(b"=").decode()


def as_json(message: Message, **more: str) -> str:
    """For the audit entry's old and new value; `more` stands beside the message's fields."""
    return json.dumps(MessageToDict(message, preserving_proto_field_name=True) | more, sort_keys=True, ensure_ascii=False)

"""Who sees what of a record: one table. What a role doesn't include is left out and named as withheld.

The fields are those of the contract's details. Roles add up; an agreement takes away from what the role sees.
"""

from collections.abc import Iterable, Mapping

from rtcc.identity.v1 import identity_pb2 as pb

EVERYBODY = frozenset({"officer", "dispatcher", "operator", "supervisor", "investigator"})
_DESK = frozenset({"operator", "supervisor", "investigator"})
_KEEPERS = frozenset({"supervisor", "investigator"})
_INVESTIGATOR = frozenset({"investigator"})
_STREET_AND_DESK = EVERYBODY - {"dispatcher"}

# kind of record -> field -> the roles that see it; a field that isn't named is seen by nobody
DISCLOSURE: Mapping[str, Mapping[str, frozenset[str]]] = {
    "person": {
        "names": EVERYBODY,
        "birth_date": EVERYBODY,
        "sex": EVERYBODY,
        "cautions": EVERYBODY,
        "addresses": EVERYBODY,
        "description": EVERYBODY,
        "has_photo": _STREET_AND_DESK,
        "phones": _DESK | {"dispatcher"},
        "identifiers": _INVESTIGATOR,
    },
    "vehicle": {
        "plate": EVERYBODY,
        "state": EVERYBODY,
        "make": EVERYBODY,
        "model": EVERYBODY,
        "color": EVERYBODY,
        "year": EVERYBODY,
        "keeper_record_id": EVERYBODY,
        "keeper_name": EVERYBODY,
        "cautions": EVERYBODY,
        "addresses": EVERYBODY,
        "vin": _STREET_AND_DESK,
    },
    "warrant": {
        "person_record_id": EVERYBODY,
        "number": EVERYBODY,
        "offence": EVERYBODY,
        "severity": EVERYBODY,
        "status": EVERYBODY,
        "issued_on": EVERYBODY,
        "expires_on": EVERYBODY,
        "court": _DESK,
        "note": _KEEPERS,
    },
    "arrest": {
        "person_record_id": _DESK,
        "number": _DESK,
        "arrested_on": _DESK,
        "charge": _DESK,
        "disposition": _DESK,
        "address": _DESK,
        "note": _INVESTIGATOR,
    },
    "prior_call": {
        "number": EVERYBODY,
        "occurred_at": EVERYBODY,
        "type": EVERYBODY,
        "address": EVERYBODY,
        "outcome": EVERYBODY,
        "narrative": _DESK | {"dispatcher"},
        "person_record_ids": EVERYBODY,
    },
}
# an agreement's word -> (kind, fields) that it gives; the other kinds and fields stay home
PERSON_FIELD_OF: Mapping[str, Mapping[str, frozenset[str]]] = {
    "identity": {"person": frozenset({"names", "birth_date", "sex"})},
    "description": {"person": frozenset({"description"})},
    "cautions": {"person": frozenset({"cautions"}), "vehicle": frozenset({"cautions"})},
    "addresses": {"person": frozenset({"addresses"}), "vehicle": frozenset({"addresses"})},
    "phones": {"person": frozenset({"phones"})},
    "photo": {"person": frozenset({"has_photo"})},
    "warrants": {"warrant": frozenset({"person_record_id", "number", "offence", "severity", "status", "issued_on", "expires_on"})},
    "vehicles": {
        "vehicle": frozenset({"plate", "state", "make", "model", "color", "year", "vin", "keeper_record_id", "keeper_name"}),
    },
}
KINDS = tuple(DISCLOSURE)
# without it there is nothing to show: the cautions of a vehicle need the vehicle
_ESSENTIAL = {"person": "names", "vehicle": "plate", "warrant": "offence", "arrest": "charge", "prior_call": "type"}


class Disclosure:
    """What one caller may see; `granted`: None for the own agency, else the agreement's words."""

    def __init__(self, roles: Iterable[str], granted: frozenset[str] | None = None) -> None:
        self._roles = frozenset(roles)
        self._granted = granted

    def sees(self, kind: str, field: str) -> bool:
        """Whether the field of such a record may be shown."""
        if self._roles.isdisjoint(DISCLOSURE[kind].get(field, frozenset())):
            return False
        return self._granted is None or any(field in PERSON_FIELD_OF[word].get(kind, frozenset()) for word in self._granted)

    def sees_kind(self, kind: str) -> bool:
        """Whether such records may be shown at all: what makes them one must be."""
        return self.sees(kind, _ESSENTIAL[kind])

    def cut(self, record: pb.Record) -> pb.Record:
        """A copy with only what may be shown. `withheld` names every field that the caller may not see, filled or not."""
        kind = record.WhichOneof("details")
        if kind is None:
            raise ValueError("a record without details")
        copy = pb.Record()
        copy.CopyFrom(record)
        details = getattr(copy, kind)
        del copy.withheld[:]
        for field in details.DESCRIPTOR.fields:
            if not self.sees(kind, field.name):
                details.ClearField(field.name)
                copy.withheld.append(field.name)
        if self._granted is not None:
            # where a neighbour's record came from is its own business
            copy.source = copy.source_key = ""
        return copy

    def withheld_kinds(self) -> list[str]:
        """The kinds of which nothing may be shown, and intelligence where the role isn't made for it."""
        hidden = [kind for kind in KINDS if not self.sees_kind(kind)]
        return hidden + ([] if "investigator" in self._roles and self._granted is None else ["intelligence"])

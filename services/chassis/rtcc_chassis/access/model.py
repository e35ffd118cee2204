"""What a decision is made of. Plain values: a decision is a pure function of them."""

from dataclasses import dataclass
from typing import Protocol

COLLECTION = "collection"


@dataclass(frozen=True, slots=True)
class Grant:
    """What one agreement gives one agency for one object, worked out by `rtcc_chassis.sharing` at the moment of asking.

    Time, area and incident conditions are already applied there: a grant that exists holds now. `live` covers live
    pictures, `recorded` recordings, `export` copies that leave; `purposes` empty means any purpose that isn't barred (R16, R20, R21).
    """

    agreement_id: str
    grantor_agency_id: str
    grantee_agency_id: str
    live: bool = False
    purposes: frozenset[str] = frozenset()
    attestation_missing: bool = False
    recorded: bool = False
    export: bool = False


@dataclass(frozen=True, slots=True)
class Resource:
    """The thing asked for: `kind` is the word before the dot of the action ("camera"), `agency_id` its owner."""

    kind: str
    id: str
    agency_id: str
    grant: Grant | None = None

    @classmethod
    def collection(cls, agency_id: str) -> "Resource":
        """Everything of one agency: the question "may this role do that at all"."""
        return cls(COLLECTION, "", agency_id)

    @property
    def object_id(self) -> str:
        """How the object is named in the audit log: "camera:c1"; "" for a collection."""
        return f"{self.kind}:{self.id}" if self.id else ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer and the policies that made it; `reason` is written for the person who asked."""

    allowed: bool
    policy_ids: tuple[str, ...] = ()
    reason: str = ""


class AgencyFacts(Protocol):
    """What policies must know about the caller's agency; read from the directory mirror."""

    def disabled(self, agency_id: str) -> bool:
        """Whether the agency is known and switched off."""
        ...

    def barred_purposes(self, agency_id: str) -> frozenset[str]:
        """Purposes that this agency may never be asked under, nor ask under (R21)."""
        ...


class NoAgencyFacts:
    """Before the directory is there (migrations, the first start): nothing disabled, nothing barred."""

    def disabled(self, agency_id: str) -> bool:
        return False

    def barred_purposes(self, agency_id: str) -> frozenset[str]:
        return frozenset()

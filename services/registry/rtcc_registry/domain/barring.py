"""R19: an agency can bar receivers by state or federal status. What is barred never leaves, whatever an agreement says."""

import re

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_registry.domain.findings import Findings

FEDERAL, OUT_OF_STATE = "federal", "out_of_state"

_MOST_BARRED_RECEIVERS = 100
# ISO 3166-1 alpha-2, with the part of ISO 3166-2 that names the state, province or region
_JURISDICTION = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?\Z")


def check_law(found: Findings, agency: pb.Agency) -> None:
    """Tidies `jurisdiction` and `barred_receivers` of `agency` in place; what is wrong goes into `found`."""
    agency.jurisdiction = agency.jurisdiction.strip().upper()
    found.require(
        not agency.jurisdiction or bool(_JURISDICTION.match(agency.jurisdiction)),
        "jurisdiction",
        "is no ISO 3166 code: write US-CA for an agency of a state, US for a national one",
    )
    barred = agency.barred_receivers[:_MOST_BARRED_RECEIVERS]
    found.require(
        len(agency.barred_receivers) <= _MOST_BARRED_RECEIVERS, "barred_receivers", f"at most {_MOST_BARRED_RECEIVERS} are allowed"
    )
    tidy = {word if (word := entry.strip().lower()) in (FEDERAL, OUT_OF_STATE) else entry.strip().upper() for entry in barred}
    for entry in tidy:
        known = entry in (FEDERAL, OUT_OF_STATE) or bool(_JURISDICTION.match(entry))
        found.require(known, "barred_receivers", f"{entry[:40]!r} is none of {FEDERAL}, {OUT_OF_STATE} and ISO 3166 codes such as US-TX")
    found.require(
        OUT_OF_STATE not in tidy or bool(agency.jurisdiction),
        "barred_receivers",
        f"{OUT_OF_STATE} says nothing while the agency's own jurisdiction is unknown: have the platform operator set it",
    )
    del agency.barred_receivers[:]
    agency.barred_receivers.extend(sorted(tidy))


def barred_reason(grantor: pb.Agency, grantee: pb.Agency) -> str:
    """Why `grantee` may receive nothing of `grantor`, for people to read; "" when it may.

    A receiver of unknown jurisdiction is barred by every bar: a law isn't kept by not asking.
    """
    place = grantee.jurisdiction
    for bar in grantor.barred_receivers:
        if not place:
            return f"{grantor.name} bars receivers ({bar}) and the jurisdiction of {grantee.name} is unknown (R19)."
        if bar == FEDERAL and "-" not in place:
            return f"{grantor.name} bars federal receivers (R19)."
        if bar == OUT_OF_STATE and place != grantor.jurisdiction:
            return f"{grantor.name} bars receivers out of {grantor.jurisdiction} (R19)."
        # a whole country: all within it
        if bar == place or ("-" not in bar and place.startswith(f"{bar}-")):
            return f"{grantor.name} bars receivers of {bar} (R19)."
    return ""

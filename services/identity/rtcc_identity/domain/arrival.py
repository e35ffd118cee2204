"""Which warnings stand on a card, and in which order."""

from collections.abc import Iterable

from rtcc.identity.v1 import identity_pb2 as pb
from rtcc_identity.domain.records import CAUTION_KINDS, display_name

# a warrant by how grave its offence is, among the kinds of cautions
_WARRANT_BEFORE = {"felony": "resists", "misdemeanour": "infectious", "civil": "other", "other": "other"}


def warnings_of(persons: Iterable[pb.ArrivalPerson], vehicles: Iterable[pb.Record]) -> list[pb.Warning]:
    """Most dangerous first, from records that are cut to what the caller may see already."""
    found: list[tuple[float, pb.Warning]] = []
    for one in persons:
        about = display_name(one.person.person)
        found += _cautions(one.person.person.cautions, one.person.record_id, about)
        for warrant in one.warrants:
            details = warrant.warrant
            rank = CAUTION_KINDS.index(_WARRANT_BEFORE.get(details.severity, "other")) - 0.5
            text = f"warrant: {details.offence} ({details.severity})"
            found.append((rank, pb.Warning(kind="warrant", text=text, record_id=one.person.record_id, about=about)))
    for vehicle in vehicles:
        found += _cautions(vehicle.vehicle.cautions, vehicle.record_id, vehicle.vehicle.plate or vehicle.vehicle.vin)
    found.sort(key=lambda ranked: (ranked[0], ranked[1].about, ranked[1].text))
    return [warning for _, warning in found]


def _cautions(cautions: Iterable[pb.Caution], record_id: str, about: str) -> list[tuple[float, pb.Warning]]:
    return [
        (
            float(CAUTION_KINDS.index(caution.kind) if caution.kind in CAUTION_KINDS else len(CAUTION_KINDS)),
            pb.Warning(
                kind=caution.kind,
                text=f"{caution.kind}: {caution.note}" if caution.note else caution.kind,
                record_id=record_id,
                about=about,
            ),
        )
        for caution in cautions
    ]

"""Where everybody is and who is nearest, as far as the asking agency may see it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rtcc.geo.v1 import geo_pb2
from rtcc.location.v1 import location_pb2 as pb
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.access import Access, Resource, touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.directory import Mirror
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.geometry import coordinate_violations
from rtcc_chassis.scope import Scope
from rtcc_chassis.sharing import units_grant
from rtcc_location.app.names import TRANSIT, Names
from rtcc_location.domain.fixes import FIXED_AT, UNKNOWN_HEADING_CDEG, UNKNOWN_SPEED_CMPS, Flags, microseconds
from rtcc_location.domain.live import LiveState
from rtcc_location.domain.nearest import CellGrid

NEAREST_DEFAULT = 5
NEAREST_MOST = 100
AGE_DEFAULT_S = 600


@dataclass(frozen=True, slots=True)
class Visible:
    """`rows[i]`: whether the unit of row i may be seen; `agreement_of` names the agreement of a partner's."""

    rows: Flags
    agreement_of: dict[int, str]


class Whereabouts:
    """Answers from memory."""

    def __init__(self, live: LiveState, units: Names, agreements: Mirror[registry_pb2.Agreement], access: Access, clock: Clock) -> None:
        self._live = live
        self._units = units
        self._agreements = agreements
        self._access = access
        self._clock = clock
        self._grid = CellGrid(*live.coordinates_deg())
        self._grid_version = live.version
        self._enabled = np.zeros(0, bool)
        self._transit = np.zeros(0, bool)
        self._units_changed = True
        units.on_change(self._on_unit)

    def last_known(self, scope: Scope, box: geo_pb2.BoundingBox | None) -> list[pb.UnitPosition]:
        """Every visible unit with the age of its fix; west > east means a box across the antimeridian."""
        visible = self._visible(scope, "position.list")
        rows = visible.rows if box is None else visible.rows & self._inside(box)
        answer = [self._position(row) for row in np.flatnonzero(rows).tolist()]
        self._name(answer, visible, np.flatnonzero(rows).tolist())
        return answer

    def last_of(self, unit_id: str) -> pb.UnitPosition | None:
        """The last fix of one unit, which the caller has decided about; None when there is none."""
        row = self._live.row_of(unit_id)
        return None if row is None else self._position(row)

    def nearest(self, scope: Scope, coordinate: geo_pb2.Coordinate | None, limit: int, max_age_s: int) -> list[pb.NearUnit]:
        """The nearest visible units with a fix that is young enough, nearest first. Nobody sends a bus: transit is left out."""
        if coordinate is None:
            raise InvalidInput.one("coordinate", "is needed: nearest to what")
        if violations := coordinate_violations(coordinate, "coordinate"):
            raise InvalidInput(violations)
        if limit > NEAREST_MOST:
            raise InvalidInput.one("limit", f"at most {NEAREST_MOST} units are named")
        visible = self._visible(scope, "position.nearest")
        oldest_us = microseconds(self._clock()) - (max_age_s or AGE_DEFAULT_S) * 1_000_000
        allowed = visible.rows & ~self._transit & (self._live.column(FIXED_AT) >= oldest_us)
        rows, metres = self._current_grid().nearest(coordinate.latitude_deg, coordinate.longitude_deg, limit or NEAREST_DEFAULT, allowed)
        answer = [
            pb.NearUnit(unit=self._position(row), distance_m=away_m) for row, away_m in zip(rows.tolist(), metres.tolist(), strict=True)
        ]
        self._name([near.unit for near in answer], visible, rows.tolist())
        return answer

    def _current_grid(self) -> CellGrid:
        if self._grid_version != self._live.version:
            self._grid_version = self._live.version
            self._grid = CellGrid(*self._live.coordinates_deg())
        return self._grid

    def _visible(self, scope: Scope, action: str) -> Visible:
        live = self._live
        rows = live.of_agency(scope.agency_id) & live.known()
        agreement_of: dict[int, str] = {}
        for row, agreement_id in self._shared_rows(scope, action):
            rows[row] = True
            agreement_of.setdefault(row, agreement_id)
        return Visible(rows & self._enabled_rows(), agreement_of)

    def _enabled_rows(self) -> Flags:
        """Rows of units that exist and are switched on; made anew only when a unit changed or is new."""
        if self._units_changed or len(self._enabled) != len(self._live):
            self._units_changed = False
            known = [self._units.get(unit_id) for unit_id in self._live.unit_ids]
            self._enabled = np.array([unit is not None and unit.enabled for unit in known], bool)
            self._transit = np.array([unit is not None and unit.kind == TRANSIT for unit in known], bool)
        return self._enabled

    def _on_unit(self, unit_id: str, old: registry_pb2.Unit | None, new: registry_pb2.Unit | None) -> None:
        self._units_changed = True

    def _shared_rows(self, scope: Scope, action: str) -> Iterator[tuple[int, str]]:
        """(row, agreement) of partners' units: decided by the agreement where the unit is now, and by policy for this caller."""
        now = self._clock()
        for agreement in self._agreements.values():
            if agreement.grantee_agency_id != scope.agency_id or not agreement.units:
                continue
            theirs = self._live.of_agency(agreement.grantor_agency_id) & self._live.known()
            for row in np.flatnonzero(theirs).tolist():
                grant = units_grant([agreement], agreement.grantor_agency_id, scope.agency_id, self._coordinate(row), now)
                if grant is None:
                    continue
                resource = Resource("position", "", agreement.grantor_agency_id, grant)
                if not self._access.decide(scope, action, resource).allowed:
                    break
                yield row, agreement.agreement_id

    def _inside(self, box: geo_pb2.BoundingBox) -> Flags:
        latitude, longitude = self._live.coordinates_deg()
        inside = (latitude >= box.south_deg) & (latitude <= box.north_deg)
        if box.west_deg <= box.east_deg:
            return inside & (longitude >= box.west_deg) & (longitude <= box.east_deg)
        return inside & ((longitude >= box.west_deg) | (longitude <= box.east_deg))

    def _coordinate(self, row: int) -> geo_pb2.Coordinate:
        latitude_e7, longitude_e7 = self._live.numbers[:2, row].tolist()
        return geo_pb2.Coordinate(latitude_deg=latitude_e7 / 1e7, longitude_deg=longitude_e7 / 1e7)

    def _position(self, row: int) -> pb.UnitPosition:
        _, _, heading_cdeg, speed_cmps, accuracy_dm, fixed_at_us, received_at_us = self._live.numbers[:, row].tolist()
        unit = self._units.get(self._live.unit_ids[row]) or registry_pb2.Unit()
        position = geo_pb2.Position(coordinate=self._coordinate(row), accuracy_m=accuracy_dm / 10)
        if heading_cdeg != UNKNOWN_HEADING_CDEG:
            position.heading_deg = heading_cdeg / 100
        if speed_cmps != UNKNOWN_SPEED_CMPS:
            position.speed_mps = speed_cmps / 100
        answer = pb.UnitPosition(unit_id=unit.unit_id, agency_id=unit.agency_id, call_sign=unit.call_sign, kind=unit.kind)
        answer.position.CopyFrom(position)
        answer.panic = bool(self._live.panic[row])
        answer.fixed_at.FromMicroseconds(fixed_at_us)
        answer.received_at.FromMicroseconds(received_at_us)
        answer.age_s = max(0.0, (microseconds(self._clock()) - fixed_at_us) / 1e6)
        return answer

    def _name(self, positions: list[pb.UnitPosition], visible: Visible, rows: list[int]) -> None:
        for position, row in zip(positions, rows, strict=True):
            touched(f"unit:{position.unit_id}", owner_agency_id=position.agency_id, agreement_id=visible.agreement_of.get(row, ""))

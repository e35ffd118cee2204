"""The rules as every agency set them, in memory: at once after our own changes, within seconds after another instance's."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc.event.v1.event_pb2 import Event
from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.registry.v1.registry_pb2 import Zone
from rtcc_alerting.findings import RuleSetting, Threshold
from rtcc_alerting.rule_table import BY_NAME
from rtcc_chassis.errors import RtccError
from rtcc_chassis.geometry import polygon_contains
from rtcc_chassis.scope import Scope

_LOG = logging.getLogger(__name__)


class StoredRules(Protocol):
    async def version(self, scope: Scope) -> tuple[int, int]: ...

    async def every(self, scope: Scope) -> dict[tuple[str, str], pb.AlertRule]: ...


class Zones(Protocol):
    """The directory's mirror."""

    def get(self, identifier: str) -> Zone | None: ...


def setting_of(rule: pb.AlertRule) -> RuleSetting:
    return RuleSetting(
        enabled=rule.enabled,
        severity=rule.severity,
        zone_ids=tuple(rule.zone_ids),
        words=frozenset(rule.words),
        thresholds=tuple(
            Threshold(
                threshold.quantity,
                threshold.above if threshold.HasField("above") else None,
                threshold.below if threshold.HasField("below") else None,
            )
            for threshold in rule.thresholds
        ),
    )


def in_zones(zones: Zones, agency_id: str, zone_ids: tuple[str, ...], coordinate: Coordinate | None) -> bool:
    """Whether it is inside of one of the agency's zones; without zones it is everywhere. A zone that was deleted holds nothing."""
    if not zone_ids:
        return True
    if coordinate is None:
        return False
    found = (zones.get(zone_id) for zone_id in zone_ids)
    return any(zone is not None and zone.agency_id == agency_id and polygon_contains(zone.area, coordinate) for zone in found)


class RuleBook:
    """Implements `engine.Settings` and `rules_app.RuleRefresh`."""

    def __init__(self, store: StoredRules, zones: Zones) -> None:
        self._store = store
        self._zones = zones
        self._scope = Scope.platform("alerting")
        self._version: tuple[int, int] | None = None
        self._settings: Mapping[tuple[str, str], RuleSetting] = {}

    def of(self, agency_id: str, rule: str) -> RuleSetting:
        return self._settings.get((agency_id, rule)) or BY_NAME[rule].default

    def inside(self, setting: RuleSetting, event: Event) -> bool:
        coordinate = event.position.coordinate if event.position.HasField("coordinate") else None
        return in_zones(self._zones, event.agency_id, setting.zone_ids, coordinate)

    async def refresh(self) -> None:
        """Read what changed; cheap when nothing did."""
        version = await self._store.version(self._scope)
        if version != self._version:
            self._settings = {key: setting_of(rule) for key, rule in (await self._store.every(self._scope)).items()}
            self._version = version

    async def run(self, every_s: float) -> None:
        """For ever: follow other instances' changes."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.refresh()
            except RtccError as error:
                _LOG.warning("rules: waiting, %s", error)

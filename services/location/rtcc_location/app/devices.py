"""Which unit a device reports for, and whether it is that device."""

import hashlib
import hmac

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.directory import Mirror
from rtcc_chassis.errors import Unauthenticated
from rtcc_chassis.scope import Scope

DEVICE_ID_HEADER = "rtcc-device-id"
DEVICE_KEY_HEADER = "rtcc-device-key"
_KEY_LENGTH_MOST = 256
_NO_UNIT = hashlib.sha256(b"").hexdigest()


class Devices:
    """Knows every unit of the installation by its device, from the directory."""

    def __init__(self, units: Mirror[pb.Unit]) -> None:
        self.units = units
        self._unit_of_device: dict[str, str] = {unit.device_id: unit.unit_id for unit in units.values()}
        units.on_change(self._on_change)

    def authenticated(self, device_id: str, device_key: str) -> pb.Unit:
        """The unit of a device that holds the key. Raises Unauthenticated, equally slow and with equal words for each reason."""
        unit = self._of_device(device_id)
        expected = unit.device_key_sha256 if unit is not None else _NO_UNIT
        given = hashlib.sha256(device_key[:_KEY_LENGTH_MOST].encode("utf-8", "replace")).hexdigest()
        matches = hmac.compare_digest(given, expected)
        if unit is None or not matches or not unit.enabled:
            raise Unauthenticated("this device is not known, not enabled, or its key is wrong: check id and key, or ask an administrator")
        return unit

    def by_metadata(self, metadata: dict[str, str]) -> Scope | None:
        """For the gRPC gate: the device that a call's headers prove; None when they name none."""
        device_id, device_key = metadata.get(DEVICE_ID_HEADER, ""), metadata.get(DEVICE_KEY_HEADER, "")
        if not device_id:
            return None
        unit = self.authenticated(device_id, device_key)
        return Scope(unit.agency_id, device_id, "device", frozenset({"device"}), display_name=unit.call_sign)

    def reporting_for(self, scope: Scope) -> pb.Unit:
        """The unit of a device that is signed in; asked for each message, so that a device switched off in its stream is out."""
        unit = self._of_device(scope.principal_id.removeprefix("device:"))
        if unit is None or unit.agency_id != scope.agency_id or not unit.enabled:
            raise Unauthenticated("no enabled unit reports through this device: ask an administrator")
        return unit

    def _of_device(self, device_id: str) -> pb.Unit | None:
        unit_id = self._unit_of_device.get(device_id)
        return self.units.get(unit_id) if unit_id is not None else None

    def _on_change(self, unit_id: str, old: pb.Unit | None, new: pb.Unit | None) -> None:
        if old is not None and (new is None or new.device_id != old.device_id):
            self._unit_of_device.pop(old.device_id, None)
        if new is not None:
            self._unit_of_device[new.device_id] = unit_id

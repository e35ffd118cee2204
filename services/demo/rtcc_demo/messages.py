"""What the demo's devices say, in the public formats: JSON of plate readers and gunshot networks, EIDO of dispatch, OsmAnd of trackers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.sax.saxutils import escape

from rtcc_demo.remote_id import beacon_element
from rtcc_demo.world.geometry import to_degrees
from rtcc_demo.world.plate_reading import PlateRead
from rtcc_demo.world.simulation import CallMessage, GunshotMessage, UnitFix
from rtcc_demo.world.sky import RECEIVERS, AircraftSeen, DroneFix

KNOTS_PER_MPS = 3600 / 1852
FEET_PER_M = 1 / 0.3048
PIDF_LO = (
    '<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:gp="urn:ietf:params:xml:ns:pidf:geopriv10" '
    'xmlns:gml="http://www.opengis.net/gml" xmlns:gs="http://www.opengis.net/pidflo/1.0" entity="pres:demo@example.org"><tuple id="call">'
    '<status><gp:geopriv><gp:location-info><gs:Circle srsName="urn:ogc:def:crs:EPSG::4326"><gml:pos>{latitude} {longitude}</gml:pos>'
    '<gs:radius uom="urn:ogc:def:uom:EPSG::9001">15</gs:radius></gs:Circle>'
    '<ca:civicAddress xmlns:ca="urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr"><ca:country>FI</ca:country><ca:A3>Helsinki</ca:A3>'
    "<ca:RD>{address}</ca:RD></ca:civicAddress></gp:location-info><gp:usage-rules/></gp:geopriv></status></tuple></presence>"
)


class Wording:
    """Turns the simulation's happenings into messages. `began_at` is the wall-clock time of simulated second 0; `run` tells runs apart."""

    def __init__(self, began_at: datetime, run: str) -> None:
        self._began_at = began_at
        self._run = run

    def moment(self, simulated_s: float) -> datetime:
        """The wall-clock time (UTC) of a simulated moment."""
        return self._began_at + timedelta(seconds=simulated_s)

    def shift(self, seconds: float) -> None:
        """Moves the clock when simulated time stood still (the machine slept)."""
        self._began_at += timedelta(seconds=seconds)

    def plate_read(self, read: PlateRead, jpeg: bytes) -> tuple[str, dict[str, Any]]:
        """(delivery id, body) of a plate read."""
        longitude, latitude = to_degrees(read.at)
        read_id = f"{self._run}-read-{read.read_number}"
        return read_id, {
            "read_id": read_id,
            "camera_id": read.camera.camera_id,
            "plate": read.plate,
            "state": read.vehicle.state,
            "confidence": read.confidence,
            "captured_at": _rfc3339(self.moment(read.captured_s)),
            "lat": latitude,
            "lon": longitude,
            "vehicle": {"make": read.vehicle.model.make, "model": read.vehicle.model.model, "color": read.vehicle.colour_name},
            "image": base64.b64encode(jpeg).decode(),
            "candidates": [{"plate": plate, "confidence": confidence} for plate, confidence in read.candidates],
        }

    def gunshot(self, message: GunshotMessage) -> tuple[str, dict[str, Any]]:
        """(delivery id, body) of one stage of a gunshot incident."""
        longitude, latitude = to_degrees(message.at)
        incident_id = f"{self._run}-shot-{message.incident_number}"
        return f"{incident_id}-{message.stage}", {
            "incident_id": incident_id,
            "stage": message.stage,
            "classification": message.classification,
            "detected_at": _rfc3339(self.moment(message.detected_s)),
            "lat": latitude,
            "lon": longitude,
            "error_radius_m": message.error_radius_m,
            "rounds": message.rounds,
            "sensors": message.sensors,
        }

    def call(self, message: CallMessage) -> tuple[str, dict[str, Any]]:
        """(delivery id, body) of a call for service: a NENA EIDO (NENA-STA-021.1b), one document a change."""
        call = message.call
        call_id = f"{self._run}-call-{message.agency_id}-{message.call_number}"
        delivery_id = f"{call_id}-{message.status.replace(' ', '-')}"
        changed = _rfc3339(self.moment(message.changed_s))
        longitude, latitude = call.place
        notes = [call.narrative, *([call.update] if message.status == "closed" else [])]
        return delivery_id, {
            "$id": f"urn:emergency:uid:eidoid:{delivery_id}:dispatch.example.org",
            "lastUpdateTimeStamp": changed,
            "issuingElementIdentification": f"cad.{message.agency_id}.example.org",
            "incidentComponent": {
                "$id": "incident",
                "incidentTrackingIdentifier": f"urn:emergency:uid:incidentid:{call_id}:dispatch.example.org",
                "lastUpdateTimeStamp": changed,
                "incidentTypeInternalText": [call.call_type],
                "incidentStatusInternalText": [message.status],
                "incidentCommonPriorityNumber": 12 - 2 * call.priority,
                "locationReference": [{"$ref": "location"}],
            },
            "locationComponent": [
                {
                    "$id": "location",
                    "locationDescriptionText": call.address,
                    "locationByValue": PIDF_LO.format(latitude=latitude, longitude=longitude, address=escape(call.address)),
                }
            ],
            "callComponent": [
                {"$id": "call", "callStateText": message.status, "startTimeStamp": _rfc3339(self.moment(message.received_s))}
            ],
            "callbackComponent": [{"$id": "callback", "callBackInformationUri": f"tel:+99900000{100 + message.call_number % 900}"}],
            "notesComponent": [
                {"$id": f"note-{number}", "notesActionComments": note, "notesDateTimeText": changed}
                for number, note in enumerate(notes, start=1)
            ],
        }

    def drone(self, fix: DroneFix) -> tuple[str, dict[str, Any]]:
        """(delivery id, body) of one Remote ID frame as a receiver hears it."""
        longitude, latitude = RECEIVERS[fix.agency_id]
        heard_at = self.moment(fix.heard_s)
        frame = {
            "at": _rfc3339(heard_at),
            "carrier": "wifi_beacon",
            "mac": fix.drone.mac,
            "rssi": fix.rssi_dbm,
            "data": base64.b64encode(beacon_element(fix, heard_at, int(fix.heard_s))).decode(),
        }
        delivery_id = f"{self._run}-rid-{fix.agency_id}-{fix.heard_s:.1f}".replace(".", "_")
        return delivery_id, {"receiver": {"lat": latitude, "lon": longitude}, "frames": [frame]}

    def aircraft(self, seen: AircraftSeen) -> tuple[str, dict[str, Any]]:
        """(delivery id, body): readsb's aircraft.json."""
        listed = []
        for craft in seen.aircraft:
            longitude, latitude = to_degrees(craft.at)
            listed.append(
                {
                    "hex": craft.address,
                    "flight": f"{craft.flight:8}",
                    "r": craft.registration,
                    "t": craft.type_code,
                    "alt_geom": round(craft.altitude_m * FEET_PER_M),
                    "gs": round(craft.speed_mps * KNOTS_PER_MPS, 1),
                    "track": round(craft.heading_deg, 1),
                    "lat": latitude,
                    "lon": longitude,
                    "seen_pos": 0.2,
                    "emergency": "none",
                }
            )
        delivery_id = f"{self._run}-adsb-{seen.agency_id}-{seen.heard_s:.1f}".replace(".", "_")
        return delivery_id, {"now": self.moment(seen.heard_s).timestamp(), "messages": len(listed), "aircraft": listed}

    def fix(self, fix: UnitFix, key: str) -> dict[str, str]:
        """The query of an OsmAnd request (speed in knots, as Traccar's clients send it)."""
        longitude, latitude = to_degrees(fix.at)
        return {
            "id": fix.unit.device_id,
            "key": key,
            "timestamp": _rfc3339(self.moment(fix.fixed_s)),
            "lat": f"{latitude:.6f}",
            "lon": f"{longitude:.6f}",
            "speed": f"{fix.speed_mps * KNOTS_PER_MPS:.2f}",
            "bearing": f"{fix.heading_deg:.1f}",
            "accuracy": f"{fix.accuracy_m:.1f}",
            "batt": f"{fix.battery_percent:.0f}",
        }


def encode_body(body: Mapping[str, Any]) -> bytes:
    """Compact UTF-8 JSON."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def signature_headers(secret: str, delivery_id: str, body: bytes, sent_at_s: int) -> dict[str, str]:
    """The headers of a signed webhook: HMAC-SHA256 over `<timestamp>.<delivery>.<body>`, keyed with the secret's text."""
    signed = f"{sent_at_s}.{delivery_id}.".encode() + body
    return {
        "Content-Type": "application/json",
        "Rtcc-Timestamp": str(sent_at_s),
        "Rtcc-Delivery": delivery_id,
        "Rtcc-Signature": "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest(),
    }


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")

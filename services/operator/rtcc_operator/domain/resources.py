"""Agency and SharingAgreement as the cluster holds them, read into plain values.

The API server checks the structural schema before it stores anything; what still doesn't fit is InvalidResource, never a crash.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.errors import RtccError

GROUP, VERSION = "openrtcc.org", "v1alpha1"
FINALIZER = f"{GROUP}/carried-out"
# on a resource that is being deleted: its value must be the agency's id, so that nobody sets it by copying
DELETE_DATA = f"{GROUP}/delete-data"
KINDS = {"agencies": "Agency", "sharingagreements": "SharingAgreement"}

_AGENCY_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])\Z")
_SOURCE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


class InvalidResource(RtccError):
    """What a resource says can't be carried out; trying again without a change is no use."""


@dataclass(frozen=True, slots=True)
class Meta:
    """The part of `metadata` that matters here."""

    kind: str
    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    deleting: bool
    finalizers: tuple[str, ...]
    annotations: Mapping[str, str]

    @classmethod
    def of(cls, resource: Mapping[str, Any]) -> "Meta":
        meta = resource.get("metadata") or {}
        return cls(
            kind=str(resource.get("kind", "")),
            namespace=str(meta.get("namespace", "")),
            name=str(meta.get("name", "")),
            uid=str(meta.get("uid", "")),
            generation=int(meta.get("generation", 0)),
            resource_version=str(meta.get("resourceVersion", "")),
            deleting=bool(meta.get("deletionTimestamp")),
            finalizers=tuple(meta.get("finalizers") or ()),
            annotations={str(key): str(value) for key, value in (meta.get("annotations") or {}).items()},
        )


@dataclass(frozen=True, slots=True)
class Administrator:
    login: str
    display_name: str
    email: str = ""


@dataclass(frozen=True, slots=True)
class BusLimits:
    """Of the agency's NATS account."""

    connections_most: int = 1000
    payload_bytes_most: int = 1024 * 1024
    subscriptions_most: int = 10_000


@dataclass(frozen=True, slots=True)
class AgencySpec:
    """`declared` are the optional settings that the resource names; the others are left to the agency's own administrators."""

    agency: pb.Agency
    declared: frozenset[str]
    administrator: Administrator
    bus: BusLimits = field(default_factory=BusLimits)
    # sources that sign in over MQTT
    mqtt_sources: tuple[str, ...] = ()
    quota_bytes: int = 0

    @property
    def agency_id(self) -> str:
        return self.agency.agency_id

    def applied_to(self, current: pb.Agency) -> pb.Agency:
        """`current` with what is declared."""
        result = pb.Agency()
        result.CopyFrom(self.agency)
        for name in ("area", "jurisdiction", "barred_receivers", "barred_purposes", "sound_allowed"):
            if name in self.declared:
                continue
            result.ClearField(name)
            if name == "area":
                if current.HasField("area"):
                    result.area.CopyFrom(current.area)
            elif name in ("jurisdiction", "sound_allowed"):
                setattr(result, name, getattr(current, name))
            else:
                getattr(result, name).extend(getattr(current, name))
        return result


def agency_spec(resource: Mapping[str, Any]) -> AgencySpec:
    """Raises InvalidResource."""
    meta, spec = Meta.of(resource), _spec(resource)
    if not _AGENCY_ID.match(meta.name):
        raise InvalidResource(f"metadata.name {meta.name[:60]!r} is no agency id: 2 to 40 of a-z, 0-9 and '-', not at its ends.")
    agency = pb.Agency(
        agency_id=meta.name,
        name=_text(spec, "name"),
        time_zone=_text(spec, "timeZone") or "UTC",
        enabled=not spec.get("suspended", False),
        jurisdiction=_text(spec, "jurisdiction"),
        barred_receivers=sorted(_texts(spec, "barredReceivers")),
        barred_purposes=sorted(_texts(spec, "barredPurposes")),
        sound_allowed=bool(spec.get("soundAllowed", False)),
    )
    _add_area(agency.area, spec)
    names = {
        "area": "area",
        "jurisdiction": "jurisdiction",
        "barredReceivers": "barred_receivers",
        "barredPurposes": "barred_purposes",
        "soundAllowed": "sound_allowed",
    }
    first = _mapping(spec, "firstAdministrator")
    bus, objects = _mapping(spec, "bus"), _mapping(spec, "objects")
    return AgencySpec(
        agency=agency,
        declared=frozenset(ours for theirs, ours in names.items() if theirs in spec),
        administrator=Administrator(_text(first, "login"), _text(first, "displayName"), _text(first, "email")),
        bus=BusLimits(
            _number(bus, "connectionsMost", BusLimits().connections_most),
            _number(bus, "payloadBytesMost", BusLimits().payload_bytes_most),
            _number(bus, "subscriptionsMost", BusLimits().subscriptions_most),
        ),
        mqtt_sources=_source_ids(bus),
        quota_bytes=_number(objects, "quotaBytes", 0),
    )


def agreement_of(resource: Mapping[str, Any]) -> pb.Agreement:
    """The terms that are declared, without id. Raises InvalidResource."""
    spec = _spec(resource)
    agreement = pb.Agreement(
        grantor_agency_id=_text(spec, "grantor"),
        grantee_agency_id=_text(spec, "grantee"),
        title=_text(spec, "title"),
        alert_kinds=_texts(spec, "alertKinds"),
        camera_ids=_texts(spec, "cameraIds"),
        cameras_live=bool(spec.get("camerasLive", False)),
        cameras_recorded=bool(spec.get("camerasRecorded", False)),
        cameras_export=bool(spec.get("camerasExport", False)),
        cameras_only_during_alert=bool(spec.get("camerasOnlyDuringAlert", False)),
        units=bool(spec.get("units", False)),
        tracks=bool(spec.get("tracks", False)),
        person_fields=_texts(spec, "personFields"),
        purposes=_texts(spec, "purposes"),
        redactions=_texts(spec, "redactions"),
        attestation_required=bool(spec.get("attestationRequired", False)),
    )
    _add_area(agreement.area, spec)
    for ours, theirs in (("valid_from", "validFrom"), ("valid_until", "validUntil")):
        if text := _text(spec, theirs):
            getattr(agreement, ours).CopyFrom(_moment(theirs, text))
    return agreement


def _spec(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(resource, "spec")


def _mapping(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name) or {}
    if not isinstance(value, Mapping):
        raise InvalidResource(f"{name} is no object.")
    return value


def _text(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name, "")
    if not isinstance(value, str):
        raise InvalidResource(f"{name} is no text.")
    return value.strip()


def _texts(holder: Mapping[str, Any], name: str) -> list[str]:
    value = holder.get(name) or []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise InvalidResource(f"{name} is no list of texts.")
    return list(value)


def _source_ids(bus: Mapping[str, Any]) -> tuple[str, ...]:
    found = sorted(set(_texts(bus, "mqttSources")))
    for source_id in found:
        if not _SOURCE_ID.match(source_id):
            raise InvalidResource(f"bus.mqttSources: {source_id[:60]!r} is no id of a source.")
    return tuple(found)


def _number(holder: Mapping[str, Any], name: str, default: int) -> int:
    value = holder.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise InvalidResource(f"{name} is no whole number from 0.")
    return value


def _add_area(area: Any, spec: Mapping[str, Any]) -> None:
    corners = spec.get("area") or []
    try:
        for corner in corners:
            area.corners.add(latitude_deg=float(corner["latitude"]), longitude_deg=float(corner["longitude"]))
    except (TypeError, KeyError, ValueError) as error:
        raise InvalidResource("area is no list of corners with latitude and longitude.") from error


def _moment(name: str, text: str) -> Timestamp:
    result = Timestamp()
    try:
        result.FromJsonString(text)
    except ValueError as error:
        raise InvalidResource(f"{name} {text[:40]!r} is no RFC 3339 time.") from error
    return result

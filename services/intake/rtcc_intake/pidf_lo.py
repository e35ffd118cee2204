"""PIDF-LO (RFC 5491, GML shapes of RFC 5491 section 5) as EIDO carries it: a point or circle, and a civic address (RFC 5139)."""

from dataclasses import dataclass

from lxml import etree

from rtcc.geo.v1 import geo_pb2
from rtcc_intake.document import Node, read_coordinate
from rtcc_intake.domain import NotUnderstood
from rtcc_intake.xml_document import read_xml

_CIVIC = "{urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr}"
_GML = "{http://www.opengis.net/gml}"
_SHAPES = "{http://www.opengis.net/pidflo/1.0}"


@dataclass(frozen=True, slots=True)
class PidfLocation:
    """`accuracy_m` is the circle's radius; 0: unknown."""

    coordinate: geo_pb2.Coordinate | None
    accuracy_m: float
    address: str


def read_pidf_lo(text: str, place: str) -> PidfLocation:
    """Raises NotUnderstood for what is not XML, declares a document type (entities are never expanded) or holds no usable position."""
    root = read_xml(text.encode("utf-8", errors="replace"), place)
    position = root.find(f".//{_GML}pos")
    coordinate = None
    if position is not None:
        parts = (position.text or "").split()
        if len(parts) not in (2, 3):
            raise NotUnderstood(f"{place} gml:pos", "must be latitude and longitude (and altitude) in degrees, WGS 84")
        latitude, longitude = (_number(part, f"{place} gml:pos") for part in parts[:2])
        coordinate = read_coordinate(latitude, longitude)
    radius = root.find(f".//{_SHAPES}radius")
    accuracy_m = _number(radius.text or "", f"{place} gs:radius").number(0, 1_000_000) if radius is not None else 0.0
    return PidfLocation(coordinate, accuracy_m, _address(root))


def _number(text: str, place: str) -> Node:
    try:
        return Node(float(text), place)
    except ValueError as error:
        raise NotUnderstood(place, f"{text[:40]!r} is not a number") from error


def _address(root: etree._Element) -> str:
    civic = root.find(f".//{_CIVIC}civicAddress")
    if civic is None:
        return ""
    parts = {child.tag.removeprefix(_CIVIC): (child.text or "").strip() for child in civic if isinstance(child.tag, str)}
    street = " ".join(parts.get(name, "") for name in ("PRD", "RD", "STS", "POD", "HNO", "HNS")).split()
    return ", ".join(part for part in (" ".join(street), parts.get("A3", ""), parts.get("A1", "")) if part)[:512]

"""XML read as carefully as JSON: UTF-8, no document type (so no entities), bounded, and what is wrong names its place."""

from lxml import etree

from rtcc_intake.document import Node
from rtcc_intake.domain import NotUnderstood

MAXIMUM_ELEMENTS = 20_000


def read_xml(body: bytes, place: str = "document") -> etree._Element:
    """The root element. Raises NotUnderstood for what is not UTF-8, not XML, or declares a document type (entities are never expanded)."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotUnderstood(f"byte {error.start}", "is not UTF-8: send the document in UTF-8") from error
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise NotUnderstood(place, "declares a document type: send the document without one")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False, remove_pis=True, remove_comments=True
    )
    try:
        root = etree.fromstring(text.encode("utf-8"), parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise NotUnderstood(f"line {line} column {column}", f"is not XML: {error.msg}") from error
    except (ValueError, LookupError) as error:
        raise NotUnderstood(place, f"is not XML: {error}") from error
    if root is None:
        raise NotUnderstood(place, "is not XML: it has no element")
    if sum(1 for _ in root.iter()) > MAXIMUM_ELEMENTS:
        raise NotUnderstood(place, f"holds more than {MAXIMUM_ELEMENTS} elements")
    return root


def local_name(element: etree._Element) -> str:
    """The name without its namespace."""
    return str(etree.QName(element).localname)


def text_node(text: str | None, place: str) -> Node:
    """Text of an element or attribute, to be read by type and bounds; missing: a Node that is not present."""
    return Node(text, place)


def number_node(text: str | None, place: str) -> Node:
    """A number written as text; missing or empty: a Node that is not present."""
    if text is None or not text.strip():
        return Node(None, place)
    try:
        return Node(float(text), place)
    except ValueError as error:
        raise NotUnderstood(place, f"{text[:40]!r} is not a number") from error

"""XML of devices, which may send anything: no document type (so no entities), bounded in bytes, depth and elements."""

from dataclasses import dataclass, field
from typing import Any, Final
from xml.parsers import expat

_BYTES_MOST: Final = 1 << 20
_DEPTH_MOST: Final = 48
_ELEMENTS_MOST: Final = 20_000


class BadMarkup(ValueError):
    """What a device sent isn't XML that is taken; says why."""


@dataclass(slots=True)
class Element:
    """`name` is local: devices disagree about namespaces of the same thing."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: "list[Element]" = field(default_factory=list)
    text: str = ""

    def find(self, *path: str) -> "Element | None":
        """The first descendant by child names."""
        found: Element | None = self
        for name in path:
            found = next((child for child in found.children if child.name == name), None) if found else None
        return found

    def all(self, name: str) -> "list[Element]":
        """Children of that name."""
        return [child for child in self.children if child.name == name]

    def value(self, *path: str, limit: int = 512) -> str:
        """The text of a descendant, printable and cut; "" when it isn't there."""
        found = self.find(*path)
        text = "" if found is None else found.text.strip()[:limit]
        return "".join(character if character.isprintable() else " " for character in text)

    def anywhere(self, name: str) -> "Element | None":
        """The first of that name in here."""
        waiting = [self]
        while waiting:
            element = waiting.pop(0)
            if element.name == name:
                return element
            waiting = element.children + waiting
        return None


def read_markup(body: bytes) -> Element:
    """The root element. Raises `BadMarkup`."""
    if len(body) > _BYTES_MOST:
        raise BadMarkup(f"the answer has more than {_BYTES_MOST} bytes")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise BadMarkup(f"the answer isn't XML: {expat.ErrorString(error.code)} in line {error.lineno}") from error
    except (ValueError, LookupError) as error:
        raise BadMarkup(str(error) if isinstance(error, BadMarkup) else "the answer is in an encoding that isn't read") from error
    return reader.root.children[0]


class _Reader:
    def __init__(self) -> None:
        self.root = Element("")
        self._open = [self.root]
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) > _DEPTH_MOST or self._count > _ELEMENTS_MOST:
            raise BadMarkup("the answer has too many elements")
        element = Element(_local(name), {_local(key): value for key, value in attributes.items()})
        self._open[-1].children.append(element)
        self._open.append(element)

    def end(self, name: str) -> None:
        self._open.pop()

    def text(self, data: str) -> None:
        self._open[-1].text += data

    def doctype(self, *_: Any) -> None:
        raise BadMarkup("the answer declares a document type")


def _local(name: str) -> str:
    return name.rpartition(":")[2]

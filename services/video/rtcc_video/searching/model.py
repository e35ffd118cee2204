"""What an operator declares about a model: its input, how its output is read, and what its classes are called. No I/O."""

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

_MOST_LABELS: Final = 1000
_LARGEST_SIDE_PX: Final = 2048
# A model that says such things about people isn't loaded: what is looked for are things and that somebody is there, never who or of
# which kind somebody is.
_REFUSED_WORDS: Final = frozenset(
    [
        "face",
        "faces",
        "facial",
        "gender",
        "sex",
        "male",
        "female",
        "man",
        "woman",
        "boy",
        "girl",
        "age",
        "race",
        "ethnicity",
        "skin",
        "nationality",
        "religion",
        "emotion",
        "mood",
        "identity",
    ]
)


class UnusableDeclaration(ValueError):
    """The declaration can't be used; the message says which field and why."""


@dataclass(frozen=True, slots=True)
class ModelDeclaration:
    """See docs/operations/analytics.md. `labels` by class number, "" for classes that are of no interest."""

    input_name: str
    width_px: int
    height_px: int
    channels_first: bool
    blue_first: bool
    whole_numbers: bool
    scale: float
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    letterbox: bool
    output_name: str
    output_format: Literal["rows", "yolo"]
    normalised: bool
    labels: tuple[str, ...]
    least_score: float
    overlap: float

    @property
    def kinds(self) -> tuple[str, ...]:
        """Each label once."""
        return tuple(dict.fromkeys(label for label in self.labels if label))


def parse_declaration(text: str) -> ModelDeclaration:
    """Raises `UnusableDeclaration`."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UnusableDeclaration(f"it isn't JSON: {error}") from error
    fields = _Fields(found, "")
    into, out = fields.part("input"), fields.part("output")
    labels = fields.texts("labels", _MOST_LABELS)
    if not any(labels):
        raise UnusableDeclaration("labels: at least one class needs a name")
    for label in labels:
        if label != label.strip().lower() or len(label) > 60 or not (label.isprintable() or not label):
            raise UnusableDeclaration(f"labels: {label[:60]!r} is not lower case, printable and at most 60 characters")
        if set(label.replace("_", " ").replace("-", " ").split()) & _REFUSED_WORDS:
            raise UnusableDeclaration(
                f"labels: {label!r} tells who or of which kind a person is. Recordings aren't searched for that: leave the class out with "
                'an empty label, or call every kind of person "person"'
            )
        if label in ("motion", "scene_change"):
            raise UnusableDeclaration(f"labels: {label!r} is a word of the motion index")
    output_format: Literal["rows", "yolo"] = "rows" if out.choice("format", ("rows", "yolo")) == "rows" else "yolo"
    return ModelDeclaration(
        input_name=into.text("name"),
        width_px=int(into.number("width_px", 16, _LARGEST_SIDE_PX)),
        height_px=int(into.number("height_px", 16, _LARGEST_SIDE_PX)),
        channels_first=into.choice("layout", ("nchw", "nhwc"), "nchw") == "nchw",
        blue_first=into.choice("colour", ("rgb", "bgr"), "rgb") == "bgr",
        whole_numbers=into.choice("type", ("float32", "uint8"), "float32") == "uint8",
        scale=into.number("scale", 1e-6, 1e6, 1 / 255),
        mean=into.three("mean", (0.0, 0.0, 0.0), -1e6),
        deviation=into.three("deviation", (1.0, 1.0, 1.0), 1e-6),
        letterbox=into.choice("fit", ("letterbox", "stretch"), "letterbox") == "letterbox",
        output_name=out.text("name"),
        output_format=output_format,
        normalised=out.flag("normalised", False),
        labels=labels,
        least_score=fields.number("least_score", 0.01, 1.0, 0.4),
        overlap=fields.number("overlap", 0.0, 1.0, 0.5),
    )


class _Fields:
    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise UnusableDeclaration(f"{path or 'it'}: is no JSON object")
        self._value, self._path = value, f"{path}." if path else ""

    def part(self, name: str) -> "_Fields":
        return _Fields(self._value.get(name), f"{self._path}{name}")

    def text(self, name: str) -> str:
        value = self._value.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= 200:
            raise UnusableDeclaration(f"{self._path}{name}: a name is needed")
        return value

    def texts(self, name: str, most: int) -> tuple[str, ...]:
        value = self._value.get(name)
        if not isinstance(value, list) or not 0 < len(value) <= most or not all(isinstance(one, str) for one in value):
            raise UnusableDeclaration(f"{self._path}{name}: a list of 1 to {most} texts is needed")
        return tuple(value)

    def choice(self, name: str, choices: tuple[str, ...], usual: str = "") -> str:
        value = self._value.get(name, usual)
        if value not in choices:
            raise UnusableDeclaration(f"{self._path}{name}: is one of {', '.join(choices)}")
        return str(value)

    def flag(self, name: str, usual: bool) -> bool:
        value = self._value.get(name, usual)
        if not isinstance(value, bool):
            raise UnusableDeclaration(f"{self._path}{name}: is true or false")
        return value

    def number(self, name: str, least: float, most: float, usual: float | None = None) -> float:
        return self._number(self._value.get(name, usual), name, least, most)

    def three(self, name: str, usual: tuple[float, float, float], least: float) -> tuple[float, float, float]:
        value = self._value.get(name, list(usual))
        if not isinstance(value, list) or len(value) != 3:
            raise UnusableDeclaration(f"{self._path}{name}: three numbers are needed")
        first, second, third = (self._number(one, name, least, 1e6) for one in value)
        return first, second, third

    def _number(self, value: Any, name: str, least: float, most: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise UnusableDeclaration(f"{self._path}{name}: a number from {least:g} to {most:g} is needed")
        return float(value)

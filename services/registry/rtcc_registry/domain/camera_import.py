"""Camera inventories as agencies have them: CSV and GeoJSON into valid cameras, with a reason for every row that is none.

The format is described in docs/integrators/cameras.md. Nothing here stores anything.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rtcc.geo.v1 import geo_pb2
from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.errors import InvalidInput
from rtcc_registry.domain.cameras import CONTROL, MAIN_STREAM, STREAMS_MOST, addresses_of, checked_camera, pack_addresses, without_stream

CONTENT_BYTES = 4 * 1024 * 1024
ROWS_MOST = 20_000
PROBLEMS_MOST = 500
FORMATS = ("csv", "geojson")
_FIELD_OF_VIEW_DEFAULT_DEG = 360.0

_KINDS = {
    "street": pb.CAMERA_KIND_STREET,
    "plate_reader": pb.CAMERA_KIND_PLATE_READER,
    "body": pb.CAMERA_KIND_BODY,
    "vehicle": pb.CAMERA_KIND_VEHICLE,
    "community": pb.CAMERA_KIND_COMMUNITY,
}
# Other names that inventories use for a column.
_COLUMN_NAMES = {
    "id": "camera_id",
    "lat": "latitude",
    "lon": "longitude",
    "lng": "longitude",
    "bearing": "bearing_deg",
    "fov": "field_of_view_deg",
}
_KNOWN = frozenset(
    {
        "camera_id", "name", "kind", "latitude", "longitude", "bearing_deg", "field_of_view_deg", "range_m", "owner", "enabled",
        "stream_url", "low_stream_url", "analytics_stream_url", "pull",
    }
)  # fmt: skip
_PULLS = {"": pb.CAMERA_PULL_UNSPECIFIED, "always": pb.CAMERA_PULL_ALWAYS, "on_demand": pb.CAMERA_PULL_ON_DEMAND}
_FURTHER_STREAMS = {
    "low": ("Low", pb.CAMERA_STREAM_ROLE_LOW),
    "analytics": ("Analytics", pb.CAMERA_STREAM_ROLE_ANALYTICS),
}


@dataclass(slots=True)
class Parsed:
    """`cameras`: (row, camera) of every valid row; `problems`: the first 500, the last one saying how many more there are."""

    cameras: list[tuple[int, pb.Camera]] = field(default_factory=list)
    problems: list[pb.ImportProblem] = field(default_factory=list)
    unlisted_problems: int = 0
    row_of: dict[tuple[str, str], int] = field(default_factory=dict)

    def repeated(self, row: int, camera: pb.Camera) -> list[tuple[str, str]]:
        """A name or id that stood in an earlier row; else the row is remembered."""
        keys = [("name", camera.name.casefold())] + ([("camera_id", camera.camera_id)] if camera.camera_id else [])
        found = [(key[0], f"stands in row {self.row_of[key]} already") for key in keys if key in self.row_of]
        if not found:
            self.row_of.update(dict.fromkeys(keys, row))
        return found

    def problem(self, row: int, name: str, reason: str) -> None:
        if len(self.problems) < PROBLEMS_MOST:
            self.problems.append(pb.ImportProblem(row=row, field=name, reason=reason))
        else:
            self.unlisted_problems += 1

    def listed_problems(self) -> list[pb.ImportProblem]:
        """What to answer with."""
        if not self.unlisted_problems:
            return self.problems
        return [*self.problems, pb.ImportProblem(reason=f"and {self.unlisted_problems} more problems: correct these first")]


@dataclass(slots=True)
class ImportPlan:
    """What an import does: cameras without their addresses, which stand in `streams` by id as they are kept.

    `row_of` says where a new one stood."""

    created: list[pb.Camera] = field(default_factory=list)
    updated: list[pb.Camera] = field(default_factory=list)
    streams: dict[str, str] = field(default_factory=dict)
    row_of: dict[str, int] = field(default_factory=dict)


def planned_import(
    parsed: Parsed,
    agency_id: str,
    stored: Iterable[pb.Camera],
    streams: Mapping[str, Mapping[str, str]],
    room: int,
    new_camera_id: Callable[[str], str],
) -> ImportPlan:
    """Meets rows with what is `stored`: by id where the row has one, else by name. Rows that can't be taken become problems."""
    plan = ImportPlan()
    by_id = {camera.camera_id: camera for camera in stored}
    by_name = {camera.name.casefold(): camera for camera in by_id.values()}
    for row, camera in parsed.cameras:
        namesake = by_name.get(camera.name.casefold())
        old = by_id.get(camera.camera_id) if camera.camera_id else namesake
        if namesake is not None and namesake is not old:
            parsed.problem(row, "name", f"belongs to the camera {namesake.camera_id} already")
            continue
        if old is None and len(plan.created) >= room:
            parsed.problem(row, "", "your agency has as many cameras as it may")
            continue
        if old is not None:
            _keep_what_no_column_says(camera, old)
        new = without_stream(camera)
        new.agency_id = agency_id
        new.camera_id = old.camera_id if old is not None else camera.camera_id or new_camera_id(camera.name)
        known = streams.get(new.camera_id, {})
        addresses = addresses_of(camera, known)
        new.has_stream = new.published or MAIN_STREAM in addresses
        new.movable = CONTROL in addresses
        if addresses != known:
            plan.streams[new.camera_id] = pack_addresses(addresses)
        if old is None:
            plan.created.append(new)
            plan.row_of[new.camera_id] = row
        elif new != old or addresses != known:
            plan.updated.append(new)
    return plan


def _keep_what_no_column_says(camera: pb.Camera, old: pb.Camera) -> None:
    """An inventory knows neither keys, sound nor every stream: what it doesn't mention stays. An address makes a publishing one pulled."""
    camera.sound = old.sound
    if camera.pull == pb.CAMERA_PULL_UNSPECIFIED:
        camera.pull = old.pull
    named = {stream.stream_id for stream in camera.streams}
    camera.streams.extend(stream for stream in old.streams if stream.stream_id not in named)
    del camera.streams[STREAMS_MOST:]
    if old.published and not camera.stream_url:
        camera.published = True
        if old.HasField("publish_key_set_at"):
            camera.publish_key_set_at.CopyFrom(old.publish_key_set_at)


def parse(format_name: str, content: bytes) -> Parsed:
    """Raises InvalidInput when the document as a whole can't be read; single bad rows are problems in the answer."""
    if format_name not in FORMATS:
        raise InvalidInput.one("format", f"{format_name[:20]!r} is unknown: use csv or geojson")
    if len(content) > CONTENT_BYTES:
        raise InvalidInput.one("content", f"has {len(content)} bytes, at most {CONTENT_BYTES} are allowed: split the file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput.one("content", f"is not UTF-8 at byte {error.start}: save the file as UTF-8") from error
    rows = _csv_rows(text) if format_name == "csv" else _geojson_rows(text)
    parsed = Parsed()
    for count, (row, values) in enumerate(rows, start=1):
        if count > ROWS_MOST:
            raise InvalidInput.one("content", f"has more than {ROWS_MOST} rows: split the file")
        if isinstance(values, str):
            parsed.problem(row, "", values)
            continue
        _take(parsed, row, values)
    return parsed


def _take(parsed: Parsed, row: int, values: dict[str, Any]) -> None:
    camera, problems = _camera(values)
    if not problems:
        try:
            camera = checked_camera(camera, prefix="")
        except InvalidInput as error:
            problems = [(violation.field, violation.reason) for violation in error.violations]
    if not problems:
        problems = parsed.repeated(row, camera)
    for name, reason in problems:
        parsed.problem(row, name, reason)
    if not problems:
        parsed.cameras.append((row, camera))


def _csv_rows(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    sample = text.split("\n", 1)[0]
    delimiter = max((",", ";", "\t"), key=sample.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [_column(name) for name in next(reader, [])]
        _require_columns(header)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) > len(header):
                yield reader.line_num, f"has {len(cells)} cells, the header has {len(header)}"
                continue
            yield reader.line_num, {name: cell.strip() for name, cell in zip(header, cells, strict=False) if cell.strip()}
    except csv.Error as error:
        raise InvalidInput.one("content", f"line {reader.line_num} is no CSV: {error}") from error


def _column(name: str) -> str:
    plain = name.strip().lower().replace(" ", "_")
    return _COLUMN_NAMES.get(plain, plain)


def _require_columns(header: list[str]) -> None:
    missing = sorted({"name", "latitude", "longitude"} - set(header))
    if missing:
        raise InvalidInput.one("content", f"the first line must name the columns; missing: {', '.join(missing)}")
    twice = sorted({name for name in header if name in _KNOWN and header.count(name) > 1})
    if twice:
        raise InvalidInput.one("content", f"the columns {', '.join(twice)} stand twice")


def _geojson_rows(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput.one("content", f"is no JSON: {str(error)[:200]}") from error
    features = document.get("features") if isinstance(document, dict) and document.get("type") == "FeatureCollection" else None
    if not isinstance(features, list):
        raise InvalidInput.one("content", "must be a GeoJSON FeatureCollection (RFC 7946, section 3.3)")
    for row, feature in enumerate(features):
        yield row, _feature(feature)


def _feature(feature: Any) -> dict[str, Any] | str:
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    if not isinstance(geometry, dict) or geometry.get("type") != "Point":
        return "must be a Feature with a Point geometry"
    coordinates = geometry.get("coordinates")
    if not isinstance(coordinates, list) or len(coordinates) < 2:
        return "its coordinates must be [longitude, latitude]"
    properties = feature.get("properties")
    values = {_column(str(name)): value for name, value in properties.items()} if isinstance(properties, dict) else {}
    if "camera_id" not in values and isinstance(feature.get("id"), str | int):
        values["camera_id"] = str(feature["id"])
    values["longitude"], values["latitude"] = coordinates[:2]
    return {name: value for name, value in values.items() if value is not None and value != ""}


def _camera(values: dict[str, Any]) -> tuple[pb.Camera, list[tuple[str, str]]]:
    problems: list[tuple[str, str]] = []
    camera = pb.Camera(enabled=True, kind=pb.CAMERA_KIND_STREET, field_of_view_deg=_FIELD_OF_VIEW_DEFAULT_DEG)
    for name in ("camera_id", "name", "owner", "stream_url"):
        setattr(camera, name, _text(values, name, problems))
    for stream_id, (label, role) in _FURTHER_STREAMS.items():
        if url := _text(values, f"{stream_id}_stream_url", problems):
            camera.streams.append(pb.CameraStream(stream_id=stream_id, label=label, role=role, stream_url=url))
    pull = _text(values, "pull", problems).lower()
    if pull in _PULLS:
        camera.pull = _PULLS[pull]
    else:
        problems.append(("pull", f"{pull[:40]!r} is unknown: use always, on_demand or leave it empty"))
    numbers = {name: _number(values, name, problems) for name in ("latitude", "longitude", "bearing_deg", "field_of_view_deg", "range_m")}
    for name in ("bearing_deg", "field_of_view_deg", "range_m"):
        value = numbers[name]
        if value is not None:
            setattr(camera, name, value)
    latitude, longitude = numbers["latitude"], numbers["longitude"]
    if latitude is not None and longitude is not None:
        camera.coordinate.CopyFrom(geo_pb2.Coordinate(latitude_deg=latitude, longitude_deg=longitude))
    elif not problems:
        problems.append(("latitude" if latitude is None else "longitude", "is needed"))
    kind = str(values.get("kind", "street")).strip().lower()
    if kind in _KINDS:
        camera.kind = _KINDS[kind]
    else:
        problems.append(("kind", f"{kind[:40]!r} is unknown: use {', '.join(_KINDS)}"))
    enabled = str(values.get("enabled", "true")).strip().lower()
    if enabled not in ("true", "false", "1", "0", "yes", "no"):
        problems.append(("enabled", "must be true or false"))
    camera.enabled = enabled in ("true", "1", "yes")
    return camera, problems


def _text(values: dict[str, Any], name: str, problems: list[tuple[str, str]]) -> str:
    value = values.get(name, "")
    if isinstance(value, bool | float | list | dict):
        problems.append((name, "must be text"))
        return ""
    return _without_surrogates(str(value).strip())


def _number(values: dict[str, Any], name: str, problems: list[tuple[str, str]]) -> float | None:
    if name not in values:
        return None
    value = values[name]
    try:
        if isinstance(value, bool | list | dict):
            raise ValueError
        number = float(value)
    except (ValueError, OverflowError):
        problems.append((name, f"{str(value)[:40]!r} is not a number (use a point as decimal mark)"))
        return None
    if not math.isfinite(number) or abs(number) > 1e9:
        problems.append((name, "is out of range"))
        return None
    return number


def _without_surrogates(text: str) -> str:
    """JSON may spell half a character ("\\ud800"), which is no text: shown as the replacement character."""
    return text.encode("utf-8", "replace").decode("utf-8")

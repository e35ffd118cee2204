"""Vehicles as faces in space, drawn far to near: bodies are side profiles drawn out over the width."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rtcc_demo.render.lens import NEAREST_M, Lens, Points, cut_near
from rtcc_demo.world.vehicles import Colour, Vehicle

GLASS: Colour = (22, 28, 36)
TYRE: Colour = (16, 17, 19)
HEADLIGHT: Colour = (255, 250, 226)
TAILLIGHT: Colour = (214, 28, 24)
PLATE_WIDTH_M, PLATE_HEIGHT_M = 0.52, 0.14
FAR_M = 50.0
"""From here on details and the shadow's edge are a pixel or less."""
SKY_LIGHT = np.array([0.62, 0.72, 0.88])
STREET_LIGHT = np.array([1.0, 0.9, 0.74])

Profile = tuple[tuple[float, float], ...]
"""(y along the body, z up) round the side, front at high y."""

CAR: Profile = (
    (-2.1, 0.32),
    (-2.15, 0.8),
    (-1.95, 1.0),
    (-1.35, 1.4),
    (-0.2, 1.47),
    (0.35, 1.43),
    (1.1, 1.0),
    (1.95, 0.84),
    (2.12, 0.6),
    (2.1, 0.32),
)
WAGON: Profile = (
    (-2.3, 0.32),
    (-2.33, 0.85),
    (-2.2, 1.0),
    (-1.95, 1.42),
    (-0.3, 1.49),
    (0.4, 1.44),
    (1.15, 1.0),
    (2.1, 0.86),
    (2.28, 0.6),
    (2.26, 0.32),
)
VAN: Profile = (
    (-2.5, 0.35),
    (-2.5, 1.1),
    (-2.45, 1.2),
    (-2.4, 2.0),
    (-0.4, 2.08),
    (0.9, 2.02),
    (1.65, 1.25),
    (2.3, 1.0),
    (2.45, 0.7),
    (2.42, 0.35),
)
CAB: Profile = (
    (1.35, 0.4),
    (1.35, 1.25),
    (1.35, 1.3),
    (1.35, 2.25),
    (1.9, 2.32),
    (2.35, 2.25),
    (2.75, 1.35),
    (3.0, 1.2),
    (3.05, 0.7),
    (3.0, 0.4),
)
BELT_INDEX, ROOF_REAR, ROOF_FRONT, HOOD = 2, 3, 5, 6
"""Where in a profile the rear window begins, the roof begins and ends, the windscreen ends."""


@dataclass(frozen=True)
class Face:
    """A convex polygon with its paint. `kind` chooses the treatment: paint, glass, light, plate, trim, wheel, under (the car)."""

    corners: Points
    colour: Colour
    kind: str = "paint"
    inside: tuple[float, float, float] = (0.0, 0.0, 0.9)
    """A point behind the face: tells its outer side."""


@dataclass(frozen=True)
class Pose:
    """Where a vehicle stands on the street and whether it drives towards the camera (against y)."""

    x: float
    y: float
    oncoming: bool


@cache
def faces_of(vehicle: Vehicle) -> tuple[Face, ...]:
    """The vehicle's faces in its own system: x right, y forward, z up, the ground at 0."""
    body = vehicle.model.body
    if body == "truck":
        box = _box((-1.15, 1.15), (-3.4, 1.25), (0.75, 3.1), (226, 229, 232))
        chassis = _box((-0.9, 0.9), (-3.4, 1.4), (0.4, 0.75), (40, 42, 46))
        return (
            *chassis,
            *_drawn_out(CAB, 1.02, vehicle.colour, 0.1),
            *box,
            *_wheels(1.05, (-2.4, 2.2), 0.42),
            *_fittings(1.0, -3.42, 3.06, 0.62),
        )
    profile, half = {"van": (VAN, 0.98), "wagon": (WAGON, 0.9), "taxi": (WAGON, 0.92)}.get(body, (CAR, 0.88))
    faces = [*_drawn_out(profile, half, vehicle.colour, 0.16), *_wheels(half, (profile[0][0] + 0.75, profile[-1][0] - 0.8), 0.33)]
    faces += _fittings(half, profile[1][0] - 0.02, profile[-2][0] + 0.02, 0.7)
    if body == "taxi":
        faces += _box((-0.28, 0.28), (-0.3, -0.05), (1.5, 1.66), (250, 214, 96))
    return tuple(faces)


def _drawn_out(profile: Profile, half: float, colour: Colour, inset: float) -> list[Face]:
    def corner(index: int, side: float) -> tuple[float, float, float]:
        y, z = profile[index]
        return side * (half - (inset if ROOF_REAR <= index <= ROOF_FRONT else 0.0)), y, z

    faces = []
    for index in range(len(profile) - 1):
        across = np.array([corner(index, -1), corner(index, 1), corner(index + 1, 1), corner(index + 1, -1)])
        faces.append(Face(across, colour))
        if index in (BELT_INDEX, ROOF_FRONT):
            middle = across.mean(axis=0)
            lift = np.array((0.0, -0.01 if index == BELT_INDEX else 0.01, 0.01))
            faces.append(Face(middle + (across - middle) * (0.88, 0.86, 0.86) + lift, GLASS, "glass"))
    low = [index for index in range(len(profile)) if not ROOF_REAR <= index <= ROOF_FRONT]
    high = list(range(BELT_INDEX, HOOD + 1))
    for side in (-1.0, 1.0):
        faces.append(Face(np.array([corner(index, side) for index in low]), colour))
        faces.append(Face(np.array([corner(index, side) for index in high]), colour))
        middle = np.array([corner(index, side) for index in high]).mean(axis=0)
        window = np.array([corner(index, side) for index in high])
        faces.append(Face(middle + (window - middle) * (1.0, 0.86, 0.74) + (side * 0.01, 0, 0.02), GLASS, "glass"))
    return faces


def _box(xs: tuple[float, float], ys: tuple[float, float], zs: tuple[float, float], colour: Colour, kind: str = "paint") -> list[Face]:
    (x0, x1), (y0, y1), (z0, z1) = xs, ys, zs
    quads = [
        ((x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)),
        ((x0, y1, z0), (x1, y1, z0), (x1, y1, z1), (x0, y1, z1)),
        ((x0, y0, z0), (x0, y1, z0), (x0, y1, z1), (x0, y0, z1)),
        ((x1, y0, z0), (x1, y1, z0), (x1, y1, z1), (x1, y0, z1)),
        ((x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)),
    ]
    middle = ((x0 + x1) / 2, (y0 + y1) / 2, (z0 + z1) / 2)
    return [Face(np.array(quad), colour, kind, middle) for quad in quads]


def _wheels(half: float, axles: tuple[float, float], radius: float) -> list[Face]:
    angles = np.linspace(0, 2 * np.pi, 13)[:-1]
    faces = []
    for side in (-1.0, 1.0):
        for axle in axles:
            for share, colour in ((1.0, TYRE), (0.58, (92, 96, 102))):
                ring = np.column_stack(
                    (np.full(12, side * (half + 0.01)), axle + np.cos(angles) * radius * share, radius + np.sin(angles) * radius * share)
                )
                faces.append(Face(ring, colour, "wheel"))
    return faces


def _fittings(half: float, rear: float, front: float, light_z: float) -> list[Face]:
    """Lights, grille, bumpers and plates at both ends, and the tyres as seen from there."""
    faces = []
    for side in (-1.0, 1.0):
        inner, outer = sorted((side * (half - 0.26), side * (half - 0.02)))
        for axle in (rear + 0.75, front - 0.8):
            faces += _box((inner, outer), (axle - 0.33, axle + 0.33), (0.0, 0.55), TYRE, "under")
    grille = half - 0.42
    faces.append(Face(_upright(grille, front + 0.005, light_z - 0.02, light_z + 0.14), (26, 28, 32), "trim"))
    for y in (rear - 0.005, front + 0.005):
        faces.append(Face(_upright(half - 0.06, y, 0.33, 0.4), (30, 32, 36), "trim"))
    for y, light, low in ((rear, TAILLIGHT, 0.08), (front, HEADLIGHT, 0.0)):
        for side in (-1.0, 1.0):
            inner, outer = side * (half - 0.36), side * (half - 0.04)
            quad = (
                (inner, y, light_z + low),
                (outer, y, light_z + low),
                (outer, y, light_z + low + 0.15),
                (inner, y, light_z + low + 0.15),
            )
            faces.append(Face(np.array(quad), light, "light"))
        z = 0.62 if y == rear else 0.43
        faces.append(Face(_upright(PLATE_WIDTH_M / 2, y, z, z + PLATE_HEIGHT_M), (235, 238, 240), "plate"))
    return faces


def _upright(half: float, y: float, low: float, high: float) -> Points:
    return np.array(((-half, y, low), (half, y, low), (half, y, high), (-half, y, high)))


@dataclass(frozen=True)
class Mesh:
    """A body's faces as arrays, ready to be drawn often: all corners in a row, and what stays the same for each face."""

    faces: tuple[Face, ...]
    corners: Points
    starts: tuple[int, ...]
    middles: Points
    normals: Points
    nearer_m: Points
    plain: NDArray[np.bool_]
    """Faces that still show from afar: paint, glass and lights."""
    fills: tuple[Colour, ...]
    footprint: tuple[float, float, float, float]


def make_mesh(faces: tuple[Face, ...], light: float = 1.0) -> Mesh:
    """`light` scales the brightness of the paint."""
    middles = np.array([face.corners.mean(axis=0) for face in faces])
    normals = np.array([np.cross(face.corners, np.roll(face.corners, -1, axis=0)).sum(axis=0) for face in faces])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    outwards = middles - np.array([face.inside for face in faces])
    normals *= np.where((normals * outwards).sum(axis=1) < 0, -1.0, 1.0)[:, None]
    starts = [0, *np.cumsum([len(face.corners) for face in faces]).tolist()]
    corners = np.concatenate([face.corners for face in faces])
    nearer = np.array([{"paint": 0.0, "under": -20.0}.get(face.kind, 0.6) for face in faces])
    plain = np.array([face.kind in ("paint", "glass", "light") for face in faces])
    fills = tuple(
        face.colour if face.kind in ("light", "trim", "under") else _shaded(face, normal, light)
        for face, normal in zip(faces, normals, strict=True)
    )
    (x0, y0, _), (x1, y1, _) = corners.min(axis=0), corners.max(axis=0)
    return Mesh(faces, corners, tuple(starts), middles, normals, nearer, plain, fills, (float(x0), float(y0), float(x1), float(y1)))


@cache
def mesh_of(vehicle: Vehicle, light: float = 1.0) -> Mesh:
    """A vehicle's mesh."""
    return make_mesh(faces_of(vehicle), light)


def _turn(pose: Pose) -> Points:
    return np.array((-1.0, -1.0, 1.0)) if pose.oncoming else np.ones(3)


def draw_vehicle(image: Image.Image, lens: Lens, vehicle: Vehicle, pose: Pose, light: float = 1.0) -> None:
    """Draws a vehicle into an RGB picture taken through `lens`."""
    draw_mesh(image, lens, mesh_of(vehicle, light), pose, vehicle.plate)


def draw_mesh(image: Image.Image, lens: Lens, mesh: Mesh, pose: Pose, plate: str = "") -> None:
    """Draws a body with its shadow, far faces first."""
    draw = ImageDraw.Draw(image)  # opaque: several times faster than blending
    turn, place = _turn(pose), np.array((pose.x, pose.y, 0.0))
    _shadow(ImageDraw.Draw(image, "RGBA"), lens, mesh.footprint, turn, place)
    towards = lens.place - (mesh.middles * turn + place)
    shown = ((mesh.normals * turn) * towards).sum(axis=1) > 0
    away_m = np.sqrt((towards * towards).sum(axis=1))
    if away_m.min() > FAR_M:
        shown &= mesh.plain
    order = np.argsort(mesh.nearer_m - away_m, kind="stable")
    seen = lens.seen(mesh.corners * turn + place)
    outline_of = lens.pixels(seen)[:, :2].tolist()
    for index in order[shown[order]].tolist():
        begin, end = mesh.starts[index], mesh.starts[index + 1]
        outline = [(x, y) for x, y in outline_of[begin:end]]
        if seen[begin:end, 2].min() < NEAREST_M:
            part = cut_near(seen[begin:end])
            if len(part) < 3 or mesh.faces[index].kind == "plate":
                continue
            outline = [(x, y) for x, y, _ in lens.pixels(part).tolist()]
        if mesh.faces[index].kind == "plate":
            _plate(image, draw, outline, plate)
        else:
            draw.polygon(outline, fill=mesh.fills[index])


def light_points(vehicle: Vehicle, pose: Pose) -> list[tuple[Points, Colour]]:
    """The middles of the lights that shine towards the camera, on the street, with their colours."""
    mesh = mesh_of(vehicle)
    turn, place = _turn(pose), np.array((pose.x, pose.y, 0.0))
    return [
        (mesh.middles[index] * turn + place, face.colour)
        for index, face in enumerate(mesh.faces)
        if face.kind == "light" and (face.colour == HEADLIGHT) == pose.oncoming
    ]


def _shadow(draw: ImageDraw.ImageDraw, lens: Lens, footprint: tuple[float, float, float, float], turn: Points, place: Points) -> None:
    x0, y0, x1, y1 = footprint
    far = float(np.linalg.norm(place - np.array(lens.place))) > FAR_M
    for grow, alpha in ((0.1, 140),) if far else ((0.45, 34), (0.22, 50), (-0.05, 90)):
        ring = np.array(
            ((x0 - grow, y0 - grow, 0.0), (x1 + grow, y0 - grow, 0.0), (x1 + grow, y1 + grow, 0.0), (x0 - grow, y1 + grow, 0.0))
        )
        part = cut_near(lens.seen(ring * turn + place))
        if len(part) >= 3:
            draw.polygon([(x, y) for x, y, _ in lens.pixels(part).tolist()], fill=(4, 6, 9, alpha))


def _shaded(face: Face, normal: Points, light: float) -> Colour:
    up = max(0.0, float(normal[2]))
    side = abs(float(normal[0])) * 0.25 + abs(float(normal[1])) * 0.4
    strength = (0.30 + 0.45 * up) * SKY_LIGHT + (0.16 + side) * STREET_LIGHT
    if face.kind == "glass":
        return _colour(np.array(face.colour) * 0.8 + SKY_LIGHT * 70 * (0.15 + up))
    return _colour(np.array(face.colour) * strength * light)


def _colour(values: Points) -> Colour:
    red, green, blue = (int(min(255, max(0, value))) for value in values)
    return red, green, blue


def _plate(image: Image.Image, draw: ImageDraw.ImageDraw, outline: list[tuple[float, float]], text: str) -> None:
    left, right = min(x for x, _ in outline), max(x for x, _ in outline)
    top, bottom = min(y for _, y in outline), max(y for _, y in outline)
    if right - left < 16 or not text:
        draw.polygon(outline, fill=(206, 210, 214))
        return
    size = (max(1, round(right - left)), max(1, round(bottom - top)))
    image.paste(_plate_sized(text, size), (round(left), round(top)))


@lru_cache(maxsize=4_096)
def _plate_sized(text: str, size: tuple[int, int]) -> Image.Image:
    return plate_picture(text).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


@cache
def tram_mesh() -> Mesh:
    """A low-floor tram, 27 m long, green below and cream above, its windows lit."""
    half, length, step = 1.15, 13.5, 2.7
    faces: list[Face] = []
    for number in range(10):  # in pieces, so that sorting by distance holds for so long a body
        ys = (-length + number * step, -length + (number + 1) * step)
        faces += _box((-half, half), ys, (0.25, 1.25), (28, 98, 66))
        faces += _box((-half, half), ys, (1.25, 2.6), (214, 206, 170))
        faces += _box((-half + 0.02, half - 0.02), ys, (2.6, 3.4), (196, 190, 160))
    for side in (-1.0, 1.0):
        for number in range(10):
            y0 = -length + 0.8 + number * 2.55
            quad = (
                (side * (half + 0.01), y0, 1.3),
                (side * (half + 0.01), y0 + 2.2, 1.3),
                (side * (half + 0.01), y0 + 2.2, 2.4),
                (side * (half + 0.01), y0, 2.4),
            )
            faces.append(Face(np.array(quad), (226, 204, 150) if number % 3 else (60, 66, 72), "trim"))
    for y in (-length - 0.01, length + 0.01):
        faces.append(Face(_upright(half - 0.12, y, 1.3, 2.9), (42, 50, 60), "trim"))
        faces.append(Face(_upright(half - 0.4, y, 2.62, 2.9), (240, 196, 92), "trim"))
    for side in (-1.0, 1.0):
        inner, outer = sorted((side * 0.6, side * 0.95))
        faces.append(
            Face(
                np.array(
                    ((inner, length + 0.02, 0.7), (outer, length + 0.02, 0.7), (outer, length + 0.02, 0.9), (inner, length + 0.02, 0.9))
                ),
                HEADLIGHT,
                "light",
            )
        )
        faces.append(
            Face(
                np.array(
                    (
                        (inner, -length - 0.02, 0.7),
                        (outer, -length - 0.02, 0.7),
                        (outer, -length - 0.02, 0.85),
                        (inner, -length - 0.02, 0.85),
                    )
                ),
                TAILLIGHT,
                "light",
            )
        )
    return make_mesh(tuple(faces))


@cache
def plate_picture(text: str) -> Image.Image:
    """A plate as painted: black on white with the blue band at its left, 416 x 112 pixels."""
    picture = Image.new("RGB", (416, 112), (238, 240, 240))
    draw = ImageDraw.Draw(picture)
    draw.rounded_rectangle((1, 1, 414, 110), 10, outline=(20, 22, 26), width=4)
    draw.rectangle((6, 6, 38, 105), fill=(24, 62, 150))
    draw.text((227, 57), text, fill=(14, 16, 20), font=ImageFont.load_default(88), anchor="mm", stroke_width=2)
    return picture

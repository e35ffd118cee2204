"""A street in the blue hour, drawn by casting a ray through each pixel: asphalt, pavements, house fronts, sky, lamp light on wet ground."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtcc_demo.render.lens import Lens

Values = NDArray[np.floating[Any]]
"""float32 throughout, which halves the time; numpy's own typing widens it here and there."""

FRONT_PAINTS = (
    (196, 170, 118),
    (186, 178, 162),
    (172, 132, 104),
    (150, 152, 150),
    (198, 188, 158),
    (146, 120, 108),
    (176, 160, 132),
    (132, 140, 150),
)
"""Plaster of the centre's houses: ochre, stone, brick red, grey."""
ZENITH, HORIZON, GLOW = (34, 48, 84), (108, 122, 150), (188, 150, 128)
LAMP_COLOUR = (255, 206, 140)
AMBIENT = np.array((0.46, 0.53, 0.68), dtype=np.float32)
LAMP_HEIGHT_M = 6.5
WINDOW_M, FLOOR_M, SHOP_M = 3.1, 3.7, 4.6
EXPOSURE = 1.18
SKY, GROUND, FRONT = 0, 1, 2


@dataclass(frozen=True)
class Street:
    """A straight street seen along y. Widths and lengths in metres; `seed` chooses houses, windows and surfaces."""

    seed: int
    half_width_m: float
    pavement_m: float
    lanes: int
    """Lanes in each direction."""
    tram: bool
    trees: bool
    length_m: float = 170.0
    crossing_y_m: float = 17.0
    lamps: tuple[tuple[float, float], ...] = field(default=())

    @property
    def front_m(self) -> float:
        """From the middle to the house fronts."""
        return self.half_width_m + self.pavement_m


def lamp_places(half_width_m: float, length_m: float, first_y_m: float) -> tuple[tuple[float, float], ...]:
    """(x, y) of street lamps: on both kerbs in turn, every 15 m."""
    return tuple(((half_width_m + 0.6) * (1 if index % 2 else -1), first_y_m + 15.0 * index) for index in range(int(length_m / 15)))


def paint_street(street: Street, lens: Lens) -> NDArray[np.uint8]:
    """The empty street as an RGB picture of the lens's size."""
    rays = lens.rays().astype(np.float32).reshape(-1, 3)
    origins = np.broadcast_to(np.array(lens.place, dtype=np.float32), rays.shape)
    hit, distance, colour = _cast(street, origins, rays)
    ground = np.flatnonzero(hit == GROUND)
    colour[ground] = _wet(street, origins[ground] + rays[ground] * distance[ground, None], rays[ground], colour[ground])
    haze = ((1 - np.exp(-distance / 300.0)) * (hit != SKY))[:, None]
    colour = (colour * (1 - haze) + np.array(HORIZON, dtype=np.float32) * 0.85 * haze) * EXPOSURE
    picture: NDArray[np.uint8] = np.clip(colour, 0, 255).astype(np.uint8).reshape(lens.height, lens.width, 3)
    return picture


def _wet(street: Street, points: Values, rays: Values, colour: Values) -> Values:
    """Mixes in what damp ground mirrors; ripples stretch it as real asphalt does."""
    ripple = _noise(street.seed + 9, points[:, 0], points[:, 1] * np.float32(0.35), 1.3)
    mirror = rays.copy()
    mirror[:, 2] *= -(1 + np.float32(0.35) * ripple)
    mirror[:, 0] += np.float32(0.03) * ripple
    points[:, 2] = 0.02
    _, _, mirrored = _cast(street, points, mirror)
    gloss = (0.10 + 0.22 * np.clip(_noise(street.seed + 4, points[:, 0], points[:, 1], 0.22), 0, 1))[:, None].astype(np.float32)
    mixed: Values = colour * (1 - gloss) + mirrored * gloss
    return mixed


def _cast(street: Street, origins: Values, rays: Values) -> tuple[NDArray[np.int8], Values, Values]:
    """For each ray of (n, 3): what it meets, how far (in lengths of the ray), and the colour there."""
    ox, oy, oz = origins.T
    dx, dy, dz = rays.T
    far = np.float32(1e6)
    with np.errstate(divide="ignore", invalid="ignore"):
        to_ground = np.where(dz < -1e-5, -oz / dz, far)
        to_front = np.where(np.abs(dx) > 1e-5, (np.sign(dx) * np.float32(street.front_m) - ox) / dx, far)
        to_end = np.where(dy > 1e-5, (np.float32(street.length_m) - oy) / dy, far)
    to_front = np.where(to_front > 0, to_front, far)
    side = np.sign(dx)
    front_y, front_z = oy + dy * to_front, oz + dz * to_front
    roof_m = _roof_m(street, front_y, side)
    to_front = np.where((front_z < roof_m) & (front_z >= 0) & (front_y < street.length_m), to_front, far)
    end_x, end_z = ox + dx * to_end, oz + dz * to_end
    to_end = np.where((end_z < 21 + 4 * np.sign(np.sin(end_x * np.float32(0.21)))) & (end_z >= 0), to_end, far)
    distance = np.minimum(np.minimum(to_ground, to_front), to_end)
    hit = np.where(distance >= far, SKY, np.where(distance == to_ground, GROUND, FRONT)).astype(np.int8)
    colour = np.empty((len(rays), 3), dtype=np.float32)
    for kind in (SKY, GROUND, FRONT):
        at = np.flatnonzero(hit == kind)
        if kind == SKY:
            colour[at] = _sky(street, rays[at])
        elif kind == GROUND:
            colour[at] = _ground(street, ox[at] + dx[at] * distance[at], oy[at] + dy[at] * distance[at])
        else:
            end = distance[at] == to_end[at]
            along = np.where(end, end_x[at] + 537, front_y[at] + np.where(side[at] > 0, 1000, 0)).astype(np.float32)
            up = np.where(end, end_z[at], front_z[at])
            roof = np.where(end, np.float32(23.0), roof_m[at])
            colour[at] = _front(street, along, up, roof, front_y[at], side[at])
    return hit, np.where(hit == SKY, np.float32(400.0), distance).astype(np.float32), colour


def _hash(seed: int, *cells: NDArray[np.int32]) -> Values:
    """0 to 1 for each cell of a lattice."""
    value = np.full(cells[0].shape, (seed * 0x9E3779B1 + 0x7F4A7C15) & 0xFFFFFFFF, dtype=np.uint32)
    for cell in cells:
        value = (value ^ cell.astype(np.uint32)) * np.uint32(0x9E3779B1)
        value ^= value >> np.uint32(15)
    share: Values = (value & np.uint32(0xFFFF)).astype(np.float32) / np.float32(65536.0)
    return share


def _noise(seed: int, x: Values, y: Values, frequency: float) -> Values:
    """Value noise, about -1 to 1."""
    u, v = np.clip(x * frequency, -1e6, 1e6), np.clip(y * frequency, -1e6, 1e6)
    i, j = np.floor(u).astype(np.int32), np.floor(v).astype(np.int32)
    s, t = (u - i).astype(np.float32), (v - j).astype(np.float32)
    s, t = s * s * (3 - 2 * s), t * t * (3 - 2 * t)
    low = _hash(seed, i, j) * (1 - s) + _hash(seed, i + 1, j) * s
    high = _hash(seed, i, j + 1) * (1 - s) + _hash(seed, i + 1, j + 1) * s
    noise: Values = ((low * (1 - t) + high * t) * 2 - 1).astype(np.float32)
    return noise


def _house(along: Values) -> NDArray[np.int32]:
    return np.floor(np.clip(along, -1e6, 1e6) / 24.0).astype(np.int32)


def _roof_m(street: Street, y: Values, side: Values) -> Values:
    house = _house(y + np.where(side > 0, 1000, 0))
    roof_m: Values = (15.5 + 7.5 * _hash(street.seed, house)).astype(np.float32)
    return roof_m


def _sky(street: Street, rays: Values) -> Values:
    up = np.clip(rays[..., 2] / np.linalg.norm(rays, axis=-1), 0, 1)[..., None]
    zenith, horizon, glow = (np.array(colour, dtype=np.float32) for colour in (ZENITH, HORIZON, GLOW))
    colour = horizon * (1 - up) ** 2 + zenith * (1 - (1 - up) ** 2) + (glow - horizon) * np.exp(-up * 14) * np.float32(0.8)
    depth = np.maximum(rays[..., 2], 0.03)
    cloud = _noise(street.seed + 2, rays[..., 0] / depth, rays[..., 1] / depth * 0.5, 0.5)
    cloud += 0.5 * _noise(street.seed + 3, rays[..., 0] / depth, rays[..., 1] / depth * 0.5, 1.3)
    clouded: Values = colour * (1 + 0.16 * cloud[..., None] * np.clip(up * 6, 0, 1))
    return clouded


def _ground(street: Street, x: Values, y: Values) -> Values:
    fine = _noise(street.seed + 5, x, y, 3.0) * 0.5 + _noise(street.seed + 6, x, y, 0.35)
    shade = 66 + 6 * fine
    side = np.abs(x)
    half = street.half_width_m
    pavement = side > half
    slab = (np.abs((x % 0.9) - 0.45) > 0.43) | (np.abs((y % 0.9) - 0.45) > 0.43)
    shade = np.where(pavement, 92 + 5 * fine - 14 * slab, shade)
    shade = np.where(np.abs(side - half) < 0.16, 124, shade)
    lane_m = (half - (1.7 if street.tram else 0.0)) / street.lanes
    paint = np.zeros_like(x, dtype=bool)
    dashes = (y % 9.0) < 3.0
    for lane in range(1, street.lanes):
        paint |= (np.abs(side - (1.7 if street.tram else 0.0) - lane * lane_m) < 0.07) & dashes
    centre = (np.abs(side - 1.7) < 0.08) if street.tram else (side < 0.08) & dashes
    crossing = (np.abs(y - street.crossing_y_m) < 1.9) & (side < half - 0.4)
    paint = np.where(crossing, (x % 1.1) < 0.55, (paint | centre) & ~pavement)
    paint |= (np.abs(y - street.crossing_y_m - 4.2) < 0.22) & (x < 0) & (side < half - 0.3)
    shade = np.where(paint, np.maximum(shade, 176 + 16 * fine), shade)
    if street.tram:
        rail = np.minimum(np.abs(side - 0.25), np.abs(side - 1.35)) < 0.05
        shade = np.where(rail & ~crossing, 128, shade)
    light = np.zeros_like(shade)
    for lamp_x, lamp_y in street.lamps:
        light += 0.85 * np.exp(-((x - lamp_x * 0.72) ** 2 / 22 + (y - lamp_y) ** 2 / 34))
    shop = 0.55 * np.exp(-((street.front_m - side) ** 2) / 7)
    warm = np.array(LAMP_COLOUR, dtype=np.float32) / 255
    lit: Values = shade[..., None] * (AMBIENT + (np.minimum(light, 1.1) + shop)[..., None] * warm)
    return lit


def _front(street: Street, along: Values, z: Values, height: Values, y: Values, side: Values) -> Values:
    house = _house(along)
    paints = np.array(FRONT_PAINTS, dtype=np.float32)
    plaster = paints[(_hash(street.seed + 1, house) * len(paints)).astype(np.int32).clip(0, len(paints) - 1)]
    plaster = plaster * (0.94 + 0.06 * _noise(street.seed + 8, along, z, 0.8))[..., None]
    bay, floor = np.floor(along / WINDOW_M).astype(np.int32), np.floor((z - SHOP_M) / FLOOR_M).astype(np.int32)
    u, v = (along / WINDOW_M) % 1.0, ((z - SHOP_M) / FLOOR_M) % 1.0
    upper = (z > SHOP_M) & (z < height - 1.4)
    frame = upper & (np.abs(u - 0.5) < 0.27) & (v > 0.2) & (v < 0.84)
    glass = upper & (np.abs(u - 0.5) < 0.22) & (v > 0.24) & (v < 0.8) & (np.abs(u - 0.5) > 0.018) & (np.abs(v - 0.62) > 0.014)
    lit = _hash(street.seed + 3, bay, floor) < 0.24
    colour = np.where(frame[..., None], plaster * 0.55 + 88, plaster)
    pane = np.where(lit[..., None], np.array((236, 190, 118)) * (0.62 + 0.4 * _hash(street.seed + 7, bay, floor))[..., None], (30, 40, 56))
    ledge = (np.abs(z - SHOP_M) < 0.22) | (np.abs(z - height + 0.7) < 0.35) | (upper & (np.abs(v - 0.08) < 0.025))
    colour = np.where(ledge[..., None], colour * 1.18, colour)
    shop_kind = _hash(street.seed + 5, np.floor(along / 6.2).astype(np.int32))
    w = (along / 6.2) % 1.0
    shop = (z > 0.5) & (z < 3.4) & (np.abs(w - 0.5) < 0.4)
    pillar = (z < SHOP_M) & ~shop
    colour = np.where(pillar[..., None], colour * 0.62, colour)
    warm = np.stack((200 + 50 * shop_kind, 160 + 60 * shop_kind, 96 + 110 * shop_kind), axis=-1)
    goods = 0.72 + 0.28 * _noise(street.seed + 6, along, z, 1.6)
    window = np.where((shop_kind < 0.78)[..., None], warm * goods[..., None], (26, 32, 42))
    sign = (z > 3.5) & (z < 4.1) & (np.abs(w - 0.5) < 0.3) & (shop_kind < 0.5)
    light = np.zeros_like(z)
    for lamp_x, lamp_y in street.lamps:
        light += np.where(side * lamp_x > 0, 0.5, 0.1) * np.exp(-((y - lamp_y) ** 2) / 40 - (z - 4.5) ** 2 / 22)
    strength = AMBIENT * 0.86 + light[..., None] * np.array((1.0, 0.82, 0.56), dtype=np.float32)
    colour = colour * strength
    colour = np.where(glass[..., None], pane, colour)
    colour = np.where(shop[..., None], window, colour)
    painted: Values = np.where(sign[..., None], np.array((210, 216, 230)) * (0.5 + 0.5 * shop_kind)[..., None], colour)
    return painted

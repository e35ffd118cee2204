"""The evidence picture of a plate read: the vehicle's front or rear as the camera saw it. It shows the true plate, whatever was read."""

from __future__ import annotations

import io
import random
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rtcc_demo.render.bodies import Pose, draw_vehicle, light_points
from rtcc_demo.render.glow import add_glow
from rtcc_demo.render.lens import Lens
from rtcc_demo.world.plate_reading import PlateRead
from rtcc_demo.world.vehicles import Vehicle

WIDTH, HEIGHT = 480, 300
QUALITY = 82
NOSE_M = {"truck": (3.4, 3.06), "van": (2.5, 2.45)}
"""From the middle to the rear and to the front; others 2.2 m."""


def render_plate_image(read: PlateRead) -> bytes:
    """A JPEG of about 15 kB."""
    return render_vehicle_image(read.vehicle, front=read.front, seed=read.read_number)


def render_vehicle_image(vehicle: Vehicle, *, front: bool, seed: int) -> bytes:
    """A JPEG of the vehicle's front or rear, slightly different for each seed."""
    choice = random.Random(seed)
    lens = Lens((choice.uniform(-1.1, -0.4), 0.0, 1.9), choice.uniform(4.0, 7.0), choice.uniform(8.0, 9.5), 26.0, WIDTH, HEIGHT)
    rear_m, front_m = NOSE_M.get(vehicle.model.body, (2.25, 2.2))
    away_m = choice.uniform(6.6, 7.4) + (front_m if front else rear_m)
    pose = Pose(choice.uniform(-0.15, 0.25), away_m, oncoming=front)
    image = _ground().copy()
    draw_vehicle(image, lens.scaled(2), vehicle, pose, light=1.15)
    picture = np.array(image.reduce(2))
    for point, colour in light_points(vehicle, pose):
        x, y, _ = lens.project(point[None, :])[0]
        add_glow(picture, x, y, 70 if front else 46, colour, 0.6)
    shift = choice.randrange(64)
    grain = _grain()[shift : shift + HEIGHT, shift : shift + WIDTH]
    kept = io.BytesIO()
    Image.fromarray(np.clip(picture + grain, 0, 255).astype(np.uint8)).save(kept, "JPEG", quality=QUALITY)
    return kept.getvalue()


@cache
def _grain() -> NDArray[np.int16]:
    return np.random.default_rng(3).normal(0, 2.5, (HEIGHT + 64, WIDTH + 64, 1)).astype(np.int16)


@cache
def _ground() -> Image.Image:
    """Asphalt towards a dim street, at twice the size."""
    rows = np.linspace(0, 1, HEIGHT)[:, None, None]
    noise = np.random.default_rng(7).normal(0, 5.0, (HEIGHT, WIDTH, 1))
    far, near = np.array((44.0, 52.0, 64.0)), np.array((78.0, 78.0, 80.0))
    ground = np.clip(far + (near - far) * rows + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(ground).resize((WIDTH * 2, HEIGHT * 2), Image.Resampling.BICUBIC)

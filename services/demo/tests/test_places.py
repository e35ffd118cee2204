"""The drawn floor plan lies where its building is, and passers-by use the tip form as browsers do."""

import asyncio
import io
import math
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from PIL import Image

from rtcc_demo.places import floor_plan_request
from rtcc_demo.render.floor_plan import HEIGHT_PX, HOUSE, METRES_PER_PX, WIDTH_PX, draw_floor_plan
from rtcc_demo.tip_form import TipTellers
from rtcc_demo.world.geometry import distance_m, to_metres
from rtcc_demo.world.script import CALLS, TIPS
from rtcc_demo.world.simulation import City, TipTold


def test_the_plan_is_a_picture_of_rooms_and_every_mark_lies_in_it() -> None:
    image = Image.open(io.BytesIO(draw_floor_plan(HOUSE)))
    assert image.size == (WIDTH_PX, HEIGHT_PX) and image.format == "PNG"
    colours = image.getcolors(1 << 16)
    assert colours is not None and len(colours) > 3
    assert all(0 <= mark.x_px <= WIDTH_PX and 0 <= mark.y_px <= HEIGHT_PX for mark in HOUSE.marks)
    assert {"exit", "hazard"} <= {mark.kind for mark in HOUSE.marks}


def test_the_corners_are_as_far_apart_as_the_building_is_large() -> None:
    a, b, c = (to_metres(*HOUSE.corner(x, y)) for x, y in ((0, 0), (WIDTH_PX, 0), (WIDTH_PX, HEIGHT_PX)))
    assert math.isclose(distance_m(a, b), WIDTH_PX * METRES_PER_PX, rel_tol=1e-3)
    assert math.isclose(distance_m(b, c), HEIGHT_PX * METRES_PER_PX, rel_tol=1e-3)
    middle = to_metres(*HOUSE.corner(WIDTH_PX / 2, HEIGHT_PX / 2))
    assert distance_m(middle, to_metres(*HOUSE.place)) < 0.1


def test_a_call_of_the_script_is_in_the_building() -> None:
    assert [call.call_type for call in CALLS if call.address == HOUSE.address and call.place == HOUSE.place] == ["Medical assist"]
    assert floor_plan_request()["floor_plan"]["address"] == HOUSE.address


def test_the_city_tells_the_scripts_tips() -> None:
    city = City(civil_vehicles=0)
    told = [happening for _ in range(620) for happening in city.step() if isinstance(happening, TipTold)]
    assert [tip.text for tip in told] == [tip.text for tip in TIPS if tip.at_s < 310]


class Form:
    """A door with a tip page."""

    def __init__(self) -> None:
        self.sent: list[dict[str, str]] = []
        self.received = asyncio.Event()

    async def page(self, request: web.Request) -> web.Response:
        return web.Response(text='<input type="hidden" name="form" value="key-1">', content_type="text/html")

    async def receive(self, request: web.Request) -> web.Response:
        self.sent.append({name: str(value) for name, value in (await request.post()).items()})
        self.received.set()
        return web.Response()


@pytest.fixture
async def form() -> AsyncIterator[tuple[Form, str]]:
    found = Form()
    app = web.Application()
    app.router.add_get("/tips/{agency_id}", found.page)
    app.router.add_post("/tips/{agency_id}", found.receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield found, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_passer_by_fills_in_the_form_that_was_shown(form: tuple[Form, str]) -> None:
    door, url = form
    counts: Counter[str] = Counter()
    async with aiohttp.ClientSession(url) as session:
        tellers = TipTellers(session, counts, typing_s=0)
        tellers.put(TipTold("helsinki-east", "weapons", "I heard four bangs", "Kaisaniemenranta", (24.945, 60.173)))
        running = asyncio.create_task(tellers.run())
        async with asyncio.timeout(30):
            await door.received.wait()
        running.cancel()
    (sent,) = door.sent
    assert (sent["form"], sent["text"], sent["lat"], sent["website"]) == ("key-1", "I heard four bangs", "60.173", "")

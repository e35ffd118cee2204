"""Services run on uvloop's loop where it is installed, and on asyncio's own elsewhere."""

import asyncio
import sys

import pytest

from rtcc_chassis.event_loop import run_on_event_loop


async def module_of_loop() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def test_the_loop_is_uvloops_where_it_is_installed_and_asyncios_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("uvloop")
    assert run_on_event_loop(module_of_loop()) == "uvloop"
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert run_on_event_loop(module_of_loop()) == "asyncio"


def test_what_the_main_coroutine_raises_comes_out() -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_on_event_loop(fail())

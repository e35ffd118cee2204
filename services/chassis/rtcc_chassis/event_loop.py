"""The event loop that services run on."""

import asyncio
from collections.abc import Coroutine
from typing import Any


def run_on_event_loop[T](main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`, with uvloop's loop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    found: T = uvloop.run(main)
    return found

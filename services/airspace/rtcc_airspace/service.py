"""Wiring of airspace."""

from rtcc_chassis.context import ServiceContext


async def serve(ctx: ServiceContext) -> None:
    """Runs until the process stops."""
    ctx.lifecycle.ready()
    await ctx.lifecycle.stopping.wait()

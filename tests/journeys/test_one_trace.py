"""One trace of one plate read: gateway -> intake -> NATS -> alerting -> gateway."""

import contextlib

from proof.live_watch import live_watch
from proof.platform import running_platform, until
from proof.trace_collector import Span, TraceCollector, trace_collector
from proof.world import OWNER, build_world, plate_read

# (service, what its span's name begins with) in the order of the way
WAY = (
    ("gateway", "POST /v1/hooks"),
    ("gateway", "call SubmitDelivery"),
    ("core", "intake.SubmitDelivery"),
    ("core", "consume alerting"),
    ("gateway", "deliver alert"),
)


def _whole(collector: TraceCollector) -> list[Span]:
    """The spans of a trace that has every station of the way."""
    for trace_id in dict.fromkeys(span.trace_id for span in collector.spans):
        spans = collector.trace_of(trace_id)
        if all(any(_service(span) == service and span.name.startswith(name) for span in spans) for service, name in WAY):
            return spans
    return []


def _roots(spans: list[Span]) -> list[Span]:
    """Those below no other span. A process sends its spans in batches as they end, so a child can come before its parent."""
    known = {span.span_id for span in spans}
    return [span for span in spans if span.parent_id not in known]


def _service(span: Span) -> str:
    return "core" if "intake" in span.service else span.service


async def test_a_plate_read_is_one_trace_from_the_door_to_the_console() -> None:
    async with trace_collector() as collector, running_platform({"RTCC_OTLP_ENDPOINT": collector.endpoint}) as platform:
        world = await build_world(platform)
        _, _, plate = await world.hot_list_entry(OWNER)
        camera_id, source = await world.camera(OWNER), await world.source(OWNER, "plate_read")
        operator = await world.person(OWNER, "operator")
        async with live_watch(world, operator) as console:

            async def alert_came() -> bool:
                # repeated until the new entry is in the matcher's memory
                status, answer = await world.delivered(source, plate_read(plate, camera_id))
                assert status == 202, answer
                return bool(console.alerts())

            await until(alert_came, every_s=0.5)

            async def tied_together() -> bool:
                return len(_roots(_whole(collector))) == 1

            with contextlib.suppress(AssertionError):  # told below, with what was seen
                await until(tied_together, deadline_s=60)

    spans = _whole(collector)
    assert spans, f"no trace has every station; spans seen: {sorted({(span.service, span.name) for span in collector.spans})}"
    # each span but the first hangs below another of the same trace
    assert [root.name for root in _roots(spans)] == ["POST /v1/hooks/{source_id}"], _roots(spans)

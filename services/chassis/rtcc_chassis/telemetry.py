"""One trace from source to console, metrics for Prometheus, JSON logs without personal data."""

import contextlib
import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from datetime import UTC, datetime
from pathlib import Path

import grpc
from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from rtcc_chassis.scope import agency_in_scope

# what the collector's certificate names: it stands with others, and must not be able to pass for a service
COLLECTOR_NAME = "collector.rtcc.internal"

_TRACER = trace.get_tracer("openrtcc")

RPC_SECONDS = Histogram("rtcc_rpc_seconds", "Time to answer a call, audit included.", ["method", "code"])
RPC_IN_FLIGHT = Gauge("rtcc_rpc_in_flight", "Calls being handled.")
MESSAGES = Counter("rtcc_messages_total", "Messages handled by consumers and tails.", ["consumer"])
DECISIONS = Counter("rtcc_decisions_total", "Access decisions.", ["action", "outcome"])


def configure_tracing(service: str, otlp_endpoint: str, authority_file: str = "") -> None:
    """Send spans to an OTLP collector; without an endpoint spans cost next to nothing."""
    if not otlp_endpoint:
        return
    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.namespace": "openrtcc"}))
    provider.add_span_processor(BatchSpanProcessor(span_exporter(otlp_endpoint, authority_file), schedule_delay_millis=500))
    trace.set_tracer_provider(provider)


def span_exporter(endpoint: str, authority_file: str = "") -> SpanExporter:
    """To http://host:port, or https:// with a certificate of the installation's own authority (PEM) that names COLLECTOR_NAME."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    if endpoint.startswith("http://"):
        return OTLPSpanExporter(endpoint=endpoint, insecure=True)
    if not authority_file:
        return OTLPSpanExporter(endpoint=endpoint, credentials=grpc.ssl_channel_credentials())
    credentials = grpc.ssl_channel_credentials(Path(authority_file).read_bytes())
    return OTLPSpanExporter(
        endpoint=endpoint, credentials=credentials, channel_options=(("grpc.ssl_target_name_override", COLLECTOR_NAME),)
    )


def flush_tracing() -> None:
    """Send what waits; called last in a drain."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.force_flush(2000)


def inject_trace(headers: MutableMapping[str, str]) -> None:
    """Add `traceparent` (W3C Trace Context) of the current span."""
    propagate.inject(headers)


def current_trace_id() -> str:
    """32 hex digits, or "" outside of a trace."""
    context = trace.get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else ""


@contextlib.contextmanager
def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    headers: Mapping[str, str] | None = None,
    attributes: Mapping[str, str | int | float] | None = None,
) -> Iterator[Span]:
    """A span, child of the current one or of the one in `headers`."""
    parent = propagate.extract(headers) if headers else None
    with _TRACER.start_as_current_span(name, context=parent, kind=kind, attributes=attributes, record_exception=False) as active:
        try:
            yield active
        except Exception as error:
            active.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


@contextlib.contextmanager
def consumed(consumer: str, headers: Mapping[str, str]) -> Iterator[None]:
    """The span of one handled batch, continuing the trace of its first message."""
    MESSAGES.labels(consumer).inc()
    with span(f"consume {consumer}", SpanKind.CONSUMER, headers):
        yield


@contextlib.contextmanager
def continued(name: str, headers: Mapping[str, str]) -> Iterator[None]:
    """Continue the trace of one message inside a batch."""
    token = otel_context.attach(propagate.extract(headers))
    try:
        with span(name):
            yield
    finally:
        otel_context.detach(token)


class _JsonFormatter(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if trace_id := current_trace_id():
            line["trace_id"] = trace_id
        if agency_id := agency_in_scope():
            line["agency"] = agency_id
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = _stack(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def _stack(error: BaseException | None) -> str:
    """Types and code lines of an error and its causes, the first cause first. Its text is left out, for it may hold what was being
    handled: a plate, a name, a row that broke a constraint. Errors of the operating system say only which file or address.
    """
    parts: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        told = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
        parts.append("".join(traceback.format_tb(error.__traceback__)) + f"{type(error).__module__}.{type(error).__qualname__}{told}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(reversed(parts))


def configure_logging(service: str, level: str) -> None:
    """JSON lines on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter(service))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("nats").setLevel(logging.WARNING)


async def serve_metrics(listen: str) -> None:
    """Prometheus text on `host:port` for the life of the process."""
    from prometheus_client import start_http_server

    host, _, port = listen.rpartition(":")
    start_http_server(int(port), host or "127.0.0.1", registry=REGISTRY)

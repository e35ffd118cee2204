"""A real OTLP collector (opentelemetry-proto, gRPC): keeps the spans that services send."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass(frozen=True)
class Span:
    """What the tests look at; ids in hex."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    service: str


class TraceCollector(trace_service_pb2_grpc.TraceServiceServicer):
    """`spans` in the order they came."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.endpoint = ""

    async def Export(self, request: Any, context: Any) -> Any:
        for resource in request.resource_spans:
            attributes = {item.key: item.value.string_value for item in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        Span(
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            span.name,
                            attributes.get("service.name", ""),
                        )
                    )
        return trace_service_pb2.ExportTraceServiceResponse()

    def trace_of(self, trace_id: str) -> list[Span]:
        return [span for span in self.spans if span.trace_id == trace_id]


@asynccontextmanager
async def trace_collector(certificate: Path | None = None, key: Path | None = None) -> AsyncIterator[TraceCollector]:
    """Listens on loopback, by TLS when certificate and key (PEM files) are given."""
    collector, server = TraceCollector(), grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    if certificate and key:
        shown = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
        collector.endpoint = f"https://127.0.0.1:{server.add_secure_port('127.0.0.1:0', shown)}"
    else:
        collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(0)

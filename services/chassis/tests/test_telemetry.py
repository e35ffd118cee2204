"""Logs that say where and what, and never who; measures of the process itself."""

import asyncio
import json
import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from prometheus_client import REGISTRY

from proof.door import door_at
from proof.trace_collector import trace_collector
from rtcc_chassis import measures
from rtcc_chassis.consumer import ConsumerSpec
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.measures import note_certificate
from rtcc_chassis.scope import enter_scope
from rtcc_chassis.streams import EVENTS
from rtcc_chassis.telemetry import COLLECTOR_NAME, _JsonFormatter, span_exporter
from rtcc_chassis.testing import TestPlatform, person, poll


async def test_traces_go_to_a_collector_with_a_certificate_of_the_installations_authority(tmp_path: Path) -> None:
    # R14
    door, certificate, key = door_at("127.0.0.1", COLLECTOR_NAME), tmp_path / "tls.crt", tmp_path / "tls.key"
    certificate.write_text(door.certificate)
    key.write_text(door.key)
    async with trace_collector(certificate, key) as collector:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(span_exporter(collector.endpoint, str(certificate))))

        def tell() -> None:
            provider.get_tracer("test").start_span("told").end()
            provider.shutdown()

        await asyncio.to_thread(tell)
        assert [span.name for span in collector.spans] == ["told"]


def _line(error: BaseException | None = None) -> dict[str, str]:
    record = logging.LogRecord(
        "x", logging.ERROR, __file__, 1, "it failed", (), (type(error), error, error.__traceback__) if error else None
    )
    line: dict[str, str] = json.loads(_JsonFormatter("video").format(record))
    return line


def _raised() -> BaseException:
    try:
        try:
            raise ValueError("plate ABC123 of Aino")
        except ValueError as error:
            raise RuntimeError("row (ABC123, Aino) broke a constraint") from error
    except RuntimeError as error:
        return error


def test_an_errors_stack_is_logged_without_its_text() -> None:
    text = _line(_raised())["error"]
    assert "ABC123" not in text.replace('raise ValueError("plate ABC123 of Aino")', "").replace(
        'raise RuntimeError("row (ABC123, Aino) broke a constraint") from error', ""
    )
    # the first cause first, each with its lines
    assert text.index("builtins.ValueError") < text.index("builtins.RuntimeError")
    assert "test_telemetry.py" in text


def test_an_error_of_the_operating_system_keeps_what_it_says() -> None:
    assert "Connection refused" in _line(ConnectionRefusedError(111, "Connection refused"))["error"]


async def test_a_line_names_service_and_agency_of_the_call() -> None:
    async def inside() -> dict[str, str]:
        enter_scope(person("espoo", "operator", name="Aino"))
        return _line()

    line = await asyncio.create_task(inside())
    assert (line["service"], line["agency"], line["level"]) == ("video", "espoo", "ERROR")
    assert "Aino" not in json.dumps(line)
    assert "agency" not in _line()


def test_a_certificates_end_is_measured(tmp_path: Path) -> None:
    key, name = Ed25519PrivateKey.generate(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=20)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(ends - timedelta(days=30)).not_valid_after(ends).sign(key, None)
    )  # fmt: skip
    path = tmp_path / "certificate.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    note_certificate("door", str(path))
    assert REGISTRY.get_sample_value("rtcc_certificate_expires_timestamp_seconds", {"use": "door"}) == ends.timestamp()
    # one that can't be read leaves the last value
    path.write_text("nonsense")
    note_certificate("door", str(path))
    assert REGISTRY.get_sample_value("rtcc_certificate_expires_timestamp_seconds", {"use": "door"}) == ends.timestamp()


async def test_a_held_loop_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "_MEASURE_EVERY_S", 0.0)
    task = asyncio.create_task(measures.measure_loop())
    await asyncio.sleep(0)
    time.sleep(0.8)  # noqa: ASYNC251 # holding the loop is what is measured

    async def seen() -> bool:
        return (REGISTRY.get_sample_value("rtcc_loop_lag_seconds") or 0) > 0.2

    await poll(seen)
    task.cancel()


async def test_a_message_that_is_given_up_on_and_one_that_takes_long_show(small_platform: TestPlatform) -> None:
    context = await small_platform.context("intake")
    spec = ConsumerSpec(EVENTS, "intake", "measured", ("event.>",))
    held = asyncio.Event()

    async def handle(deliveries: object) -> None:
        if not held.is_set():
            await held.wait()
        raise ValueError("poison")

    context.lifecycle.spawn(context.bus.consume(spec, handle), "measured")
    before = datetime.now(UTC).timestamp()
    await context.bus.publish("event.espoo.x", b"\xff", message_id=new_id(), agency_id="espoo")

    def sample(name: str) -> float:
        return REGISTRY.get_sample_value(name, {"consumer": "measured"}) or 0.0

    async def stuck() -> bool:
        return sample("rtcc_consumer_oldest_message_timestamp_seconds") > before - 5

    await poll(stuck)
    held.set()

    async def given_up() -> bool:
        return sample("rtcc_consumer_quarantined_total") == 1 and sample("rtcc_consumer_oldest_message_timestamp_seconds") == 0

    await poll(given_up, deadline_s=20)

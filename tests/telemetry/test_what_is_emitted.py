"""A working day in small on the real platform: what dashboards and rules ask for is there, and nobody is named in metrics or logs."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import promql_parser
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from prometheus_client.parser import text_string_to_metric_families

from proof.kubernetes_api import kubernetes_api
from proof.live_watch import live_watch
from proof.platform import RunningPlatform, rule_named, until
from proof.requests import OFFER
from proof.sky import remote_id
from proof.world import World, add_agency, plate_read
from rtcc.alerting.v1 import alerting_pb2
from rtcc.event.v1 import event_pb2
from rtcc.exchange.v1 import exchange_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc.video.v1 import video_pb2
from rtcc_chassis.clock import utc_now
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import event_subject
from rtcc_chassis.testing import free_port
from rtcc_operator.bootstrap import bootstrap
from rtcc_standalone.installation import PROCESSES

from .test_what_is_asked_for import queries

AGENCY, NEIGHBOUR = "meter-north", "meter-south"
PLATE, NAME, LOGIN = "QZX7731", "Zebulon Quartermain", "zquartermain"
# of the kubelet; and what Prometheus adds to every series
EXTERNAL = {"kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes"}
TARGET_LABELS = {"job", "instance", "pod", "namespace"}
# what a label may say: never who, never which plate
LABELS = {
    "action", "adapter", "agency", "channel", "code", "consumer", "feed", "how", "kind", "le", "level", "method", "origin", "outcome",
    "ready", "reason", "route", "service", "state", "status", "stream", "use",
}  # fmt: skip


@dataclass
class Scraped:
    """Series names with the labels that they have, and the text as it came."""

    labels: dict[str, set[str]]
    text: str

    @classmethod
    def of(cls, text: str) -> "Scraped":
        labels: dict[str, set[str]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels.setdefault(sample.name, set()).update(sample.labels)
        return cls(labels, text)


async def scrape(addresses: list[str]) -> Scraped:
    texts = []
    async with aiohttp.ClientSession() as client:
        for address in addresses:
            async with client.get(address) as response:
                assert response.status == 200
                texts.append(await response.text())
    return Scraped.of("\n".join(texts))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def worked(platform: RunningPlatform, world: World) -> World:
    """An officer with a name of his own looks at a wanted plate, takes the alert, and much else happens around him."""
    for agency_id in (AGENCY, NEIGHBOUR):
        await add_agency(world, agency_id)
    person = registry_pb2.Person(
        agency_id=AGENCY, login=LOGIN, display_name=NAME, roles=["operator", "supervisor"], email=f"{LOGIN}@meter.example"
    )
    officer = (
        await platform.ask(
            "CreatePerson", replace(Scope.platform("standalone"), idempotency_key=LOGIN), registry_pb2.CreatePersonRequest(person=person)
        )
    ).person
    himself = replace(
        world.everything(AGENCY), principal_id=officer.person_id, display_name=NAME, purpose="stolen truck", case_number="26-7731"
    )
    camera_id = await world.camera(AGENCY)
    agreement_id = await world.agreement(AGENCY, NEIGHBOUR, alert_kinds=["plate_hit"], camera_ids=[camera_id], cameras_live=True)
    async with live_watch(world, officer):
        await _take_the_alert(platform, world, himself, camera_id, agreement_id)
        await _watch_and_ride(platform, world, himself, camera_id)
        await _go_wrong(platform, world, officer)
    await platform.ask("RevokeAgreement", world.everything(AGENCY), registry_pb2.RevokeAgreementRequest(agreement_id=agreement_id))
    return world


async def _take_the_alert(platform: RunningPlatform, world: World, himself: Scope, camera_id: str, agreement_id: str) -> None:
    await world.hot_list_entry(AGENCY, PLATE)
    neighbour = replace(world.everything(NEIGHBOUR), idempotency_key=new_id())
    request = exchange_pb2.CreateSubscriptionRequest(agreement_id=agreement_id, alert_kinds=["plate_hit"])

    async def subscribed() -> bool:
        # as soon as the exchange's mirror has the agreement
        return (await platform.call(rule_named("CreateSubscription"), request, platform.metadata(neighbour))).code is grpc.StatusCode.OK

    await until(subscribed)
    source = await world.source(AGENCY, "plate_read")
    found: list[str] = []

    async def hit() -> bool:
        status, answer = await world.delivered(source, plate_read(PLATE, camera_id))
        assert status == 202, answer
        found[:] = [alert.alert_id for alert in await world.alerts(AGENCY) if alert.event.plate_read.plate == PLATE]
        return bool(found)

    await until(hit, every_s=0.5)
    # one that joins, and one too old to raise anything
    await world.delivered(source, plate_read(PLATE, camera_id))
    status, _ = await platform.deliver(source.source_id, "0" * 43, plate_read(PLATE, camera_id))
    assert status == 401
    await world.delivered(source, plate_read(PLATE, camera_id, captured_at=(utc_now() - timedelta(days=1)).isoformat()))
    await platform.ask("AcknowledgeAlert", himself, alerting_pb2.AcknowledgeAlertRequest(alert_id=found[0]))
    confirmed = alerting_pb2.ConfirmPlateRequest(alert_id=found[0], disposition=alerting_pb2.PLATE_DISPOSITION_CORRECT)
    await platform.ask("ConfirmPlate", himself, confirmed)

    async def shared() -> bool:
        answer = await platform.ask("ListSharedAlerts", world.everything(NEIGHBOUR), exchange_pb2.ListSharedAlertsRequest(limit=50))
        return bool(answer.alerts)

    await until(shared)


async def _watch_and_ride(platform: RunningPlatform, world: World, himself: Scope, camera_id: str) -> None:
    receiver = await world.source(AGENCY, "remote_id")
    seen = remote_id("MFG1F000000000000009", 60.2, 24.9)

    async def heard() -> bool:
        return (await platform.deliver(receiver.source_id, receiver.secret, seen, door="airspace"))[0] in (200, 202)

    await until(heard)
    assert (await platform.deliver(receiver.source_id, "0" * 43, seen, door="airspace"))[0] == 401
    # the camera is nowhere: what a person is told then is a text like any other
    request = video_pb2.OpenViewerRequest(camera_id=camera_id, offer_sdp=OFFER)
    await platform.call(rule_named("OpenViewer"), request, platform.metadata(himself))
    unit, key = await world.unit_and_key(AGENCY)
    query = {"id": unit.device_id, "key": key, "lat": "60.2", "lon": "24.9", "timestamp": str(int(time.time()))}

    async def taken() -> bool:
        async with aiohttp.ClientSession() as client, client.get(f"{platform.url}/v1/osmand", params=query) as response:
            return response.status == 200

    await until(taken)


async def _go_wrong(platform: RunningPlatform, world: World, officer: registry_pb2.Person) -> None:
    """Errors are where names slip into logs."""
    source = await world.source(AGENCY, "plate_read")
    for wrong in ({"plate": {"text": PLATE, "of": NAME}}, {"driver": NAME, "plate": PLATE}, f'{{"plate": "{PLATE}", "x": "{NAME}'.encode()):
        await world.delivered(source, wrong)
    async with aiohttp.ClientSession() as client:
        for path, body in (("/auth/sign-in", {"login": LOGIN, "password": f"{NAME} {PLATE}"}), (f"/v1/people/{LOGIN}", {"name": NAME})):
            async with client.post(f"{platform.url}{path}", json=body, headers={"Origin": platform.url}) as response:
                assert response.status >= 400
    twin = registry_pb2.Person(agency_id=AGENCY, login=LOGIN, display_name=NAME, roles=["operator"])
    answer = await platform.call(
        rule_named("CreatePerson"), registry_pb2.CreatePersonRequest(person=twin), platform.metadata(Scope.platform("standalone"))
    )
    assert answer.code.name == "ABORTED"
    await platform.call(
        rule_named("SearchPlateReads"),
        rule_named("SearchPlateReads").request_type(plate=PLATE),
        platform.metadata(replace(world.everything(AGENCY), principal_id=officer.person_id, display_name=NAME, purpose="")),
    )
    # a message that no consumer can handle, in a name of its own: quarantined with a stack in the log
    event = event_pb2.Event(event_id=new_id(), agency_id=AGENCY, source_id="x", kind="plate_read")
    event.plate_read.plate = PLATE
    event.occurred_at.seconds = 2**62
    await platform.bus.publish(event_subject(AGENCY, "plate_read"), event, message_id=new_id(), agency_id=AGENCY)


@pytest.fixture(scope="module")
def operator_process(platform: RunningPlatform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Settings of a controller of this installation; each test starts what it needs."""
    folder = tmp_path_factory.mktemp("operator")
    bootstrap(folder / "keys", "/nowhere", 1)
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "token.pem").write_bytes(key)
    yield {
        **platform.environment,
        "RTCC_OPERATOR_NATS_OPERATOR_SEED_FILE": str(folder / "keys" / "nats-operator-seed"),
        "RTCC_OPERATOR_NATS_PLATFORM_SEED_FILE": str(folder / "keys" / "nats-platform-seed"),
        "RTCC_OPERATOR_NAMESPACE": "rtcc",
        "RTCC_OPERATOR_KUBECONFIG": str(folder / "kubeconfig"),
        "RTCC_OPERATOR_TOKEN_KEY_FILE": str(folder / "token.pem"),
        "RTCC_NATS_CREDENTIALS": str(folder / "keys" / "operator.creds"),
        "RTCC_OPERATOR_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
        "FOLDER": str(folder),
    }


@contextlib.asynccontextmanager
async def _controller(settings: dict[str, str]) -> AsyncIterator[str]:
    """A controller that nobody trusts here: it works, is refused, and measures."""
    async with kubernetes_api(Path(settings["FOLDER"])) as api:
        await api.apply(
            {
                "apiVersion": "openrtcc.org/v1alpha1",
                "kind": "Agency",
                "metadata": {"name": "measured"},
                "spec": {"name": "Measured", "firstAdministrator": {"login": "measured", "displayName": "M"}},
            }
        )
        await api.apply(
            {
                "apiVersion": "openrtcc.org/v1alpha1",
                "kind": "SharingAgreement",
                "metadata": {"name": "measured"},
                "spec": {"grantor": "measured", "grantee": "other", "units": True},
            }
        )
        environment = {**os.environ, **{name: value for name, value in settings.items() if name != "FOLDER"}}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "rtcc_operator", env=environment, start_new_session=True, stderr=asyncio.subprocess.DEVNULL
        )
        try:

            async def looked() -> bool:
                return bool(api.condition("agencies", "measured"))

            await until(looked, deadline_s=60)
            yield f"http://{settings['RTCC_OPERATOR_METRICS_LISTEN']}/metrics"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _selectors(expression: Any) -> Iterator[tuple[str, set[str]]]:
    """(series, labels that its matchers name) of a parsed query; labels of the groupings around it included."""
    yield from _walk(expression, set())


def _walk(node: Any, grouped: set[str]) -> Iterator[tuple[str, set[str]]]:
    if isinstance(node, promql_parser.VectorSelector):
        yield node.name, grouped | {matcher.name for matcher in node.matchers.matchers}
    elif isinstance(node, promql_parser.MatrixSelector):
        yield from _walk(node.vector_selector, grouped)
    elif isinstance(node, promql_parser.AggregateExpr):
        names = set(node.modifier.labels) if node.modifier is not None else set()
        yield from _walk(node.expr, grouped | names)
    elif isinstance(node, promql_parser.BinaryExpr):
        yield from _walk(node.lhs, grouped)
        yield from _walk(node.rhs, grouped)
    elif isinstance(node, promql_parser.Call):
        for argument in node.args:
            yield from _walk(argument, grouped)
    elif isinstance(node, promql_parser.ParenExpr | promql_parser.UnaryExpr | promql_parser.SubqueryExpr):
        yield from _walk(node.expr, grouped)


def _missing(scraped: Scraped) -> set[str]:
    found = set()
    for where, query in queries():
        for series, labels in _selectors(promql_parser.parse(query)):
            if series in EXTERNAL:
                continue
            if series not in scraped.labels:
                found.add(f"{where}: no {series}")
            elif strange := labels - scraped.labels[series] - TARGET_LABELS:
                found.add(f"{where}: {series} has no label {', '.join(sorted(strange))}")
    return found


async def test_every_series_and_label_that_is_asked_for_is_emitted(
    platform: RunningPlatform, worked: World, operator_process: dict[str, str]
) -> None:
    missing: set[str] = {"nothing scraped yet"}
    async with _controller(operator_process) as operator:

        async def complete() -> bool:
            # surroundings and outboxes are measured every 10 to 15 s
            missing.clear()
            missing.update(_missing(await scrape([*platform.metrics.values(), operator])))
            return not missing

        with contextlib.suppress(AssertionError):  # told below, with what is missing
            await until(complete, deadline_s=90, every_s=1)
    assert not missing


async def test_metrics_never_say_who(platform: RunningPlatform, worked: World) -> None:
    scraped = await scrape(list(platform.metrics.values()))
    ours = {name: labels for name, labels in scraped.labels.items() if name.startswith("rtcc_")}
    assert set().union(*ours.values()) <= LABELS
    for secret in (PLATE, NAME, LOGIN):
        assert secret.lower() not in scraped.text.lower()


async def test_logs_are_json_with_their_service_and_never_say_who(platform: RunningPlatform, worked: World) -> None:
    folder = platform.supervisor.installation.folder
    quarantined = "quarantined"

    async def told() -> bool:
        return quarantined in folder.log("core").read_text()

    await until(told, deadline_s=90)
    logs = {process: folder.log(process).read_text() for process in PROCESSES}
    lines = [json.loads(line) for text in logs.values() for line in text.splitlines() if line.startswith("{")]
    assert {line["service"] for line in lines} >= {"gateway", "video", "+".join(PROCESSES["core"])}
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    # the poison message's stack is there, without what it held
    assert any("Traceback" in line.get("error", "") or 'File "' in line.get("error", "") for line in lines)
    for process, text in logs.items():
        for secret in (PLATE, NAME, LOGIN):
            found = re.search(rf".{{0,120}}{re.escape(secret)}.{{0,80}}", text, re.I)
            assert found is None, f"{process}: {found and found.group(0)}"

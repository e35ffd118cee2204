"""docs/integrators/add-a-source.md, followed to the letter: its commands are run as they stand, through the real door."""

import asyncio
import functools
import json
import os
import re
from pathlib import Path
from typing import Any

from rtcc.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from rtcc.intake.v1 import intake_pb2 as pb
from rtcc.intake.v1.intake_pb2_grpc import IntakeServiceStub
from rtcc.registry.v1 import registry_pb2
from rtcc.registry.v1.registry_pb2_grpc import RegistryServiceStub
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import TestPlatform, free_port, poll
from rtcc_gateway.service import serve as serve_gateway
from rtcc_gateway.settings import GatewaySettings
from rtcc_intake.service import serve
from rtcc_location.service import serve as serve_location
from rtcc_registry.service import serve as serve_registry

from .conftest import OWNER, SUPERVISOR

PAGE = Path(__file__).parents[3] / "docs" / "integrators" / "add-a-source.md"


async def sign_in_link(platform: TestPlatform) -> str:
    """Of an administrator of the agency "east"; the gateway must have learnt of the person."""
    context = await platform.context("gateway")
    registry: Any = context.channels.stub("registry", RegistryServiceStub)
    accounts: Any = context.channels.stub("gateway", gateway_pb2_grpc.AccountServiceStub)
    metadata = platform.metadata(OWNER)
    await registry.CreateAgency(registry_pb2.CreateAgencyRequest(agency_id="east", name="East"), metadata=metadata)
    person = registry_pb2.Person(agency_id="east", login="cleo", display_name="Cleo C", roles=["administrator"], enabled=True)
    created = await registry.CreatePerson(registry_pb2.CreatePersonRequest(person=person), metadata=metadata)
    mirror = context.directory.mirror("person", registry_pb2.Person)

    async def known() -> bool:
        return mirror.get(created.person.person_id) is not None

    await poll(known)
    request = gateway_pb2.CreateDemoLinkRequest(person_id=created.person.person_id, next="/admin")
    answer = await accounts.CreateDemoLink(request, metadata=platform.metadata(Scope.service("standalone", "east")))
    return str(answer.url)


async def test_the_page_is_true(small_platform: TestPlatform, tmp_path: Path) -> None:
    port = free_port()
    await small_platform.servers.s3_endpoint()
    await small_platform.context("gateway", mode="demo")
    gateway = functools.partial(serve_gateway, settings=GatewaySettings(listen=f"127.0.0.1:{port}"))
    await small_platform.serve({"registry": serve_registry, "location": serve_location, "intake": serve, "gateway": gateway})
    link = await sign_in_link(small_platform)
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", page, re.S)
    marked = "\n".join(f"echo '=== {number}'\n{block}\necho" for number, block in enumerate(blocks))
    process = await asyncio.create_subprocess_exec(
        "bash", "-eu", "-c", marked, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RTCC": f"http://localhost:{port}", "LINK": link},
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    text = output.decode()
    assert process.returncode == 0, text
    said = dict(re.findall(r"=== (\d)\n(.*?)(?=\n=== |\Z)", text, re.S))
    assert len(said) == len(blocks) == 9
    assert '"recording":20' in said["1"]
    assert "DELIVERY_OUTCOME_QUARANTINED" in said["2"] and "has no mapping yet" in said["2"]
    # the message that the page quotes
    quoted = re.search(r"```\n(mapping\.fields\.zoen: .*?), \.\.\.\n```", page, re.S)
    assert quoted is not None
    (problem,) = (line for line in said["4"].splitlines() if line.startswith("{"))
    assert quoted.group(1) in json.loads(problem)["detail"]
    assert said["5"].strip() == "1", "the one recorded delivery is understood"
    assert "DELIVERY_OUTCOME_ACCEPTED" in said["6"]
    assert re.search(r'"event_id":"[0-9a-f-]{36}"', said["7"])
    assert said["8"].splitlines()[0] == "2", "both recorded deliveries would change"

    stub: Any = (await small_platform.context("intake")).channels.stub("intake", IntakeServiceStub)

    async def shown() -> bool:
        answer = await stub.ListNewestEvents(pb.ListNewestEventsRequest(kinds=["alarm"]), metadata=small_platform.metadata(SUPERVISOR))
        return {(event.alarm.alarm_id, event.alarm.alarm_type, event.alarm.zone, event.alarm.panel_id) for event in answer.events} == {
            ("17", "burglary", "Back door", "4711"),
            ("18", "other", "unknown", "4711"),
        }

    await poll(shown)

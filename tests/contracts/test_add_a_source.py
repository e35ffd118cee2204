"""docs/integrators/add-a-source.md, followed to the letter: its commands are run as they stand."""

import asyncio
import json
import os
import re
from pathlib import Path

from proof.platform import RunningPlatform, until
from proof.world import OWNER, World
from rtcc.gateway.v1 import gateway_pb2
from rtcc.intake.v1 import intake_pb2
from rtcc_chassis.scope import Scope

PAGE = Path(__file__).parents[2] / "docs" / "integrators" / "add-a-source.md"


async def test_the_page_is_true(platform: RunningPlatform, world: World, tmp_path: Path) -> None:
    person = await world.person(OWNER, "administrator")

    async def link() -> str:
        request = gateway_pb2.CreateDemoLinkRequest(person_id=person.person_id, next="/admin")
        return str((await platform.ask("CreateDemoLink", Scope.service("standalone", OWNER), request)).url)

    # what waits already would be the first of the quarantine's list
    await _empty_quarantine(world)
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert len(blocks) == 9
    marked = "\n".join(f"echo '=== {number}'\n{block}\necho" for number, block in enumerate(blocks))
    signed_in: list[str] = []

    async def signs() -> bool:
        signed_in[:] = [await link()]
        return bool(signed_in[0])

    await until(signs)
    process = await asyncio.create_subprocess_exec(
        "bash", "-eu", "-c", marked, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RTCC": platform.url, "LINK": signed_in[0]},
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    text = output.decode()
    assert process.returncode == 0, text
    said = dict(re.findall(r"=== (\d)\n(.*?)(?=\n=== |\Z)", text, re.S))
    assert '"recording":20' in said["1"]
    assert "DELIVERY_OUTCOME_QUARANTINED" in said["2"] and "has no mapping yet" in said["2"]
    # the message that the page quotes
    quoted = re.search(r"```\n(mapping\.fields\.zoen: .*?), \.\.\.\n```", PAGE.read_text(encoding="utf-8"), re.S)
    assert quoted is not None
    assert quoted.group(1) in json.loads(said["4"])["detail"]
    assert said["5"].strip() == "1", "the one recorded delivery is understood"
    assert "DELIVERY_OUTCOME_ACCEPTED" in said["6"]
    assert '"event_id":"' in said["7"] and '"event_id":""' not in said["7"]
    assert said["8"].splitlines()[0] == "2", "both recorded deliveries would change"

    source_id = json.loads((tmp_path / "source.json").read_text())["source"]["source_id"]

    async def shown() -> bool:
        answer = await platform.ask("ListNewestEvents", world.everything(OWNER), intake_pb2.ListNewestEventsRequest(kinds=["alarm"]))
        alarms = {event.alarm.alarm_id: event.alarm for event in answer.events if event.source_id == source_id}
        return {(alarm_id, alarm.alarm_type, alarm.zone, alarm.panel_id) for alarm_id, alarm in alarms.items()} == {
            ("17", "burglary", "Back door", "4711"),
            ("18", "other", "unknown", "4711"),
        }

    await until(shown)


async def _empty_quarantine(world: World) -> None:
    for entry in await world.quarantine(OWNER):
        request = intake_pb2.DiscardQuarantinedRequest(quarantine_id=entry.quarantine_id, reason="another test's")
        await world.platform.ask("DiscardQuarantined", world.everything(OWNER), request)

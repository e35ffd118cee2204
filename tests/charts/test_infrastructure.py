"""What stands in infra/ for other people's charts fits ours."""

import re
from pathlib import Path

import yaml

from rtcc_standalone.kubernetes.rendering import Object
from rtcc_standalone.kubernetes.rules import DECLARED_KEYS


def test_what_autoscalers_ask_for_is_measured_and_served(root: Path, consortium: list[Object]) -> None:
    adapter = yaml.safe_load((root / "infra" / "telemetry" / "prometheus-adapter.yaml").read_text())
    served = {rule["name"]["as"]: rule["seriesQuery"].partition("{")[0] for rule in adapter["rules"]["custom"]}
    asked = {
        metric["pods"]["metric"]["name"]
        for item in consortium
        if item["kind"] == "HorizontalPodAutoscaler"
        for metric in item["spec"]["metrics"]
    }
    assert asked == set(served)
    code = "\n".join(path.read_text() for path in (root / "services").glob("*/rtcc_*/**/*.py"))
    measured = set(re.findall(r'(?:Gauge|Counter|Histogram)\(\s*"(rtcc_\w+)"', code))
    assert set(served.values()) <= measured | {f"{name}_total" for name in measured}


def test_certificates_make_the_secrets_that_the_charts_mount(root: Path) -> None:
    made = {}
    for name in ("internal", "door"):
        for item in yaml.safe_load_all((root / "infra" / "certificates" / f"{name}.yaml").read_text()):
            if item["kind"] == "Certificate":
                made[item["spec"]["secretName"].removeprefix("rtcc-")] = item["spec"]
    # cert-manager writes tls.crt, tls.key and ca.crt
    assert all(DECLARED_KEYS[name] <= {"tls.crt", "tls.key", "ca.crt"} for name in ("internal-tls", "gateway-door"))
    assert {"internal-tls", "gateway-door"} <= set(made)
    assert made["internal-tls"]["dnsNames"] == ["rtcc.internal"]

"""What stands in infra/ for other people's charts fits ours."""

import re
from pathlib import Path

import yaml

from rtcc_chassis.telemetry import COLLECTOR_NAME
from rtcc_standalone.kubernetes.object_schemas import newest_kubernetes, violations
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
    assert made["collector-tls"]["dnsNames"] == [COLLECTOR_NAME]


def _infra(root: Path, *names: str) -> list[Object]:
    return [item for name in names for item in yaml.safe_load_all((root / "infra" / name).read_text()) if item]


def test_what_is_applied_beside_natss_chart_is_known_to_kubernetes(root: Path) -> None:
    assert violations(_infra(root, "nats/mqtt.yaml", "nats/network-policy.yaml"), [], newest_kubernetes()) == []


def test_mqtt_devices_find_a_way_in_with_a_certificate_of_the_name_that_they_are_told(root: Path) -> None:
    (service,), (policy,) = _infra(root, "nats/mqtt.yaml"), _infra(root, "nats/network-policy.yaml")
    (certificate,) = _infra(root, "certificates/mqtt.yaml")
    (values,) = _infra(root, "nats/mqtt-values.yaml")
    mqtt = values["config"]["mqtt"]
    # NATS's chart calls the container's port by the protocol, and its pods by these labels
    (port,) = service["spec"]["ports"]
    assert port["targetPort"] == "mqtt" and mqtt["enabled"]
    assert service["spec"]["selector"] == policy["spec"]["podSelector"]["matchLabels"]
    opened = {item["port"] for rule in policy["spec"]["ingress"] for item in rule["ports"]}
    assert {mqtt["port"], 4222} <= opened
    # never without TLS
    assert mqtt["tls"] == {"enabled": True, "secretName": certificate["spec"]["secretName"]}
    (name,) = certificate["spec"]["dnsNames"]
    assert service["metadata"]["annotations"]["external-dns.alpha.kubernetes.io/hostname"] == name
    consortium = yaml.safe_load((root / "charts" / "examples" / "consortium" / "values.yaml").read_text())
    assert consortium["operator"]["settings"]["nats_mqtt_address"] == f"{name}:{port['port']}"


def test_the_platform_asks_for_the_stores_where_their_charts_put_them(root: Path, single_agency: list[Object]) -> None:
    (objects,), (postgresql,) = _infra(root, "s3/values.yaml"), _infra(root, "postgresql/values.yaml")
    environment = {
        variable["name"]: variable.get("value", "")
        for item in single_agency
        if item["kind"] == "Deployment" and item["metadata"]["name"] == "rtcc-intake"
        for variable in item["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    assert environment["RTCC_S3_ENDPOINT"] == f"{objects['fullnameOverride']}-s3.objects.svc:{objects['s3']['httpsPort']}"
    assert environment["RTCC_S3_SECURE"] == "true" and environment["RTCC_S3_AUTHORITY"] == "/etc/rtcc/authorities/s3.crt"
    assert objects["nameOverride"] == objects["fullnameOverride"] and objects["global"]["seaweedfs"]["enableSecurity"]
    guide = (root / "docs" / "operations" / "install.md").read_text()
    assert f"{postgresql['fullnameOverride']}-rw.postgresql.svc:5432/{postgresql['cluster']['initdb']['database']}" in guide
    for secret in (f"{objects['fullnameOverride']}-ca-cert", f"{postgresql['fullnameOverride']}-ca", objects["s3"]["existingConfigSecret"]):
        assert secret in guide, secret

"""Every setting of every service can be set on Kubernetes, and nothing that isn't one."""

import dataclasses
import json
from functools import cache
from pathlib import Path

import pytest

from rtcc_chassis.settings import ChassisSettings, read
from rtcc_standalone.checkout import checkout_root
from rtcc_standalone.credentials import COMMAND_LINE
from rtcc_standalone.installation import open_installation
from rtcc_standalone.kubernetes.rendering import Object, RenderError, render
from rtcc_standalone.kubernetes.values_schemas import services, settings_classes

LEAST = ("global.image.repository=registry.example/openrtcc", "global.origin=https://rtcc.example")


def _environment(objects: list[Object], service: str) -> dict[str, str]:
    (deployment,) = [item for item in objects if item["kind"] == "Deployment" and item["metadata"]["name"] == f"rtcc-{service}"]
    return {item["name"]: item.get("value", "") for item in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}


@cache
def _rendered(helm: Path, root: Path, service: str, *settings: str) -> dict[str, str]:
    """The environment of a service that was installed alone."""
    return _environment(render(helm, root / "charts" / service, release="rtcc", namespace="rtcc", settings=(*LEAST, *settings)), service)


def _given(environment: dict[str, str], service: str, name: str) -> bool:
    names = (f"RTCC_{service}_{name}".upper(), f"RTCC_{name}".upper())
    return any(variable in environment or f"{variable}_FILE" in environment for variable in names)


# what an installation chooses between; files_folder is for clips of a demo on one machine
CHOICES = (
    "",
    "global.nats.signIn=password",
    "global.telemetry.endpoint=http://collector:4317",
    "global.objects.authority=s3.crt",
    "secretSettings.oidc_client_secret=oidc-client-secret",
    "secretSettings.cot_certificate_file=cot.crt",
    "secretSettings.cot_key_file=cot.key",
    "secretSettings.cot_authority_file=cot-ca.crt",
    "secretSettings.turn_secret=turn-secret",
    f"detector.model=m.onnx,detector.declaration=m.json,detector.sha256={'0f' * 32},detector.volume.configMap.name=model",
)
# whose chart takes the choice; any, when its name isn't here
OF_ONE = {"oidc": "gateway", "cot": "intake", "turn": "video", "detector": "video"}
NEVER = {"files_folder"}
OF_THE_OBJECT_STORE = {"s3_endpoint", "s3_access_key", "s3_secret_key", "s3_secure", "s3_authority", "s3_bucket_prefix"}


def _not_for(service: str, environment: dict[str, str]) -> set[str]:
    """Settings of what the service doesn't use."""
    unused = OF_THE_OBJECT_STORE if "RTCC_S3_ENDPOINT" not in environment else set()
    # the controller answers no calls and stores nothing
    return unused | ({"database_url", "rpc_listen"} if service == "operator" else set())


@pytest.mark.parametrize("service", services(checkout_root()))
def test_each_setting_is_a_value_or_given_by_the_chart(helm: Path, root: Path, service: str) -> None:
    schema = json.loads((root / "charts" / service / "values.schema.json").read_text())
    settable = schema["properties"]["settings"]["properties"]
    alternatives = {
        choice: _rendered(helm, root, service, *([choice] if choice else []))
        for choice in CHOICES
        if all(service == owner or word not in choice for word, owner in OF_ONE.items())
    }
    for cls in settings_classes(service):
        for item in dataclasses.fields(cls):
            if item.name in NEVER or item.name in _not_for(service, alternatives[""]):
                continue
            given = any(_given(environment, service, item.name) for environment in alternatives.values())
            assert given != (item.name in settable), f"{service}: {item.name}"


@pytest.mark.parametrize("service", services(checkout_root()))
def test_what_one_machine_tells_its_services_a_pod_is_told_too(helm: Path, root: Path, tmp_path: Path, service: str) -> None:
    told = open_installation(tmp_path / "data").environment()
    with_passwords = _rendered(helm, root, service, "global.nats.signIn=password")
    others = {*services(checkout_root()), COMMAND_LINE} - {service}
    # the folder is the supervisor's; the pool size is a setting like any other
    not_needed = {"RTCC_DATA", "RTCC_DATABASE_POOL_SIZE", "RTCC_VIDEO_FILES_FOLDER"}
    not_needed |= {f"RTCC_{name.upper()}" for name in _not_for(service, with_passwords)}
    for name in set(told) - not_needed:
        if any(name.startswith(f"RTCC_{other.upper()}_") for other in others):
            continue
        plain = name.removesuffix("_FILE").replace(f"RTCC_{service.upper()}_", "RTCC_")
        known = {item.removesuffix("_FILE") for item in with_passwords}
        assert {plain, name.removesuffix("_FILE")} & known, f"{service} isn't told {name}"


def test_values_reach_the_service_as_it_reads_them(helm: Path, root: Path, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(
        "settings: {socket_backlog_bytes: 104857600, "
        "position_interval_s: 0.25, lock_exempt_roles: [dispatcher, officer], rpc_concurrency: 64}"
    )
    objects = render(helm, root / "charts" / "gateway", [file], release="rtcc", namespace="rtcc", settings=LEAST)
    environment = _environment(objects, "gateway")
    # the files stand in the pod
    values = {name: value for name, value in environment.items() if not name.endswith("_FILE")}
    (own, chassis) = settings_classes("gateway")
    gateway = read(own, "gateway", values)
    assert vars_of(gateway)["socket_backlog_bytes"] == 104_857_600
    assert vars_of(gateway)["position_interval_s"] == 0.25
    assert vars_of(gateway)["lock_exempt_roles"] == ("dispatcher", "officer")
    assert vars_of(gateway)["origin"] == "https://rtcc.example"
    told = read(ChassisSettings, "gateway", {**values, "RTCC_DATABASE_URL": "postgresql://none"})
    assert told.rpc_concurrency == 64 and chassis is ChassisSettings
    assert told.rpc_addresses["ledger"] == "dns:///rtcc-ledger.rtcc.svc:7000"


def vars_of(settings: object) -> dict[str, object]:
    return {item.name: getattr(settings, item.name) for item in dataclasses.fields(settings)}  # type: ignore[arg-type] # a settings object


@pytest.mark.parametrize(
    ("service", "setting", "told"),
    [
        ("gateway", "settings.idle_lock_seconds=900", "idle_lock_seconds"),
        ("gateway", "settings.idle_lock_s=soon", "idle_lock_s"),
        ("intake", "replica=3", "replica"),
        ("ledger", "replicas=2", "replicas"),
        ("ledger", "autoscaling.enabled=true", "enabled"),
        ("registry", "global.image.tag=latest", "tag"),
        ("registry", "global.nats.host=x", "host"),
        ("registry", "calls={registy}", "calls"),
        ("video", "media.port=80", "port"),
        ("location", "terminationGracePeriodSeconds=5", "terminationGracePeriodSeconds"),
        ("rtcc", "intakes.replicas=1", "intakes"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(helm: Path, root: Path, service: str, setting: str, told: str) -> None:
    with pytest.raises(RenderError, match=told):
        render(helm, root / "charts" / service, release="rtcc", namespace="rtcc", settings=(*LEAST, setting))


@pytest.mark.parametrize("missing", range(2))
def test_what_only_an_installation_can_say_is_asked_for(helm: Path, root: Path, missing: int) -> None:
    given = [value for index, value in enumerate(LEAST) if index != missing]
    with pytest.raises(RenderError, match=r"global\.(image\.repository|origin): "):
        render(helm, root / "charts" / "gateway", release="rtcc", namespace="rtcc", settings=given)

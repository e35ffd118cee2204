"""A detection model's files in the video pods: read-only, from where the operator keeps them, and only whole."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rtcc_standalone.kubernetes.object_schemas import newest_kubernetes, violations
from rtcc_standalone.kubernetes.rendering import Object
from rtcc_standalone.kubernetes.rules import broken

SHA256 = "0f" * 32
FILES = ("detector.model=street/v3.onnx", "detector.declaration=street.json", f"detector.sha256={SHA256}")


def _rendered(helm: Path, root: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    """The video chart alone."""
    command = [str(helm), "template", "rtcc", str(root / "charts" / "video"), "--namespace", "rtcc"]
    for setting in ("global.image.repository=registry.example/openrtcc", "global.origin=https://rtcc.example", *settings):
        command += ["--set", setting]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _pod(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    objects: list[Object] = [item for item in yaml.safe_load_all(done.stdout) if item]
    assert violations(objects, [], newest_kubernetes()) == []
    assert broken(objects) == []
    (deployment,) = [item for item in objects if item["kind"] == "Deployment"]
    pod: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return pod


@pytest.mark.parametrize(
    ("given", "volume"),
    [
        ("persistentVolumeClaim.claimName=models", {"persistentVolumeClaim": {"claimName": "models", "readOnly": True}}),
        ("configMap.name=street-model", {"configMap": {"name": "street-model"}}),
        ("secret.secretName=street-model", {"secret": {"secretName": "street-model", "defaultMode": 0o440}}),
        (
            "image.reference=registry.example/models/street@sha256:ab",
            {"image": {"reference": "registry.example/models/street@sha256:ab", "pullPolicy": "IfNotPresent"}},
        ),
    ],
)
def test_a_models_files_are_mounted_read_only_and_named_to_the_service(helm: Path, root: Path, given: str, volume: dict[str, Any]) -> None:
    pod = _pod(_rendered(helm, root, *FILES, f"detector.volume.{given}"))
    assert [found for found in pod["volumes"] if found["name"] == "detector"] == [{"name": "detector"} | volume]
    (container,) = pod["containers"]
    (mount,) = [found for found in container["volumeMounts"] if found["name"] == "detector"]
    assert mount == {"name": "detector", "mountPath": "/etc/rtcc/detector", "readOnly": True}
    told = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert told["RTCC_VIDEO_DETECTOR_MODEL_FILE"] == "/etc/rtcc/detector/street/v3.onnx"
    assert told["RTCC_VIDEO_DETECTOR_DECLARATION_FILE"] == "/etc/rtcc/detector/street.json"
    assert told["RTCC_VIDEO_DETECTOR_MODEL_SHA256"] == SHA256


def test_without_a_model_nothing_of_it_is_in_the_pods(helm: Path, root: Path) -> None:
    assert "detector" not in str(_pod(_rendered(helm, root))).lower()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (FILES, "detector.volume: name one of"),
        (("detector.volume.configMap.name=a",), "detector.model: the name"),
        ((*FILES[:2], "detector.volume.configMap.name=a"), "detector.sha256"),
        ((FILES[0], FILES[2], "detector.volume.configMap.name=a"), "detector.declaration"),
        ((*FILES, "detector.volume.configMap.name=a", "detector.volume.secret.secretName=b"), "volume"),
        ((*FILES, "detector.volume.hostPath.path=/"), "hostPath"),
        (("detector.model=../../etc/passwd", *FILES[1:], "detector.volume.configMap.name=a"), "model"),
        ((*FILES[:2], "detector.sha256=short", "detector.volume.configMap.name=a"), "sha256"),
        (("settings.detector_model_file=/tmp/model.onnx",), "detector_model_file"),
    ],
)
def test_what_is_half_or_elsewhere_is_refused_with_its_name(helm: Path, root: Path, settings: tuple[str, ...], reason: str) -> None:
    done = _rendered(helm, root, *settings)
    assert done.returncode != 0
    assert reason in done.stderr

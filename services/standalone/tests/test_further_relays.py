"""Several relays on one machine: each with places of its own."""

from pathlib import Path

import pytest

from rtcc_standalone.installation import VideoProcessesError, open_installation


def test_one_relay_is_the_default_and_takes_part_in_no_cascade(tmp_path: Path) -> None:
    installation = open_installation(tmp_path)
    assert installation.further_relays() == {}
    assert "RTCC_VIDEO_CASCADE_LISTEN" not in installation.environment()


def test_further_relays_share_nothing_that_only_one_can_have(tmp_path: Path) -> None:
    settings = {"RTCC_VIDEO_PROCESSES": "3", "RTCC_VIDEO_METRICS_LISTEN": "127.0.0.1:9100"}
    installation = open_installation(tmp_path, wanted_ports={"media": 18_712}, settings=settings)
    first = installation.environment()
    further = installation.further_relays()
    assert list(further) == ["video-2", "video-3"]
    environments = [first, *(environment for _, environment in further.values())]
    for name in ("RPC_LISTEN", "MEDIA_LISTEN", "SPOOL_FOLDER", "METRICS_LISTEN"):
        assert len({environment[f"RTCC_VIDEO_{name}"] for environment in environments}) == 3
    assert [environment["RTCC_VIDEO_MEDIA_LISTEN"] for environment in environments] == [
        f"127.0.0.1:{port}" for port in (18712, 18713, 18714)
    ]
    assert {environment["RTCC_VIDEO_CASCADE_LISTEN"] for environment in environments} == {"127.0.0.1:0"}
    for port, environment in further.values():
        assert environment["RTCC_VIDEO_RPC_LISTEN"] == f"127.0.0.1:{port}"


@pytest.mark.parametrize("text", ["0", "17", "many", "-1", "2.5", ""])
def test_a_number_that_is_none_is_refused_with_what_to_write(tmp_path: Path, text: str) -> None:
    installation = open_installation(tmp_path, settings={"RTCC_VIDEO_PROCESSES": text})
    with pytest.raises(VideoProcessesError, match="from 1 to 16"):
        installation.environment()

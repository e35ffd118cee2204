"""The data folder: modes, ports, settings."""

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from rtcc_chassis.settings import ChassisSettings, read
from rtcc_standalone.certificates import ensure_certificates
from rtcc_standalone.credentials import SERVICES
from rtcc_standalone.folder import DataFolder, write_json
from rtcc_standalone.installation import FORMAT, MqttWithoutTlsError, NewerInstallationError, open_installation
from rtcc_standalone.ports import NAMES, choose
from rtcc_standalone.servers.nats import MqttListener, configuration_text
from rtcc_standalone.unprivileged import postgres_place


def test_secrets_are_readable_by_their_owner_alone(open_folder: Path) -> None:
    open_installation(open_folder)
    files = [path for path in (open_folder / "secrets").rglob("*") if path.is_file()]
    assert len(files) > 10
    assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in files} == {"0o600"}
    assert stat.S_IMODE((open_folder / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((open_folder / "installation.json").stat().st_mode) == 0o600


def test_secrets_opened_by_hand_are_closed_at_the_next_start(open_folder: Path) -> None:
    installation = open_installation(open_folder)
    installation.credentials.trust.chmod(0o644)
    open_installation(open_folder)
    assert stat.S_IMODE(installation.credentials.trust.stat().st_mode) == 0o600


def test_ports_and_secrets_stay_at_the_second_opening(open_folder: Path) -> None:
    first, second = open_installation(open_folder), open_installation(open_folder)
    assert first.ports == second.ports
    assert first.credentials == second.credentials
    assert first.installation_id == second.installation_id


def test_port_given_once_is_kept(open_folder: Path) -> None:
    open_installation(open_folder, wanted_ports={"gateway": 23456})
    assert open_installation(open_folder).ports["gateway"] == 23456


def test_every_service_reads_its_settings_from_the_environment(open_folder: Path) -> None:
    installation = open_installation(open_folder)
    environment = installation.environment()
    seen = [read(ChassisSettings, service, environment) for service in SERVICES]
    assert len({settings.database_url for settings in seen}) == len(SERVICES)
    assert len({settings.nats_password for settings in seen}) == len(SERVICES)
    assert all(settings.token_key_file.is_file() and settings.token_trust_file.is_file() for settings in seen)
    assert all(settings.tls_authority_file for settings in seen)  # R14
    assert set(seen[0].rpc_addresses) == set(SERVICES)


def test_settings_of_the_caller_win(open_folder: Path) -> None:
    installation = open_installation(open_folder, settings={"RTCC_LOG_LEVEL": "DEBUG", "RTCC_GATEWAY_ORIGIN": "https://rtcc.example.org"})
    assert installation.environment()["RTCC_LOG_LEVEL"] == "DEBUG"
    assert installation.url == "https://rtcc.example.org"


def test_folder_of_a_newer_version_is_refused(open_folder: Path) -> None:
    folder = DataFolder(open_folder)
    folder.create()
    write_json(folder.installation, {"format": FORMAT + 1})
    with pytest.raises(NewerInstallationError, match="Update this checkout"):
        open_installation(open_folder)


def test_certificate_is_renewed_before_it_ends(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    first = ensure_certificates(tmp_path, now).certificate.read_bytes()
    assert ensure_certificates(tmp_path, now + timedelta(days=300)).certificate.read_bytes() == first
    renewed = ensure_certificates(tmp_path, now + timedelta(days=340)).certificate.read_bytes()
    assert renewed != first
    x509.load_pem_x509_certificate(renewed).verify_directly_issued_by(
        x509.load_pem_x509_certificate((tmp_path / "authority.pem").read_bytes())
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can't run PostgreSQL in a closed folder")
def test_postgres_of_root_moves_out_of_a_closed_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    place = postgres_place(closed / "postgres", Path("/usr/bin"))
    assert not place.data.is_relative_to(closed)
    assert "closed to other users" in place.moved
    assert place.user_id not in (0, None)
    place.data.parent.rmdir()


@given(
    wanted=st.dictionaries(st.sampled_from(NAMES), st.integers(30_000, 32_000), max_size=4).filter(lambda d: len(set(d.values())) == len(d))
)
def test_chosen_ports_are_all_different_and_hold_the_wanted_ones(wanted: dict[str, int]) -> None:
    chosen = choose(wanted)
    assert set(chosen) == set(NAMES)
    assert len(set(chosen.values())) == len(NAMES)
    assert wanted.items() <= chosen.items()


def test_nats_configuration_names_an_agency_in_its_own_account_alone() -> None:
    passwords, logins = {"east": "e", "west": "w"}, {"east": {"panel": "p1"}, "west": {"sensor": "p2"}}
    text = configuration_text(4222, MqttListener("127.0.0.1", 1883), Path("/data"), 10**9, {"intake": "p"}, passwords, logins)
    east, west = text.index('"AGENCY_east" {'), text.index('"AGENCY_west" {')
    assert "west" not in text[east:west]
    assert "east" not in text[west:]
    assert '"panel"' in text[east:west] and '"sensor"' in text[west:]


def test_mqtt_beyond_loopback_needs_tls(tmp_path: Path) -> None:
    with pytest.raises(MqttWithoutTlsError):
        open_installation(tmp_path, settings={"RTCC_MQTT_LISTEN": "0.0.0.0:8883"}).mqtt_listener()
    files = {"RTCC_MQTT_CERTIFICATE_FILE": "/c.pem", "RTCC_MQTT_KEY_FILE": "/k.pem"}
    listener = open_installation(tmp_path, settings={"RTCC_MQTT_LISTEN": "0.0.0.0:8883", **files}).mqtt_listener()
    assert (listener.port, "/c.pem" in "".join(listener.lines())) == (8883, True)

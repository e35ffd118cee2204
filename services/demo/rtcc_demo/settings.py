"""What the feeders need to know: written once when the demo is provisioned, read at each start. Holds secrets: the file's mode is 0600."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Adapter = Literal["plate_read", "gunshot", "eido", "remote_id", "adsb", "alarm", "sensor", "cap", "gtfs_realtime"]


@dataclass(frozen=True, slots=True)
class SourceKey:
    """A webhook source as the registry made it. `secret` is the HMAC key's text as it was shown."""

    source_id: str
    agency_id: str
    adapter: Adapter
    secret: str


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """A unit's tracker."""

    unit_id: str
    device_id: str
    key: str


@dataclass(frozen=True, slots=True)
class CameraServer:
    """Where the demo's RTSP server listens (loopback) and what its clients must know."""

    port: int
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class FeederSettings:
    """Everything for `python -m rtcc_demo FILE`. Intervals in seconds, `seed` chooses the simulated city's course."""

    gateway_url: str
    clips_folder: str
    camera_server: CameraServer
    sources: tuple[SourceKey, ...]
    devices: tuple[DeviceKey, ...]
    seed: int = 1
    mqtt_port: int = 0
    """The platform's MQTT listener on this machine; 0: the city's panel and sensor are silent."""
    bus_port: int = 0
    """Where the city's feed of buses is served (loopback); 0: no buses."""
    civil_vehicles: int = 60
    fix_interval_s: float = 1.0
    certificate_authority: str = ""
    """PEM file for an https gateway; empty: the system's."""


class UnreadableSettings(ValueError):
    """The settings file is missing, broken or of another version."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}. It is written by `./rtcc demo`: remove the demo's data folder and start the demo again.")
        self.path = path
        self.reason = reason


def load_settings(path: Path) -> FeederSettings:
    """Reads the file. Raises UnreadableSettings."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found["camera_server"] = CameraServer(**found["camera_server"])
        found["sources"] = tuple(SourceKey(**source) for source in found["sources"])
        found["devices"] = tuple(DeviceKey(**device) for device in found["devices"])
        return FeederSettings(**found)
    except OSError as error:
        raise UnreadableSettings(path, error.strerror or "can't be read") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableSettings(path, f"isn't a settings file of this version ({error})") from error


def save_settings(settings: FeederSettings, path: Path) -> None:
    """Writes the file for its owner alone, whole or not at all."""
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(settings), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)

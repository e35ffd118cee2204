"""Which data folder a verb means."""

import argparse
import os
from pathlib import Path

from rtcc_standalone.checkout import checkout_root
from rtcc_standalone.errors import NoInstallationError, NotRunningError
from rtcc_standalone.folder import DataFolder
from rtcc_standalone.installation import Installation, open_installation


def data_path(options: argparse.Namespace, *, demo: bool = False) -> Path:
    """--data, else RTCC_DATA, else the checkout's own folder (the demo has one apart)."""
    named = options.data or os.environ.get("RTCC_DATA")
    return Path(named) if named else checkout_root() / ".rtcc" / ("demo" if demo else "data")


def likely_path(options: argparse.Namespace) -> Path:
    """As `data_path`, but without a name the demo's folder when only the demo runs or exists."""
    path = data_path(options)
    if options.data or os.environ.get("RTCC_DATA"):
        return path
    demo = data_path(options, demo=True)
    real, other = DataFolder(path), DataFolder(demo)
    if (
        real.supervisor_id() is None
        and (other.supervisor_id() is not None or not real.installation.is_file())
        and other.installation.is_file()
    ):
        return demo
    return path


def existing(options: argparse.Namespace) -> DataFolder:
    """Raises NoInstallationError when there is none."""
    folder = DataFolder(likely_path(options))
    if not folder.installation.is_file():
        raise NoInstallationError(folder.path)
    return folder


def running(options: argparse.Namespace) -> Installation:
    """Raises NotRunningError unless a supervisor runs on the folder."""
    folder = existing(options)
    if folder.supervisor_id() is None:
        raise NotRunningError(folder.path)
    return open_installation(folder.path)


def named_ports(options: argparse.Namespace) -> dict[str, int]:
    """--port NAME=NUMBER, repeated."""
    return dict(options.port or ())


def port_argument(text: str) -> tuple[str, int]:
    """Parse NAME=NUMBER; argparse shows the message of the error."""
    from rtcc_standalone.ports import NAMES

    name, _, number = text.partition("=")
    if name not in NAMES or not number.isdigit() or not 0 < int(number) < 65_536:
        raise argparse.ArgumentTypeError(f"{text!r}: write NAME=NUMBER, where NAME is one of {', '.join(NAMES)}")
    return name, int(number)

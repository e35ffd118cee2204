"""backup, restore."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from rtcc_standalone import archive
from rtcc_standalone.terminal import Steps, say
from rtcc_standalone.verbs.folders import data_path, existing


def backup(options: argparse.Namespace) -> int:
    folder = existing(options)
    target = Path(options.file or f"openrtcc-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar.gz")
    size = archive.backup(folder, target, Steps())
    say(f"{target} ({size / 1e6:.1f} MB). It holds the installation's secrets: keep it as safe as the data.")
    return 0


def restore(options: argparse.Namespace) -> int:
    path = data_path(options)
    archive.restore(Path(options.file), path, Steps())
    say(f"restored into {path}. Start it with: ./rtcc up --data {path}")
    return 0

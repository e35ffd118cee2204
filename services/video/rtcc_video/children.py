"""Processes that decode what strangers send."""

import os


def environment_without_secrets() -> dict[str, str]:
    """Ours, without the settings: they hold keys and passwords, and whoever takes such a process over must find none."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RTCC_")}

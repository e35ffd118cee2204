"""doctor: the findings, the broken ones last so that they stand above the prompt."""

import argparse

from rtcc_standalone.checkout import checkout_root
from rtcc_standalone.doctor import examine
from rtcc_standalone.folder import DataFolder
from rtcc_standalone.terminal import say
from rtcc_standalone.verbs.folders import likely_path

_ORDER = {"ok": 0, "warning": 1, "broken": 2}


def doctor(options: argparse.Namespace) -> int:
    """Exit code 1 when something is broken."""
    findings = sorted(examine(checkout_root(), DataFolder(likely_path(options))), key=lambda finding: _ORDER[finding.verdict])
    for finding in findings:
        say(f"{finding.verdict:8} {finding.text}")
        if finding.advice:
            say(f"{'':8} -> {finding.advice}")
    return 1 if any(finding.verdict == "broken" for finding in findings) else 0

"""ledger verify: is the audit log what it was, entry by entry."""

import argparse
import asyncio
import json
from dataclasses import asdict
from pathlib import Path

from rtcc_standalone.installation import open_installation
from rtcc_standalone.terminal import say
from rtcc_standalone.verbs.folders import existing


def verify(options: argparse.Namespace) -> int:
    """Exit code 0: every log holds; 1: a change was found."""
    from rtcc_ledger.verify import verify_installation

    kept = [Path(path).read_text(encoding="utf-8") for path in options.kept]
    installation = open_installation(existing(options).path)
    reports = asyncio.run(verify_installation(installation.environment(), kept))
    if options.json:
        say(json.dumps([asdict(report) for report in reports], default=str))
        return 0 if all(not report.problems for report in reports) else 1
    for report in reports:
        say(f"{'holds' if not report.problems else 'BROKEN':8} {report.agency_id:24} {report.tree_size} entries")
        for problem in report.problems:
            say(f"         {problem}")
    if not reports:
        say("the log is empty")
    broken = [report.agency_id for report in reports if report.problems]
    if broken:
        say(f"The log of {', '.join(broken)} was changed. Keep this data folder as it is, and tell the agency and its auditor.")
    return 1 if broken else 0

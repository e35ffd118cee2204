"""The Python side of `./rtcc`: verbs and their options."""

import argparse
import sys
from collections.abc import Sequence

from rtcc_standalone.checkout import checkout_root


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; the answer is the exit code of the process."""
    parser = argparse.ArgumentParser(prog="./rtcc", description="OpenRTCC: an open real-time crime center.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    gen = verbs.add_parser("gen", help="compile the contracts in proto/ into proto/generated")
    gen.add_argument("--force", action="store_true", help="compile even when nothing changed")
    options = parser.parse_args(argv)
    from rtcc_standalone.development.generate import generate

    changed = generate(checkout_root(), force=options.force)
    print("contracts compiled" if changed else "contracts unchanged")
    return 0


if __name__ == "__main__":
    sys.exit(main())

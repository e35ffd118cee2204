"""gen, check, test, bench, lock, charts."""

import argparse

from rtcc_standalone.checkout import checkout_root
from rtcc_standalone.preparation import prepare
from rtcc_standalone.terminal import Steps, say


def gen(options: argparse.Namespace) -> int:
    from rtcc_standalone.development.generate import generate

    say("contracts compiled" if generate(checkout_root(), force=options.force) else "contracts unchanged")
    return 0


def check(options: argparse.Namespace) -> int:
    from rtcc_standalone.development.check import accept_contracts
    from rtcc_standalone.development.check import check as run_checks

    root = checkout_root()
    prepare(root, Steps())
    if options.accept_contracts:
        accept_contracts(root)
        say("today's contracts are the new baseline; commit proto/baseline.binpb")
    return run_checks(root, fix=options.fix, only=options.only)


def test(options: argparse.Namespace) -> int:
    from rtcc_standalone.development.suite import run_tests

    root = checkout_root()
    prepare(root, Steps())
    return run_tests(root, options.arguments, soak=options.soak)


def bench(options: argparse.Namespace) -> int:
    from rtcc_standalone.development.bench import bench as run_bench

    root = checkout_root()
    prepare(root, Steps())
    return run_bench(root, options.name, options.arguments, only_json=options.json)


def lock(options: argparse.Namespace) -> int:
    from rtcc_standalone.development.lock import DEVELOPMENT, RUNTIME
    from rtcc_standalone.development.lock import lock as write_locks

    Steps()("resolving the packages of all members")
    write_locks(checkout_root(), upgrade=options.upgrade)
    say(f"{RUNTIME} and {DEVELOPMENT} written")
    return 0


def charts(options: argparse.Namespace) -> int:
    from rtcc_standalone.kubernetes.verification import charts as verify

    return verify(checkout_root(), fast=options.fast, write=options.write)

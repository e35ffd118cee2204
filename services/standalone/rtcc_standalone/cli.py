"""The Python side of `./rtcc`: verbs and their options. Each verb's code is imported when it is asked for."""

import argparse
import importlib
import logging
import sys
from collections.abc import Callable, Sequence

from rtcc_standalone.checkout import checkout_root
from rtcc_standalone.errors import StandaloneError
from rtcc_standalone.terminal import warn

_DATA_HELP = "data folder (default: RTCC_DATA, else .rtcc/data of the checkout)"
# errors of other packages whose message is written for people; named, so that their packages aren't imported for every verb
_TOLD_ERRORS = {"RtccError", "ConsoleBuildError", "BuildToolMissingError", "ProvisioningFailed", "ClipsNotDrawn", "UnreadableSettings"}
_WITHOUT_CONTRACTS = ("doctor", "down", "gen", "lock", "status")
type Verbs = "argparse._SubParsersAction[argparse.ArgumentParser]"


def parser() -> argparse.ArgumentParser:
    """All verbs. `run` of the parsed options is "module:function" below rtcc_standalone.verbs."""
    result = argparse.ArgumentParser(
        prog="./rtcc",
        description="OpenRTCC: an open real-time crime center, on one machine with one command.",
        epilog="Start with: ./rtcc demo   (a living city, two agencies)   or   ./rtcc up   (your own, empty).",
    )
    verbs = result.add_subparsers(dest="verb", required=True, metavar="VERB")
    _platform_verbs(verbs)
    _people_verbs(verbs)
    _archive_verbs(verbs)
    _developer_verbs(verbs)
    return result


def _add(verbs: Verbs, name: str, run: str, text: str, *, data: bool = True) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    verb.set_defaults(run=run)
    if data:
        verb.add_argument("--data", metavar="DIR", help=_DATA_HELP)
    return verb


def _platform_verbs(verbs: Verbs) -> None:
    from rtcc_standalone.verbs.folders import port_argument

    demo = _add(verbs, "demo", "demo:demo", "start a demo: two agencies in Helsinki, with one-time sign-in links")
    up = _add(verbs, "up", "platform:up", "start the platform; Ctrl-C ends it")
    for verb in (demo, up):
        verb.add_argument(
            "--port", action="append", type=port_argument, metavar="NAME=NUMBER", help="choose a port, for good (gateway=8711)"
        )
        verb.add_argument("--detach", action="store_true", help="go on in the background once everything is ready")
    demo.add_argument("--seed", type=int, default=1, help="another course of the simulated city (default 1)")
    _add(verbs, "demo-links", "demo:demo_links", "print fresh sign-in links of the running demo")
    _add(verbs, "down", "platform:down", "end the platform: people's door first, stores last")
    status = _add(verbs, "status", "platform:status", "show what runs, its memory and restarts")
    status.add_argument("--json", action="store_true", help="one JSON object")
    _add(verbs, "doctor", "doctor:doctor", "explain what is wrong with this machine or data folder, and what to do")


def _people_verbs(verbs: Verbs) -> None:
    agency = verbs.add_parser("agency", help="agencies of the running platform").add_subparsers(dest="act", required=True, metavar="ACT")
    add = _add(agency, "add", "people:agency_add", "make an agency")
    add.add_argument("id", help="2 to 40 of a-z, 0-9, '-'; never changes: harbor-east")
    add.add_argument("name", help='as people read it: "Harbor Police East"')
    add.add_argument("--time-zone", default="UTC", help="IANA name (default UTC)")
    user = verbs.add_parser("user", help="people of the running platform").add_subparsers(dest="act", required=True, metavar="ACT")
    add = _add(user, "add", "people:user_add", "make a person and print the link with which they sign up")
    add.add_argument("login", help="what the person types to sign in")
    add.add_argument("--agency", required=True, help="the agency's id")
    add.add_argument("--name", required=True, help="as colleagues read it")
    add.add_argument(
        "--role",
        action="append",
        required=True,
        choices=["operator", "supervisor", "officer", "investigator", "dispatcher", "auditor", "administrator", "platform_operator"],
        help="may be repeated",
    )
    enrol = _add(
        user, "enrol", "people:user_enrol", "print a new sign-up link for a person who lost the old one, the password or the device"
    )
    enrol.add_argument("login")
    ledger = verbs.add_parser("ledger", help="the audit log").add_subparsers(dest="act", required=True, metavar="ACT")
    verify = _add(ledger, "verify", "ledger:verify", "prove that no entry of the audit log was changed, removed or slipped in")
    verify.add_argument("--kept", action="append", default=[], metavar="FILE", help="a checkpoint that somebody kept; may be repeated")
    verify.add_argument("--json", action="store_true", help="the reports as JSON")


def _archive_verbs(verbs: Verbs) -> None:
    backup = _add(verbs, "backup", "archive:backup", "write all data into one file; a running platform rests meanwhile")
    backup.add_argument("file", nargs="?", help="default: openrtcc-TIME.tar.gz")
    restore = _add(verbs, "restore", "archive:restore", "make a new data folder from a backup")
    restore.add_argument("file")


def _developer_verbs(verbs: Verbs) -> None:
    test = _add(verbs, "test", "development:test", "run the tests (pytest)", data=False)
    test.add_argument("--soak", action="store_true", help="the long runs too")
    test.add_argument("arguments", nargs="*", metavar="PATH", help="paths and options of pytest (-k WORD, -x ...)")
    check = _add(verbs, "check", "development:check", "format, lint, types, layers and contracts, as CI does", data=False)
    check.add_argument("--fix", action="store_true", help="format and repair what can be repaired first")
    check.add_argument("--accept-contracts", action="store_true", help="make today's contracts the baseline")
    check.add_argument("only", nargs="*", help="only checks whose name starts so: types contracts")
    bench = _add(verbs, "bench", "development:bench", "measure: tests/bench/NAME.py; the last line is one JSON object", data=False)
    bench.add_argument("name")
    bench.add_argument("--json", action="store_true", help="only that line")
    bench.add_argument("arguments", nargs="*", metavar="OPTION", help="options of the measurement")
    gen = _add(verbs, "gen", "development:gen", "compile the contracts of proto/ into proto/generated", data=False)
    gen.add_argument("--force", action="store_true", help="even when nothing changed")
    lock = _add(verbs, "lock", "development:lock", "write the lock files anew after a change of dependencies", data=False)
    lock.add_argument("--upgrade", action="store_true", help="take the newest versions")
    images = _add(verbs, "images", "images:images", "build the services' images, for a cluster", data=False)
    images.add_argument("--repository", default="localhost/openrtcc", help="registry and folder (default localhost/openrtcc)")
    images.add_argument("--tag", help="default: the version of this checkout")
    images.add_argument("--base", help="an image with Python 3.12 to 3.14 (default: python:3.13-slim of Docker's registry)")
    images.add_argument("--debian", action="store_true", help="make the base out of Debian's packages by mmdebstrap: no registry is asked")
    images.add_argument("--builder", choices=["buildah", "podman", "docker"], help="default: the first that is installed")
    images.add_argument("--push", action="store_true", help="push each image to its registry")
    images.add_argument("services", nargs="*", metavar="SERVICE", help="default: all")
    secrets = _add(
        verbs, "secrets", "secrets:secrets", "make the keys of an installation in a cluster, and the manifests that hold them", data=False
    )
    secrets.add_argument("folder", help="a private folder outside of any repository; what is there stays, what is missing is made")
    secrets.add_argument("--installation", default="rtcc", help="global.installation of the values (default rtcc)")
    secrets.add_argument("--namespace", help="default: the installation's name")
    secrets.add_argument("--database", default="postgresql.postgresql.svc:5432/rtcc", metavar="HOST:PORT/NAME", help="default: %(default)s")
    for name, text in (
        ("database-authority", "the CA of PostgreSQL"),
        ("nats-authority", "the CA of NATS"),
        ("objects-authority", "the CA of the object store, unless it is a public one"),
        ("objects-access-key", "a file with the object store's access key"),
        ("objects-secret-key", "a file with the object store's secret key"),
        ("certificate", "the certificate of the public address, unless cert-manager makes it"),
        ("certificate-key", "its key"),
        ("oidc-client-secret", "a file with the secret that the single sign-on knows us by"),
        ("tak-certificate", "the certificate of the address of TAK devices; none: the services' own, which names rtcc.internal"),
        ("tak-certificate-key", "its key"),
        ("tak-authority", "the CA that TAK devices are told to believe"),
    ):
        secrets.add_argument(f"--{name}", metavar="FILE", help=text)
    charts = _add(verbs, "charts", "development:charts", "render the Kubernetes charts and check what comes out", data=False)
    charts.add_argument("--fast", action="store_true", help="one Helm, the newest Kubernetes, no Trivy: what check does")
    charts.add_argument("--write", action="store_true", help="write the values' schemas and the rendered examples anew")


def passed_on(words: list[str]) -> list[str]:
    """`test` and `bench` hand options on that aren't ours: those are put behind "--", where argparse leaves them as they are."""
    own = {"test": ("--soak",), "bench": ("--json",)}.get(words[0] if words else "")
    if own is None or {"-h", "--help"}.intersection(words):
        return words
    ours, rest = [word for word in words[1:] if word in own], [word for word in words[1:] if word not in own and word != "--"]
    names = 1 if words[0] == "bench" else 0
    return [words[0], *ours, *rest[:names], "--", *rest[names:]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; the answer is the exit code of the process."""
    words = list(sys.argv[1:] if argv is None else argv)
    options = parser().parse_args(passed_on(words))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    module, _, function = options.run.partition(":")
    try:
        if options.verb not in _WITHOUT_CONTRACTS:
            # before the verb's own imports, which need the generated code: in a fresh clone there is none
            from rtcc_standalone.development.generate import generate

            generate(checkout_root())
        run: Callable[[argparse.Namespace], int] = getattr(importlib.import_module(f"rtcc_standalone.verbs.{module}"), function)
        return run(options)
    except KeyboardInterrupt:
        return 130
    except StandaloneError as error:
        warn(str(error))
        return 1
    except Exception as error:
        if message := _service_message(error):
            warn(message)
            return 1
        raise


def _service_message(error: Exception) -> str:
    """What a service or a tool of ours answered, for people; empty when it is a mistake of our own."""
    from rtcc_standalone.development.generate import GenerationFailedError

    if isinstance(error, GenerationFailedError):
        return str(error)
    details = getattr(error, "details", None)
    if callable(details) and type(error).__name__ == "AioRpcError":
        return f"refused: {details()}"
    named = [kind.__name__ for kind in type(error).__mro__]
    return str(error) if _TOLD_ERRORS.intersection(named) else ""


if __name__ == "__main__":
    sys.exit(main())

"""`python -m rtcc_standalone.host NAME...`: one process that hosts several services, each by its own `serve(ctx)`."""

import importlib
import sys
from collections.abc import Sequence
from typing import cast

from rtcc_chassis.runner import Serve, main
from rtcc_standalone.agency_follower import following_agencies


def load(names: Sequence[str]) -> dict[str, Serve]:
    """`registry` -> rtcc_registry.service.serve. The process that holds the registry also makes the agencies' NATS accounts."""
    services: dict[str, Serve] = {}
    for name in names:
        serve = cast(Serve, importlib.import_module(f"rtcc_{name}.service").serve)
        services[name] = following_agencies(serve) if name == "registry" else serve
    return services


if __name__ == "__main__":
    main(load(sys.argv[1:]))

"""`python -m rtcc_standalone.host NAME...`: one process that hosts several services, each by its own `serve(ctx)`."""

import importlib
import sys
from collections.abc import Sequence
from typing import cast

from rtcc_chassis.runner import Serve, main
from rtcc_standalone.agency_follower import following_agencies
from rtcc_standalone.source_follower import following_sources


def load(names: Sequence[str]) -> dict[str, Serve]:
    """`registry` -> rtcc_registry.service.serve.

    The processes that hold registry and intake also make the NATS accounts of agencies and the MQTT logins of sources.
    """
    beside = {"registry": following_agencies, "intake": following_sources}
    services: dict[str, Serve] = {}
    for name in names:
        serve = cast(Serve, importlib.import_module(f"rtcc_{name}.service").serve)
        services[name] = beside[name](serve) if name in beside else serve
    return services


if __name__ == "__main__":
    main(load(sys.argv[1:]))

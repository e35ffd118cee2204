"""images: what a cluster runs."""

import argparse
import tomllib

from rtcc_standalone.checkout import checkout_root
from rtcc_standalone.errors import StandaloneError
from rtcc_standalone.preparation import prepare
from rtcc_standalone.terminal import Steps, say


class NoBuilderError(StandaloneError):
    """Nothing here builds images."""

    def __init__(self) -> None:
        super().__init__("Neither buildah nor podman nor docker is installed. On Debian or Ubuntu: apt-get install buildah")


def images(options: argparse.Namespace) -> int:
    """Print the name of each image built, one a line."""
    from rtcc_standalone.kubernetes.images import DEBIAN_BASE, PUBLIC_BASE, Builder, builder_here, image_services

    root, steps = checkout_root(), Steps()
    found = options.builder or builder_here()
    if found is None:
        raise NoBuilderError
    with (root / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    base = DEBIAN_BASE if options.debian else options.base or PUBLIC_BASE
    builder = Builder(root, found, options.repository, options.tag or version, base)
    prepare(root, steps)
    if options.debian:
        builder.debian_base()
    for service in options.services or image_services(root):
        name = builder.build(service)
        steps(f"images: {service} built")
        if options.push:
            builder.push(service)
            steps(f"images: {service} pushed")
        say(name)
    return 0

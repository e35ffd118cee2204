"""Ports: chosen once for an installation, outside the kernel's range for outgoing connections, so that they stay ours."""

import random
import socket
from collections.abc import Iterable, Mapping

_LOOPBACK = "127.0.0.1"
# below 32768: nobody's outgoing connection takes them (ip_local_port_range)
_RANGE = range(20_000, 30_000)
# what a person types or opens in a firewall is the same everywhere when it is free
KNOWN_TO_PEOPLE = ("gateway", "media")
# MQTT and TAK devices are configured by hand: the ports that the protocols' users know
PREFERRED = {"gateway": 8711, "media": 8712, "mqtt": 1883, "tak": 8089}

NAMES = (
    "gateway",
    "media",
    "nats",
    "postgres",
    "s3",
    "s3_grpc",
    "s3_master",
    "s3_master_grpc",
    "s3_filer",
    "s3_filer_grpc",
    "s3_volume",
    "s3_volume_grpc",
    "s3_admin",
    "s3_admin_grpc",
    "core_rpc",
    "gateway_rpc",
    "video_rpc",
    "location_rpc",
    "mqtt",
    "tak",
    # the demo's RTSP server and its feed of buses
    "cameras",
    "buses",
)


def is_free(port: int, *, datagrams: bool = False) -> bool:
    """Whether a server could listen there now (loopback; UDP too when asked)."""
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM) if datagrams else (socket.SOCK_STREAM,)
    for kind in kinds:
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_LOOPBACK, port))
            except OSError:
                return False
    return True


def choose(wanted: Mapping[str, int], taken: Iterable[int] = ()) -> dict[str, int]:
    """A port for each of NAMES: the wanted one, the preferred one when free, else any free one."""
    used = {*taken, *wanted.values()}
    chosen = dict(wanted)
    for name in NAMES:
        if name in chosen:
            continue
        preferred = PREFERRED.get(name)
        if preferred is not None and preferred not in used and is_free(preferred, datagrams=name == "media"):
            chosen[name] = preferred
        else:
            chosen[name] = any_free(used, datagrams=name == "media")
        used.add(chosen[name])
    return chosen


def any_free(used: set[int], *, datagrams: bool) -> int:
    """A port that nobody has now (loopback; UDP too when asked) and that isn't in `used`."""
    first = random.randrange(len(_RANGE))
    around = (_RANGE[(first + step) % len(_RANGE)] for step in range(len(_RANGE)))
    return next(port for port in around if port not in used and is_free(port, datagrams=datagrams))

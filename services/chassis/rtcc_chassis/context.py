"""What a service is given: everything it needs, already connected."""

from dataclasses import dataclass

from rtcc_chassis.access import Access
from rtcc_chassis.bus import Bus
from rtcc_chassis.clock import Clock
from rtcc_chassis.database import Database
from rtcc_chassis.directory import Directory
from rtcc_chassis.lifecycle import Lifecycle
from rtcc_chassis.objects import Objects
from rtcc_chassis.rpc import Channels
from rtcc_chassis.rpc.server import ServiceRpc
from rtcc_chassis.settings import ChassisSettings
from rtcc_chassis.tokens import TokenIssuer


@dataclass(frozen=True, slots=True)
class ServiceContext:
    """The argument of `serve(ctx)`."""

    name: str
    settings: ChassisSettings
    bus: Bus
    database: Database
    objects: Objects
    access: Access
    directory: Directory
    channels: Channels
    tokens: TokenIssuer
    rpc: ServiceRpc
    lifecycle: Lifecycle
    clock: Clock

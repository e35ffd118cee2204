"""Every setting of alerting, from RTCC_ALERTING_<NAME>."""

import ipaddress
from dataclasses import dataclass, field

from rtcc_chassis.settings import InvalidSetting

_SHORTEST_SECRET = 32


@dataclass(frozen=True, slots=True)
class AlertingSettings:
    """Defaults hold 1,000 events/s on one core."""

    # events that are matched and written in one transaction
    event_batch: int = 200
    # seconds between looks for lists that another instance changed, and for stale ones
    hot_list_check_s: float = 5.0
    # days for which a handled event is remembered: longer than the EVENTS stream keeps it
    handled_event_days: float = 8.0
    # seconds between looks for rules that another instance set
    rule_check_s: float = 5.0
    # seconds that a severity 1 may wait unacknowledged: until supervisors are told, until every desk is
    supervisors_after_s: float = 30.0
    every_desk_after_s: float = 60.0
    # seconds between looks for escalations whose timer message was lost
    escalation_check_s: float = 5.0
    # seconds without a picture after which a camera counts as down
    camera_down_after_s: float = 60.0
    # networks beside the public internet that notifications may go to ("127.0.0.0/8,10.1.0.0/16"), in the clear too: for the operator of
    # the installation, for agencies choose the addresses
    notification_networks: tuple[str, ...] = ()
    # secret (any text of 32 or more characters) that seals passwords and signing secrets at rest; empty: derived from the token key
    sealing_secret: str = field(default="", repr=False)
    # where people open the console, for links in messages ("https://rtcc.example.org"); empty: no link
    console_origin: str = ""
    # seconds after which another instance takes over a message whose sender died; longer than any receiver is waited for
    delivery_lease_s: float = 120.0
    # days for which deliveries are listed
    delivery_days: float = 90.0

    def __post_init__(self) -> None:
        for network in self.notification_networks:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise InvalidSetting("RTCC_ALERTING_NOTIFICATION_NETWORKS", f"{network[:60]!r} is no network: {error}") from error
        if self.sealing_secret and len(self.sealing_secret) < _SHORTEST_SECRET:
            raise InvalidSetting("RTCC_ALERTING_SEALING_SECRET", f"it has fewer than {_SHORTEST_SECRET} characters")
        if self.every_desk_after_s < self.supervisors_after_s:
            raise InvalidSetting("RTCC_ALERTING_EVERY_DESK_AFTER_S", "it is shorter than RTCC_ALERTING_SUPERVISORS_AFTER_S")

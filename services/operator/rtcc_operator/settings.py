"""Settings of the controller (RTCC_OPERATOR_...)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """What the controller watches, and the keys with which it makes accounts."""

    # seed of the NATS operator's (signing) key
    nats_operator_seed: str = field(repr=False)
    # seed of the platform's account: signs what agencies may import
    nats_platform_seed: str = field(repr=False)
    # the namespace whose resources are carried out; it holds the agencies' Secrets too; empty: the pod's own
    namespace: str = ""
    # NATS as devices reach it from outside: stands in their Secret
    nats_public_url: str = ""
    # host:port at which NATS takes MQTT devices from outside: stands in their sources' Secrets
    nats_mqtt_address: str = ""
    # path of a kubeconfig; empty: the pod's own service account
    kubeconfig: str = ""
    # name of the Lease that decides who leads
    lease_name: str = "rtcc-operator"
    # who we are in the Lease; empty: the host's name, which is the pod's
    identity: str = ""
    # a leader that was not heard of for this long is replaced, seconds
    lease_duration_s: float = 15.0
    # a leader that can't renew within this stops working, seconds
    lease_renew_deadline_s: float = 10.0
    # between two tries to renew or take the lease, seconds
    lease_retry_s: float = 2.0
    # every resource is looked at again this often, seconds
    resync_s: float = 300.0
    # the server ends a watch after this long and it goes on at the same place, seconds
    watch_timeout_s: int = 240
    # resources worked on at once
    workers: int = 2
    # first and longest wait after a failure, seconds
    back_off_first_s: float = 1.0
    back_off_longest_s: float = 300.0

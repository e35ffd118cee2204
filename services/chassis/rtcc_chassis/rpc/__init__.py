"""gRPC: servers and channels whose every call passes the same gate."""

from rtcc_chassis.rpc.channels import Channels
from rtcc_chassis.rpc.contracts import CallRule, all_rules, rule_of
from rtcc_chassis.rpc.server import RpcServer

__all__ = ["CallRule", "Channels", "RpcServer", "all_rules", "rule_of"]

"""Every error that may reach a caller: a class with its data, and one table to gRPC and HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status


class RtccError(Exception):
    """What was wrong, where, and what to do: `message` is written for the person who reads it."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong in a request: `field` is the path in the message or document."""

    field: str
    reason: str


class InvalidInput(RtccError):
    """The request can't be understood or breaks a rule of its own."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(f"{v.field}: {v.reason}" if v.field else v.reason for v in self.violations))

    @classmethod
    def one(cls, field: str, reason: str) -> "InvalidInput":
        """A single violation."""
        return cls([Violation(field, reason)])


class NotFound(RtccError):
    """It doesn't exist, or the caller may not know that it does."""

    def __init__(self, kind: str, identifier: str) -> None:
        self.kind = kind
        self.identifier = identifier
        super().__init__(f"No {kind} with id {identifier!r} that you may see.")


class Refused(RtccError):
    """Known caller, no right."""

    def __init__(self, action: str, reason: str = "") -> None:
        self.action = action
        super().__init__(f"You may not do {action}. {reason}".rstrip())


class PurposeRequired(RtccError):
    """R18: a protected query without purpose and case number."""

    def __init__(self, action: str) -> None:
        self.action = action
        super().__init__(f"{action} needs a purpose and a case number: send Rtcc-Purpose and Rtcc-Case-Number.")


class FreshSignInRequired(RtccError):
    """R4: a privileged act with an old sign-in."""

    def __init__(self, action: str) -> None:
        self.action = action
        super().__init__(f"{action} needs a sign-in within the last 10 minutes: sign in again and repeat.")


class Unauthenticated(RtccError):
    """Nobody, or somebody who can't prove it."""


class Conflict(RtccError):
    """The state of the object doesn't allow it."""


class Exhausted(RtccError):
    """A bound was reached."""

    def __init__(self, what: str, limit: object) -> None:
        self.what = what
        super().__init__(f"{what} is at its limit of {limit}: wait and send it again.")


class Unavailable(RtccError):
    """A part is away; the same call may succeed later."""

    def __init__(self, what: str, hint: str = "send it again in a few seconds") -> None:
        self.what = what
        super().__init__(f"{what} is not available: {hint}.")


@dataclass(frozen=True, slots=True)
class _Codes:
    grpc_code: grpc.StatusCode
    http_status: int


_TABLE: dict[type[RtccError], _Codes] = {
    InvalidInput: _Codes(grpc.StatusCode.INVALID_ARGUMENT, 400),
    Unauthenticated: _Codes(grpc.StatusCode.UNAUTHENTICATED, 401),
    Refused: _Codes(grpc.StatusCode.PERMISSION_DENIED, 403),
    FreshSignInRequired: _Codes(grpc.StatusCode.PERMISSION_DENIED, 403),
    NotFound: _Codes(grpc.StatusCode.NOT_FOUND, 404),
    Conflict: _Codes(grpc.StatusCode.ABORTED, 409),
    PurposeRequired: _Codes(grpc.StatusCode.FAILED_PRECONDITION, 428),
    Exhausted: _Codes(grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
    Unavailable: _Codes(grpc.StatusCode.UNAVAILABLE, 503),
}


def _codes(error: RtccError) -> _Codes:
    for kind in type(error).__mro__:
        if kind in _TABLE:
            return _TABLE[kind]
    return _Codes(grpc.StatusCode.INTERNAL, 500)


def http_status(error: RtccError) -> int:
    """The HTTP status of an error."""
    return _codes(error).http_status


def grpc_code(error: RtccError) -> grpc.StatusCode:
    """The gRPC code of an error."""
    return _codes(error).grpc_code


def to_status(error: RtccError) -> status_pb2.Status:
    """google.rpc.Status with ErrorInfo (the class) and, for bad input, BadRequest (the fields)."""
    code = _codes(error).grpc_code
    status = status_pb2.Status(code=code_pb2.Code.Value(code.name), message=error.message)
    info = error_details_pb2.ErrorInfo(reason=type(error).__name__, domain="openrtcc")
    for name in ("kind", "identifier", "action", "what"):
        if isinstance(value := getattr(error, name, None), str):
            info.metadata[name] = value
    _pack(status, info)
    if isinstance(error, InvalidInput):
        bad = error_details_pb2.BadRequest()
        for violation in error.violations[:100]:
            bad.field_violations.add(field=violation.field, description=violation.reason)
        _pack(status, bad)
    return status


def _pack(status: status_pb2.Status, detail: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest) -> None:
    packed = any_pb2.Any()
    packed.Pack(detail)
    status.details.append(packed)


_BY_CODE: dict[grpc.StatusCode, type[RtccError]] = {
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.ABORTED: Conflict,
}


def from_rpc(error: grpc.RpcError) -> RtccError:
    """The error that a called service raised, rebuilt from its status details; an unreachable one is Unavailable."""
    status = rpc_status.from_call(error) if hasattr(error, "trailing_metadata") else None
    code = error.code() if hasattr(error, "code") else grpc.StatusCode.UNKNOWN
    details = (error.details() if hasattr(error, "details") else "") or str(code)
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    for detail in status.details if status else ():
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(bad.DESCRIPTOR):
            detail.Unpack(bad)
    rebuilt = _rebuild(code, details, info, bad)
    rebuilt.message = details
    return rebuilt


def _rebuild(code: grpc.StatusCode, details: str, info: error_details_pb2.ErrorInfo, bad: error_details_pb2.BadRequest) -> RtccError:
    data = info.metadata
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return InvalidInput([Violation(v.field, v.description) for v in bad.field_violations] or [Violation("", details)])
    if code is grpc.StatusCode.NOT_FOUND:
        return NotFound(data.get("kind", "object"), data.get("identifier", ""))
    if code is grpc.StatusCode.PERMISSION_DENIED:
        fresh = info.reason == FreshSignInRequired.__name__
        return FreshSignInRequired(data.get("action", "")) if fresh else Refused(data.get("action", "this"))
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        return PurposeRequired(data.get("action", "this"))
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Exhausted(data.get("what", "the service"), "its bound")
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return Unavailable(data.get("what", "a service"))
    return _BY_CODE.get(code, RtccError)(details)

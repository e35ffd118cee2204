"""The gate before every handler: identity, deadline, audience, purpose, decision; after it: audit, then the answer."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from opentelemetry.trace import SpanKind

from rtcc.contract.v1.contract_pb2 import AUDIENCE_DEVICE, AUDIENCE_PERSON, AUDIENCE_SERVICE, AUDIT_CLASS_EVENT
from rtcc_chassis.access import Access, AuditDraft, Outcome, Resource, Touches, collect_touches
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import (
    Exhausted,
    FreshSignInRequired,
    InvalidInput,
    PurposeRequired,
    Refused,
    RtccError,
    Unauthenticated,
    Unavailable,
    grpc_code,
    to_status,
)
from rtcc_chassis.rpc.contracts import CallRule
from rtcc_chassis.scope import Scope, enter_scope
from rtcc_chassis.telemetry import RPC_IN_FLIGHT, RPC_SECONDS, current_trace_id, span
from rtcc_chassis.tokens import TokenVerifier

_LOG = logging.getLogger(__name__)
DEFAULT_DEADLINE_S = 30.0
FRESH_SIGN_IN = timedelta(minutes=10)

# given the call's metadata, the device it comes from (for uplinks whose devices hold a key and no token), or None
DeviceAuthenticator = Callable[[dict[str, str]], Scope | None]
Handler = Callable[[Any, Any], Awaitable[Message]]
StreamHandler = Callable[[Any, Any], AsyncIterator[Message]]


class Gate:
    """Shared by all services of a process; `access` is the access of the service that owns the method."""

    def __init__(self, verifier: TokenVerifier, clock: Clock, concurrency: int) -> None:
        self._verifier = verifier
        self._clock = clock
        self._free = concurrency
        self._concurrency = concurrency
        self.device_authenticator: DeviceAuthenticator | None = None

    async def call(self, rule: CallRule, access: Access, handler: Handler, request: Any, context: Any) -> Message:
        """A call with one answer; `request` is serialized, or an iterator of such for a client stream: nobody unknown is parsed."""
        started = time.perf_counter()
        metadata = _metadata(context)
        code = "OK"
        RPC_IN_FLIGHT.inc()
        self._free -= 1
        try:
            with span(f"{rule.service}.{rule.method}", SpanKind.SERVER, metadata, {"rpc.method": rule.path}):
                return await self._guarded(rule, access, handler, request, context, metadata)
        except RtccError as error:
            code = grpc_code(error).name
            await _abort(context, error)
            raise
        except (asyncio.CancelledError, grpc.aio.AbortError):
            code = "CANCELLED"
            raise
        except Exception as error:
            code = "INTERNAL"
            _LOG.exception("%s failed", rule.path)
            await _abort(
                context, RtccError(f"{rule.method} failed inside the platform (trace {current_trace_id() or 'none'}): tell the operator.")
            )
            raise error
        finally:
            self._free += 1
            RPC_IN_FLIGHT.dec()
            RPC_SECONDS.labels(rule.path, code).observe(time.perf_counter() - started)

    async def _guarded(
        self, rule: CallRule, access: Access, handler: Handler, request: Any, context: Any, metadata: dict[str, str]
    ) -> Message:
        named: tuple[str, ...] = ()
        scope: Scope | None = None
        with collect_touches() as touches:
            try:
                if self._free < 0:
                    raise Exhausted("the number of calls at once", self._concurrency)
                scope = self._identify(metadata)
                if rule.client_streaming:
                    request = _parsed_stream(rule, request)
                else:
                    request = _parsed(rule, request)
                    if object_id := rule.object_id(request):
                        named = (f"{rule.object_kind}:{object_id}",)
                policy_ids = self._admit(rule, access, scope)
                enter_scope(scope)
                async with asyncio.timeout(_remaining_s(context, rule)):
                    response = await handler(request, context)
            except TimeoutError as error:
                late = Unavailable(rule.method, "it did not finish within its deadline; send it again")
                await self._record(rule, access, scope, named, touches, Outcome.FAILED, late.message)
                raise late from error
            except RtccError as error:
                refused = isinstance(error, Refused | Unauthenticated | PurposeRequired | FreshSignInRequired)
                await self._record(rule, access, scope, named, touches, Outcome.DENIED if refused else Outcome.FAILED, error.message)
                raise
            except Exception as error:
                # R8: a try that our own mistake ended is a try
                await self._record(rule, access, scope, named, touches, Outcome.FAILED, f"internal error {type(error).__name__}")
                raise
            touches.policy_ids.update(policy_ids)
            if rule.audit != AUDIT_CLASS_EVENT:
                await self._record(rule, access, scope, named, touches, Outcome.ALLOWED, "", bytes_out=response.ByteSize())
            return response

    def _identify(self, metadata: dict[str, str]) -> Scope:
        scheme, _, token = metadata.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return self._verifier.verify(token)
        if self.device_authenticator is not None and (scope := self.device_authenticator(metadata)) is not None:
            return scope
        raise Unauthenticated("this call needs a signed-in caller: send authorization: Bearer <token>")

    def _admit(self, rule: CallRule, access: Access, scope: Scope) -> tuple[str, ...]:
        audiences = {"person": AUDIENCE_PERSON, "device": AUDIENCE_DEVICE, "service": AUDIENCE_SERVICE}
        if scope.principal_kind != "service" and audiences[scope.principal_kind] != rule.audience:
            raise Refused(rule.action, f"This call is not for a {scope.principal_kind}.")
        if rule.purpose_required and not (scope.purpose.strip() and scope.case_number.strip()):
            raise PurposeRequired(rule.action)
        decision = access.decide(scope, rule.action, Resource.collection(scope.agency_id))
        if not decision.allowed:
            raise Refused(rule.action, decision.reason)
        if rule.privileged and scope.principal_kind == "person" and not self._is_fresh(scope):
            raise FreshSignInRequired(rule.action)
        return decision.policy_ids

    def _is_fresh(self, scope: Scope) -> bool:
        return scope.signed_in_at is not None and self._clock() - scope.signed_in_at <= FRESH_SIGN_IN

    async def _record(
        self,
        rule: CallRule,
        access: Access,
        scope: Scope | None,
        named: tuple[str, ...],
        touches: Touches,
        outcome: Outcome,
        reason: str,
        bytes_out: int = 0,
    ) -> None:
        draft = AuditDraft(
            action=rule.action,
            place=rule.path,
            outcome=outcome,
            scope=scope,
            reason=reason,
            object_ids=named,
            bytes_out=bytes_out,
            trace_id=current_trace_id(),
        )
        drafts: Sequence[AuditDraft] = draft.with_touches(touches)
        await access.record_many(drafts)


def _parsed(rule: CallRule, data: bytes) -> Message:
    try:
        return rule.request_type.FromString(data)
    except DecodeError as error:
        raise InvalidInput.one("", f"the {len(data)} bytes sent are no {rule.request_type.DESCRIPTOR.full_name}: {error}") from error


async def _parsed_stream(rule: CallRule, requests: AsyncIterator[bytes]) -> AsyncIterator[Message]:
    async for data in requests:
        yield _parsed(rule, data)


def _metadata(context: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in context.invocation_metadata() or ():
        if isinstance(value, str):
            found[key.lower()] = value
    return found


def _remaining_s(context: Any, rule: CallRule) -> float | None:
    if rule.client_streaming:
        return None
    remaining = context.time_remaining()
    return DEFAULT_DEADLINE_S if remaining is None else max(0.001, float(remaining))


async def _abort(context: Any, error: RtccError) -> None:
    from grpc_status import rpc_status

    await context.abort_with_status(rpc_status.to_status(to_status(error)))

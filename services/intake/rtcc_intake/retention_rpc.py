"""rtcc.intake.v1.RetentionService: messages to domain and back."""

from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from rtcc.intake.v1 import retention_pb2 as pb
from rtcc.intake.v1 import retention_pb2_grpc
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.scope import current_scope
from rtcc_intake.app.retention import Retention
from rtcc_intake.retention import Deletion, RetentionHold, RetentionRule

_NEVER = datetime.min.replace(tzinfo=UTC)


class RetentionServicer(retention_pb2_grpc.RetentionServiceServicer):
    """The gate has checked rights before; it audits after."""

    def __init__(self, retention: Retention) -> None:
        self._retention = retention

    async def ListRetention(self, request: pb.ListRetentionRequest, context: Any) -> pb.ListRetentionResponse:
        rules, holds = await self._retention.list_all(current_scope(), released=request.include_released_holds)
        return pb.ListRetentionResponse(rules=[_rule(rule) for rule in rules], holds=[_hold(hold) for hold in holds])

    async def SetRetentionRule(self, request: pb.SetRetentionRuleRequest, context: Any) -> pb.SetRetentionRuleResponse:
        wanted = RetentionRule(request.rule.source_id, request.rule.kind, request.rule.keep_s)
        return pb.SetRetentionRuleResponse(rule=_rule(await self._retention.set_rule(current_scope(), wanted)))

    async def PlaceHold(self, request: pb.PlaceHoldRequest, context: Any) -> pb.PlaceHoldResponse:
        asked = request.hold
        wanted = RetentionHold(
            hold_id=asked.hold_id,
            reason=asked.reason,
            source_id=asked.source_id,
            kind=asked.kind,
            plate=asked.plate,
            occurred_from=_moment(asked.occurred_from, "hold.occurred_from") if asked.HasField("occurred_from") else None,
            occurred_until=_moment(asked.occurred_until, "hold.occurred_until") if asked.HasField("occurred_until") else None,
            placed_at=_NEVER,
            placed_by="",
        )
        return pb.PlaceHoldResponse(hold=_hold(await self._retention.place_hold(current_scope(), wanted)))

    async def ReleaseHold(self, request: pb.ReleaseHoldRequest, context: Any) -> pb.ReleaseHoldResponse:
        return pb.ReleaseHoldResponse(hold=_hold(await self._retention.release_hold(current_scope(), request.hold_id)))

    async def ListDeletions(self, request: pb.ListDeletionsRequest, context: Any) -> pb.ListDeletionsResponse:
        return pb.ListDeletionsResponse(
            deletions=[_deletion(one) for one in await self._retention.deletions(current_scope(), request.limit)]
        )


def _moment(stamp: Timestamp, field: str) -> datetime:
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput.one(field, "is not a time") from error


def _stamp(target: Timestamp, moment: datetime | None) -> None:
    if moment is not None:
        target.FromDatetime(moment)


def _rule(rule: RetentionRule) -> pb.RetentionRule:
    message = pb.RetentionRule(source_id=rule.source_id, kind=rule.kind, keep_s=rule.keep_s, changed_by=rule.changed_by)
    _stamp(message.changed_at, rule.changed_at)
    return message


def _hold(hold: RetentionHold) -> pb.RetentionHold:
    message = pb.RetentionHold(
        hold_id=hold.hold_id,
        reason=hold.reason,
        source_id=hold.source_id,
        kind=hold.kind,
        plate=hold.plate,
        placed_by=hold.placed_by,
        released_by=hold.released_by,
    )
    _stamp(message.placed_at, hold.placed_at)
    for target, moment in (
        ("occurred_from", hold.occurred_from),
        ("occurred_until", hold.occurred_until),
        ("released_at", hold.released_at),
    ):
        if moment is not None:
            getattr(message, target).FromDatetime(moment)
    return message


def _deletion(deletion: Deletion) -> pb.Deletion:
    message = pb.Deletion(
        deletion_id=deletion.deletion_id,
        rule=_rule(deletion.rule),
        events=deletion.events,
        leaves=deletion.leaves,
        digest=deletion.digest,
    )
    message.deleted_at.FromDatetime(deletion.deleted_at)
    message.oldest_received_at.FromDatetime(deletion.oldest_received_at)
    message.newest_received_at.FromDatetime(deletion.newest_received_at)
    return message

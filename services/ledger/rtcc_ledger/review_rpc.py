"""proto <-> domain of the weekly look."""

from datetime import datetime
from typing import Any

from rtcc.ledger.v1 import review_pb2 as pb
from rtcc.ledger.v1 import review_pb2_grpc
from rtcc_chassis.clock import Clock
from rtcc_chassis.scope import current_scope
from rtcc_ledger.review_app import Reviews
from rtcc_ledger.reviews import Week, week_name
from rtcc_ledger.rpc import stored_entry


class ReviewServicer(review_pb2_grpc.ReviewServiceServicer):
    """The log of the caller's own agency, whoever asks."""

    def __init__(self, reviews: Reviews, clock: Clock) -> None:
        self._reviews = reviews
        self._clock = clock

    async def ListReviews(self, request: pb.ListReviewsRequest, context: Any) -> pb.ListReviewsResponse:
        weeks = await self._reviews.list_weeks(current_scope(), request.limit)
        return pb.ListReviewsResponse(weeks=[_week(week, self._clock()) for week in weeks])

    async def GetReview(self, request: pb.GetReviewRequest, context: Any) -> pb.GetReviewResponse:
        week, found = await self._reviews.look(current_scope(), request.week, request.before_leaf, request.limit)
        entries = [pb.ReviewEntry(stored=stored_entry(one.leaf), reasons=one.reasons) for one in found]
        return pb.GetReviewResponse(week=_week(week, self._clock()), entries=entries)

    async def CompleteReview(self, request: pb.CompleteReviewRequest, context: Any) -> pb.CompleteReviewResponse:
        week = await self._reviews.complete(current_scope(), request.week, request.note, request.findings)
        return pb.CompleteReviewResponse(week=_week(week, self._clock()))


def _week(week: Week, now: datetime) -> pb.ReviewWeek:
    message = pb.ReviewWeek(
        week=week_name(week.starts_at),
        entries=week.entries,
        people=week.people,
        refused=week.refused,
        failed=week.failed,
        rights_changed=week.rights_changed,
        across_agencies=week.across_agencies,
        overdue=week.overdue(now),
    )
    message.starts_at.FromDatetime(week.starts_at)
    message.ends_at.FromDatetime(week.ends_at)
    for review in week.reviews:
        record = message.reviews.add(
            reviewed_by=review.reviewed_by,
            reviewed_by_name=review.reviewed_by_name,
            note=review.note,
            findings=review.findings,
            own_entries=review.own_entries,
        )
        record.reviewed_at.FromDatetime(review.reviewed_at)
    return message

"""AccountReviewService: proto <-> use cases, and the registry that ends accounts."""

from typing import Any

import grpc

from rtcc.gateway.v1 import account_review_pb2 as pb
from rtcc.gateway.v1 import account_review_pb2_grpc
from rtcc.registry.v1 import registry_pb2, registry_pb2_grpc
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import from_rpc
from rtcc_chassis.scope import Scope, current_scope
from rtcc_gateway.account_review import AccountReview, AccountReviews, Disable


class AccountReviewRpc(account_review_pb2_grpc.AccountReviewServiceServicer):
    """The accounts of the caller's own agency, whoever asks."""

    def __init__(self, reviews: AccountReviews) -> None:
        self._reviews = reviews

    async def ListReviewedAccounts(self, request: pb.ListReviewedAccountsRequest, context: Any) -> pb.ListReviewedAccountsResponse:
        accounts, reviews, due = await self._reviews.report(current_scope())
        answer = pb.ListReviewedAccountsResponse(reviews=[_review(review) for review in reviews], due=due)
        for account in accounts:
            person = account.person
            line = answer.accounts.add(
                person_id=person.person_id,
                login=person.login,
                display_name=person.display_name,
                roles=person.roles,
                enabled=person.enabled,
                enrolled=account.used_at is not None,
                ending_soon=account.ending_soon,
            )
            if account.used_at is not None:
                line.last_used_at.FromDatetime(account.used_at)
            if person.HasField("ends_at"):
                line.ends_at.CopyFrom(person.ends_at)
        return answer

    async def CompleteAccountReview(self, request: pb.CompleteAccountReviewRequest, context: Any) -> pb.CompleteAccountReviewResponse:
        return pb.CompleteAccountReviewResponse(review=_review(await self._reviews.complete(current_scope(), request.note)))


def disabling(ctx: ServiceContext) -> Disable:
    """Through the registry, in the gateway's own name."""

    async def disable(person_id: str) -> None:
        stub = ctx.channels.stub("registry", registry_pb2_grpc.RegistryServiceStub)
        request = registry_pb2.SetPersonEnabledRequest(person_id=person_id, enabled=False)
        try:
            await stub.SetPersonEnabled(request, metadata=ctx.tokens.metadata(Scope.platform("gateway")))
        except grpc.RpcError as error:
            raise from_rpc(error) from error

    return disable


def _review(review: AccountReview) -> pb.AccountReview:
    message = pb.AccountReview(
        reviewed_by=review.reviewed_by,
        reviewed_by_name=review.reviewed_by_name,
        note=review.note,
        accounts=review.accounts,
        enabled=review.enabled,
    )
    message.reviewed_at.FromDatetime(review.reviewed_at)
    return message

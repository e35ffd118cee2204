"""The directory repeats what the exchange has stored. After a restore, or when the stream was made anew, it is brought back in line."""

from rtcc.exchange.v1 import exchange_pb2 as pb
from rtcc_chassis.directory import Mirror
from rtcc_chassis.scope import Scope
from rtcc_exchange.app.ports import Store
from rtcc_exchange.domain import marker_id, open_marker


async def reconcile(store: Store, subscriptions: Mirror[pb.Subscription], markers: Mirror[pb.SharedAlert]) -> int:
    """Tell again what the directory lacks or has otherwise, retract what isn't stored; how many differed. The mirrors are complete."""
    differing = 0
    async with store.work(Scope.platform("exchange")) as work:
        await work.hold_still()
        stored = {item.subscription_id: item for item in await work.subscriptions()}
        for subscription in stored.values():
            if subscriptions.get(subscription.subscription_id) != subscription:
                await work.tell_subscription(subscription, exists=True)
                differing += 1
        for told in subscriptions.values():
            if told.subscription_id not in stored:
                await work.tell_subscription(told, exists=False)
                differing += 1
        open_now = {marker_id(copy): open_marker(copy) for copy in await work.open_copies()}
        for identifier, marker in open_now.items():
            if markers.get(identifier) is None:
                await work.tell_open(marker, is_open=True)
                differing += 1
        for marker in markers.values():
            if marker_id(marker) not in open_now:
                await work.tell_open(marker, is_open=False)
                differing += 1
    return differing

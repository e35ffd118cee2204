"""What a neighbour gets: which alerts, in which copy, and when it ends. No I/O, no clock."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from rtcc.alerting.v1.alerting_pb2 import ALERT_STATE_CLOSED, Alert
from rtcc.exchange.v1 import exchange_pb2 as pb
from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_ACTIVE, Agreement
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.sharing import grants_alert, redacted


@dataclass(frozen=True, slots=True)
class Share:
    """One alert for one neighbour, under one agreement."""

    grantee_agency_id: str
    agreement: Agreement
    alert: Alert

    @property
    def key(self) -> tuple[str, str]:
        return self.grantee_agency_id, self.alert.alert_id


def ended(agreement: Agreement, now: datetime) -> bool:
    """Revoked or run out: it never grants anything again. One that hasn't begun or waits for its attestation has not ended."""
    if agreement.status != AGREEMENT_STATUS_ACTIVE:
        return True
    return agreement.HasField("valid_until") and agreement.valid_until.ToDatetime(tzinfo=UTC) <= now


def checked_kinds(kinds: Iterable[str], agreement: Agreement) -> list[str]:
    """The kinds a grantee asks for: each must be granted; empty means all that are."""
    chosen = sorted(set(kinds))
    beyond = sorted(set(chosen) - set(agreement.alert_kinds))
    if beyond:
        granted = ", ".join(agreement.alert_kinds) or "no alerts at all"
        raise InvalidInput.one("alert_kinds", f"{', '.join(beyond)[:100]}: the agreement grants {granted}")
    if not agreement.alert_kinds:
        raise InvalidInput.one("agreement_id", "the agreement grants no alerts")
    return chosen


def wants(subscription: pb.Subscription, alert: Alert) -> bool:
    return not subscription.alert_kinds or alert.kind in subscription.alert_kinds


def shares_of(
    alert: Alert, subscriptions: Iterable[pb.Subscription], agreements: dict[str, Agreement], now: datetime
) -> dict[str, list[Share]]:
    """By neighbour: every agreement under which it has asked for this alert and is granted it, ordered by agreement id."""
    found: dict[str, list[Share]] = {}
    for subscription in sorted(subscriptions, key=lambda item: item.agreement_id):
        agreement = agreements.get(subscription.agreement_id)
        if agreement is None or agreement.grantee_agency_id != subscription.grantee_agency_id:
            continue
        if wants(subscription, alert) and grants_alert(agreement, alert, now):
            found.setdefault(agreement.grantee_agency_id, []).append(Share(agreement.grantee_agency_id, agreement, alert))
    return found


def next_copy(options: list[Share], before: pb.SharedAlert | None, now: datetime) -> pb.SharedAlert | None:
    """What is sent to the neighbour now; None when it has this revision already, or the alert was closed before it ever got it.

    A neighbour with two agreements gets the alert once, under the agreement that it came under first while that holds.
    """
    share = options[0]
    if before is not None:
        share = next((option for option in options if option.agreement.agreement_id == before.agreement_id), share)
        same_agreement = share.agreement.agreement_id == before.agreement_id
        if same_agreement and before.alert.revision >= share.alert.revision:
            return None
        if before.alert.revision > share.alert.revision:
            return None
    elif share.alert.state == ALERT_STATE_CLOSED:
        return None
    copy = pb.SharedAlert(
        alert=redacted(share.alert, share.agreement),
        agreement_id=share.agreement.agreement_id,
        grantee_agency_id=share.grantee_agency_id,
    )
    copy.shared_at.FromDatetime(now)
    if before is not None:
        _keep_acknowledgement(copy, before)
    return copy


def narrowed_copy(before: pb.SharedAlert, agreement: Agreement, now: datetime) -> pb.SharedAlert | None:
    """The copy under narrower terms: `before` itself when it shows nothing more than they allow, None when they no longer grant it."""
    if not grants_alert(agreement, before.alert, now):
        return None
    copy = pb.SharedAlert()
    copy.CopyFrom(before)
    copy.alert.CopyFrom(redacted(before.alert, agreement))
    if copy == before:
        return before
    copy.shared_at.FromDatetime(now)
    return copy


def is_open(shared: pb.SharedAlert) -> bool:
    return shared.alert.state != ALERT_STATE_CLOSED


def acknowledged(before: pb.SharedAlert, principal_id: str, display_name: str, now: datetime) -> pb.SharedAlert:
    """With the first acknowledgement inside the grantee."""
    copy = pb.SharedAlert()
    copy.CopyFrom(before)
    copy.acknowledged_by, copy.acknowledged_by_name = principal_id, display_name
    copy.acknowledged_at.FromDatetime(now)
    return copy


def open_marker(shared: pb.SharedAlert) -> pb.SharedAlert:
    """What every service may know: that an alert is open under an agreement, and nothing of its content."""
    marker = pb.SharedAlert(agreement_id=shared.agreement_id, grantee_agency_id=shared.grantee_agency_id)
    marker.alert.alert_id, marker.alert.agency_id = shared.alert.alert_id, shared.alert.agency_id
    marker.shared_at.CopyFrom(shared.shared_at)
    return marker


def marker_id(shared: pb.SharedAlert) -> str:
    """Its id in the directory; both parts are made of letters, digits, "-" and "_"."""
    return f"{shared.agreement_id}_{shared.alert.alert_id}"


def _keep_acknowledgement(copy: pb.SharedAlert, before: pb.SharedAlert) -> None:
    if before.HasField("acknowledged_at"):
        copy.acknowledged_by, copy.acknowledged_by_name = before.acknowledged_by, before.acknowledged_by_name
        copy.acknowledged_at.CopyFrom(before.acknowledged_at)

/** What stands behind an alert, and the messages that went out because of it. */
import { send } from "../contract/call";
import { clockTime } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { AlertingService, DeliveryState, NotificationChannel, type NotificationDelivery } from "../generated/rtcc/alerting/v1/alerting_pb";
import { useRight } from "../session/store";
import { notifyProblem } from "../ui/notices";
import { Button } from "../ui/parts";
import type { QueueItem } from "./queue";

export function JoinedEvents({ item }: { item: QueueItem }) {
  if (!item.alert.joinedEvents.length) return null;
  return (
    <details>
      <summary>{item.alert.signals} signals stand behind it</summary>
      <ul className="stack tight">
        {item.alert.joinedEvents.map((one) => (
          <li key={one.eventId}>
            <span className="mono">{clockTime(one.occurredAt)}</span> {one.title || one.kind.replaceAll("_", " ")}
          </li>
        ))}
      </ul>
    </details>
  );
}

export const CHANNELS: Record<NotificationChannel, string> = {
  [NotificationChannel.UNSPECIFIED]: "unknown",
  [NotificationChannel.EMAIL]: "e-mail",
  [NotificationChannel.SMS]: "SMS",
  [NotificationChannel.WEBHOOK]: "webhook",
};

const STATES: Record<DeliveryState, string> = {
  [DeliveryState.UNSPECIFIED]: "unknown",
  [DeliveryState.WAITING]: "waiting",
  [DeliveryState.SENT]: "sent",
  [DeliveryState.FAILED]: "not delivered",
  [DeliveryState.HELD]: "held for a digest",
  [DeliveryState.CANCELLED]: "cancelled",
};

export function deliveryWords(delivery: NotificationDelivery): string {
  const tries = delivery.attempts > 1 ? ` after ${delivery.attempts} tries` : "";
  const why = delivery.state === DeliveryState.FAILED || delivery.state === DeliveryState.WAITING ? delivery.lastError : delivery.receipt;
  return `${STATES[delivery.state]}${tries}${delivery.inDigest ? ", in a digest" : ""}${why ? `: ${why}` : ""}`;
}

/** Messages about this alert, each with what became of it. */
export function Deliveries({ alertId }: { alertId: string }) {
  const may = useRight("notification.list");
  const mayRetry = useRight("notification.retry");
  const query = useRead(AlertingService.method.listDeliveries, { alertId, limit: 50 }, { enabled: may, everyMs: 5_000 });
  const retry = useAct((deliveryId: string) => send(AlertingService.method.retryDelivery, { deliveryId }));
  if (!query.data?.deliveries.length) return null;
  return (
    <section className="stack tight" aria-label="Messages sent" data-testid="deliveries">
      <h3>Messages sent</h3>
      <ul className="stack tight">
        {query.data.deliveries.map((delivery) => (
          <li key={delivery.deliveryId} className="row" data-state={DeliveryState[delivery.state].toLowerCase()}>
            <strong>{delivery.contactName}</strong>
            <span className="secondary">
              {CHANNELS[delivery.channel]}, {deliveryWords(delivery)}
            </span>
            {mayRetry && delivery.state === DeliveryState.FAILED && (
              <Button size="small" onClick={() => retry.mutate(delivery.deliveryId, { onError: notifyProblem })}>
                Try again
              </Button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

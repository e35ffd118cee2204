import { useState } from "react";
import { CHANNELS, deliveryWords } from "../alerts/behind";
import { send } from "../contract/call";
import { dayAndTime } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { AlertingService, DeliveryState } from "../generated/rtcc/alerting/v1/alerting_pb";
import { useRight } from "../session/store";
import { notifyProblem } from "../ui/notices";
import { Read, Table } from "../ui/page";
import { Button } from "../ui/parts";

/** What was sent to whom, what waits, what could not be delivered and why. */
export function DeliveryLog() {
  const mayRetry = useRight("notification.retry");
  const [failedOnly, setFailedOnly] = useState(false);
  const query = useRead(AlertingService.method.listDeliveries, { failedOnly, limit: 200 }, { everyMs: 10_000 });
  const retry = useAct((deliveryId: string) => send(AlertingService.method.retryDelivery, { deliveryId }));
  return (
    <>
      <label className="check">
        <input type="checkbox" checked={failedOnly} onChange={(event) => setFailedOnly(event.target.checked)} />
        Only what could not be delivered
      </label>
      <Read query={query}>
        {(data) => (
          <Table
            label="Messages"
            rowTestId="delivery-row"
            rows={data.deliveries}
            rowKey={(delivery) => delivery.deliveryId}
            empty={failedOnly ? "Everything was delivered." : "No message yet."}
            columns={[
              { title: "Time", cell: (delivery) => <span className="mono">{dayAndTime(delivery.createdAt)}</span> },
              { title: "To", cell: (delivery) => `${delivery.contactName}, ${CHANNELS[delivery.channel]}` },
              { title: "Because", cell: (delivery) => (delivery.alertId ? <a href={`/map?alert=${encodeURIComponent(delivery.alertId)}`}>{delivery.reason}</a> : delivery.reason) },
              { title: "State", cell: (delivery) => <span data-state={DeliveryState[delivery.state].toLowerCase()}>{deliveryWords(delivery)}</span> },
              {
                title: "",
                cell: (delivery) =>
                  mayRetry &&
                  delivery.state === DeliveryState.FAILED && (
                    <Button size="small" onClick={() => retry.mutate(delivery.deliveryId, { onError: notifyProblem })}>
                      Try again
                    </Button>
                  ),
              },
            ]}
          />
        )}
      </Read>
    </>
  );
}

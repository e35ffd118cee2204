import { lazy, Suspense, useState } from "react";
import { useLive } from "../live/store";
import { useRight } from "../session/store";
import { useKeys } from "../shell/keys";
import { go } from "../shell/router";
import { Button } from "../ui/parts";
import { splitTitle, type QueueItem } from "./queue";

const ChooseIncident = lazy(() => import("../incidents/attach-alert").then((module) => ({ default: module.ChooseIncident })));
const NewIncident = lazy(() => import("../incidents/new-incident").then((module) => ({ default: module.NewIncident })));

/** The alert's incident, or the way to one: I. */
export function ToIncident({ item }: { item: QueueItem }) {
  const mayCreate = useRight("incident.create");
  const [asking, setAsking] = useState<"which" | "new">();
  const incident = useLive((state) => {
    for (const one of state.incidents.values()) if (one.alertIds.includes(item.id)) return one;
    return undefined;
  });
  const open = () => (incident ? go(`/incident/${encodeURIComponent(incident.incidentId)}`) : setAsking("which"));
  useKeys({ i: open });
  const [head] = splitTitle(item.alert.title);
  return (
    <>
      <Button onClick={open} data-testid="to-incident">
        {incident ? `Incident ${incident.number}` : "Incident…"} <kbd>I</kbd>
      </Button>
      <Suspense fallback={null}>
        {asking === "which" && <ChooseIncident alertId={item.id} onClose={() => setAsking(undefined)} onNew={() => setAsking(mayCreate ? "new" : undefined)} />}
        {asking === "new" && (
          <NewIncident
            start={{ kind: head, title: item.alert.title, address: item.alert.context?.place ?? "", priority: item.alert.severity || 3, alertId: item.id, position: item.alert.position }}
            onClose={() => setAsking(undefined)}
          />
        )}
      </Suspense>
    </>
  );
}

import { useState } from "react";
import { send } from "../contract/call";
import { dayAndTime } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { IncidentsService, type FloorPlan } from "../generated/rtcc/incidents/v1/incidents_pb";
import { useRight } from "../session/store";
import { notifyProblem } from "../ui/notices";
import { Read, Table } from "../ui/page";
import { Button, Dialog } from "../ui/parts";
import { PlanEditor } from "./plan-editor";

/** The agency's floor plans: which building, how well each lies on the map. */
export function FloorPlans({ onClose }: { onClose(): void }) {
  const mayCreate = useRight("floor_plan.create");
  const mayUpdate = useRight("floor_plan.update");
  const mayDelete = useRight("floor_plan.delete");
  const [editing, setEditing] = useState<FloorPlan | "new">();
  const query = useRead(IncidentsService.method.listFloorPlans, {});
  const remove = useAct((plan: FloorPlan) => send(IncidentsService.method.deleteFloorPlan, { floorPlanId: plan.floorPlanId }));
  if (editing) return <PlanEditor plan={editing === "new" ? undefined : editing} onClose={() => setEditing(undefined)} />;
  return (
    <Dialog title="Floor plans" wide onClose={onClose} testId="floor-plans" foot={mayCreate && <Button look="primary" onClick={() => setEditing("new")} data-testid="new-floor-plan">New floor plan</Button>}>
      <Read query={query}>
        {(data) => (
          <Table
            label="Floor plans"
            rowTestId="floor-plan-row"
            rows={data.floorPlans}
            rowKey={(plan) => plan.floorPlanId}
            empty="No floor plan yet. An incident within 60 m of a building finds its plans by itself."
            columns={[
              { title: "Building", cell: (plan) => <strong>{plan.name}</strong> },
              { title: "Floor", cell: (plan) => plan.floor },
              { title: "Address", cell: (plan) => plan.address },
              { title: "Misses by", cell: (plan) => (plan.controlPoints.length > 3 ? <span className="mono">{plan.residualRmsM.toFixed(1)} m</span> : <span className="muted">3 points: unknown</span>) },
              { title: "Marks", cell: (plan) => `${plan.marks.filter((mark) => mark.kind === "exit").length} exits, ${plan.marks.filter((mark) => mark.kind === "hazard").length} hazards` },
              { title: "Changed", cell: (plan) => `${dayAndTime(plan.changedAt)} ${plan.changedByName}` },
              {
                title: "",
                cell: (plan) => (
                  <span className="row">
                    {mayUpdate && (
                      <Button size="small" onClick={() => setEditing(plan)}>
                        Edit
                      </Button>
                    )}
                    {mayDelete && (
                      <Button size="small" look="danger" onClick={() => confirm(`Delete the plan of ${plan.name}, floor ${plan.floor}?`) && remove.mutate(plan, { onError: notifyProblem })}>
                        Delete
                      </Button>
                    )}
                  </span>
                ),
              },
            ]}
          />
        )}
      </Read>
    </Dialog>
  );
}

import { usePath } from "../shell/router";
import { IncidentList } from "./list";
import { Workspace } from "./workspace";
import "../alerts/desk.css";
import "./incidents.css";

/** `/incident` is the list, `/incident/:id` the workspace, each alone in its window if wanted. */
export default function Incidents() {
  const id = decodeURIComponent(usePath().split("/")[2] ?? "");
  return id ? <Workspace key={id} incidentId={id} /> : <IncidentList />;
}

import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useEffect, useState } from "react";
import { send } from "../contract/call";
import { dayAndTime } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { IncidentsService } from "../generated/rtcc/incidents/v1/incidents_pb";
import { useRight } from "../session/store";
import { notify } from "../ui/notices";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";
import { useMoment, type CameraMoment } from "./moment";
import "./incidents.css";

/** A camera's moment into the timeline of an incident: picture, note, and the way back to the recording. */
export function ToIncident() {
  const moment = useMoment((state) => state.moment);
  return moment ? <MomentDialog key={`${moment.cameraId}/${moment.fromMs}`} moment={moment} onClose={() => useMoment.setState({ moment: undefined })} /> : null;
}

function MomentDialog({ moment, onClose }: { moment: CameraMoment; onClose(): void }) {
  const incidents = useRead(IncidentsService.method.listIncidents, {});
  const mayPhoto = useRight("incident.add_photo");
  const picture = mayPhoto ? moment.picture : undefined;
  const [incidentId, setIncidentId] = useState("");
  const [text, setText] = useState("");
  const [withPicture, setWithPicture] = useState(true);
  const url = useObjectUrl(picture);
  const listed = incidents.data?.incidents ?? [];
  const chosen = listed.find((one) => one.incidentId === incidentId);
  const add = useAct(
    async () => {
      const clip = { cameraId: moment.cameraId, cameraName: moment.cameraName, from: timestampFromMs(moment.fromMs), until: timestampFromMs(moment.untilMs) };
      const entry = { incidentId, occurredAt: timestampFromMs(moment.fromMs) };
      // The log says what the copy is for.
      const options = { withPurpose: true, what: `A moment of ${moment.cameraName} for incident ${chosen?.number ?? ""}` };
      if (picture && withPicture) await send(IncidentsService.method.addIncidentPhoto, { ...entry, caption: text.trim(), image: new Uint8Array(await picture.arrayBuffer()), takenFrom: clip }, options);
      else await send(IncidentsService.method.addTimelineEntry, { ...entry, text: text.trim(), reference: { case: "clip", value: clip } }, options);
    },
    () => {
      notify(`In the timeline of ${chosen?.number ?? "the incident"}.`);
      onClose();
    },
  );
  return (
    <Dialog
      title="To the incident"
      testId="to-incident-dialog"
      onClose={onClose}
      onSubmit={() => add.mutate(undefined)}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" busy={add.isPending} disabled={!incidentId}>
            Add to the incident
          </Button>
        </>
      }
    >
      <p className="secondary">
        {moment.cameraName}, {dayAndTime(timestampFromMs(moment.fromMs))}
      </p>
      {url && withPicture && <img className="entry-photo" src={url} alt={`What ${moment.cameraName} showed`} data-testid="moment-picture" />}
      <Field label="Incident">
        {(attributes) => (
          <select {...attributes} name="incident" required value={incidentId} onChange={(event) => setIncidentId(event.target.value)}>
            <option value="">Choose…</option>
            {listed.map((one) => (
              <option key={one.incidentId} value={one.incidentId}>
                {one.number} {one.title || one.kind}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Note">{(attributes) => <textarea {...attributes} name="note" required maxLength={1000} rows={3} value={text} onChange={(event) => setText(event.target.value)} />}</Field>
      {picture ? (
        <label className="check">
          <input type="checkbox" name="with-picture" checked={withPicture} onChange={(event) => setWithPicture(event.target.checked)} />
          With the picture
        </label>
      ) : (
        <p className="note">{mayPhoto ? moment.without : "Your role adds no pictures: the entry leads to the recording."}</p>
      )}
      <ProblemNote error={incidents.error ?? add.error} />
    </Dialog>
  );
}

function useObjectUrl(blob: Blob | undefined): string {
  const [url, setUrl] = useState("");
  useEffect(() => {
    if (!blob) return;
    const made = URL.createObjectURL(blob);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [blob]);
  return url;
}

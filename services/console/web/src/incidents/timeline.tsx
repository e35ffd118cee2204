import { useEffect, useRef, useState } from "react";
import { send } from "../contract/call";
import { clockTime, dayAndTime, milliseconds } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { IncidentsService, IncidentState, type Incident, type TimelineEntry } from "../generated/rtcc/incidents/v1/incidents_pb";
import { useMap } from "../map/store";
import { useRight } from "../session/store";
import { GuardedImage } from "../records/guarded-image";
import { Button, Field, ProblemNote } from "../ui/parts";
import { Read } from "../ui/page";
import { go } from "../shell/router";
import { openCamera } from "../video/dock";
import { playbackAt } from "./moment";
import { entryTitle } from "./words";

const MOST_PHOTO_BYTES = 8 * 2 ** 20;

/** What happened, by time of occurrence. Nothing is ever changed: a new entry corrects an older one. */
export function Timeline({ incident }: { incident: Incident }) {
  const mayAdd = useRight("incident.add_entry");
  const [correcting, setCorrecting] = useState<TimelineEntry>();
  const query = useRead(IncidentsService.method.listTimeline, { incidentId: incident.incidentId, limit: 500 });
  // The live picture says that there is more to read.
  const { refetch } = query;
  const known = useRef(incident.timelineEntries);
  useEffect(() => {
    if (known.current === incident.timelineEntries) return;
    known.current = incident.timelineEntries;
    void refetch();
  }, [incident.timelineEntries, refetch]);
  return (
    <section className="timeline" aria-label="Timeline" data-testid="timeline">
      {mayAdd && incident.state === IncidentState.OPEN && <Compose incidentId={incident.incidentId} correcting={correcting} onDone={() => setCorrecting(undefined)} />}
      <Read query={query}>
        {(data) => (
          <ol className="timeline-list">
            {[...data.entries].reverse().map((entry) => (
              <Entry key={entry.entryId} entry={entry} onCorrect={mayAdd && incident.state === IncidentState.OPEN ? () => setCorrecting(entry) : undefined} />
            ))}
            {!data.entries.length && <li className="empty">Nothing yet. Notes, photos, alerts and what units do will stand here.</li>}
          </ol>
        )}
      </Read>
    </section>
  );
}

function Entry({ entry, onCorrect }: { entry: TimelineEntry; onCorrect: (() => void) | undefined }) {
  const { reference } = entry;
  const at = entry.position?.coordinate;
  const wrong = entry.correctedBy !== "";
  const mayReplay = useRight("footage.list");
  const seen = reference.case === "clip" ? reference.value : reference.case === "photo" ? reference.value.takenFrom : undefined;
  return (
    <li className="entry" data-kind={entry.kind} data-wrong={wrong || undefined} data-testid="entry" data-entry-id={entry.entryId}>
      <time className="mono" title={`Happened ${dayAndTime(entry.occurredAt)}, written ${dayAndTime(entry.recordedAt)}`}>
        {clockTime(entry.occurredAt)}
      </time>
      <div className="stack tight">
        <p>
          {entry.kind !== "note" && <strong>{entryTitle(entry)} </strong>}
          {entry.text}
          {entry.corrects && <span className="badge">correction</span>}
          {wrong && <span className="badge">corrected later</span>}
        </p>
        {reference.case === "photo" && <GuardedImage withPurpose={false} className="entry-photo" path={`/v1/incidents/${encodeURIComponent(entry.incidentId)}/photos/${encodeURIComponent(reference.value.photoId)}`} what={entry.text || "Photo of the incident"} />}
        <div className="row muted">
          <span>{entry.authorName || "by itself"}</span>
          {seen && (
            <>
              {mayReplay && (
                <Button size="small" onClick={() => go(playbackAt(seen.cameraId, milliseconds(seen.from), milliseconds(seen.until)))} data-testid="play-moment">
                  Play it: {seen.cameraName || "camera"}
                </Button>
              )}
              <Button size="small" look="quiet" onClick={() => openCamera(seen.cameraId)}>
                Open camera
              </Button>
            </>
          )}
          {at && (
            <Button size="small" look="quiet" onClick={() => useMap.getState().flyTo(at.longitudeDeg, at.latitudeDeg)}>
              Show place
            </Button>
          )}
          {onCorrect && entry.kind === "note" && !wrong && (
            <Button size="small" look="quiet" onClick={onCorrect}>
              Correct…
            </Button>
          )}
        </div>
      </div>
    </li>
  );
}

function Compose({ incidentId, correcting, onDone }: { incidentId: string; correcting: TimelineEntry | undefined; onDone(): void }) {
  const mayPhoto = useRight("incident.add_photo");
  const [text, setText] = useState("");
  const [problem, setProblem] = useState("");
  const file = useRef<HTMLInputElement>(null);
  const add = useAct(
    () => send(IncidentsService.method.addTimelineEntry, { incidentId, text: text.trim(), corrects: correcting?.entryId ?? "" }),
    () => {
      setText("");
      onDone();
    },
  );
  const photo = useAct(
    async (chosen: File) => send(IncidentsService.method.addIncidentPhoto, { incidentId, image: new Uint8Array(await chosen.arrayBuffer()), caption: text.trim() }),
    () => setText(""),
  );
  return (
    <form
      className="compose stack tight"
      onSubmit={(event) => {
        event.preventDefault();
        add.mutate(undefined);
      }}
    >
      {correcting && (
        <p className="note spread">
          <span>Corrects: {correcting.text}</span>
          <Button size="small" look="quiet" onClick={onDone}>
            Don't correct
          </Button>
        </p>
      )}
      <Field label={correcting ? "What is right" : "Note"}>{(attributes) => <textarea {...attributes} name="note" required maxLength={8000} rows={2} value={text} onChange={(event) => setText(event.target.value)} />}</Field>
      {problem && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      <ProblemNote error={add.error ?? photo.error} />
      <div className="row">
        <Button type="submit" look="primary" size="small" busy={add.isPending} data-testid="add-note">
          {correcting ? "Write correction" : "Add note"}
        </Button>
        {mayPhoto && !correcting && (
          <>
            <input
              ref={file}
              type="file"
              hidden
              accept="image/jpeg,image/png,image/webp"
              data-testid="photo-file"
              aria-label="Photo"
              onChange={(event) => {
                const chosen = event.target.files?.[0];
                event.target.value = "";
                setProblem(chosen && chosen.size > MOST_PHOTO_BYTES ? "The picture is larger than 8 MiB: send a smaller one." : "");
                if (chosen && chosen.size <= MOST_PHOTO_BYTES) photo.mutate(chosen);
              }}
            />
            <Button size="small" busy={photo.isPending} onClick={() => file.current?.click()}>
              Add photo…
            </Button>
          </>
        )}
      </div>
    </form>
  );
}

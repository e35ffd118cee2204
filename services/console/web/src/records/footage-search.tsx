import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useState } from "react";
import { send } from "../contract/call";
import { clock, dayAndTime, fromLocalInput, milliseconds } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { RegistryService } from "../generated/rtcc/registry/v1/registry_pb";
import { FootageSearchService, type FootageLead, type SearchFootageResponse } from "../generated/rtcc/video/v1/footage_search_pb";
import { useLive } from "../live/store";
import { go } from "../shell/router";
import { Button, Field, ProblemNote } from "../ui/parts";
import { GuardedImage } from "./guarded-image";
import "./footage-search.css";

const HOURS = [1, 4, 12, 24, 72, 168] as const;
const COLOURS = ["black", "white", "grey", "red", "orange", "brown", "yellow", "green", "blue", "purple"] as const;
const WORDS: Record<string, string> = { motion: "Motion", scene_change: "The picture changed" };
const wordOf = (kind: string) => WORDS[kind] ?? kind.charAt(0).toUpperCase() + kind.slice(1).replaceAll("_", " ");
/** About half a kilometre to each side of where the map is. */
const AROUND_DEG = 0.005;

/** Where this window's map was last; undefined before it was opened. */
function mapCentre(): { longitude: number; latitude: number } | undefined {
  const view = JSON.parse(sessionStorage.getItem("rtcc.view") ?? "null") as { longitude: number; latitude: number } | null;
  return view ?? undefined;
}

/** Moments in the recordings: motion, and what the installation's model saw. Leads with their pictures; each search stands in the log. */
export function FootageSearch() {
  const [kind, setKind] = useState("motion");
  const [colour, setColour] = useState("");
  const [where, setWhere] = useState("");
  const [hours, setHours] = useState<number>(4);
  const [until, setUntil] = useState("");
  const [labels, setLabels] = useState<string[]>([]);
  const [untilMs, setUntilMs] = useState(0);
  const cameras = useRead(RegistryService.method.listCameras, {});
  const shared = useLive((state) => state.sharedCameras);
  const all = [...(cameras.data?.cameras ?? []), ...[...shared.values()].flatMap(({ camera }) => camera ?? [])].filter(({ hasStream }) => hasStream);
  const [view] = useState(mapCentre);
  const ofModel = kind !== "motion" && kind !== "scene_change";
  const search = useAct(
    () => {
      const endMs = milliseconds(fromLocalInput(until)) || Date.now();
      setUntilMs(endMs);
      const around = where === "map" && view ? { area: { southDeg: view.latitude - AROUND_DEG, northDeg: view.latitude + AROUND_DEG, westDeg: view.longitude - 2 * AROUND_DEG, eastDeg: view.longitude + 2 * AROUND_DEG } } : {};
      return send(
        FootageSearchService.method.searchFootage,
        { startsAt: timestampFromMs(endMs - hours * 3_600_000), endsAt: timestampFromMs(endMs), kinds: kind ? [kind] : [], colour: ofModel ? colour : "", cameraIds: where && where !== "map" ? [where] : [], limit: 60, ...around },
        { what: `Search of recordings: ${kind ? wordOf(kind).toLowerCase() : "everything"}` },
      );
    },
    (answer) => setLabels(answer.labels),
  );
  return (
    <>
      <form
        className="find-form footage-form"
        onSubmit={(event) => {
          event.preventDefault();
          search.mutate(undefined);
        }}
      >
        <Field label="What">
          {(attributes) => (
            <select {...attributes} name="kind" value={kind} onChange={(event) => setKind(event.target.value)}>
              <option value="motion">Motion</option>
              <option value="scene_change">The picture changed</option>
              <option value="">Whatever the model saw</option>
              {labels.map((label) => (
                <option key={label} value={label}>
                  {wordOf(label)}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Colour" hint="Of what a model saw">
          {(attributes) => (
            <select {...attributes} name="colour" disabled={!ofModel} value={ofModel ? colour : ""} onChange={(event) => setColour(event.target.value)}>
              <option value="">Any</option>
              {COLOURS.map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Where">
          {(attributes) => (
            <select {...attributes} name="where" value={where} onChange={(event) => setWhere(event.target.value)}>
              <option value="">All recorded cameras</option>
              {view && <option value="map">Around the middle of the map</option>}
              {all.map(({ cameraId, name }) => (
                <option key={cameraId} value={cameraId}>
                  {name}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="In the last">
          {(attributes) => (
            <select {...attributes} name="hours" value={hours} onChange={(event) => setHours(Number(event.target.value))}>
              {HOURS.map((one) => (
                <option key={one} value={one}>
                  {one <= 24 ? `${one} h` : `${one / 24} days`}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Before" hint="Empty: now">
          {(attributes) => <input {...attributes} type="datetime-local" name="until" value={until} onChange={(event) => setUntil(event.target.value)} />}
        </Field>
        <Button type="submit" look="primary" busy={search.isPending} data-testid="footage-search">
          Search
        </Button>
      </form>
      <ProblemNote error={search.error} />
      {search.data && <Leads answer={search.data} ofModel={ofModel} fromMs={untilMs - hours * 3_600_000} untilMs={untilMs} name={(id) => all.find(({ cameraId }) => cameraId === id)?.name ?? id} />}
    </>
  );
}

function Leads({ answer, ofModel, fromMs, untilMs, name }: { answer: SearchFootageResponse; ofModel: boolean; fromMs: number; untilMs: number; name(id: string): string }) {
  const leads = answer.leads;
  const seen = Number(answer.picturesExamined);
  const unseen = Number(answer.picturesNotExamined);
  const count = leads.length === 1 ? "1 lead" : `${leads.length} leads`;
  return (
    <section className="stack" aria-label="Leads" data-testid="leads" data-count={leads.length}>
      <p className="note" data-tone="act">
        <strong>{answer.notice}</strong>
      </p>
      <p className="secondary" role="status">
        {count}
        {answer.more && ", the surest of more"}. {answer.camerasSearched === 1 ? "1 camera" : `${answer.camerasSearched} cameras`} searched.
        {ofModel && !answer.labels.length && " No model is configured on this installation."}
        {ofModel && ` A model looked at ${seen} of ${seen + unseen} key pictures of this time${unseen ? `: of the other ${unseen} nothing is known` : ""}.`}
      </p>
      {leads.length > 0 && <LeadLine leads={leads} fromMs={fromMs} untilMs={untilMs} />}
      <ul className="lead-grid">
        {leads.map((lead) => (
          <LeadCard key={lead.leadId} lead={lead} name={name(lead.cameraId)} />
        ))}
      </ul>
    </section>
  );
}

const idOf = (lead: FootageLead) => `lead-${lead.leadId}`;

/** When the leads were, in one line. */
function LeadLine({ leads, fromMs, untilMs }: { leads: readonly FootageLead[]; fromMs: number; untilMs: number }) {
  return (
    <div className="card lead-line" aria-label="Leads by time">
      <div className="lead-track">
        {leads.map((lead) => (
          <button
            type="button"
            key={lead.leadId}
            tabIndex={-1}
            aria-label={`${wordOf(lead.kind)} at ${clock.format(milliseconds(lead.at))}`}
            style={{ left: `${(100 * (milliseconds(lead.at) - fromMs)) / (untilMs - fromMs)}%` }}
            onClick={() => {
              const card = document.getElementById(idOf(lead));
              card?.scrollIntoView({ block: "center" });
              card?.querySelector<HTMLElement>("button")?.focus();
            }}
          />
        ))}
      </div>
      <div className="spread muted mono">
        <span>{dayAndTime(timestampFromMs(fromMs))}</span>
        <span>{dayAndTime(timestampFromMs(untilMs))}</span>
      </div>
    </div>
  );
}

function LeadCard({ lead, name }: { lead: FootageLead; name: string }) {
  const ms = milliseconds(lead.at);
  const open = () => go(`/playback?cameras=${encodeURIComponent(lead.cameraId)}&until=${ms + 150_000}&at=${ms}`);
  const box = lead.box;
  return (
    <li className="card lead" id={idOf(lead)} data-testid="lead">
      <button type="button" className="lead-picture" onClick={open} aria-label={`Play ${name} at ${dayAndTime(lead.at)}`}>
        <GuardedImage path={`/v1/cameras/${encodeURIComponent(lead.cameraId)}/footage/picture?at=${encodeURIComponent(new Date(ms + 1).toISOString())}`} what={`${name} at ${dayAndTime(lead.at)}`} className="lead-image" />
        {box && <span className="lead-box" style={{ left: `${100 * box.left}%`, top: `${100 * box.top}%`, width: `${100 * box.width}%`, height: `${100 * box.height}%` }} />}
      </button>
      <div className="spread">
        <strong className="ellipsis">
          {wordOf(lead.kind)}
          {lead.colour && `, ${lead.colour}`}
        </strong>
        <span className="muted" title={lead.model ? `Model ${lead.model}` : "How far above what is usual for the camera"}>
          {Math.round(lead.score * 100)}
        </span>
      </div>
      <span className="secondary ellipsis">{name}</span>
      <span className="mono muted">{dayAndTime(lead.at)}</span>
    </li>
  );
}

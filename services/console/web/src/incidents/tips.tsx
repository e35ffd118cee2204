import { useMemo, useState } from "react";
import { send } from "../contract/call";
import { age, dayAndTime } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { IncidentsService, TipState, type Tip } from "../generated/rtcc/incidents/v1/incidents_pb";
import { GuardedImage } from "../records/guarded-image";
import { useMap } from "../map/store";
import { useRight, useSession } from "../session/store";
import { go } from "../shell/router";
import { notify, notifyProblem } from "../ui/notices";
import { Page, Read } from "../ui/page";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";
import { useNow } from "../ui/use-now";
import { take } from "./actions";
import { openIncident } from "./list";
import "./incidents.css";

const STATES: Record<TipState, string> = {
  [TipState.UNSPECIFIED]: "unknown",
  [TipState.NEW]: "new",
  [TipState.ACCEPTED]: "accepted",
  [TipState.REJECTED]: "rejected",
  [TipState.SPAM]: "spam",
};
const VIEWS = [
  ["", "To do"],
  [String(TipState.REJECTED), "Rejected"],
  [String(TipState.SPAM), "Spam"],
] as const;

/** What the public told: looked at by a person, put together with what belongs together, made an incident. */
export default function Tips() {
  const mayLine = useRight("tip_line.read");
  const [view, setView] = useState("");
  const [promoted, setPromoted] = useState(false);
  const [line, setLine] = useState(false);
  const query = useRead(IncidentsService.method.listTips, { ...(view ? { state: Number(view) as TipState } : {}), includePromoted: promoted, limit: 200 }, { everyMs: 15_000 });
  return (
    <Page title="Tips" actions={mayLine && <Button onClick={() => setLine(true)}>Public tip line…</Button>}>
      <div className="row">
        <select className="input narrow" aria-label="Which tips" value={view} onChange={(event) => setView(event.target.value)}>
          {VIEWS.map(([id, title]) => (
            <option key={id} value={id}>
              {title}
            </option>
          ))}
        </select>
        <label className="check">
          <input type="checkbox" checked={promoted} onChange={(event) => setPromoted(event.target.checked)} />
          Promoted ones too
        </label>
      </div>
      <Read query={query}>{(data) => <Groups tips={data.tips} />}</Read>
      {line && <TipLineForm onClose={() => setLine(false)} />}
    </Page>
  );
}

function Groups({ tips }: { tips: readonly Tip[] }) {
  const groups = useMemo(() => grouped(tips), [tips]);
  const [moving, setMoving] = useState<Tip>();
  const group = useAct(({ tip, withTipId }: { tip: Tip; withTipId: string }) => send(IncidentsService.method.groupTip, { tipId: tip.tipId, withTipId }), () => setMoving(undefined));
  if (!tips.length) return <p className="empty card">Nothing waits. Tips come from the public page and from partners' webhooks.</p>;
  const card = (tip: Tip, alone: boolean) => (
    <TipCard
      key={tip.tipId}
      tip={tip}
      alone={alone}
      moving={moving}
      onMove={() => setMoving(moving?.tipId === tip.tipId ? undefined : tip)}
      onJoin={() => moving && group.mutate({ tip: moving, withTipId: tip.tipId }, { onError: notifyProblem })}
      onLeave={() => group.mutate({ tip, withTipId: "" }, { onError: notifyProblem })}
    />
  );
  return (
    <>
      {moving && (
        <p className="note" role="status">
          Choose the tip that {moving.referenceCode} belongs to, or press its button again.
        </p>
      )}
      <div className="tips">
        {groups.map((members) =>
          members.length > 1 ? (
            <section key={members[0]?.groupId} className="tip-group" aria-label={`Group of ${members.length} tips`} data-testid="tip-group">
              <h2>{members.length} tips about the same thing</h2>
              <div className="tips">{members.map((tip) => card(tip, false))}</div>
            </section>
          ) : (
            members.map((tip) => card(tip, true))
          ),
        )}
      </div>
    </>
  );
}

/** Groups in the order of their newest tip. */
export function grouped(tips: readonly Tip[]): Tip[][] {
  const groups = new Map<string, Tip[]>();
  for (const tip of tips) {
    const key = tip.groupId || tip.tipId;
    const members = groups.get(key);
    if (members) members.push(tip);
    else groups.set(key, [tip]);
  }
  return [...groups.values()];
}

function TipCard(props: { tip: Tip; alone: boolean; moving: Tip | undefined; onMove(): void; onJoin(): void; onLeave(): void }) {
  const { tip } = props;
  const now = useNow(30_000) + useSession((state) => state.clockSkewMs);
  const mayModerate = useRight("tip.moderate");
  const mayGroup = useRight("tip.group");
  const mayPromote = useRight("tip.promote");
  const [refusing, setRefusing] = useState<TipState>();
  const moderate = useAct(({ state, note }: { state: TipState; note: string }) => send(IncidentsService.method.moderateTip, { tipId: tip.tipId, state, note }), () => setRefusing(undefined));
  const promote = useAct(() => send(IncidentsService.method.promoteTip, { tipId: tip.tipId }), (answer) => {
    take(answer.incident);
    if (!answer.won) notify(`This tip belongs to ${answer.incident?.number} already.`);
    if (answer.incident) openIncident(answer.incident.incidentId);
  });
  const at = tip.position?.coordinate;
  return (
    <article className="card tip" data-testid="tip" data-tip-id={tip.tipId} data-state={TipState[tip.state].toLowerCase()}>
      <div className="spread">
        <h2>
          <span className="mono">{tip.referenceCode}</span> {tip.category.replaceAll("_", " ")}
        </h2>
        <span className="badge" data-tone={tip.state === TipState.NEW ? "act" : undefined}>
          {tip.incidentId ? "promoted" : STATES[tip.state]}
        </span>
      </div>
      <p className="tip-text">{tip.text}</p>
      {tip.hasPhoto && <GuardedImage withPurpose={false} className="tip-photo" path={`/v1/tips/${encodeURIComponent(tip.tipId)}/photo`} what={`Photo of tip ${tip.referenceCode}`} />}
      <p className="muted">
        {[tip.address, tip.contact ? `contact ${tip.contact}` : "anonymous", tip.channel].filter(Boolean).join(" · ")} · <span title={dayAndTime(tip.receivedAt)}>{age(tip.receivedAt, now)} ago</span>
        {tip.moderatedByName && ` · ${STATES[tip.state]} by ${tip.moderatedByName}${tip.moderationNote ? `: ${tip.moderationNote}` : ""}`}
      </p>
      <div className="row">
        {mayModerate && tip.state !== TipState.ACCEPTED && (
          <Button size="small" look="primary" busy={moderate.isPending} onClick={() => moderate.mutate({ state: TipState.ACCEPTED, note: "" }, { onError: notifyProblem })} data-testid="tip-accept">
            Accept
          </Button>
        )}
        {mayPromote && tip.state === TipState.ACCEPTED && !tip.incidentId && (
          <Button size="small" look="primary" busy={promote.isPending} onClick={() => promote.mutate(undefined, { onError: notifyProblem })} data-testid="tip-promote">
            Make it an incident
          </Button>
        )}
        {tip.incidentId && (
          <Button size="small" onClick={() => openIncident(tip.incidentId)}>
            Open incident
          </Button>
        )}
        {mayModerate && !tip.incidentId && tip.state !== TipState.REJECTED && (
          <Button size="small" onClick={() => setRefusing(TipState.REJECTED)}>
            Reject…
          </Button>
        )}
        {mayModerate && !tip.incidentId && tip.state !== TipState.SPAM && (
          <Button size="small" onClick={() => setRefusing(TipState.SPAM)}>
            Spam…
          </Button>
        )}
        {mayGroup &&
          (props.moving && props.moving.tipId !== tip.tipId ? (
            <Button size="small" onClick={props.onJoin} data-testid="tip-join">
              {props.moving.referenceCode} belongs here
            </Button>
          ) : (
            <Button size="small" look="quiet" aria-pressed={props.moving?.tipId === tip.tipId} onClick={props.onMove} data-testid="tip-group-with">
              Put beside…
            </Button>
          ))}
        {mayGroup && !props.alone && (
          <Button size="small" look="quiet" onClick={props.onLeave}>
            Not about this
          </Button>
        )}
        {at && (
          <Button
            size="small"
            look="quiet"
            onClick={() => {
              useMap.getState().flyTo(at.longitudeDeg, at.latitudeDeg);
              go("/map");
            }}
          >
            Map
          </Button>
        )}
      </div>
      {refusing !== undefined && <Refuse state={refusing} tip={tip} busy={moderate.isPending} error={moderate.error} onRefuse={(note) => moderate.mutate({ state: refusing, note })} onClose={() => setRefusing(undefined)} />}
    </article>
  );
}

function Refuse(props: { state: TipState; tip: Tip; busy: boolean; error: unknown; onRefuse(note: string): void; onClose(): void }) {
  const [note, setNote] = useState("");
  return (
    <Dialog title={`${props.state === TipState.SPAM ? "Spam" : "Reject"}: ${props.tip.referenceCode}`} onClose={props.onClose} onSubmit={() => props.onRefuse(note.trim())} foot={<Button type="submit" look="primary" busy={props.busy}>{props.state === TipState.SPAM ? "Mark as spam" : "Reject"}</Button>}>
      <Field label="Why" hint="Stands in the log; the submitter is told nothing">
        {(attributes) => <input {...attributes} name="moderation-note" maxLength={500} value={note} onChange={(event) => setNote(event.target.value)} />}
      </Field>
      <ProblemNote error={props.error} />
    </Dialog>
  );
}

function TipLineForm({ onClose }: { onClose(): void }) {
  const maySet = useRight("tip_line.set");
  const query = useRead(IncidentsService.method.getTipLine, {});
  return (
    <Dialog title="Public tip line" onClose={onClose}>
      <Read query={query}>
        {(data) => <TipLineFields agencyId={data.tipLine?.agencyId ?? ""} open={data.tipLine?.open ?? false} notice={data.tipLine?.notice ?? ""} emergency={data.tipLine?.emergencyLine ?? ""} maySet={maySet} onClose={onClose} />}
      </Read>
    </Dialog>
  );
}

function TipLineFields(props: { agencyId: string; open: boolean; notice: string; emergency: string; maySet: boolean; onClose(): void }) {
  const own = useSession((state) => state.session?.person.agency_id ?? "");
  const agencyId = props.agencyId || own;
  const [open, setOpen] = useState(props.open);
  const [notice, setNotice] = useState(props.notice);
  const [emergency, setEmergency] = useState(props.emergency);
  const save = useAct(() => send(IncidentsService.method.setTipLine, { tipLine: { agencyId, open, notice: notice.trim(), emergencyLine: emergency.trim() } }), props.onClose);
  const address = `${location.origin}/tips/${agencyId}`;
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate(undefined);
      }}
    >
      <label className="check">
        <input type="checkbox" disabled={!props.maySet} checked={open} onChange={(event) => setOpen(event.target.checked)} />
        Open to everybody at <a href={address}>{address}</a>
      </label>
      <Field label="First line" hint="What to do in an emergency">
        {(attributes) => <input {...attributes} disabled={!props.maySet} maxLength={200} value={emergency} onChange={(event) => setEmergency(event.target.value)} />}
      </Field>
      <Field label="Notice above the form">{(attributes) => <textarea {...attributes} disabled={!props.maySet} maxLength={2000} value={notice} onChange={(event) => setNotice(event.target.value)} />}</Field>
      <ProblemNote error={save.error} />
      {props.maySet && (
        <div>
          <Button type="submit" look="primary" busy={save.isPending}>
            Save
          </Button>
        </div>
      )}
    </form>
  );
}

import { useState } from "react";
import { send } from "../contract/call";
import { ProblemError } from "../contract/problem";
import { dayAndTime, fromLocalInput } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { RetentionService, type RetentionHold, type RetentionRule } from "../generated/rtcc/intake/v1/retention_pb";
import { RegistryService } from "../generated/rtcc/registry/v1/registry_pb";
import { useRight } from "../session/store";
import { notifyProblem } from "../ui/notices";
import { Page, Read, Table, Tabs } from "../ui/page";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";
import { asSpan, inSeconds, spanWords, UNITS, type Unit } from "./spans";

const KINDS = ["plate_read", "gunshot", "call_for_service", "alarm", "warning", "marker", "measurement", "tip", "drone_alarm"] as const;

/** How long what is kept (R22): rules by source and kind, holds that stop deletion, and a proof of each deletion. */
export default function Retention() {
  const may = { rules: useRight("retention.list"), deletions: useRight("retention.list_deletions") };
  const tabs = ([["rules", "Rules and holds"], ["deletions", "Deleted"]] as const).filter(([id]) => may[id]);
  const [tab, setTab] = useState<keyof typeof may>(tabs[0]?.[0] ?? "rules");
  return (
    <Page title="Retention">
      <Tabs label="Retention" tabs={tabs} value={tab} onValue={setTab} />
      {tab === "rules" && may.rules && <RulesAndHolds />}
      {tab === "deletions" && may.deletions && <Deletions />}
    </Page>
  );
}

function useSourceNames(): { names: (id: string) => string; all: readonly { sourceId: string; name: string }[] } {
  const may = useRight("source.list");
  const sources = useRead(RegistryService.method.listSources, {}, { enabled: may });
  const all = sources.data?.sources ?? [];
  return { all, names: (id) => (id ? (all.find((source) => source.sourceId === id)?.name ?? id) : "every source") };
}

const kindWords = (kind: string) => (kind ? kind.replaceAll("_", " ") : "every kind");

function RulesAndHolds() {
  const maySet = useRight("retention.set");
  const mayHold = useRight("retention.hold");
  const mayRelease = useRight("retention.release");
  const query = useRead(RetentionService.method.listRetention, {});
  const { names } = useSourceNames();
  const [editing, setEditing] = useState<RetentionRule | "new">();
  const [holding, setHolding] = useState(false);
  const release = useAct((hold: RetentionHold) => send(RetentionService.method.releaseHold, { holdId: hold.holdId }));
  return (
    <Read query={query}>
      {(data) => (
        <>
          <div className="spread">
            <p className="secondary">The most specific rule decides. Without a rule nothing is deleted.</p>
            {maySet && (
              <Button look="primary" onClick={() => setEditing("new")} data-testid="new-retention-rule">
                New rule
              </Button>
            )}
          </div>
          <Table
            label="Retention rules"
            rowTestId="retention-rule"
            rows={data.rules}
            rowKey={(rule) => `${rule.sourceId}/${rule.kind}`}
            empty="No rule yet: every event is kept."
            columns={[
              { title: "From", cell: (rule) => names(rule.sourceId) },
              { title: "What", cell: (rule) => kindWords(rule.kind) },
              { title: "Kept for", cell: (rule) => <strong>{spanWords(Number(rule.keepS))}</strong> },
              { title: "Changed", cell: (rule) => dayAndTime(rule.changedAt) },
              {
                title: "",
                cell: (rule) =>
                  maySet && (
                    <Button size="small" onClick={() => setEditing(rule)}>
                      Change…
                    </Button>
                  ),
              },
            ]}
          />
          <div className="spread">
            <h2>Holds</h2>
            {mayHold && (
              <Button onClick={() => setHolding(true)} data-testid="new-hold">
                Place a hold
              </Button>
            )}
          </div>
          <Table
            label="Holds"
            rowTestId="hold-row"
            rows={data.holds}
            rowKey={(hold) => hold.holdId}
            empty="No hold stands: rules delete what is due."
            columns={[
              { title: "Because", cell: (hold) => <strong>{hold.reason}</strong> },
              { title: "Covers", cell: (hold) => [names(hold.sourceId), kindWords(hold.kind), hold.plate && `plate ${hold.plate}`].filter(Boolean).join(", ") },
              { title: "Happened", cell: (hold) => `${hold.occurredFrom ? dayAndTime(hold.occurredFrom) : "from the beginning"} to ${hold.occurredUntil ? dayAndTime(hold.occurredUntil) : "the end"}` },
              { title: "Placed", cell: (hold) => dayAndTime(hold.placedAt) },
              {
                title: "",
                cell: (hold) =>
                  mayRelease && (
                    <Button size="small" look="danger" onClick={() => release.mutate(hold, { onError: notifyProblem })} aria-label={`Release the hold ${hold.reason}`}>
                      Release
                    </Button>
                  ),
              },
            ]}
          />
          {editing && <RuleForm rule={editing === "new" ? undefined : editing} onClose={() => setEditing(undefined)} />}
          {holding && <HoldForm onClose={() => setHolding(false)} />}
        </>
      )}
    </Read>
  );
}

function SourceAndKind({ sourceId, kind, fixed, onChange }: { sourceId: string; kind: string; fixed?: boolean; onChange(part: { sourceId?: string; kind?: string }): void }) {
  const { all } = useSourceNames();
  return (
    <div className="columns">
      <Field label="From">
        {(attributes) => (
          <select {...attributes} name="source" disabled={fixed} value={sourceId} onChange={(event) => onChange({ sourceId: event.target.value })}>
            <option value="">every source</option>
            {all.map((source) => (
              <option key={source.sourceId} value={source.sourceId}>
                {source.name}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label="What">
        {(attributes) => (
          <select {...attributes} name="kind" disabled={fixed} value={kind} onChange={(event) => onChange({ kind: event.target.value })}>
            <option value="">every kind</option>
            {KINDS.map((one) => (
              <option key={one} value={one}>
                {kindWords(one)}
              </option>
            ))}
          </select>
        )}
      </Field>
    </div>
  );
}

function RuleForm({ rule, onClose }: { rule: RetentionRule | undefined; onClose(): void }) {
  const before = asSpan(Number(rule?.keepS ?? 30 * 86_400));
  const [where, setWhere] = useState({ sourceId: rule?.sourceId ?? "", kind: rule?.kind ?? "" });
  const [count, setCount] = useState(String(before.count));
  const [unit, setUnit] = useState<Unit>(before.unit);
  const save = useAct((keepS: number) => send(RetentionService.method.setRetentionRule, { rule: { ...where, keepS: BigInt(keepS) } }), onClose);
  return (
    <Dialog
      title={rule ? "Change a rule" : "New rule"}
      testId="retention-form"
      onClose={onClose}
      onSubmit={() => save.mutate(inSeconds(Number(count), unit))}
      foot={
        <>
          {rule && (
            <Button look="danger" onClick={() => save.mutate(0)}>
              Remove the rule
            </Button>
          )}
          <Button type="submit" look="primary" busy={save.isPending}>
            Save
          </Button>
        </>
      }
    >
      <SourceAndKind {...where} fixed={rule !== undefined} onChange={(part) => setWhere({ ...where, ...part })} />
      <div className="columns">
        <Field label="Kept for" hint="3 minutes to 10 years, from when it came in" problem={save.error instanceof ProblemError ? save.error.reasonFor("keep_s") : undefined}>
          {(attributes) => <input {...attributes} name="count" type="number" min={1} max={100_000} required value={count} onChange={(event) => setCount(event.target.value)} />}
        </Field>
        <Field label="Unit">
          {(attributes) => (
            <select {...attributes} name="unit" value={unit} onChange={(event) => setUnit(event.target.value as Unit)}>
              {UNITS.map(([name]) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          )}
        </Field>
      </div>
      <p className="note" data-tone="act">
        What is older is deleted for ever, unless a hold covers it. Each deletion leaves a proof.
      </p>
      <ProblemNote error={save.error} />
    </Dialog>
  );
}

function HoldForm({ onClose }: { onClose(): void }) {
  const [where, setWhere] = useState({ sourceId: "", kind: "" });
  const [reason, setReason] = useState("");
  const [plate, setPlate] = useState("");
  const [from, setFrom] = useState("");
  const [until, setUntil] = useState("");
  const [first, last] = [fromLocalInput(from), fromLocalInput(until)];
  const save = useAct(() => send(RetentionService.method.placeHold, { hold: { ...where, reason: reason.trim(), plate: plate.replace(/[^A-Z0-9]/g, ""), ...(first ? { occurredFrom: first } : {}), ...(last ? { occurredUntil: last } : {}) } }), onClose);
  return (
    <Dialog title="Place a hold" testId="hold-form" onClose={onClose} onSubmit={() => save.mutate(undefined)} foot={<Button type="submit" look="primary" busy={save.isPending}>Place</Button>}>
      <Field label="The case or order that demands it" problem={save.error instanceof ProblemError ? save.error.reasonFor("reason") : undefined}>
        {(attributes) => <input {...attributes} name="reason" required maxLength={200} value={reason} onChange={(event) => setReason(event.target.value)} />}
      </Field>
      <SourceAndKind {...where} onChange={(part) => setWhere({ ...where, ...part })} />
      <Field label="Only this plate" hint="Empty: any">
        {(attributes) => <input {...attributes} className="input mono" maxLength={12} value={plate} onChange={(event) => setPlate(event.target.value.toUpperCase())} />}
      </Field>
      <div className="columns">
        <Field label="Happened from">{(attributes) => <input {...attributes} type="datetime-local" value={from} onChange={(event) => setFrom(event.target.value)} />}</Field>
        <Field label="Until">{(attributes) => <input {...attributes} type="datetime-local" value={until} onChange={(event) => setUntil(event.target.value)} />}</Field>
      </div>
      <ProblemNote error={save.error} />
    </Dialog>
  );
}

function Deletions() {
  const query = useRead(RetentionService.method.listDeletions, { limit: 100 });
  const { names } = useSourceNames();
  return (
    <Read query={query}>
      {(data) => (
        <Table
          label="Deletions"
          rowTestId="deletion-row"
          rows={data.deletions}
          rowKey={(deletion) => deletion.deletionId}
          empty="Nothing was deleted yet."
          columns={[
            { title: "Deleted", cell: (deletion) => <span className="mono">{dayAndTime(deletion.deletedAt)}</span> },
            { title: "Events", cell: (deletion) => <span className="mono">{deletion.events}</span> },
            { title: "Rule", cell: (deletion) => (deletion.rule ? `${names(deletion.rule.sourceId)}, ${kindWords(deletion.rule.kind)}: ${spanWords(Number(deletion.rule.keepS))}` : "") },
            { title: "Came in", cell: (deletion) => `${dayAndTime(deletion.oldestReceivedAt)} to ${dayAndTime(deletion.newestReceivedAt)}` },
            { title: "Proof (SHA-256, also in the log)", cell: (deletion) => <code className="digest">{deletion.digest}</code> },
          ]}
        />
      )}
    </Read>
  );
}

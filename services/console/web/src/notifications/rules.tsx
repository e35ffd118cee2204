import { useState } from "react";
import { send } from "../contract/call";
import { ProblemError } from "../contract/problem";
import { dayAndTime } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { AlertingService, type AlertRule, type Threshold } from "../generated/rtcc/alerting/v1/alerting_pb";
import { RegistryService } from "../generated/rtcc/registry/v1/registry_pb";
import { useRight } from "../session/store";
import { Read, Table } from "../ui/page";
import { Button, Dialog, Field, ProblemNote, SeverityMark } from "../ui/parts";

/** Every rule with what it tests; a supervisor switches, narrows, and sets limits of sensors. */
export function Rules() {
  const maySet = useRight("alert_rule.set");
  const query = useRead(AlertingService.method.listAlertRules, {});
  const [editing, setEditing] = useState<AlertRule>();
  return (
    <>
      <Read query={query}>
        {(data) => (
          <Table
            label="Alert rules"
            rowTestId="rule-row"
            rows={data.rules}
            rowKey={(rule) => rule.rule}
            empty="No rule."
            columns={[
              { title: "Rule", cell: (rule) => <strong>{rule.rule.replaceAll("_", " ")}</strong> },
              { title: "Raises an alert when", cell: (rule) => rule.description },
              { title: "Severity", cell: (rule) => (rule.severity ? <SeverityMark severity={rule.severity} size={22} /> : <span className="muted nowrap">as described</span>) },
              { title: "Narrowed to", cell: narrowed },
              { title: "State", cell: (rule) => (rule.enabled ? "on" : <span className="badge" data-tone="act">off</span>) },
              { title: "Changed", cell: (rule) => (rule.changedAt ? `${dayAndTime(rule.changedAt)} ${rule.changedByName}` : <span className="muted nowrap">as delivered</span>) },
              {
                title: "",
                cell: (rule) =>
                  maySet && (
                    <Button size="small" aria-label={`Set ${rule.rule.replaceAll("_", " ")}`} onClick={() => setEditing(rule)}>
                      Set…
                    </Button>
                  ),
              },
            ]}
          />
        )}
      </Read>
      {editing && <RuleForm rule={editing} onClose={() => setEditing(undefined)} />}
    </>
  );
}

function narrowed(rule: AlertRule): string {
  const limits = rule.thresholds.map((one) => `${one.quantity.replaceAll("_", " ")}${one.above !== undefined ? ` above ${one.above}` : ""}${one.below !== undefined ? ` below ${one.below}` : ""}`);
  return [rule.words.join(", "), rule.zoneIds.length ? `${rule.zoneIds.length} zones` : "", ...limits].filter(Boolean).join("; ") || "everything";
}

interface Limit {
  quantity: string;
  above: string;
  below: string;
}

function RuleForm({ rule, onClose }: { rule: AlertRule; onClose(): void }) {
  const [enabled, setEnabled] = useState(rule.enabled);
  const [severity, setSeverity] = useState(rule.severity);
  const [words, setWords] = useState(rule.words.join(", "));
  const [zoneIds, setZoneIds] = useState<readonly string[]>(rule.zoneIds);
  const [limits, setLimits] = useState<Limit[]>(rule.thresholds.map((one) => ({ quantity: one.quantity, above: one.above?.toString() ?? "", below: one.below?.toString() ?? "" })));
  const save = useAct(
    () =>
      send(AlertingService.method.setAlertRule, {
        rule: rule.rule,
        enabled,
        severity,
        zoneIds: [...zoneIds],
        words: words.split(/[,\n]/).map((word) => word.trim().toLowerCase()).filter(Boolean),
        thresholds: limits.filter(({ quantity }) => quantity.trim()).map(threshold),
      }),
    onClose,
  );
  const reason = (field: string) => (save.error instanceof ProblemError ? save.error.reasonFor(field) : undefined);
  return (
    <Dialog
      title={`Rule: ${rule.rule.replaceAll("_", " ")}`}
      testId="rule-form"
      onClose={onClose}
      onSubmit={() => save.mutate(undefined)}
      foot={
        <Button type="submit" look="primary" busy={save.isPending}>
          Save
        </Button>
      }
    >
      <p className="secondary">{rule.description}</p>
      <label className="check">
        <input type="checkbox" name="enabled" checked={enabled} onChange={(event) => setEnabled(event.target.checked)} />
        Raises alerts, from the next event on
      </label>
      {rule.severitySettable && (
        <Field label="Severity" problem={reason("severity")}>
          {(attributes) => (
            <select {...attributes} name="severity" value={severity} onChange={(event) => setSeverity(Number(event.target.value))}>
              <option value={0}>as described</option>
              <option value={1}>1, life</option>
              <option value={2}>2, urgent</option>
              <option value={3}>3, caution</option>
              <option value={4}>4, information</option>
            </select>
          )}
        </Field>
      )}
      {rule.wordsSettable && (
        <Field label="Only these types" hint="Separated by commas; empty: as described" problem={reason("words")}>
          {(attributes) => <input {...attributes} name="words" maxLength={400} value={words} onChange={(event) => setWords(event.target.value)} />}
        </Field>
      )}
      <ZoneChoice chosen={zoneIds} onChoose={setZoneIds} />
      {rule.rule === "measurement" && <Limits limits={limits} onChange={setLimits} />}
      <ProblemNote error={save.error} />
    </Dialog>
  );
}

function threshold({ quantity, above, below }: Limit): Pick<Threshold, "quantity"> & Partial<Pick<Threshold, "above" | "below">> {
  return { quantity: quantity.trim().toLowerCase().replaceAll(" ", "_"), ...(above !== "" ? { above: Number(above) } : {}), ...(below !== "" ? { below: Number(below) } : {}) };
}

function Limits({ limits, onChange }: { limits: readonly Limit[]; onChange(limits: Limit[]): void }) {
  const change = (index: number, part: Partial<Limit>) => onChange(limits.map((one, at) => (at === index ? { ...one, ...part } : one)));
  return (
    <fieldset className="plain stack tight">
      <legend className="legend">Limits of sensors</legend>
      {limits.map((limit, index) => (
        <div key={index} className="row">
          <input className="input narrow" aria-label="Quantity" placeholder="water level" value={limit.quantity} onChange={(event) => change(index, { quantity: event.target.value })} />
          <input className="input narrow" aria-label="Above" placeholder="above" type="number" step="any" value={limit.above} onChange={(event) => change(index, { above: event.target.value })} />
          <input className="input narrow" aria-label="Below" placeholder="below" type="number" step="any" value={limit.below} onChange={(event) => change(index, { below: event.target.value })} />
          <Button size="small" aria-label={`Remove limit ${index + 1}`} onClick={() => onChange(limits.filter((_, at) => at !== index))}>
            ✕
          </Button>
        </div>
      ))}
      <div>
        <Button size="small" onClick={() => onChange([...limits, { quantity: "", above: "", below: "" }])}>
          Add a limit
        </Button>
      </div>
    </fieldset>
  );
}

/** Zones of the agency; none chosen: everywhere. */
export function ZoneChoice({ chosen, onChoose }: { chosen: readonly string[]; onChoose(zoneIds: readonly string[]): void }) {
  const may = useRight("zone.list");
  const zones = useRead(RegistryService.method.listZones, {}, { enabled: may });
  if (!zones.data?.zones.length) return null;
  return (
    <fieldset className="plain">
      <legend className="legend">Only inside of these zones (none: everywhere)</legend>
      <div className="choice-list">
        {zones.data.zones.map((zone) => (
          <label key={zone.zoneId} className="check">
            <input type="checkbox" checked={chosen.includes(zone.zoneId)} onChange={(event) => onChoose(event.target.checked ? [...chosen, zone.zoneId] : chosen.filter((id) => id !== zone.zoneId))} />
            {zone.name}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

import { useInfiniteQuery } from "@tanstack/react-query";
import { useDeferredValue, useState } from "react";
import { send } from "../contract/call";
import { dayAndTime } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { LedgerService, Outcome, type StoredEntry, type VerifyLedgerResponse } from "../generated/rtcc/ledger/v1/ledger_pb";
import { useLive } from "../live/store";
import { useOwnAgency, useRight } from "../session/store";
import { Page, Read, Tabs } from "../ui/page";
import { Button, Field, PartnerBadge, ProblemNote } from "../ui/parts";
import "./audit.css";

type View = "log" | "object" | "own";
const PAGE_ROWS = 100;

export default function Audit() {
  const mayRead = useRight("audit.read");
  const maySee = useRight("audit.who_saw");
  const mayOwn = useRight("audit.read_own");
  const mayVerify = useRight("audit.verify");
  const asked = new URLSearchParams(location.search);
  const [view, setView] = useState<View>(asked.get("view") === "own" || !mayRead ? "own" : asked.has("object") ? "object" : "log");
  const verify = useAct(() => send(LedgerService.method.verifyLedger, {}));
  const tabs: (readonly [View, string])[] = [...(mayRead ? [["log", "Everything"] as const] : []), ...(maySee ? [["object", "Who saw it"] as const] : []), ...(mayOwn ? [["own", "What I did"] as const] : [])];
  return (
    <Page
      title="Audit"
      actions={
        mayVerify && (
          <Button look="primary" busy={verify.isPending} onClick={() => verify.mutate(undefined)} data-testid="verify">
            Verify the log
          </Button>
        )
      }
    >
      <ProblemNote error={verify.error} />
      {verify.data && <Verification result={verify.data} />}
      <Tabs label="Audit" tabs={tabs} value={view} onValue={setView} />
      {view === "log" && <Log />}
      {view === "object" && <WhoSaw start={asked.get("object") ?? ""} />}
      {view === "own" && <OwnEntries />}
    </Page>
  );
}

function Verification({ result }: { result: VerifyLedgerResponse }) {
  const root = [...result.rootHash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return (
    <div className="note stack" data-tone={result.intact ? "good" : "bad"} role="status" data-testid="verify-result" data-intact={result.intact}>
      <strong>{result.intact ? "The log is intact." : "The log does not hold: entries were changed, removed or added."}</strong>
      <span>
        {result.treeSize.toString()} entries recomputed and compared with {result.checkpoints.toString()} signed checkpoints.
      </span>
      <code className="ellipsis">{root}</code>
      {result.problems.length > 0 && (
        <ul>
          {result.problems.map((problem) => (
            <li key={`${problem.leafIndex}-${problem.what}`}>
              Entry {problem.leafIndex.toString()}: {problem.what}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Log() {
  const [text, setText] = useState("");
  const [action, setAction] = useState("");
  const asked = useDeferredValue(text.trim());
  const query = useInfiniteQuery({
    queryKey: ["audit", asked, action],
    initialPageParam: 0n,
    queryFn: ({ pageParam, signal }) => send(LedgerService.method.listEntries, { beforeLeaf: pageParam, limit: PAGE_ROWS, action, text: asked }, { signal }),
    getNextPageParam: (page) => {
      const last = page.entries.at(-1);
      return page.entries.length === PAGE_ROWS && last && last.leafIndex > 0n ? last.leafIndex : undefined;
    },
    retry: 1,
  });
  const entries = query.data?.pages.flatMap((page) => page.entries) ?? [];
  return (
    <>
      <div className="row">
        <input className="input" style={{ maxWidth: 320 }} type="search" aria-label="Words in the log" placeholder="Person, camera, case number…" value={text} onChange={(event) => setText(event.target.value)} />
        <select className="input" style={{ width: "auto" }} aria-label="Action" value={action} onChange={(event) => setAction(event.target.value)}>
          <option value="">Every action</option>
          {["camera.view_live", "plate_read.search", "alert.acknowledge", "alert.confirm_plate", "agreement.grant", "agreement.narrow", "agreement.revoke", "person.set_roles", "session.sign_in", "hot_list.read", "audit.read"].map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
        <Button onClick={() => void query.refetch()}>Refresh</Button>
        {query.data && <span className="muted">{query.data.pages[0]?.treeSize.toString()} entries in all</span>}
      </div>
      <ProblemNote error={query.error} />
      {query.data && <Entries entries={entries} />}
      {query.hasNextPage && (
        <div>
          <Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            Older
          </Button>
        </div>
      )}
    </>
  );
}

function WhoSaw({ start }: { start: string }) {
  const [typed, setTyped] = useState(start);
  const [object, setObject] = useState(start);
  const cameras = useLive((state) => state.cameras);
  const query = useRead(LedgerService.method.listAccesses, { objectId: object, limit: 200 }, { enabled: object !== "" });
  return (
    <>
      <form
        className="row"
        onSubmit={(event) => {
          event.preventDefault();
          setObject(typed.trim());
        }}
      >
        <Field label="Object" hint="camera:…, alert:…, plate:… – or choose one of your cameras">
          {(attributes) => <input {...attributes} name="object" style={{ minWidth: 320 }} list="audit-objects" value={typed} onChange={(event) => setTyped(event.target.value)} />}
        </Field>
        <datalist id="audit-objects">
          {[...cameras.values()].map((camera) => (
            <option key={camera.cameraId} value={`camera:${camera.cameraId}`}>
              {camera.name}
            </option>
          ))}
        </datalist>
        <Button type="submit" look="primary">
          Who saw it?
        </Button>
      </form>
      {object && <Read query={query}>{(data) => <Entries entries={data.entries} />}</Read>}
    </>
  );
}

function OwnEntries() {
  const query = useRead(LedgerService.method.listOwnEntries, { limit: 200 });
  return <Read query={query}>{(data) => <Entries entries={data.entries} />}</Read>;
}

const OUTCOME_NAMES: Record<Outcome, string> = { [Outcome.UNSPECIFIED]: "–", [Outcome.ALLOWED]: "allowed", [Outcome.DENIED]: "refused", [Outcome.FAILED]: "failed" };

function Entries({ entries }: { entries: readonly StoredEntry[] }) {
  const [open, setOpen] = useState<bigint>();
  const agencies = useLive((state) => state.agencies);
  const own = useOwnAgency();
  if (!entries.length) return <p className="empty card">No entries.</p>;
  return (
    <div className="table-frame table-cards" tabIndex={0} role="region" aria-label="Audit entries">
      <table className="audit">
        <thead>
          <tr>
            {["Time", "Who", "Action", "Object", "Purpose", "Outcome", ""].map((title) => (
              <th key={title || "more"} scope="col">
                {title || <span className="hidden-visually">More</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {entries.map((stored) => {
            const { entry } = stored;
            if (!entry) return null;
            const partner = entry.principalAgencyId !== "" && entry.principalAgencyId !== own && entry.principalAgencyId !== "*";
            const opened = open === stored.leafIndex;
            return [
              <tr key={entry.entryId} data-testid="audit-row" data-action={entry.action} data-outcome={OUTCOME_NAMES[entry.outcome]} data-principal-agency={entry.principalAgencyId}>
                <td className="mono nowrap" data-title="Time">
                  {dayAndTime(entry.recordedAt)}
                </td>
                <td data-title="Who">
                  {entry.principalName || entry.principalId} {partner && <PartnerBadge agency={agencies.get(entry.principalAgencyId)?.name ?? entry.principalAgencyId} />}
                </td>
                <td className="mono" data-title="Action">
                  {entry.action}
                </td>
                <td className="mono audit-object" data-title="Object">
                  {entry.objectIds.slice(0, 2).join(", ")}{entry.objectIds.length > 2 && ` +${entry.objectIds.length - 2}`}
                </td>
                <td data-title="Purpose">{[entry.purpose, entry.caseNumber].filter(Boolean).join(" · ")}</td>
                <td data-title="Outcome">
                  <span className="badge" data-tone={entry.outcome === Outcome.ALLOWED ? undefined : "act"}>
                    {OUTCOME_NAMES[entry.outcome]}
                  </span>
                </td>
                <td>
                  <Button size="small" look="quiet" aria-expanded={opened} aria-label={`Entry ${stored.leafIndex}`} onClick={() => setOpen(opened ? undefined : stored.leafIndex)}>
                    {opened ? "▴" : "▾"}
                  </Button>
                </td>
              </tr>,
              opened && (
                <tr key={`${entry.entryId}-more`}>
                  <td colSpan={7}>
                    <EntryFacts stored={stored} />
                  </td>
                </tr>
              ),
            ];
          })}
        </tbody>
      </table>
    </div>
  );
}

function EntryFacts({ stored }: { stored: StoredEntry }) {
  const entry = stored.entry;
  if (!entry) return null;
  const facts: readonly (readonly [string, string])[] = [
    ["Entry", `${entry.entryId} (leaf ${stored.leafIndex})`],
    ["Objects", entry.objectIds.join(", ")],
    ["Owner", entry.ownerAgencyId],
    ["Where", `${entry.service} ${entry.place}`],
    ["Reason", entry.reason],
    ["Roles", entry.roles.join(", ")],
    ["Session", entry.sessionId],
    ["From", entry.sourceAddress],
    ["Agreement", entry.agreementId],
    ["Decided by", entry.policyIds.join(", ")],
    ["Bytes out", entry.bytesOut ? entry.bytesOut.toString() : ""],
    ["Old value", entry.oldValue],
    ["New value", entry.newValue],
    ["Trace", entry.traceId],
  ];
  return (
    <dl className="facts">
      {facts.map(([title, value]) =>
        value ? (
          <div key={title} style={{ display: "contents" }}>
            <dt>{title}</dt>
            <dd className="mono wrap">{value}</dd>
          </div>
        ) : null,
      )}
    </dl>
  );
}

import { useDeferredValue, useEffect, useMemo, useRef } from "react";
import { PlateDisposition } from "../generated/rtcc/alerting/v1/alerting_pb";
import { useLive } from "../live/store";
import { useRight } from "../session/store";
import { useKeys } from "../shell/keys";
import { notify } from "../ui/notices";
import { Button, SeverityMark } from "../ui/parts";
import { enlarge } from "../video/dock";
import { preconnect } from "../video/pool";
import { acknowledge, acknowledgeAndOpen, confirmPlate, showAlert } from "./actions";
import { AlertList } from "./alert-list";
import { isUnacknowledged, keyCounts, ordered, preselected, shownQueue, type QueueItem } from "./queue";
import { choose, hold, letGo, moveByItself, openAlert, useSelection } from "./selection";
import { soundFor, startAlarm, stopAlarm } from "./sound";

const PRECONNECT_AFTER_MS = 400;

export function QueuePanel() {
  const alerts = useLive((state) => state.alerts);
  const { selectedId, chosenByPerson, held, filter, filterOpen, openId } = useSelection();
  const sorted = useMemo(() => ordered(alerts.values(), filter), [alerts, filter]);
  const { rows, newcomers } = useMemo(() => shownQueue(sorted, held, openId), [sorted, held, openId]);
  const unacknowledged = useMemo(() => sorted.filter(isUnacknowledged).length, [sorted]);
  const urgentNewcomer = newcomers.find((item) => item.alert.severity === 1 && isUnacknowledged(item));

  // A choice of the person stands; without one the highest that nobody has is selected.
  useEffect(() => {
    if (chosenByPerson && selectedId && alerts.has(selectedId)) return;
    moveByItself(preselected(rows));
  }, [rows, chosenByPerson, selectedId, alerts]);
  useEffect(() => {
    // Not told to the other windows: theirs may hold it, ours may still be coming.
    if (openId && alerts.size && !alerts.has(openId)) useSelection.setState({ openId: undefined });
  }, [openId, alerts]);

  useQueueKeys(rows);
  useSound(alerts);
  usePreconnect(selectedId);
  return (
    <section className="queue" aria-label="Alert queue">
      <header className="queue-head">
        <h1>
          Alerts <span className="secondary">{unacknowledged} unacknowledged</span>
        </h1>
        <span className="grow" />
        {newcomers.length > 0 && (
          <Button size="small" className="newcomers" data-testid="newcomers" onClick={letGo}>
            ↑ {newcomers.length} new
          </Button>
        )}
        <Button size="small" look="quiet" aria-expanded={filterOpen} onClick={() => useSelection.setState({ filterOpen: !filterOpen })}>
          Filter <kbd>F</kbd>
        </Button>
      </header>
      {filterOpen && <FilterBar />}
      {urgentNewcomer && (
        <button
          type="button"
          className="banner"
          data-tone="bad"
          onClick={() => {
            letGo();
            choose(urgentNewcomer.id);
          }}
        >
          New life-threatening alert: {urgentNewcomer.alert.title}
        </button>
      )}
      <AlertList
        rows={rows}
        onChoose={(item) => {
          hold(rows.map((row) => row.id));
          choose(item.id);
          showAlert(item);
        }}
      />
    </section>
  );
}

function FilterBar() {
  const filter = useSelection((state) => state.filter);
  const text = useRef<HTMLInputElement>(null);
  useEffect(() => text.current?.focus(), []);
  const change = (part: Partial<typeof filter>) => useSelection.setState({ filter: { ...filter, ...part } });
  return (
    <div className="queue-filter">
      <input
        ref={text}
        className="input"
        type="search"
        aria-label="Filter by words, plate or place"
        placeholder="Words, plate, place"
        value={filter.text}
        onChange={(event) => change({ text: event.target.value })}
        onKeyDown={(event) => event.key === "Escape" && useSelection.setState({ filterOpen: false })}
      />
      <div className="row">
        {[1, 2, 3, 4].map((severity) => (
          <Button
            key={severity}
            size="small"
            aria-pressed={filter.severities.has(severity)}
            aria-label={`Only severity ${severity}`}
            onClick={() => {
              const severities = new Set(filter.severities);
              if (!severities.delete(severity)) severities.add(severity);
              change({ severities });
            }}
          >
            <SeverityMark severity={severity} size={18} />
          </Button>
        ))}
        <label className="check">
          <input type="checkbox" checked={filter.onlyUnacknowledged} onChange={(event) => change({ onlyUnacknowledged: event.target.checked })} />
          Only new
        </label>
        <label className="check">
          <input type="checkbox" checked={filter.includeClosed} onChange={(event) => change({ includeClosed: event.target.checked })} />
          Closed too
        </label>
      </div>
    </div>
  );
}

function useQueueKeys(rows: readonly QueueItem[]): void {
  const mayConfirm = useRight("alert.confirm_plate");
  const order = () => rows.map((row) => row.id);
  const step = (by: number) => {
    const at = rows.findIndex((row) => row.id === useSelection.getState().selectedId);
    const next = rows[Math.min(rows.length - 1, Math.max(0, at + by))];
    if (!next) return;
    hold(order());
    choose(next.id);
  };
  /** Runs the action when the row has stood still under the finger; else says why not. */
  const settled = (action: (item: QueueItem) => void) => () => {
    const { selectedId, movedAtMs } = useSelection.getState();
    const item = selectedId ? useLive.getState().alerts.get(selectedId) : undefined;
    if (!item) return;
    if (!keyCounts({ rowChangedAtMs: item.changedAtMs, selectionMovedAtMs: movedAtMs }, performance.now())) {
      notify("The row changed just now: look, then press again.");
      return;
    }
    hold(order());
    action(item);
  };
  useKeys({
    j: () => step(1),
    k: () => step(-1),
    a: settled((item) => {
      choose(item.id);
      void acknowledge(item);
    }),
    Enter: settled((item) => void acknowledgeAndOpen(item)),
    x: settled((item) => {
      const marked = new Set(useSelection.getState().marked);
      if (!marked.delete(item.id)) marked.add(item.id);
      useSelection.setState({ marked });
    }),
    c: settled((item) => mayConfirm && item.id === useSelection.getState().openId && void confirmPlate(item, PlateDisposition.CORRECT)),
    m: settled((item) => mayConfirm && item.id === useSelection.getState().openId && void confirmPlate(item, PlateDisposition.MISREAD)),
    f: () => useSelection.setState({ filterOpen: true }),
    "`": () => {
      letGo();
      const top = preselected(ordered(useLive.getState().alerts.values(), useSelection.getState().filter));
      choose(top);
      document.querySelector<HTMLElement>(".alert-list")?.focus();
    },
    Escape: () => {
      const { openId, filterOpen } = useSelection.getState();
      if (filterOpen) useSelection.setState({ filterOpen: false });
      else if (openId) openAlert(undefined);
      else choose(undefined);
    },
    ...Object.fromEntries([1, 2, 3, 4].map((digit) => [String(digit), () => enlarge(digit - 1)])),
  });
}

function useSound(alerts: ReadonlyMap<string, QueueItem>): void {
  const latest = useDeferredValue(alerts);
  const known = useRef<ReadonlyMap<string, QueueItem>>(undefined);
  useEffect(() => {
    let alarm = false;
    for (const item of latest.values()) {
      if (!isUnacknowledged(item)) continue;
      if (item.alert.severity === 1) alarm = true;
      else if (known.current?.size && !known.current.has(item.id)) soundFor(item.alert.severity);
    }
    if (alarm) startAlarm();
    else stopAlarm();
    known.current = latest;
  }, [latest]);
  useEffect(() => stopAlarm, []);
}

/** S1 and S2: the cameras will be wanted in a second. Own cameras only, and only when the choice has stood a moment. */
function usePreconnect(selectedId: string | undefined): void {
  const mayView = useRight("camera.view_live");
  useEffect(() => {
    if (!selectedId || !mayView) return;
    const timer = setTimeout(() => {
      const { alerts, cameras } = useLive.getState();
      const item = alerts.get(selectedId);
      if (!item || item.shared || item.alert.severity > 2 || !isUnacknowledged(item)) return;
      for (const choice of item.alert.context?.cameras ?? []) if (cameras.get(choice.cameraId)?.hasStream) preconnect(choice.cameraId, choice.name);
    }, PRECONNECT_AFTER_MS);
    return () => clearTimeout(timer);
  }, [selectedId, mayView]);
}

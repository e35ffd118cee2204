import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useLayoutEffect, useRef, useState } from "react";
import { clockTime } from "../contract/time";
import { AlertState } from "../generated/rtcc/alerting/v1/alerting_pb";
import { useLive } from "../live/store";
import { SeverityMark } from "../ui/parts";
import { useNow } from "../ui/use-now";
import { notePaint } from "./paint-probe";
import { escalationWords, holderOf, isUnacknowledged, SETTLED_AFTER_MS, splitTitle, stateOf, type QueueItem } from "./queue";
import { pointerIn, useSelection } from "./selection";

const ROW_PX = 66;
const STATE_NAMES: Record<AlertState, string> = {
  [AlertState.UNSPECIFIED]: "unknown",
  [AlertState.NEW]: "new",
  [AlertState.ACKNOWLEDGED]: "acknowledged",
  [AlertState.WORKING]: "working",
  [AlertState.CLOSED]: "closed",
};
export const stateName = (item: QueueItem) => STATE_NAMES[stateOf(item)];

/** A list box: the page's keys move in it, so that it works from anywhere on the screen. */
export function AlertList({ rows, onChoose }: { rows: readonly QueueItem[]; onChoose(item: QueueItem): void }) {
  const frame = useRef<HTMLDivElement>(null);
  const selectedId = useSelection((state) => state.selectedId);
  const chosenByPerson = useSelection((state) => state.chosenByPerson);
  const marked = useSelection((state) => state.marked);
  const openId = useSelection((state) => state.openId);
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => frame.current, estimateSize: () => ROW_PX, overscan: 6, getItemKey: (index) => rows[index]?.id ?? index });
  const selectedIndex = rows.findIndex((item) => item.id === selectedId);
  useEffect(() => {
    if (chosenByPerson && selectedIndex >= 0) virtual.scrollToIndex(selectedIndex, { align: "auto" });
  }, [chosenByPerson, selectedIndex, virtual]);
  const order = () => rows.map((item) => item.id);
  const places = virtual.getVirtualItems();
  const activeShown = places.some((place) => place.index === selectedIndex);
  if (!rows.length)
    return (
      <p className="empty" data-testid="alert-list">
        Nothing to act on.
      </p>
    );
  return (
    <div
      ref={frame}
      className="alert-list"
      role="listbox"
      aria-label="Alerts"
      aria-multiselectable="true"
      tabIndex={0}
      aria-activedescendant={activeShown ? `alert-${selectedId}` : undefined}
      onPointerEnter={() => pointerIn(true, order())}
      onPointerMove={() => pointerIn(true, order())}
      onPointerLeave={() => pointerIn(false, order())}
      data-testid="alert-list"
    >
      <div style={{ height: virtual.getTotalSize(), position: "relative" }} role="presentation">
        {places.map((place) => {
          const item = rows[place.index];
          return (
            item && (
              <div key={item.id} role="presentation" style={{ position: "absolute", insetInline: 0, height: ROW_PX, transform: `translateY(${place.start}px)` }}>
                <AlertRow item={item} selected={item.id === selectedId} open={item.id === openId} marked={marked.has(item.id)} onChoose={onChoose} />
              </div>
            )
          );
        })}
      </div>
    </div>
  );
}

const AlertRow = memo(function AlertRow({ item, selected, open, marked, onChoose }: { item: QueueItem; selected: boolean; open: boolean; marked: boolean; onChoose(item: QueueItem): void }) {
  const { alert } = item;
  const unacknowledged = isUnacknowledged(item);
  useLayoutEffect(() => notePaint(item.id, item.receivedAtMs), [item.id, item.receivedAtMs]);
  const settled = useSettled(item, selected);
  const sharedBy = useLive((state) => (item.shared ? (state.agencies.get(alert.agencyId)?.name ?? alert.agencyId) : ""));
  const holder = holderOf(item);
  const [head, rest] = splitTitle(alert.title);
  const details = [rest, alert.context?.place].filter(Boolean).join(" · ") || alert.kind.replace("_", " ");
  return (
    <div
      id={`alert-${item.id}`}
      role="option"
      aria-selected={selected}
      className={`alert-row ${item.shared ? "shared-stripe" : ""}`}
      data-alert-id={item.id}
      data-state={stateName(item)}
      data-severity={alert.severity}
      data-kind={alert.kind}
      data-shared-by={item.shared ? alert.agencyId : undefined}
      data-selected={selected || undefined}
      data-armed={(selected && settled) || undefined}
      data-open={open || undefined}
      onClick={() => onChoose(item)}
    >
      <SeverityMark severity={alert.severity || 4} pulse={unacknowledged && alert.severity === 1} />
      <div className="alert-text">
        <div className="alert-line">
          {marked && <span aria-label="selected">☑</span>}
          <strong className="ellipsis" title={alert.title}>
            {head}
          </strong>
          <time className="mono">{clockTime(alert.occurredAt ?? alert.raisedAt)}</time>
        </div>
        <div className="alert-line secondary">
          <span className="ellipsis" title={details}>
            {details}
          </span>
          {alert.signals > 1 && <span className="badge">{alert.signals} signals</span>}
          {item.shared && <span className="badge" data-tone="partner" title={`Shared by ${sharedBy}`}>⇄ {sharedBy}</span>}
          {unacknowledged && escalationWords(item) && (
            <span className="badge" data-tone="bad">
              {escalationWords(item)}
            </span>
          )}
          {alert.partnerAcknowledgements.length > 0 && <span className="badge" data-tone="partner">⇄ {alert.partnerAcknowledgements.length} know</span>}
          {unacknowledged ? alert.severity === 1 && <Waiting sinceMs={item.receivedAtMs} /> : <span className="badge" title={holder && `${stateName(item)} · ${holder}`}>{holder ? `${stateName(item)} · ${holder}` : stateName(item)}</span>}
        </div>
      </div>
    </div>
  );
});

/** A life-threatening alert that nobody has says for how long. */
function Waiting({ sinceMs }: { sinceMs: number }) {
  const seconds = Math.round((useNow(1000) - sinceMs) / 1000);
  return seconds >= 30 ? (
    <span className="badge" data-tone="bad">
      {seconds} s unacknowledged
    </span>
  ) : null;
}

/** True once the row has stood unchanged long enough for keys to count. */
function useSettled(item: QueueItem, selected: boolean): boolean {
  const movedAtMs = useSelection((state) => (selected ? state.movedAtMs : 0));
  const [settled, setSettled] = useState(false);
  useEffect(() => {
    if (!selected) return;
    const left = Math.max(item.changedAtMs, movedAtMs) + SETTLED_AFTER_MS - performance.now();
    setSettled(left <= 0);
    if (left <= 0) return;
    const timer = setTimeout(() => setSettled(true), left);
    return () => clearTimeout(timer);
  }, [item.changedAtMs, movedAtMs, selected]);
  return settled;
}

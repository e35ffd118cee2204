/** The rules of the alert queue: pure, so that tests can replay them. */
import type { Alert } from "../generated/rtcc/alerting/v1/alerting_pb";
import { AlertState, PlateDisposition } from "../generated/rtcc/alerting/v1/alerting_pb";
import type { Event } from "../generated/rtcc/event/v1/event_pb";
import type { SharedAlert } from "../generated/rtcc/exchange/v1/exchange_pb";
import { milliseconds } from "../contract/time";
import { distanceMetres } from "../map/geometry";

export interface QueueItem {
  id: string;
  alert: Alert;
  /** Set when a partner shared it; then `alert` is the redacted copy. */
  shared: SharedAlert | undefined;
  /** Epoch ms at which the worker had it. */
  receivedAtMs: number;
  /** performance.now() of the last change that the person could see. */
  changedAtMs: number;
}

/** A key counts only when the row it acts on has looked the same for this long. */
export const SETTLED_AFTER_MS = 300;
/** Open alerts kept on the page; more are counted, oldest and least severe dropped from view first. */
const KEPT_CLOSED = 200;

/** Each alert once: a revision that is not newer than the one held changes nothing. */
export function mergeAlerts(
  before: ReadonlyMap<string, QueueItem>,
  alerts: readonly Alert[],
  shared: readonly SharedAlert[],
  receivedAtMs: number,
  nowMs: number,
): ReadonlyMap<string, QueueItem> {
  const after = new Map(before);
  for (const alert of alerts) {
    const held = after.get(alert.alertId);
    if (held && held.alert.revision >= alert.revision) continue;
    after.set(alert.alertId, { id: alert.alertId, alert, shared: undefined, receivedAtMs: held?.receivedAtMs ?? receivedAtMs, changedAtMs: nowMs });
  }
  for (const one of shared) {
    if (!one.alert) continue;
    const held = after.get(one.alert.alertId);
    if (held?.shared && held.alert.revision >= one.alert.revision && held.shared.acknowledgedBy === one.acknowledgedBy) continue;
    if (held && !held.shared) continue;
    if (held && held.alert.revision > one.alert.revision) continue;
    after.set(one.alert.alertId, { id: one.alert.alertId, alert: one.alert, shared: one, receivedAtMs: held?.receivedAtMs ?? receivedAtMs, changedAtMs: nowMs });
  }
  return trimmed(after);
}

function trimmed(items: Map<string, QueueItem>): Map<string, QueueItem> {
  if (items.size <= 1000) return items;
  const closed = [...items.values()].filter((item) => stateOf(item) === AlertState.CLOSED);
  closed.sort((one, other) => milliseconds(one.alert.changedAt) - milliseconds(other.alert.changedAt));
  for (const item of closed.slice(0, Math.max(0, closed.length - KEPT_CLOSED))) items.delete(item.id);
  return items;
}

/** For a partner's alert our own acknowledgement counts; the partner's state only closes it. */
export function stateOf(item: QueueItem): AlertState {
  if (!item.shared || item.alert.state === AlertState.CLOSED) return item.alert.state;
  return item.shared.acknowledgedBy ? AlertState.ACKNOWLEDGED : AlertState.NEW;
}

export function isOpen(item: QueueItem): boolean {
  return stateOf(item) !== AlertState.CLOSED;
}

export function isUnacknowledged(item: QueueItem): boolean {
  return stateOf(item) === AlertState.NEW;
}

export function holderOf(item: QueueItem): string {
  return item.shared ? item.shared.acknowledgedByName : item.alert.acknowledgedByName;
}

export interface QueueFilter {
  severities: ReadonlySet<number>;
  onlyUnacknowledged: boolean;
  includeClosed: boolean;
  text: string;
}

export const everything: QueueFilter = { severities: new Set(), onlyUnacknowledged: false, includeClosed: false, text: "" };

export function matches(item: QueueItem, filter: QueueFilter): boolean {
  if (!filter.includeClosed && !isOpen(item)) return false;
  if (filter.onlyUnacknowledged && !isUnacknowledged(item)) return false;
  if (filter.severities.size && !filter.severities.has(item.alert.severity)) return false;
  if (!filter.text) return true;
  const haystack = `${item.alert.title} ${item.alert.context?.place ?? ""} ${item.alert.plateMatch?.listedPlate ?? ""} ${item.alert.kind}`;
  return haystack.toLowerCase().includes(filter.text.toLowerCase());
}

/** Unacknowledged before taken before closed; then severity; then the newest. Ties by id, so that the order never depends on arrival. */
export function ordered(items: Iterable<QueueItem>, filter: QueueFilter): QueueItem[] {
  return [...items].filter((item) => matches(item, filter)).sort(compare);
}

function compare(one: QueueItem, other: QueueItem): number {
  return (
    rank(one) - rank(other) ||
    one.alert.severity - other.alert.severity ||
    milliseconds(other.alert.raisedAt) - milliseconds(one.alert.raisedAt) ||
    (one.id < other.id ? -1 : 1)
  );
}

function rank(item: QueueItem): number {
  const state = stateOf(item);
  return state === AlertState.NEW ? 0 : state === AlertState.CLOSED ? 2 : 1;
}

export interface ShownQueue {
  rows: QueueItem[];
  /** Arrived while the rows stood still. */
  newcomers: QueueItem[];
}

/** While a person works the list rows keep their places and newcomers wait; `held` is the order that stands, undefined when free. */
export function shownQueue(sorted: readonly QueueItem[], held: readonly string[] | undefined, openId: string | undefined): ShownQueue {
  if (!held) return { rows: [...sorted], newcomers: [] };
  const byId = new Map(sorted.map((item) => [item.id, item]));
  const standing = new Set(held);
  const rows = held.flatMap((id) => byId.get(id) ?? []);
  const newcomers = sorted.filter((item) => !standing.has(item.id) && item.id !== openId);
  const open = openId && !standing.has(openId) ? byId.get(openId) : undefined;
  return { rows: open ? [open, ...rows] : rows, newcomers };
}

export interface KeyGuard {
  /** performance.now() of the row's last change. */
  rowChangedAtMs: number;
  /** performance.now() at which the selection moved without the person, 0: the person chose. */
  selectionMovedAtMs: number;
}

/** Whether a key may act on the selected row now: nobody decides on a row that swapped under the finger. */
export function keyCounts(guard: KeyGuard, nowMs: number): boolean {
  return nowMs - Math.max(guard.rowChangedAtMs, guard.selectionMovedAtMs) >= SETTLED_AFTER_MS;
}

/** The row to select when the person has not chosen: the highest that nobody has. */
export function preselected(rows: readonly QueueItem[]): string | undefined {
  return rows.find(isUnacknowledged)?.id ?? rows[0]?.id;
}

const SHOTS = /shot|gun|fire ?arm|ampum|laukau/i;
const NEAR_M = 200;
const NEAR_S = 120;

/** Calls that speak of the same gunshot: within 200 m and 120 s. */
export function relatedCalls(alert: Alert, calls: Iterable<Event>): Event[] {
  const at = alert.position?.coordinate;
  if (alert.kind !== "gunshot" || !at) return [];
  return [...calls].filter((call) => {
    const where = call.position?.coordinate;
    if (call.body.case !== "callForService" || !where) return false;
    const apart = Math.abs(milliseconds(call.occurredAt) - milliseconds(alert.occurredAt)) / 1000;
    const text = `${call.body.value.callType} ${call.body.value.narrative}`;
    return apart <= NEAR_S && SHOTS.test(text) && distanceMetres(at, where) <= NEAR_M;
  });
}

/** Whom an unacknowledged alert was told beyond its own desk. */
export function escalationWords(item: QueueItem): string {
  const level = item.alert.escalation?.level ?? 0;
  return level >= 2 ? "told to every desk" : level === 1 ? "told to supervisors" : "";
}

/** What happened, and the rest: "Plate hit ABC123 · Stolen vehicle" in two. */
export function splitTitle(title: string): [head: string, rest: string] {
  const at = title.indexOf(" · ");
  return at < 0 ? [title, ""] : [title.slice(0, at), title.slice(at + 3)];
}

/** R23: a plate hit is a lead until a person has compared plate and state with the image. */
export function needsConfirmation(alert: Alert): boolean {
  return alert.kind === "plate_hit" && alert.plateDisposition === PlateDisposition.UNSPECIFIED;
}

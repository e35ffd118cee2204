/**
 * For measuring only: a test defines `window.__rtcc = { received: {}, painted: {} }` before the page loads, and finds in it, by alert id, the epoch
 * milliseconds at which the worker had the alert and at which the frame that shows its row had been handed to the screen. Without the object
 * nothing happens.
 */
declare global {
  interface Window {
    __rtcc?: { received: Record<string, number>; painted: Record<string, number> };
  }
}

export function notePaint(alertId: string, receivedAtMs: number): void {
  const probe = window.__rtcc;
  if (!probe || probe.received[alertId] !== undefined) return;
  probe.received[alertId] = receivedAtMs;
  // Layout effects run before the frame is painted; the next frame's callback runs after it.
  requestAnimationFrame(() => {
    probe.painted[alertId] = performance.timeOrigin + performance.now();
  });
}

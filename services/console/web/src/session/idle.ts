/** Locks after the time without input that the server sets (R3), and tells the server of input so that its own clock agrees. */
import { useEffect } from "react";
import { tellLive } from "../live/store";
import { lockSession, reportActivity } from "./auth";
import { useSession } from "./store";

const REPORT_EVERY_MS = 60_000;
const INPUTS = ["pointerdown", "keydown", "wheel", "touchstart"] as const;

export function useIdleLock(): void {
  const ready = useSession((state) => state.phase === "ready");
  const idleLockSeconds = useSession((state) => state.session?.idle_lock_s ?? 1800);
  const exempt = useSession((state) => state.session?.lock_exempt ?? false);
  useEffect(() => {
    if (!ready) return;
    let lastInputMs = Date.now();
    let lastReportMs = 0;
    const onInput = () => {
      lastInputMs = Date.now();
      if (lastInputMs - lastReportMs < REPORT_EVERY_MS) return;
      lastReportMs = lastInputMs;
      tellLive({ type: "wake" });
      reportActivity().catch(() => void useSession.getState().load());
    };
    const watch = setInterval(() => {
      if (exempt || Date.now() - lastInputMs < idleLockSeconds * 1000) return;
      useSession.getState().lock();
      lockSession().catch(() => undefined); // the server locks by its own clock as well
    }, 1_000);
    for (const input of INPUTS) window.addEventListener(input, onInput, { passive: true, capture: true });
    return () => {
      clearInterval(watch);
      for (const input of INPUTS) window.removeEventListener(input, onInput, { capture: true });
    };
  }, [ready, idleLockSeconds, exempt]);
}

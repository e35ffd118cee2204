/** Whether somebody can see an element: on screen, in a window that is shown, and not covered. Gone for 10 s counts as not seen. */
import { useEffect, useState, type RefObject } from "react";

export const UNSEEN_PAUSES_AFTER_MS = 10_000;

export function useSeen(element: RefObject<HTMLElement | null>, covered: boolean): boolean {
  const [onScreen, setOnScreen] = useState(true);
  const [shown, setShown] = useState(() => document.visibilityState !== "hidden");
  const [seen, setSeen] = useState(true);
  useEffect(() => {
    const look = new IntersectionObserver((entries) => setOnScreen(entries.at(-1)?.isIntersecting ?? true));
    if (element.current) look.observe(element.current);
    const changed = () => setShown(document.visibilityState !== "hidden");
    document.addEventListener("visibilitychange", changed);
    return () => {
      look.disconnect();
      document.removeEventListener("visibilitychange", changed);
    };
  }, [element]);
  const now = onScreen && shown && !covered;
  useEffect(() => {
    if (now) {
      setSeen(true);
      return;
    }
    const timer = setTimeout(() => setSeen(false), UNSEEN_PAUSES_AFTER_MS);
    return () => clearTimeout(timer);
  }, [now]);
  return seen;
}

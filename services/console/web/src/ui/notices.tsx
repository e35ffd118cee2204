import { create } from "zustand";
import { explain } from "../contract/problem";
import { DeclinedError } from "../contract/exchange";
import { Button } from "./parts";

interface Notice {
  id: number;
  text: string;
  tone: "good" | "bad";
}

const STAYS_MS = 6_000;
const useNotices = create<{ notices: readonly Notice[] }>()(() => ({ notices: [] }));
let last = 0;

export function notify(text: string, tone: Notice["tone"] = "good"): void {
  const id = ++last;
  useNotices.setState(({ notices }) => ({ notices: [...notices, { id, text, tone }].slice(-3) }));
  setTimeout(() => dismiss(id), STAYS_MS);
}

/** For actions without a form: what failed, and what to do. */
export function notifyProblem(error: unknown): void {
  if (!(error instanceof DeclinedError)) notify(explain(error), "bad");
}

function dismiss(id: number): void {
  useNotices.setState(({ notices }) => ({ notices: notices.filter((notice) => notice.id !== id) }));
}

export function Notices() {
  const notices = useNotices((state) => state.notices);
  return (
    <div className="notices" role="status" aria-live="polite">
      {notices.map((notice) => (
        <div key={notice.id} className="note" data-tone={notice.tone}>
          {notice.text}
          <Button look="quiet" size="small" aria-label="Dismiss" onClick={() => dismiss(notice.id)}>
            ✕
          </Button>
        </div>
      ))}
    </div>
  );
}

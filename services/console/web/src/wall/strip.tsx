import { isUnacknowledged } from "../alerts/queue";
import { clock } from "../contract/time";
import { useLive } from "../live/store";
import { useSession } from "../session/store";
import { SeverityMark } from "../ui/parts";
import { useNow } from "../ui/use-now";

/** What everybody in the room must know: the time, and the newest alert that nobody has. */
export function Strip({ name, changed }: { name: string; changed: boolean }) {
  const now = useNow(1000) + useSession((state) => state.clockSkewMs);
  const link = useLive((state) => state.link.state);
  const alert = useLive((state) => {
    let top: { severity: number; raisedAt: bigint; title: string } | undefined;
    for (const item of state.alerts.values()) {
      if (!isUnacknowledged(item)) continue;
      const one = { severity: item.alert.severity, raisedAt: item.alert.raisedAt?.seconds ?? 0n, title: item.alert.title };
      if (!top || one.severity < top.severity || (one.severity === top.severity && one.raisedAt > top.raisedAt)) top = one;
    }
    return top && `${top.severity}${top.title}`;
  });
  return (
    <footer className="wall-strip" data-testid="wall-strip">
      <strong className="ellipsis">{name}</strong>
      {changed && <span className="badge" data-tone="act">not saved</span>}
      {alert ? (
        <span className="wall-alert">
          <SeverityMark severity={Number(alert[0])} size={32} />
          <span className="ellipsis">{alert.slice(1)}</span>
        </span>
      ) : (
        <span className="secondary ellipsis">No alert waits.</span>
      )}
      <span className="grow" />
      {link !== "live" && <span className="badge" data-tone="act">{link === "refused" ? "paused" : "reconnecting"}</span>}
      <time className="mono">{clock.format(now)}</time>
    </footer>
  );
}

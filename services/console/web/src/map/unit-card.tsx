import { span } from "../contract/time";
import { useLive } from "../live/store";
import { PANIC_FLAG, unitField } from "../live/units";
import { useOwnAgency, useSession } from "../session/store";
import { Button, PartnerBadge } from "../ui/parts";
import { useNow } from "../ui/use-now";

export function UnitCard({ number, onClose }: { number: number; onClose(): void }) {
  const unit = useLive((state) => state.units.get(number));
  const agencies = useLive((state) => state.agencies);
  const ownAgency = useOwnAgency();
  const skew = useSession((state) => state.clockSkewMs);
  const now = useNow(1000) + skew;
  const row = unitField.rowOf(number);
  if (!unit || row === undefined) return null;
  const partner = unit.agencyId !== ownAgency;
  return (
    <aside className={`unit-card card ${partner ? "shared-stripe" : ""}`} aria-label={`Unit ${unit.callSign}`}>
      <div className="spread">
        <h2>{unit.callSign}</h2>
        <Button size="small" look="quiet" aria-label="Close" onClick={onClose}>
          ✕
        </Button>
      </div>
      {((unitField.flags[row] as number) & PANIC_FLAG) > 0 && <span className="badge" data-tone="bad">duress</span>}
      {partner && <PartnerBadge agency={agencies.get(unit.agencyId)?.name ?? unit.agencyId} />}
      <dl className="facts">
        <dt>Kind</dt>
        <dd>{unit.kind}</dd>
        <dt>Speed</dt>
        <dd>{Math.round((unitField.speeds[row] as number) * 3.6)} km/h</dd>
        <dt>Last fix</dt>
        <dd>{span((now - (unitField.fixedAtMs[row] as number)) / 1000)} ago</dd>
      </dl>
    </aside>
  );
}

import { useEffect } from "react";
import { span } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { LocationService } from "../generated/rtcc/location/v1/location_pb";
import { incidentOf, UNIT_STATUS } from "../incidents/words";
import { useLive } from "../live/store";
import { latitudeOf, longitudeOf, PANIC_FLAG, STALE_AFTER_S, unitField } from "../live/units";
import { useOwnAgency, useRight, useSession } from "../session/store";
import { go } from "../shell/router";
import { Button, PartnerBadge, ProblemNote } from "../ui/parts";
import { useNow } from "../ui/use-now";
import { useMap } from "./store";
import { layTrail } from "./trail";

/** A unit: what it is, on what it works, and where it was last known to be, with age and error. */
export function UnitCard({ number, onClose }: { number: number; onClose(): void }) {
  const unit = useLive((state) => state.units.get(number));
  const agencies = useLive((state) => state.agencies);
  const incidents = useLive((state) => state.incidents);
  const ownAgency = useOwnAgency();
  const now = useNow(1000) + useSession((state) => state.clockSkewMs);
  const row = unitField.rowOf(number);
  const mayTrail = useRight("position.trail");
  const trail = useAct(({ unitId, callSign }: { unitId: string; callSign: string }) => layTrail(unitId, callSign, Date.now() + useSession.getState().clockSkewMs));
  const accuracyM = useAccuracy(unit?.unitId ?? "");
  const ageS = row === undefined ? 0 : (now - (unitField.fixedAtMs[row] as number)) / 1000;
  const lost = ageS > STALE_AFTER_S;
  useErrorCircle(row, lost, accuracyM, unit?.callSign ?? "");
  if (!unit || row === undefined) return null;
  const partner = unit.agencyId !== ownAgency;
  const work = incidentOf(unit.unitId, incidents.values());
  return (
    <aside className={`unit-card card ${partner ? "shared-stripe" : ""}`} aria-label={`Unit ${unit.callSign}`} data-testid="unit-card" data-unit-id={unit.unitId} data-lost={lost || undefined}>
      <div className="spread">
        <h2>{unit.callSign}</h2>
        <Button size="small" look="quiet" aria-label="Close" onClick={onClose}>
          ✕
        </Button>
      </div>
      <div className="row">
        {((unitField.flags[row] as number) & PANIC_FLAG) > 0 && <span className="badge" data-tone="bad">duress</span>}
        {lost && <span className="badge" data-tone="act">no fix for {span(ageS)}</span>}
        {partner && <PartnerBadge agency={agencies.get(unit.agencyId)?.name ?? unit.agencyId} />}
      </div>
      <dl className="facts">
        <dt>Kind</dt>
        <dd>{unit.kind}</dd>
        <dt>Speed</dt>
        <dd>
          {Math.round((unitField.speeds[row] as number) * 3.6)} km/h{lost && " then"}
        </dd>
        <dt>Last fix</dt>
        <dd data-testid="last-fix">
          {span(ageS)} ago
          {accuracyM > 0 && `, ± ${Math.round(accuracyM)} m`}
        </dd>
        <dt>Place</dt>
        <dd className="mono">
          {latitudeOf(unitField.toY[row] as number).toFixed(5)}, {longitudeOf(unitField.toX[row] as number).toFixed(5)}
        </dd>
        {work && (
          <>
            <dt>Works on</dt>
            <dd>
              <button type="button" className="link" onClick={() => go(`/incident/${encodeURIComponent(work.incident.incidentId)}`)}>
                {work.incident.number} {work.incident.kind}
              </button>{" "}
              <span className="muted">{UNIT_STATUS[work.assignment.status]}</span>
            </dd>
          </>
        )}
      </dl>
      {mayTrail && !partner && (
        <div className="stack tight">
          <Button size="small" busy={trail.isPending} onClick={() => trail.mutate({ unitId: unit.unitId, callSign: unit.callSign })} data-testid="show-trail">
            Where it went…
          </Button>
          {trail.data && (
            <p className="muted" role="status" data-testid="trail-told" data-fixes={trail.data.fixes}>
              {trail.data.fixes} fixes in 3 h, {trail.data.last}
            </p>
          )}
          <ProblemNote error={trail.error} />
        </div>
      )}
    </aside>
  );
}

/** Metres; 0: not told. The live frames carry no error: the stored last fix does. */
function useAccuracy(unitId: string): number {
  const may = useRight("position.list");
  const query = useRead(LocationService.method.listPositions, {}, { enabled: may && unitId !== "", everyMs: 10_000 });
  return query.data?.positions.find((position) => position.unitId === unitId)?.position?.accuracyM ?? 0;
}

/** The circle in which a lost unit was, while its card is open and nobody laid another trail on the map. */
function useErrorCircle(row: number | undefined, lost: boolean, accuracyM: number, label: string): void {
  const x = row === undefined ? Number.NaN : (unitField.toX[row] as number);
  const y = row === undefined ? Number.NaN : (unitField.toY[row] as number);
  useEffect(() => {
    if (!lost || Number.isNaN(x) || useMap.getState().trail) return;
    const trail = { points: [{ longitude: longitudeOf(x), latitude: latitudeOf(y) }], label: `${label}, last fix`, accuracyM };
    useMap.setState({ trail });
    return () => {
      if (useMap.getState().trail === trail) useMap.setState({ trail: undefined });
    };
  }, [x, y, lost, accuracyM, label]);
}

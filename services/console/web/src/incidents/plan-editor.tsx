import { create } from "@bufbuild/protobuf";
import { useEffect, useMemo, useRef, useState } from "react";
import { send } from "../contract/call";
import { ProblemError } from "../contract/problem";
import { useAct } from "../contract/use-call";
import { FloorPlanSchema, IncidentsService, type FloorPlan, type FloorPlanMark } from "../generated/rtcc/incidents/v1/incidents_pb";
import { DIRECTIONS } from "../map/aim";
import { CityMap } from "../map/city-map";
import { planImage } from "../map/plans";
import { markLetter } from "../map/symbols";
import { useMap } from "../map/store";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";
import { cornersOf, fit, LEAST_POINTS, type Tie } from "./affine";

const MARK_KINDS = ["exit", "hazard", "stairs", "elevator", "utility", "access_point", "camera", "other"] as const;
const MOST_BYTES = 8 * 2 ** 20;
type Mark = Pick<FloorPlanMark, "kind" | "label" | "xPx" | "yPx">;
type Mode = "points" | "marks";

interface Picture {
  address: string;
  bytes: Uint8Array | undefined;
  width: number;
  height: number;
}

/** A plan is laid on the map by points that are known on both; then exits, hazards and the rest are marked on it. */
export function PlanEditor({ plan, onClose }: { plan: FloorPlan | undefined; onClose(): void }) {
  const [name, setName] = useState(plan?.name ?? "");
  const [floor, setFloor] = useState(plan?.floor ?? "1");
  const [address, setAddress] = useState(plan?.address ?? "");
  const [picture, setPicture] = useState<Picture | undefined>(plan && { address: planImage(plan.floorPlanId), bytes: undefined, width: plan.widthPx, height: plan.heightPx });
  const [problem, setProblem] = useState("");
  const [ties, setTies] = useState<Tie[]>(() => (plan?.controlPoints ?? []).map((point) => ({ xPx: point.xPx, yPx: point.yPx, longitude: point.coordinate?.longitudeDeg ?? 0, latitude: point.coordinate?.latitudeDeg ?? 0 })));
  const [marks, setMarks] = useState<Mark[]>(() => (plan?.marks ?? []).map(({ kind, label, xPx, yPx }) => ({ kind, label, xPx, yPx })));
  const [mode, setMode] = useState<Mode>("points");
  const [waiting, setWaiting] = useState<{ xPx: number; yPx: number }>();
  const [markKind, setMarkKind] = useState<string>("exit");
  const found = useMemo(() => fit(ties), [ties]);
  usePreview(plan, picture, found, marks);
  const save = useAct(
    async (): Promise<unknown> => {
      const controlPoints = ties.map(({ xPx, yPx, longitude, latitude }) => ({ xPx, yPx, coordinate: { longitudeDeg: longitude, latitudeDeg: latitude } }));
      if (plan) return send(IncidentsService.method.updateFloorPlan, { floorPlanId: plan.floorPlanId, controlPoints, marks, replaceMarks: true, revision: plan.revision });
      const middle = picture && found?.place(picture.width / 2, picture.height / 2);
      return send(IncidentsService.method.createFloorPlan, {
        floorPlan: create(FloorPlanSchema, { name: name.trim(), floor: floor.trim(), address: address.trim(), controlPoints, marks, ...(middle ? { coordinate: { longitudeDeg: middle.longitude, latitudeDeg: middle.latitude } } : {}) }),
        image: picture?.bytes ?? new Uint8Array(),
      });
    },
    onClose,
  );
  const reason = (field: string) => (save.error instanceof ProblemError ? save.error.reasonFor(field) : undefined);
  const take = async (file: File | undefined) => {
    setProblem(file && file.size > MOST_BYTES ? "The picture is larger than 8 MiB: send a smaller one." : "");
    if (!file || file.size > MOST_BYTES) return;
    try {
      const size = await createImageBitmap(file);
      setPicture({ address: URL.createObjectURL(file), bytes: new Uint8Array(await file.arrayBuffer()), width: size.width, height: size.height });
      setTies([]);
      setMarks([]);
    } catch {
      setProblem("This is no PNG or JPEG that can be read. Save the plan as PNG and try again.");
    }
  };
  const image = useRef<HTMLDivElement>(null);
  const map = useRef<HTMLDivElement>(null);
  const setPoint = (xPx: number, yPx: number) => {
    if (mode === "points") setWaiting({ xPx, yPx });
    else setMarks([...marks, { kind: markKind, label: "", xPx, yPx }]);
  };
  const known = plan?.coordinate ?? plan?.controlPoints[0]?.coordinate;
  const start = known && { longitude: known.longitudeDeg, latitude: known.latitudeDeg, zoom: 17.5 };
  return (
    <Dialog
      title={plan ? `${plan.name}, floor ${plan.floor}` : "New floor plan"}
      wide
      testId="plan-editor"
      onClose={onClose}
      onSubmit={() => save.mutate(undefined)}
      foot={
        <>
          <span className="grow secondary" data-testid="plan-residual">
            {found ? (ties.length > LEAST_POINTS ? `Misses its points by ${found.rmsM.toFixed(1)} m` : "Three points always fit: set a fourth to see how well") : `${ties.length} of at least ${LEAST_POINTS} points, not on one line`}
          </span>
          <Button type="submit" look="primary" busy={save.isPending} disabled={!picture || !found} data-testid="plan-save">
            Save
          </Button>
        </>
      }
    >
      {!plan && (
        <>
          <div className="columns">
            <Field label="Building" problem={reason("name")}>
              {(attributes) => <input {...attributes} name="plan-name" required maxLength={120} value={name} onChange={(event) => setName(event.target.value)} />}
            </Field>
            <Field label="Floor" hint="1, B1, roof" problem={reason("floor")}>
              {(attributes) => <input {...attributes} name="plan-floor" required maxLength={20} value={floor} onChange={(event) => setFloor(event.target.value)} />}
            </Field>
          </div>
          <Field label="Address" problem={reason("address")}>
            {(attributes) => <input {...attributes} name="plan-address" maxLength={200} value={address} onChange={(event) => setAddress(event.target.value)} />}
          </Field>
          <Field label="Picture of the plan" hint="PNG or JPEG, at most 8 MiB" problem={problem || reason("image")}>
            {(attributes) => <input {...attributes} type="file" accept="image/png,image/jpeg" onChange={(event) => void take(event.target.files?.[0])} />}
          </Field>
        </>
      )}
      {picture && (
        <>
          <div className="row" role="group" aria-label="What a click sets">
            <Button size="small" aria-pressed={mode === "points"} look={mode === "points" ? "primary" : "quiet"} onClick={() => setMode("points")}>
              Control points
            </Button>
            <Button size="small" aria-pressed={mode === "marks"} look={mode === "marks" ? "primary" : "quiet"} onClick={() => setMode("marks")} data-testid="plan-marks">
              Exits and hazards
            </Button>
            {mode === "marks" && (
              <select className="input narrow" aria-label="Kind of mark" value={markKind} onChange={(event) => setMarkKind(event.target.value)}>
                {MARK_KINDS.map((kind) => (
                  <option key={kind} value={kind}>
                    {kind.replace("_", " ")}
                  </option>
                ))}
              </select>
            )}
            <span className="muted" role="status">
              {mode === "marks" ? "Click on the plan where it is, or go there with arrow keys and Enter." : waiting ? "Now the same place on the map." : "Click a corner on the plan, then the same place on the map. By keyboard: arrow keys and Enter."}
            </span>
          </div>
          <div className="plan-edit">
            <PlanImage
              picture={picture}
              element={image}
              onPoint={(xPx, yPx, byKey) => {
                setPoint(xPx, yPx);
                if (byKey && mode === "points") map.current?.querySelector<HTMLElement>(".aim")?.focus();
              }}
            >
              {ties.map((tie, index) => (
                <Pin key={`tie-${index}`} at={tie} picture={picture} text={String(index + 1)} kind="" />
              ))}
              {waiting && <Pin at={waiting} picture={picture} text={String(ties.length + 1)} kind="" waiting />}
              {marks.map((mark, index) => (
                <Pin key={`mark-${index}`} at={mark} picture={picture} text={markLetter(mark.kind)} kind={mark.kind} />
              ))}
            </PlanImage>
            <div ref={map} className="placement" data-testid="plan-map">
              <CityMap
                compact
                {...(start ? { start } : {})}
                onPlace={(longitude, latitude) => {
                  if (!waiting) return;
                  setTies([...ties, { ...waiting, longitude, latitude }]);
                  setWaiting(undefined);
                  if (document.activeElement?.classList.contains("aim")) image.current?.focus();
                }}
              />
            </div>
          </div>
          {mode === "points" ? <Ties ties={ties} residualsM={found?.residualsM} onChange={setTies} /> : <Marks marks={marks} onChange={setMarks} />}
        </>
      )}
      <ProblemNote error={save.error} />
    </Dialog>
  );
}

/** The plan as it would lie, under the map of the editor. A new picture can't be shown there: it is nowhere yet, so its outline is. */
function usePreview(plan: FloorPlan | undefined, picture: Picture | undefined, found: ReturnType<typeof fit>, marks: readonly Mark[]): void {
  useEffect(() => {
    if (!picture || !found) return;
    const corners = cornersOf(found, picture.width, picture.height);
    const onMap = marks.map((mark, index) => {
      const place = found.place(mark.xPx, mark.yPx);
      return { ...mark, markId: String(index), coordinate: { longitudeDeg: place.longitude, latitudeDeg: place.latitude } };
    });
    useMap.setState({
      plans: [create(FloorPlanSchema, { floorPlanId: plan?.floorPlanId ?? "", corners: plan ? corners.map(({ longitude, latitude }) => ({ longitudeDeg: longitude, latitudeDeg: latitude })) : [], marks: onMap })],
      trail: { points: [...corners, corners[0] as (typeof corners)[number]], label: "", accuracyM: 0 },
    });
    return () => useMap.setState({ plans: [], trail: undefined });
  }, [plan, picture, found, marks]);
}

const STEPS_ACROSS = 40;

/** The picture: points are set by a click, or by a cross that arrow keys move, with Shift by single pixels. */
function PlanImage({ picture, element, onPoint, children }: { picture: Picture; element: React.RefObject<HTMLDivElement | null>; onPoint(xPx: number, yPx: number, byKey: boolean): void; children: React.ReactNode }) {
  const [cross, setCross] = useState({ xPx: Math.round(picture.width / 2), yPx: Math.round(picture.height / 2) });
  const pressed = (event: React.KeyboardEvent) => {
    const direction = DIRECTIONS[event.key];
    const step = event.shiftKey ? 1 : Math.max(1, Math.round(picture.width / STEPS_ACROSS));
    if (direction) setCross({ xPx: Math.min(picture.width, Math.max(0, cross.xPx + direction[0] * step)), yPx: Math.min(picture.height, Math.max(0, cross.yPx + direction[1] * step)) });
    else if (event.key === "Enter" || event.key === " ") onPoint(cross.xPx, cross.yPx, true);
    else return;
    event.preventDefault();
  };
  return (
    <div
      ref={element}
      className="aim plan-image"
      role="application"
      tabIndex={0}
      aria-label="Place on the plan by keyboard: arrow keys move the cross, with Shift a little, Enter sets a point"
      data-testid="plan-image"
      onKeyDown={pressed}
      onClick={(event) => {
        const box = event.currentTarget.getBoundingClientRect();
        onPoint(Math.round(((event.clientX - box.left) / box.width) * picture.width), Math.round(((event.clientY - box.top) / box.height) * picture.height), false);
      }}
    >
      <img src={picture.address} alt="The plan" />
      {children}
      <span className="plan-cross" style={{ left: `${(100 * cross.xPx) / picture.width}%`, top: `${(100 * cross.yPx) / picture.height}%` }} aria-live="polite">
        <span className="hidden-visually">{`${cross.xPx}, ${cross.yPx} of ${picture.width}, ${picture.height}`}</span>
      </span>
    </div>
  );
}

function Pin({ at, picture, text, kind, waiting }: { at: { xPx: number; yPx: number }; picture: Picture; text: string; kind: string; waiting?: boolean }) {
  return (
    <span className="plan-pin" data-kind={kind} data-waiting={waiting || undefined} style={{ left: `${(100 * at.xPx) / picture.width}%`, top: `${(100 * at.yPx) / picture.height}%` }}>
      {text}
    </span>
  );
}

function Ties({ ties, residualsM, onChange }: { ties: readonly Tie[]; residualsM: readonly number[] | undefined; onChange(ties: Tie[]): void }) {
  return (
    <ol className="row" aria-label="Control points">
      {ties.map((_, index) => (
        <li key={index} className="badge" data-tone={(residualsM?.[index] ?? 0) > 3 ? "act" : undefined} data-testid="plan-tie">
          {index + 1}
          {residualsM && ties.length > LEAST_POINTS && `: ${(residualsM[index] ?? 0).toFixed(1)} m`}
          <button className="chip-close" type="button" aria-label={`Remove point ${index + 1}`} onClick={() => onChange(ties.filter((__, other) => other !== index))}>
            ✕
          </button>
        </li>
      ))}
    </ol>
  );
}

function Marks({ marks, onChange }: { marks: readonly Mark[]; onChange(marks: Mark[]): void }) {
  return (
    <ul className="stack tight" aria-label="Marks">
      {marks.map((mark, index) => (
        <li key={index} className="unit-line" data-testid="plan-mark">
          <span className="badge">{mark.kind.replace("_", " ")}</span>
          <input className="input narrow" aria-label={`Label of ${mark.kind} ${index + 1}`} placeholder="Main door" maxLength={80} value={mark.label} onChange={(event) => onChange(marks.map((one, other) => (other === index ? { ...one, label: event.target.value } : one)))} />
          <Button size="small" onClick={() => onChange(marks.filter((_, other) => other !== index))} aria-label={`Remove ${mark.label || mark.kind}`}>
            Remove
          </Button>
        </li>
      ))}
      {!marks.length && <li className="muted">No mark yet.</li>}
    </ul>
  );
}

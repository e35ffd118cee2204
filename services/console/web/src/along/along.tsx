import { useEffect, useMemo, useState } from "react";
import { useLive } from "../live/store";
import { useMap } from "../map/store";
import { useKeys } from "../shell/keys";
import { useRight } from "../session/store";
import { Tabs } from "../ui/page";
import { Button } from "../ui/parts";
import { DOCK_TILES, dockCameras } from "../video/dock";
import { latitudeOf, longitudeOf, unitField } from "../live/units";
import { alongLine } from "../map/geometry";
import { camerasAlong, nextFrom, type CameraPlace } from "./order";
import { RecordedAlong } from "./recorded";
import "./along.css";

const WIDTHS_M = [60, 120, 250, 500] as const;

/** Cameras along a line that was drawn, or along the trail that lies on the map: opened in order, four at a time, next and previous by key. */
export function CamerasAlong({ onClose }: { onClose(): void }) {
  const drawing = useMap((state) => state.drawing);
  const trail = useMap((state) => state.trail);
  const own = useLive((state) => state.cameras);
  const shared = useLive((state) => state.sharedCameras);
  const [withinM, setWithinM] = useState<number>(120);
  const [first, setFirst] = useState<number>();
  const mayReplay = useRight("footage.list");
  const [tab, setTab] = useState<"live" | "recorded">("live");
  const line = useMemo(() => drawing ?? trail?.points ?? [], [drawing, trail]);
  const places = useMemo(() => {
    const found: CameraPlace[] = [];
    for (const camera of [...own.values(), ...[...shared.values()].flatMap(({ camera }) => camera ?? [])]) {
      if (camera.coordinate && camera.hasStream && camera.enabled) found.push({ cameraId: camera.cameraId, longitude: camera.coordinate.longitudeDeg, latitude: camera.coordinate.latitudeDeg });
    }
    return found;
  }, [own, shared]);
  const cameras = useMemo(() => camerasAlong(places, line, withinM), [places, line, withinM]);
  useEffect(() => {
    useMap.setState({ along: cameras.map(({ cameraId }) => cameraId) });
    return () => useMap.setState({ along: [] });
  }, [cameras]);
  const name = (cameraId: string) => own.get(cameraId)?.name ?? shared.get(cameraId)?.camera?.name ?? "Camera";
  const show = (index: number) => {
    const from = Math.max(0, Math.min(cameras.length - 1, index));
    if (!cameras.length) return;
    setFirst(from);
    dockCameras(cameras.slice(from, from + DOCK_TILES).map(({ cameraId }) => cameraId));
    const place = places.find(({ cameraId }) => cameraId === cameras[from]?.cameraId);
    if (place) useMap.getState().flyTo(place.longitude, place.latitude);
  };
  const picked = useMap((state) => (state.picked?.kind === "unit" ? state.picked.number : undefined));
  const moving = useLive((state) => (picked === undefined ? undefined : state.units.get(picked)));
  /** The camera that the chosen unit, a bus for instance, comes to next. */
  const showAtUnit = () => {
    const row = picked === undefined ? undefined : unitField.rowOf(picked);
    if (row === undefined || line.length < 2) return;
    show(nextFrom(cameras, alongLine({ longitude: longitudeOf(unitField.toX[row] as number), latitude: latitudeOf(unitField.toY[row] as number) }, line).alongM));
  };
  const step = (by: number) => show(first === undefined ? 0 : first + by);
  useKeys({ ".": () => step(1), ",": () => step(-1), Escape: onClose });
  useEffect(() => {
    if (!useMap.getState().trail) useMap.setState({ drawing: [] });
    return () => useMap.setState({ drawing: undefined });
  }, []);
  return (
    <section className="along card" aria-label="Cameras along a line" data-testid="along" data-cameras={cameras.length} data-first={first}>
      <div className="row">
        <strong>Cameras along the line</strong>
        <span className="grow" />
        <Button size="small" look="quiet" aria-label="Close" onClick={onClose}>
          ✕
        </Button>
      </div>
      <p className="secondary" role="status">
        {drawing && drawing.length < 2 ? `Click along the way on the map, or set points with arrow keys and Enter: ${drawing.length} of at least 2 points.` : `${cameras.length} cameras within ${withinM} m, in order of the way.`}
      </p>
      <div className="row">
        <select className="input narrow" aria-label="How far from the line" value={withinM} onChange={(event) => setWithinM(Number(event.target.value))}>
          {WIDTHS_M.map((metres) => (
            <option key={metres} value={metres}>
              within {metres} m
            </option>
          ))}
        </select>
        {trail && drawing && (
          <Button size="small" onClick={() => useMap.setState({ drawing: undefined })}>
            Use the trail
          </Button>
        )}
        {!drawing && (
          <Button size="small" onClick={() => useMap.setState({ drawing: [] })}>
            Draw another
          </Button>
        )}
        {drawing && drawing.length > 0 && (
          <Button size="small" onClick={() => useMap.setState({ drawing: drawing.slice(0, -1) })}>
            Undo
          </Button>
        )}
      </div>
      {cameras.length > 0 && mayReplay && (
        <Tabs
          label="Live or recorded"
          tabs={
            [
              ["live", "Live"],
              ["recorded", "Recorded"],
            ] as const
          }
          value={tab}
          onValue={setTab}
        />
      )}
      {cameras.length > 0 && tab === "recorded" && <RecordedAlong cameras={cameras} places={places} line={line} timesMs={drawing ? undefined : trail?.timesMs} withinM={withinM} name={name} />}
      {cameras.length > 0 && tab === "live" && (
        <>
          <div className="row">
            <Button size="small" onClick={() => step(-1)} disabled={first === undefined || first === 0} data-testid="along-previous">
              Previous <kbd>,</kbd>
            </Button>
            <Button size="small" look="primary" onClick={() => step(1)} disabled={first !== undefined && first >= cameras.length - 1} data-testid="along-next">
              {first === undefined ? "Open the first" : "Next"} <kbd>.</kbd>
            </Button>
            {moving && (
              <Button size="small" onClick={showAtUnit} data-testid="along-unit">
                Next of {moving.callSign}
              </Button>
            )}
          </div>
          <ol className="along-list">
            {cameras.map((camera, index) => (
              <li key={camera.cameraId}>
                <button type="button" className="link" aria-current={index === first ? "step" : undefined} onClick={() => show(index)} data-camera={camera.cameraId}>
                  <span className="mono muted">{Math.round(camera.alongM)} m</span> <span className="ellipsis">{name(camera.cameraId)}</span>
                </button>
              </li>
            ))}
          </ol>
        </>
      )}
    </section>
  );
}

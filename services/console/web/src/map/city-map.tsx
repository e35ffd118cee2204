import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { useLive, reportViewport } from "../live/store";
import { TrackCard } from "../air/track-card";
import { useAirZones } from "../air/zones";
import { longitudeOf, latitudeOf, unitField } from "../live/units";
import { useOwnAgency, useSession } from "../session/store";
import { useDesk } from "../shell/desk";
import { useKeys } from "../shell/keys";
import { go } from "../shell/router";
import { openCamera, useDock } from "../video/dock";
import { Button } from "../ui/parts";
import { Aim } from "./aim";
import type { MapEngine, Start } from "./engine";
import { alertFeatures, areaFeatures, callFeatures, cameraFeatures, draftFeature, fieldOfViewFeatures, incidentFeatures, mapCameras, markFeatures, trailFeatures, zoneFeatures, type DraftCamera } from "./features";
import { happeningFeatures, useHappenings, warningFeatures } from "./happenings";
import { mapLayers, useMap } from "./store";
import { UnitCard } from "./unit-card";
import "./map.css";

const CamerasAlong = lazy(() => import("../along/along").then((module) => ({ default: module.CamerasAlong })));

interface Props {
  onAlert?: (alertId: string) => void;
  /** Instead of opening what is there, report the place: placing a camera. */
  onPlace?: (longitude: number, latitude: number) => void;
  /** A camera that is being placed: shown although nobody stored it yet. */
  draft?: DraftCamera | undefined;
  compact?: boolean;
  start?: Start;
}

const HELSINKI: Start = { longitude: 24.9443, latitude: 60.1716, zoom: 14.1 };
/** Each new picture of alerts redraws the map: without a graphics processor that is dear. */
const ALERTS_EVERY_MS = 200;
const ALERTS_EVERY_SOFTWARE_MS = 1_000;

function setPicked(picked: { kind: "unit" | "track"; number: number } | undefined): void {
  useMap.setState({ picked });
}

/** The living map. One a page; everything it shows comes from the live store. */
export function CityMap({ onAlert, onPlace, draft, compact = false, start }: Props) {
  const container = useRef<HTMLDivElement>(null);
  const unitCanvas = useRef<HTMLCanvasElement>(null);
  const labelCanvas = useRef<HTMLCanvasElement>(null);
  const [engine, setEngine] = useState<MapEngine>();
  const [failure, setFailure] = useState("");
  const picked = useMap((state) => state.picked);
  const callbacks = useRef({ onAlert, onPlace });
  callbacks.current = { onAlert, onPlace };
  const ground = useRef((longitude: number, latitude: number): void => {
    setPicked(undefined);
    const { drawing } = useMap.getState();
    if (drawing) useMap.setState({ drawing: [...drawing, { longitude, latitude }] });
    else callbacks.current.onPlace?.(longitude, latitude);
  });
  const theme = useDesk((state) => state.theme);
  const drawing = useMap((state) => state.drawing !== undefined);

  useEffect(() => {
    let ended = false;
    let made: MapEngine | undefined;
    void import("./engine")
      .then(({ MapEngine }) =>
        MapEngine.create(container.current as HTMLDivElement, unitCanvas.current as HTMLCanvasElement, labelCanvas.current as HTMLCanvasElement, useDesk.getState().theme, start ?? storedView() ?? HELSINKI, {
          onViewport: (box) => {
            reportViewport(box);
            rememberView(box, made?.map.getZoom());
          },
          onCamera: openCamera,
          onAlert: (id) => callbacks.current.onAlert?.(id),
          onUnit: (number) => setPicked({ kind: "unit", number }),
          onTrack: (number) => setPicked({ kind: "track", number }),
          onFeature: (layer, id) => {
            if (layer === "incidents") go(`/incident/${encodeURIComponent(id)}`);
          },
          onGround: (longitude, latitude) => ground.current(longitude, latitude),
        }),
      )
      .then((created) => {
        made = created;
        if (ended) created.destroy();
        else setEngine(created);
      })
      .catch((error: unknown) => setFailure(error instanceof Error ? error.message : String(error)));
    return () => {
      ended = true;
      made?.destroy();
    };
    // The engine lives as long as the element; later changes go through its methods.
  }, []);

  useFirstFit(engine, start !== undefined || onPlace !== undefined);
  useTheme(engine, theme);
  useOverlay(engine);
  useFocus(engine);
  useDraft(engine, draft);
  useDrawing(engine, onPlace !== undefined);
  useKeys(
    compact || !engine
      ? {}
      : {
          ArrowLeft: () => engine.map.panBy([-120, 0], { duration: 0 }),
          ArrowRight: () => engine.map.panBy([120, 0], { duration: 0 }),
          ArrowUp: () => engine.map.panBy([0, -120], { duration: 0 }),
          ArrowDown: () => engine.map.panBy([0, 120], { duration: 0 }),
          "+": () => engine.map.zoomIn({ duration: 0 }),
          "-": () => engine.map.zoomOut({ duration: 0 }),
          "0": () => fitAll(engine),
        },
  );
  return (
    <div className="map" data-testid="map" data-ready={engine ? true : undefined} data-placing={onPlace || drawing ? true : undefined}>
      <div ref={container} className="map-base" />
      <canvas ref={unitCanvas} className="map-overlay" data-testid="unit-canvas" aria-hidden="true" />
      <canvas ref={labelCanvas} className="map-overlay" aria-hidden="true" />
      {failure && <div className="map-failure note" data-tone="bad">The map can't be drawn here ({failure}). Alerts, cameras and lists work without it.</div>}
      {engine && (onPlace || drawing) && <Aim engine={engine} focused={drawing} onPoint={ground.current} onUndo={drawing ? () => useMap.setState({ drawing: useMap.getState().drawing?.slice(0, -1) }) : undefined} />}
      {engine && <MapControls engine={engine} compact={compact} />}
      {picked?.kind === "unit" && <UnitCard number={picked.number} onClose={() => setPicked(undefined)} />}
      {picked?.kind === "track" && <TrackCard number={picked.number} onClose={() => setPicked(undefined)} />}
    </div>
  );
}

function MapControls({ engine, compact }: { engine: MapEngine; compact: boolean }) {
  const [open, setOpen] = useState(false);
  const [along, setAlong] = useState(false);
  const hidden = useMap((state) => state.hidden);
  const trail = useMap((state) => state.trail);
  useKeys(compact ? {} : { l: () => setOpen((before) => !before) });
  return (
    <div className="map-controls">
      <div className="map-buttons">
        <Button size="small" aria-label="Zoom in" onClick={() => engine.map.zoomIn()}>
          +
        </Button>
        <Button size="small" aria-label="Zoom out" onClick={() => engine.map.zoomOut()}>
          −
        </Button>
        <Button size="small" aria-label="Whole area" onClick={() => fitAll(engine)}>
          ⤢
        </Button>
        {!compact && (
          <Button size="small" aria-expanded={open} onClick={() => setOpen(!open)}>
            Layers <kbd>L</kbd>
          </Button>
        )}
        {!compact && (
          <Button size="small" aria-expanded={along} onClick={() => setAlong(!along)} data-testid="cameras-along">
            Cameras along…
          </Button>
        )}
        {trail && !compact && (
          <Button size="small" onClick={() => useMap.setState({ trail: undefined })} data-testid="clear-trail">
            Clear trail
          </Button>
        )}
      </div>
      {open && (
        <fieldset className="map-layers">
          <legend className="hidden-visually">Layers</legend>
          {mapLayers.map(({ id, title }) => (
            <label key={id} className="check">
              <input type="checkbox" checked={!hidden.has(id)} onChange={() => useMap.getState().toggle(id)} />
              {title}
            </label>
          ))}
        </fieldset>
      )}
      {along && (
        <Suspense fallback={null}>
          <CamerasAlong onClose={() => setAlong(false)} />
        </Suspense>
      )}
    </div>
  );
}

function useTheme(engine: MapEngine | undefined, theme: "dark" | "day"): void {
  const drawn = useRef(theme);
  useEffect(() => {
    if (!engine || drawn.current === theme) return;
    drawn.current = theme;
    engine.setTheme(theme);
  }, [engine, theme]);
}

/** A window that remembers no view starts with the agency's own ground, once it is known. */
function useFirstFit(engine: MapEngine | undefined, placed: boolean): void {
  const known = useLive((state) => state.agencies.size > 0 && state.cameras.size > 0);
  const done = useRef(placed || storedView() !== undefined);
  useEffect(() => {
    if (!engine || !known || done.current) return;
    done.current = true;
    if (!useMap.getState().focus) fitAll(engine);
  }, [engine, known]);
}

/** Feeds the overlay. Alerts may come a hundred a second: the map takes the newest picture five times a second. */
function useOverlay(engine: MapEngine | undefined): void {
  const cameras = useLive((state) => state.cameras);
  const shared = useLive((state) => state.sharedCameras);
  const states = useLive((state) => state.cameraStates);
  const names = useLive((state) => state.units);
  const tracks = useLive((state) => state.tracks);
  const incidents = useLive((state) => state.incidents);
  const zones = useAirZones();
  const agencies = useLive((state) => state.agencies);
  const calls = useLive((state) => state.calls);
  const docked = useDock((state) => state.tiles);
  const ownAgency = useOwnAgency();
  const skew = useSession((state) => state.clockSkewMs);
  const hidden = useMap((state) => state.hidden);
  const happenings = useHappenings(!hidden.has("happenings"));
  const placed = useMemo(() => mapCameras(cameras.values(), shared.values(), states), [cameras, shared, states]);
  const chosen = useMemo(() => new Set(docked.map((tile) => tile.cameraId)), [docked]);
  useEffect(() => {
    if (!engine) return;
    engine.setNames(names, tracks);
    engine.clockSkewMs = skew;
  }, [engine, names, tracks, skew]);
  useEffect(() => engine?.setData("cameras", cameraFeatures(placed)), [engine, placed]);
  useEffect(() => engine?.setData("fov", fieldOfViewFeatures(placed, chosen)), [engine, placed, chosen]);
  useEffect(() => engine?.setData("areas", areaFeatures(agencies.values(), ownAgency)), [engine, agencies, ownAgency]);
  useEffect(() => engine?.setData("incidents", incidentFeatures(incidents.values())), [engine, incidents]);
  useEffect(() => engine?.setData("zones", zoneFeatures(zones)), [engine, zones]);
  useEffect(() => {
    engine?.setData("warnings", warningFeatures(happenings));
    engine?.setData("happenings", happeningFeatures(happenings));
  }, [engine, happenings]);
  useEffect(() => engine?.setData("calls", callFeatures(calls.values())), [engine, calls]);
  useEffect(() => {
    if (!engine) return;
    let drawn: unknown;
    const draw = () => {
      const { alerts } = useLive.getState();
      if (alerts === drawn) return;
      drawn = alerts;
      engine.setData("alerts", alertFeatures(alerts.values()));
    };
    draw();
    const timer = setInterval(draw, engine.software ? ALERTS_EVERY_SOFTWARE_MS : ALERTS_EVERY_MS);
    return () => clearInterval(timer);
  }, [engine]);
  useEffect(() => {
    if (!engine) return;
    const apply = () => {
      for (const { id } of mapLayers) engine.setLayerVisible(id, !hidden.has(id));
      engine.setLayerVisible("fov", !hidden.has("cameras"));
      engine.setLayerVisible("warnings", !hidden.has("happenings"));
    };
    apply();
    engine.map.on("style.load", apply);
    return () => void engine.map.off("style.load", apply);
  }, [engine, hidden]);
}

function useFocus(engine: MapEngine | undefined): void {
  const focus = useMap((state) => state.focus);
  useEffect(() => {
    if (!engine || !focus) return;
    engine.flyTo(focus.longitude, focus.latitude);
    engine.ring(focus);
  }, [engine, focus]);
}

/** The floor plans, the trail and the line that is being drawn: what the screens around the map laid on it. */
function useDrawing(engine: MapEngine | undefined, placing: boolean): void {
  const plans = useMap((state) => state.plans);
  const trail = useMap((state) => state.trail);
  const drawing = useMap((state) => state.drawing);
  useEffect(() => {
    if (!engine) return;
    engine.plans.set(plans);
    engine.setData("marks", markFeatures(plans));
  }, [engine, plans]);
  useEffect(() => engine?.setData("trail", trailFeatures(drawing ? { points: drawing, label: "", accuracyM: 0 } : trail)), [engine, trail, drawing]);
  useEffect(() => {
    if (engine) engine.placing = placing || drawing !== undefined;
  }, [engine, placing, drawing]);
}

function useDraft(engine: MapEngine | undefined, draft: DraftCamera | undefined): void {
  useEffect(() => {
    if (!engine || !draft) return;
    engine.setData("draft", draftFeature(draft));
    engine.ring({ longitude: draft.longitude, latitude: draft.latitude, severity: 0 });
  }, [engine, draft]);
}

/** Everything the agency has on the ground. */
function fitAll(engine: MapEngine): void {
  const points: [number, number][] = [];
  const { agencies, cameras } = useLive.getState();
  const own = agencies.get(useSession.getState().session?.person.agency_id ?? "");
  for (const corner of own?.area?.corners ?? []) points.push([corner.longitudeDeg, corner.latitudeDeg]);
  if (!points.length) for (const camera of cameras.values()) if (camera.coordinate) points.push([camera.coordinate.longitudeDeg, camera.coordinate.latitudeDeg]);
  if (!points.length) for (let row = 0; row < unitField.count; row++) points.push([longitudeOf(unitField.toX[row] as number), latitudeOf(unitField.toY[row] as number)]);
  if (!points.length) return;
  const longitudes = points.map(([longitude]) => longitude);
  const latitudes = points.map(([, latitude]) => latitude);
  engine.fit({ west: Math.min(...longitudes), east: Math.max(...longitudes), south: Math.min(...latitudes), north: Math.max(...latitudes) });
}

function storedView(): Start | undefined {
  try {
    const stored = JSON.parse(sessionStorage.getItem("rtcc.view") ?? "null") as Start | null;
    return stored && Number.isFinite(stored.longitude + stored.latitude + stored.zoom) ? stored : undefined;
  } catch {
    return undefined; // a damaged or forbidden store
  }
}

function rememberView(box: { south: number; west: number; north: number; east: number }, zoom: number | undefined): void {
  if (zoom === undefined) return;
  try {
    sessionStorage.setItem("rtcc.view", JSON.stringify({ longitude: (box.west + box.east) / 2, latitude: (box.south + box.north) / 2, zoom }));
  } catch {
    // Storage is switched off: the view is not remembered.
  }
}

/** The map itself: MapLibre for streets, cameras, alerts and calls; UnitLayer above it for everything that moves. */
import "maplibre-gl/dist/maplibre-gl.css";
import { addProtocol, AttributionControl, GeoJSONSource, Map as MapLibre, Marker, setWorkerUrl, type LayerSpecification, type StyleSpecification } from "maplibre-gl";
import workerUrl from "./map.worker?address";
import { Protocol } from "pmtiles";
import { mercatorX, mercatorY } from "../live/units";
import type { Box, TrackLabel, UnitLabel } from "../live/messages";
import type { Theme } from "../shell/desk";
import { graticule, overlayLayers, overlaySources, type OverlayData, type OverlayName } from "./overlay";
import { MovingTracks, MovingUnits } from "./moving";
import { PlanLayer } from "./plans";
import { addSymbols, colour } from "./symbols";
import { UnitLayer, type UnitColours, type View } from "./unit-layer";

setWorkerUrl(workerUrl);
addProtocol("pmtiles", new Protocol().tile);

const TILES = "/map/helsinki.pmtiles";
const LAYERS = "/map/helsinki.layers.json";
const SOFTWARE_FRAME_MS = 110;
const REPAINT_GUARD_MS = 4;

export interface MapEvents {
  onViewport(box: Box): void;
  onCamera(cameraId: string): void;
  onAlert(alertId: string): void;
  onUnit(unitNumber: number): void;
  onTrack(trackNumber: number): void;
  onFeature(layer: "incidents" | "marks", id: string): void;
  onGround(longitude: number, latitude: number): void;
}

export interface Start {
  longitude: number;
  latitude: number;
  zoom: number;
}

let basemap: Promise<Record<Theme, LayerSpecification[]> | undefined> | undefined;

/** The street layers of each theme; undefined when this installation has no map file: then a graticule stands for it. */
function readBasemap() {
  basemap ??= fetch(LAYERS)
    .then((answer) => (answer.ok && answer.headers.get("content-type")?.includes("json") ? answer.json() : undefined))
    .catch(() => undefined) as Promise<Record<Theme, LayerSpecification[]> | undefined>;
  return basemap;
}

export class MapEngine {
  private readonly data = new Map<OverlayName, OverlayData>();
  private readonly units: UnitLayer;
  private readonly movingUnits = new MovingUnits();
  private readonly movingTracks = new MovingTracks();
  private colours!: UnitColours;
  private frame = 0;
  private pause = 0;
  private lastDrawMs = 0;
  private view: View | undefined;
  private marker: Marker | undefined;
  clockSkewMs = 0;
  /** Each click is a place, whatever stands there: a line is being drawn, a camera placed. */
  placing = false;
  readonly plans: PlanLayer;

  private constructor(
    readonly map: MapLibre,
    unitCanvas: HTMLCanvasElement,
    labelCanvas: HTMLCanvasElement,
    private readonly layers: Record<Theme, LayerSpecification[]> | undefined,
    private readonly events: MapEvents,
  ) {
    this.units = new UnitLayer(unitCanvas, labelCanvas, [this.movingTracks, this.movingUnits]);
    this.plans = new PlanLayer(map);
    this.readColours();
    map.on("style.load", () => this.addOverlay());
    map.on("render", () => this.drawUnits(true));
    map.on("moveend", () => this.tellViewport());
    map.on("resize", () => this.tellViewport());
    map.on("click", (event) => this.clicked(event.point.x, event.point.y, event.lngLat.lng, event.lngLat.lat));
    map.on("mousemove", (event) => (map.getCanvas().style.cursor = this.featureAt(event.point.x, event.point.y) ? "pointer" : ""));
    const loop = () => {
      if (this.units.moving(performance.now())) this.drawUnits(false);
      // Each frame that is asked for gets composed, also when nothing in it moves.
      if (this.units.software) this.pause = window.setTimeout(() => (this.frame = requestAnimationFrame(loop)), SOFTWARE_FRAME_MS);
      else this.frame = requestAnimationFrame(loop);
    };
    loop();
  }

  static async create(container: HTMLElement, unitCanvas: HTMLCanvasElement, labelCanvas: HTMLCanvasElement, theme: Theme, start: Start, events: MapEvents): Promise<MapEngine> {
    const [layers] = await Promise.all([readBasemap(), document.fonts.load("600 12px Inter"), document.fonts.load("400 12px Inter")]);
    const map = new MapLibre({
      container,
      style: styleFor(layers, theme),
      center: [start.longitude, start.latitude],
      zoom: start.zoom,
      minZoom: 3,
      maxZoom: 20,
      maxPitch: 0,
      pitchWithRotate: false,
      keyboard: false,
      attributionControl: false,
      fadeDuration: 0,
    });
    map.addControl(new AttributionControl({ compact: false }), "bottom-left");
    map.getCanvas().setAttribute("aria-label", "Map");
    return new MapEngine(map, unitCanvas, labelCanvas, layers, events);
  }

  /** The processor draws the map: spare it. */
  get software(): boolean {
    return this.units.software;
  }

  destroy(): void {
    clearTimeout(this.pause);
    cancelAnimationFrame(this.frame);
    this.marker?.remove();
    this.map.remove();
  }

  setTheme(theme: Theme): void {
    this.readColours();
    this.plans.suspend();
    this.map.setStyle(styleFor(this.layers, theme), { diff: false });
  }

  setData(name: OverlayName, data: OverlayData): void {
    this.data.set(name, data);
    const source = this.map.getSource(name);
    if (source instanceof GeoJSONSource) source.setData(data);
  }

  setNames(units: ReadonlyMap<number, UnitLabel>, tracks: ReadonlyMap<number, TrackLabel>): void {
    this.movingUnits.names = units;
    this.movingTracks.names = tracks;
    this.movingUnits.looks++;
    this.movingTracks.looks++;
  }

  setLayerVisible(name: OverlayName | "units" | "tracks", visible: boolean): void {
    if (name === "units") this.movingUnits.hidden = !visible;
    if (name === "tracks") this.movingTracks.hidden = !visible;
    for (const layer of overlayLayers()) if ("source" in layer && layer.source === name && this.map.getLayer(layer.id)) this.map.setLayoutProperty(layer.id, "visibility", visible ? "visible" : "none");
  }

  /** Calm: no flight when the person asked for less motion. `bottomPx`: the dock covers that much. */
  flyTo(longitude: number, latitude: number, zoom = 16.2): void {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches || this.units.software;
    this.map.easeTo({ center: [longitude, latitude], zoom: Math.max(this.map.getZoom(), zoom), duration: calm ? 0 : 500 });
  }

  fit(box: Box): void {
    this.map.fitBounds([[box.west, box.south], [box.east, box.north]], { padding: 40, duration: 0, maxZoom: 16.5 });
  }

  /** A ring around what is selected; pulses for life-threatening alerts. */
  ring(at: { longitude: number; latitude: number; severity: number } | undefined): void {
    this.marker?.remove();
    this.marker = undefined;
    if (!at) return;
    const element = document.createElement("div");
    element.className = "map-ring";
    element.dataset.severity = String(at.severity);
    this.marker = new Marker({ element }).setLngLat([at.longitude, at.latitude]).addTo(this.map);
  }

  private addOverlay(): void {
    addSymbols(this.map);
    for (const name of overlaySources) {
      if (!this.map.getSource(name)) this.map.addSource(name, { type: "geojson", data: this.data.get(name) ?? { type: "FeatureCollection", features: [] } });
    }
    for (const layer of overlayLayers()) if (!this.map.getLayer(layer.id)) this.map.addLayer(layer);
    this.plans.restore();
    this.tellViewport();
  }

  private readColours(): void {
    this.colours = { own: colour("accent"), partner: colour("partner"), panic: colour("s1"), act: colour("s2"), grey: colour("text-2"), rim: colour("bg-0"), text: colour("text-1") };
  }

  private tellViewport(): void {
    this.view = undefined;
    const bounds = this.map.getBounds();
    const box = { south: bounds.getSouth(), west: bounds.getWest(), north: bounds.getNorth(), east: bounds.getEast() };
    const lines = this.map.getSource("graticule");
    if (lines instanceof GeoJSONSource) lines.setData(graticule(box));
    this.events.onViewport(box);
  }

  private drawUnits(mapMoved: boolean): void {
    const now = performance.now();
    const least = mapMoved ? REPAINT_GUARD_MS : this.units.software ? SOFTWARE_FRAME_MS : 0;
    if (now - this.lastDrawMs < least) return;
    this.lastDrawMs = now;
    if (mapMoved || !this.view) this.view = this.readView();
    this.units.draw(this.view, this.colours, now, Date.now() + this.clockSkewMs);
  }

  /** Pitch is locked at 0, so three projected points give the whole affine view, padding and bearing included. */
  private readView(): View {
    const center = this.map.getCenter();
    const step = 360 / 2 ** (this.map.getZoom() + 3);
    const east = { lng: center.lng + step, lat: center.lat };
    const south = { lng: center.lng, lat: center.lat - step / 4 };
    const [c, e, s] = [this.map.project(center), this.map.project(east), this.map.project(south)];
    const originX = mercatorX(center.lng);
    const originY = mercatorY(center.lat);
    const dx = mercatorX(east.lng) - originX;
    const dy = mercatorY(south.lat) - originY;
    const { clientWidth: width, clientHeight: height } = this.map.getContainer();
    return { originX, originY, a: (e.x - c.x) / dx, b: (e.y - c.y) / dx, c: (s.x - c.x) / dy, d: (s.y - c.y) / dy, e: c.x, f: c.y, width, height, zoom: this.map.getZoom() };
  }

  private featureAt(x: number, y: number) {
    const layers = ["marks", "incidents", "alerts", "cameras"].filter((id) => this.map.getLayer(id));
    return this.map.queryRenderedFeatures([[x - 4, y - 4], [x + 4, y + 4]], { layers })[0];
  }

  private clicked(x: number, y: number, longitude: number, latitude: number): void {
    if (this.placing) {
      this.events.onGround(longitude, latitude);
      return;
    }
    const feature = this.featureAt(x, y);
    const unit = this.units.pick(this.view ?? this.readView(), x, y, performance.now());
    if (feature?.layer.id === "alerts") this.events.onAlert(String(feature.properties.id));
    else if (unit?.kind === "unit") this.events.onUnit(unit.number);
    else if (unit?.kind === "track") this.events.onTrack(unit.number);
    else if (feature?.layer.id === "incidents" || feature?.layer.id === "marks") this.events.onFeature(feature.layer.id, String(feature.properties.id));
    else if (feature) this.events.onCamera(String(feature.properties.id));
    else this.events.onGround(longitude, latitude);
  }
}

function styleFor(layers: Record<Theme, LayerSpecification[]> | undefined, theme: Theme): StyleSpecification {
  if (!layers)
    return {
      version: 8,
      sources: { graticule: { type: "geojson", data: { type: "FeatureCollection", features: [] } } },
      layers: [
        { id: "void", type: "background", paint: { "background-color": colour("bg-0") } },
        { id: "graticule", type: "line", source: "graticule", paint: { "line-color": colour("line"), "line-width": 1 } },
      ],
    };
  return {
    version: 8,
    sources: { city: { type: "vector", url: `pmtiles://${location.origin}${TILES}`, attribution: "© OpenStreetMap contributors" } },
    layers: layers[theme],
  };
}

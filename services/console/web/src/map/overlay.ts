import type { LayerSpecification, SymbolLayerSpecification } from "maplibre-gl";
import { colour } from "./symbols";

export const overlaySources = ["areas", "zones", "warnings", "fov", "draft", "trail", "cameras", "calls", "happenings", "incidents", "alerts", "marks"] as const;
export type OverlayName = (typeof overlaySources)[number];
export type OverlayData = GeoJSON.FeatureCollection;

/** Layers in drawing order; colours are read when the style loads. */
export function overlayLayers(): LayerSpecification[] {
  const label: SymbolLayerSpecification["layout"] = { "text-font": ["Inter"], "text-size": 11.5, "text-offset": [0, 1.25], "text-anchor": "top", "text-optional": true };
  const labelPaint = { "text-color": colour("text-2"), "text-halo-color": colour("bg-0"), "text-halo-width": 1.6 };
  return [
    { id: "areas", type: "line", source: "areas", paint: { "line-color": ["case", ["get", "own"], colour("accent"), colour("partner")], "line-width": 1.6, "line-dasharray": [4, 3], "line-opacity": 0.65 } },
    { id: "zones", type: "fill", source: "zones", paint: { "fill-color": colour("s2"), "fill-opacity": 0.07 } },
    { id: "zones-edge", type: "line", source: "zones", paint: { "line-color": colour("s2"), "line-width": 1.4, "line-dasharray": [2, 2], "line-opacity": 0.8 } },
    { id: "zones-name", type: "symbol", source: "zones", minzoom: 13, layout: { ...label, "text-field": ["get", "name"], "text-offset": [0, 0], "text-anchor": "center" }, paint: { ...labelPaint, "text-color": colour("s2") } },
    { id: "warnings", type: "fill", source: "warnings", paint: { "fill-color": colour("s3"), "fill-opacity": 0.12 } },
    { id: "warnings-edge", type: "line", source: "warnings", paint: { "line-color": colour("s3"), "line-width": 1.6, "line-opacity": 0.9 } },
    { id: "warnings-name", type: "symbol", source: "warnings", layout: { ...label, "text-field": ["get", "name"], "text-offset": [0, 0], "text-anchor": "center", "text-max-width": 14 }, paint: { ...labelPaint, "text-color": colour("s3") } },
    { id: "fov", type: "fill", source: "fov", minzoom: 13.5, paint: { "fill-color": ["case", ["get", "partner"], colour("partner"), ["get", "off"], colour("text-3"), colour("accent")], "fill-opacity": ["case", ["get", "chosen"], 0.34, 0.15] } },
    { id: "fov-edge", type: "line", source: "fov", minzoom: 13.5, paint: { "line-color": ["case", ["get", "partner"], colour("partner"), colour("accent")], "line-opacity": ["case", ["get", "chosen"], 0.95, 0.32], "line-width": ["case", ["get", "chosen"], 2, 1] } },
    { id: "draft", type: "fill", source: "draft", paint: { "fill-color": colour("s2"), "fill-opacity": 0.42 } },
    { id: "trail-error", type: "fill", source: "trail", filter: ["==", ["geometry-type"], "Polygon"], paint: { "fill-color": colour("accent"), "fill-opacity": 0.16, "fill-outline-color": colour("accent") } },
    { id: "trail", type: "line", source: "trail", filter: ["==", ["geometry-type"], "LineString"], layout: { "line-cap": "round", "line-join": "round" }, paint: { "line-color": colour("accent"), "line-width": 3.5, "line-opacity": 0.85 } },
    { id: "trail-points", type: "circle", source: "trail", filter: ["==", ["geometry-type"], "Point"], paint: { "circle-radius": ["case", ["get", "last"], 6, 3.2], "circle-color": colour("bg-1"), "circle-stroke-color": colour("accent"), "circle-stroke-width": 2 } },
    { id: "trail-name", type: "symbol", source: "trail", filter: ["==", ["get", "last"], true], layout: { ...label, "text-field": ["get", "name"], "text-anchor": "bottom", "text-offset": [0, -2.2] }, paint: { ...labelPaint, "text-color": colour("text-1") } },
    {
      id: "cameras",
      type: "symbol",
      source: "cameras",
      layout: {
        "icon-image": ["get", "icon"],
        "icon-size": ["interpolate", ["linear"], ["zoom"], 11, 0.45, 14, 0.75, 17, 1],
        "icon-allow-overlap": true,
        "text-field": ["step", ["zoom"], "", 15.6, ["get", "name"]],
        ...label,
      },
      paint: labelPaint,
    },
    { id: "calls", type: "symbol", source: "calls", minzoom: 12, layout: { "icon-image": "call", "icon-allow-overlap": true, "text-field": ["step", ["zoom"], "", 14.8, ["get", "name"]], ...label }, paint: labelPaint },
    { id: "happenings", type: "circle", source: "happenings", paint: { "circle-radius": ["case", ["get", "urgent"], 7, 5], "circle-color": ["case", ["get", "urgent"], colour("s2"), colour("bg-1")], "circle-stroke-color": ["case", ["get", "urgent"], colour("bg-0"), colour("text-2")], "circle-stroke-width": 2 } },
    { id: "happenings-name", type: "symbol", source: "happenings", minzoom: 14, layout: { ...label, "text-field": ["get", "name"], "text-offset": [0, 0.9] }, paint: labelPaint },
    { id: "incidents", type: "symbol", source: "incidents", layout: { "icon-image": ["get", "icon"], "icon-allow-overlap": true, "text-field": ["step", ["zoom"], "", 13.5, ["get", "name"]], ...label, "text-size": 12, "text-offset": [0, 2.2], "text-max-width": 16 }, paint: { ...labelPaint, "text-color": colour("text-1") } },
    {
      id: "alerts",
      type: "symbol",
      source: "alerts",
      layout: { "icon-image": ["get", "icon"], "icon-allow-overlap": true, "symbol-sort-key": ["-", 10, ["get", "severity"]], "text-field": ["step", ["zoom"], "", 13.5, ["get", "name"]], ...label, "text-size": 12, "text-offset": [0, 2.2], "text-max-width": 16 },
      paint: { ...labelPaint, "text-color": colour("text-1") },
    },
    { id: "marks", type: "symbol", source: "marks", minzoom: 16, layout: { "icon-image": ["get", "icon"], "icon-allow-overlap": true, "text-field": ["step", ["zoom"], "", 17.5, ["get", "name"]], ...label, "text-offset": [0, 1] }, paint: { ...labelPaint, "text-color": colour("text-1") } },
  ];
}

/** Latitude and longitude lines for the box in view: something to hold on to where there are no street tiles. */
export function graticule(box: { south: number; west: number; north: number; east: number }): OverlayData {
  const span = Math.max(1e-4, box.east - box.west);
  const rough = 10 ** Math.floor(Math.log10(span));
  const step = span / rough < 3 ? rough / 5 : rough / 2;
  const lines: GeoJSON.Position[][] = [];
  for (let longitude = Math.floor(box.west / step) * step; longitude <= box.east; longitude += step) lines.push([[longitude, box.south], [longitude, box.north]]);
  for (let latitude = Math.floor(box.south / step) * step; latitude <= box.north; latitude += step) lines.push([[box.west, latitude], [box.east, latitude]]);
  return { type: "FeatureCollection", features: [{ type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates: lines } }] };
}

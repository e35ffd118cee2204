import { create } from "zustand";

export type MapLayer = "units" | "cameras" | "alerts" | "calls" | "areas";
export const mapLayers: readonly { id: MapLayer; title: string }[] = [
  { id: "units", title: "Units" },
  { id: "cameras", title: "Cameras and fields of view" },
  { id: "alerts", title: "Alerts" },
  { id: "calls", title: "Calls for service" },
  { id: "areas", title: "Agency areas" },
];

interface MapState {
  hidden: ReadonlySet<MapLayer>;
  /** A flight asked for; `serial` tells one from the next to the same place. */
  focus: { longitude: number; latitude: number; severity: number; serial: number } | undefined;
  toggle(layer: MapLayer): void;
  flyTo(longitude: number, latitude: number, severity?: number): void;
}

export const useMap = create<MapState>()((set) => ({
  hidden: new Set(),
  focus: undefined,
  toggle: (layer) =>
    set(({ hidden }) => {
      const next = new Set(hidden);
      if (!next.delete(layer)) next.add(layer);
      return { hidden: next };
    }),
  flyTo: (longitude, latitude, severity = 0) => set(({ focus }) => ({ focus: { longitude, latitude, severity, serial: (focus?.serial ?? 0) + 1 } })),
}));

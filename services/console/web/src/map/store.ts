import { create } from "zustand";
import type { FloorPlan } from "../generated/rtcc/incidents/v1/incidents_pb";

export type MapLayer = "units" | "tracks" | "cameras" | "alerts" | "incidents" | "happenings" | "calls" | "zones" | "areas";
export const mapLayers: readonly { id: MapLayer; title: string }[] = [
  { id: "units", title: "Units" },
  { id: "tracks", title: "Drones and aircraft" },
  { id: "cameras", title: "Cameras and fields of view" },
  { id: "alerts", title: "Alerts" },
  { id: "incidents", title: "Incidents" },
  { id: "happenings", title: "Warnings, sensors, TAK markers" },
  { id: "zones", title: "Zones in the air" },
  { id: "calls", title: "Calls for service" },
  { id: "areas", title: "Agency areas" },
];

/** A path, or a line along which cameras are opened; degrees, oldest first. */
export interface Trail {
  points: readonly { longitude: number; latitude: number }[];
  /** When it was at each point, Unix milliseconds; absent: nobody knows. */
  timesMs?: readonly number[];
  /** Shown at its end. */
  label: string;
  /** Metres around the last point within which it is; 0: not told. */
  accuracyM: number;
}

interface MapState {
  /** What moves and was picked: its card is open. */
  picked: { kind: "unit" | "track"; number: number } | undefined;
  /** Floor plans that lie on the map. */
  plans: readonly FloorPlan[];
  trail: Trail | undefined;
  /** The line that is being drawn; clicks add to it. */
  drawing: readonly { longitude: number; latitude: number }[] | undefined;
  /** The cameras that stand along it, in its order. */
  along: readonly string[];
  hidden: ReadonlySet<MapLayer>;
  /** A flight asked for; `serial` tells one from the next to the same place. */
  focus: { longitude: number; latitude: number; severity: number; serial: number } | undefined;
  toggle(layer: MapLayer): void;
  flyTo(longitude: number, latitude: number, severity?: number): void;
}

export const useMap = create<MapState>()((set) => ({
  picked: undefined,
  plans: [],
  trail: undefined,
  drawing: undefined,
  along: [],
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

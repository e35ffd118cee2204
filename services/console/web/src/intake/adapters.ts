/** What a source speaks, and how it reaches us. */
export interface AdapterEntry {
  id: string;
  title: string;
  /** "hook": signed deliveries; "fetched": we ask; "certificate": TLS with its own certificate; "receiver": the airspace door; "setting": a link that the installation's settings name. */
  way: "hook" | "fetched" | "certificate" | "receiver" | "setting";
}

export const ADAPTERS: readonly AdapterEntry[] = [
  { id: "plate_read", title: "Plate readers", way: "hook" },
  { id: "gunshot", title: "Gunshot sensors", way: "hook" },
  { id: "eido", title: "Calls for service (NENA EIDO)", way: "hook" },
  { id: "alarm", title: "Alarm panels", way: "hook" },
  { id: "sensor", title: "Sensors", way: "hook" },
  { id: "cap", title: "Public warnings (CAP 1.2)", way: "hook" },
  { id: "mapped", title: "Any JSON, by a mapping of its own", way: "hook" },
  { id: "cot", title: "TAK (Cursor on Target)", way: "certificate" },
  { id: "gtfs_realtime", title: "Buses and trams (GTFS-Realtime)", way: "fetched" },
  { id: "remote_id", title: "Drones (Remote ID receiver)", way: "receiver" },
  { id: "adsb", title: "Aircraft (ADS-B receiver)", way: "receiver" },
  { id: "mavlink", title: "Own drones (MAVLink)", way: "setting" },
];

export function adapterOf(id: string): AdapterEntry {
  return ADAPTERS.find((adapter) => adapter.id === id) ?? { id, title: id, way: "hook" };
}

/** Where its deliveries go, or how else they come. */
export function reachedAt(adapter: string, sourceId: string): string {
  switch (adapterOf(adapter).way) {
    case "fetched":
      return "fetched from its address";
    case "certificate":
      return "TLS, with the certificate issued here";
    case "setting":
      return `the setting RTCC_AIRSPACE_MAVLINK, under ${sourceId}`;
    case "receiver":
      return `POST /v1/airspace/${sourceId}`;
    default:
      return `POST /v1/hooks/${sourceId}`;
  }
}

import { lazy, type ComponentType, type LazyExoticComponent } from "react";
import type { IconName } from "../ui/icons";

export interface ScreenEntry {
  path: string;
  title: string;
  short: string;
  icon: IconName;
  /** G, then this letter. */
  letter: string;
  /** Any of these rights opens it; empty: everybody. */
  rights: readonly string[];
  component: LazyExoticComponent<ComponentType>;
  /** Stands in the rail; the others are reached through "More". */
  primary: boolean;
}

const Desk = lazy(() => import("../alerts/desk"));

export const screens: readonly ScreenEntry[] = [
  { path: "/map", title: "Live map", short: "Map", icon: "map", letter: "m", rights: [], component: Desk, primary: true },
  { path: "/alerts", title: "Alerts", short: "Alerts", icon: "alerts", letter: "a", rights: ["alert.list"], component: Desk, primary: true },
  { path: "/incident", title: "Incidents", short: "Work", icon: "incidents", letter: "i", rights: ["incident.list"], component: lazy(() => import("../incidents/incidents")), primary: true },
  { path: "/air", title: "Airspace", short: "Air", icon: "air", letter: "r", rights: ["track.list"], component: lazy(() => import("../air/air")), primary: true },
  { path: "/units", title: "Units", short: "Units", icon: "units", letter: "u", rights: ["unit.list", "position.list"], component: lazy(() => import("../people/units")), primary: true },
  { path: "/search", title: "Find", short: "Find", icon: "search", letter: "f", rights: ["plate_read.search", "person_record.search", "vehicle_record.search", "footage.search"], component: lazy(() => import("../records/find")), primary: true },
  { path: "/cameras", title: "Cameras", short: "Cams", icon: "cameras", letter: "c", rights: ["camera.list"], component: lazy(() => import("../cameras/registry")), primary: true },
  { path: "/wall", title: "Video walls", short: "Walls", icon: "walls", letter: "v", rights: ["wall.list"], component: lazy(() => import("../wall/walls")), primary: false },
  { path: "/playback", title: "Playback", short: "Then", icon: "cameras", letter: "b", rights: ["footage.list"], component: lazy(() => import("../playback/playback")), primary: false },
  { path: "/exports", title: "Exports", short: "Copies", icon: "retention", letter: "e", rights: ["export.list"], component: lazy(() => import("../evidence/exports")), primary: false },
  { path: "/incident/tips", title: "Tips", short: "Tips", icon: "tips", letter: "t", rights: ["tip.list"], component: lazy(() => import("../incidents/tips")), primary: true },
  { path: "/share", title: "Sharing", short: "Share", icon: "sharing", letter: "s", rights: ["agreement.list"], component: lazy(() => import("../sharing/sharing")), primary: true },
  { path: "/audit", title: "Audit", short: "Audit", icon: "audit", letter: "l", rights: ["audit.read", "audit.read_own"], component: lazy(() => import("../audit/audit")), primary: true },
  { path: "/admin/people", title: "People and roles", short: "People", icon: "people", letter: "p", rights: ["person.list"], component: lazy(() => import("../people/people")), primary: false },
  { path: "/admin/sources", title: "Sources", short: "Sources", icon: "sources", letter: "o", rights: ["source.list"], component: lazy(() => import("../intake/sources")), primary: false },
  { path: "/admin/lists", title: "Hot lists", short: "Lists", icon: "lists", letter: "h", rights: ["hot_list.list"], component: lazy(() => import("../intake/hot-lists")), primary: false },
  { path: "/admin/rules", title: "Alert rules and contacts", short: "Rules", icon: "rules", letter: "w", rights: ["alert_rule.list", "contact.list", "notification.list", "notification_settings.read"], component: lazy(() => import("../notifications/notifications")), primary: false },
  { path: "/admin/retention", title: "Retention", short: "Keep", icon: "retention", letter: "k", rights: ["retention.list", "retention.list_deletions"], component: lazy(() => import("../retention/retention")), primary: false },
  { path: "/admin/recording", title: "Recording", short: "Record", icon: "record", letter: "d", rights: ["recording.list", "recording.list_deletions"], component: lazy(() => import("../recording/recording")), primary: false },
  { path: "/admin/quarantine", title: "Quarantine", short: "Held", icon: "quarantine", letter: "q", rights: ["quarantine.list"], component: lazy(() => import("../intake/quarantine")), primary: false },
];

export function screenAt(path: string): ScreenEntry | undefined {
  const matching = screens.filter((screen) => path === screen.path || path.startsWith(`${screen.path}/`));
  return matching.reduce<ScreenEntry | undefined>((longest, screen) => (screen.path.length > (longest?.path.length ?? 0) ? screen : longest), undefined);
}

export function permitted(rights: readonly string[]): ScreenEntry[] {
  return screens.filter((screen) => !screen.rights.length || screen.rights.some((right) => rights.includes(right)));
}

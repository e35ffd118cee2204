/** Own 20-unit line icons; decorative, the text beside them says what they mean. */
const paths = {
  map: "M2 5l5-2 6 2 5-2v12l-5 2-6-2-5 2zM7 3v12M13 5v12",
  alerts: "M10 2a5 5 0 0 1 5 5v4l2 3H3l2-3V7a5 5 0 0 1 5-5zM8 17h4",
  units: "M3 12l1.5-5h11L17 12v4h-2.5M3 12v4h2.5M3 12h14M6 16h8",
  cameras: "M2 6h11v8H2zM13 9l5-3v8l-5-3",
  walls: "M2 4h7v5H2zM11 4h7v5h-7zM2 11h7v5H2zM11 11h7v5h-7z",
  flag: "M5 18V3h10l-2.500 3.500L15 10H5",
  search: "M9 3a6 6 0 1 1 0 12A6 6 0 0 1 9 3zM13.5 13.5L18 18",
  sharing: "M6 7h11l-3-3M14 13H3l3 3",
  audit: "M5 2h10v16H5zM8 6h4M8 9h4M8 12h2",
  people: "M7 10a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2 17c0-3 2-5 5-5s5 2 5 5M13 10a2.5 2.5 0 1 0 0-5M14 12c2.500 0 4 2 4 4.500",
  sources: "M3 5h14M3 10h14M3 15h14M6 3v4M12 8v4M8 13v4",
  quarantine: "M10 2l8 15H2zM10 8v4M10 14.500v.5",
  lists: "M4 4h3v3H4zM4 12h3v3H4zM10 5.500h7M10 13.500h7",
  incidents: "M4 3h12v14H4zM7 7h6M7 10h6M7 13h3",
  air: "M10 2l3 4-3 3-3-3zM5 9l3 3-3 3-3-3zM15 9l3 3-3 3-3-3zM10 10v7",
  retention: "M10 3a7 7 0 1 0 7 7M10 6v4l3 2M17 3v4h-4",
  record: "M10 3a7 7 0 1 1 0 14 7 7 0 0 1 0-14zM10 8a2 2 0 1 1 0 4 2 2 0 0 1 0-4z",
  rules: "M3 5h9M3 10h6M3 15h9M15 4v7M15 14.500v.5",
  tips: "M3 4h14v9h-7l-4 4v-4H3zM7 8.500h.1M10 8.500h.1M13 8.500h.1",
  more: "M4 10h.1M10 10h.1M16 10h.1",
  lock: "M5 9h10v8H5zM7 9V6a3 3 0 0 1 6 0v3",
  theme: "M10 3a7 7 0 1 0 7 9 6 6 0 0 1-7-9z",
  sound: "M3 8v4h3l4 3V5L6 8zM13 7c1.500 1.500 1.500 4.500 0 6M15 5c3 3 3 7 0 10",
  muted: "M3 8v4h3l4 3V5L6 8zM13 8l4 4M17 8l-4 4",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 20 20" fill="none" stroke="currentColor" strokeWidth={name === "more" ? 2.6 : 1.5} strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

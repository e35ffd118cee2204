import { useMemo } from "react";
import { encode } from "uqr";

/** Always dark on white: cameras need the contrast whatever the theme. */
export function QrCode({ text, label, size = 168 }: { text: string; label: string; size?: number }) {
  const { data, size: modules } = useMemo(() => encode(text, { border: 2 }), [text]);
  const path = data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ""))).join("");
  return (
    <svg role="img" aria-label={label} width={size} height={size} viewBox={`0 0 ${modules} ${modules}`} shapeRendering="crispEdges" style={{ background: "#fff", borderRadius: 8 }}>
      <path d={path} fill="#000" />
    </svg>
  );
}

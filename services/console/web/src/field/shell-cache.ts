/** What the field view's service worker may keep, and how it cuts a piece of a kept file. Pure, so that tests can ask it. */

/** Files of the shell and the street map; nothing that a call, a camera or a sign-in answered ever stands in a cache. */
export function mayKeep(request: { method: string; url: string; mode: string }, origin: string): "page" | "file" | "map" | undefined {
  if (request.method !== "GET") return undefined;
  const { origin: from, pathname } = new URL(request.url);
  if (from !== origin) return undefined;
  if (request.mode === "navigate") return pathname === "/field" || pathname.startsWith("/field/") ? "page" : undefined;
  if (pathname.startsWith("/assets/") || pathname === "/icon.svg" || pathname === "/console.webmanifest") return "file";
  return pathname.startsWith("/map/") ? "map" : undefined;
}

/** First and last byte of `Range: bytes=a-b`, bounded by the file; undefined: the whole file is asked for. */
export function rangeOf(header: string | null, size: number): { first: number; last: number } | undefined {
  const asked = /^bytes=(\d+)-(\d*)$/.exec(header ?? "");
  if (!asked) return undefined;
  const first = Number(asked[1]);
  const last = Math.min(asked[2] ? Number(asked[2]) : size - 1, size - 1);
  return first <= last ? { first, last } : undefined;
}

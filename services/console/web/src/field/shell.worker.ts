/**
 * The field view without a connection: the shell and the streets from this device. Its reach is /field; it keeps files of this origin that are
 * the same for everybody, and nothing about persons, places of units or pictures (`mayKeep`). The build writes the list of files into it.
 */
/// <reference lib="webworker" />
import { mayKeep, rangeOf } from "./shell-cache";

declare const self: ServiceWorkerGlobalScope;

/** The build replaces it by the files that the field view loads (vite.config.ts). */
const FILES: readonly string[] = JSON.parse("__SHELL_FILES__") as string[];
const PAGE = "/field";
const CACHE = "rtcc-field-__SHELL_DIGEST__";
const PATIENCE_MS = 4_000;

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll([PAGE, ...FILES]))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  const old = async () => {
    for (const name of await caches.keys()) if (name.startsWith("rtcc-field-") && name !== CACHE) await caches.delete(name);
    await self.clients.claim();
  };
  event.waitUntil(old());
});

self.addEventListener("fetch", (event) => {
  const kind = mayKeep(event.request, self.location.origin);
  if (kind === "page") event.respondWith(networkFirst(event.request, PAGE));
  else if (kind === "file") event.respondWith(kept(new URL(event.request.url).pathname).then((found) => found ?? fetch(event.request)));
  else if (kind === "map") event.respondWith(networkFirst(event.request, new URL(event.request.url).pathname));
});

async function kept(path: string): Promise<Response | undefined> {
  return (await caches.open(CACHE)).match(path);
}

/** What the server says while it answers; else what is kept. A kept file is never newer than the server's. */
async function networkFirst(request: Request, path: string): Promise<Response> {
  try {
    return await fetch(request, { signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch (error) {
    const found = await kept(path);
    if (!found) throw error;
    return piece(found, request.headers.get("Range"));
  }
}

async function piece(whole: Response, header: string | null): Promise<Response> {
  if (!header) return whole;
  const bytes = await whole.arrayBuffer();
  const range = rangeOf(header, bytes.byteLength);
  if (!range) return new Response(bytes, { headers: whole.headers });
  const headers = new Headers(whole.headers);
  headers.set("Content-Range", `bytes ${range.first}-${range.last}/${bytes.byteLength}`);
  headers.set("Content-Length", String(range.last - range.first + 1));
  return new Response(bytes.slice(range.first, range.last + 1), { status: 206, headers });
}

export {};

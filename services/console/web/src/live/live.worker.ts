/** The worker's shell: pages come and go by their ports; LiveConnection does the work. */
import { unionOf } from "./columns";
import { LiveConnection } from "./connection";
import type { Box, FromPage, FromWorker } from "./messages";

interface Page {
  post(message: FromWorker): void;
  viewport: Box | undefined;
  seenMs: number;
}

/** A page that was killed says no good-bye; hidden ones still report once a minute. */
const PAGE_IS_GONE_MS = 150_000;

const pages = new Set<Page>();
let sessionId = "";
const address = `${self.location.protocol === "https:" ? "wss" : "ws"}://${self.location.host}/v1/live`;
const connection = new LiveConnection(
  address,
  (message) => {
    for (const page of pages) page.post(message);
  },
  () => unionOf([...pages].flatMap((page) => (page.viewport ? [page.viewport] : []))),
);

setInterval(() => {
  for (const page of pages) if (Date.now() - page.seenMs > PAGE_IS_GONE_MS) leave(page);
}, 30_000);

function leave(page: Page): void {
  pages.delete(page);
  if (!pages.size) connection.shut();
}

function handle(page: Page, message: FromPage): void {
  page.seenMs = Date.now();
  switch (message.type) {
    case "open":
      page.viewport = message.viewport;
      if (message.sessionId !== sessionId) connection.shut();
      sessionId = message.sessionId;
      pages.add(page);
      for (const piece of connection.present()) page.post(piece);
      connection.open();
      connection.viewportChanged();
      break;
    case "viewport":
      page.viewport = message.viewport;
      connection.viewportChanged();
      break;
    case "wake":
      connection.wake();
      break;
    case "close":
      leave(page);
      break;
    case "alive":
      break;
  }
}

if ("onconnect" in self) {
  (self as unknown as { onconnect: (event: MessageEvent) => void }).onconnect = (event) => {
    const port = event.ports[0];
    if (!port) return;
    const page: Page = { post: (message) => port.postMessage(message), viewport: undefined, seenMs: Date.now() };
    port.onmessage = (received: MessageEvent<FromPage>) => handle(page, received.data);
  };
} else {
  const page: Page = { post: (message) => self.postMessage(message), viewport: undefined, seenMs: Date.now() };
  self.onmessage = (received: MessageEvent<FromPage>) => handle(page, received.data);
}

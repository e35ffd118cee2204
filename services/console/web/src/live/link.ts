/** The page's end of the live worker. */
import workerAddress from "./live.worker?address";
import type { Box, FromPage, FromWorker } from "./messages";

export interface LiveLink {
  post(message: FromPage): void;
  close(): void;
}

export function openLiveLink(sessionId: string, viewport: Box | undefined, take: (message: FromWorker) => void): LiveLink {
  const target = startWorker(take);
  target.post({ type: "open", viewport, sessionId });
  const alive = setInterval(() => target.post({ type: "alive" }), 20_000);
  const goodbye = () => target.post({ type: "close" });
  window.addEventListener("pagehide", goodbye);
  return {
    post: target.post,
    close: () => {
      clearInterval(alive);
      window.removeEventListener("pagehide", goodbye);
      goodbye();
      target.end();
    },
  };
}

function startWorker(take: (message: FromWorker) => void): { post(message: FromPage): void; end(): void } {
  if (typeof SharedWorker !== "undefined") {
    const worker = new SharedWorker(workerAddress, { type: "module", name: "rtcc-live" });
    worker.port.onmessage = (event: MessageEvent<FromWorker>) => take(event.data);
    return { post: (message) => worker.port.postMessage(message), end: () => worker.port.close() };
  }
  const worker = new Worker(workerAddress, { type: "module", name: "rtcc-live" });
  worker.onmessage = (event: MessageEvent<FromWorker>) => take(event.data);
  return { post: (message) => worker.postMessage(message), end: () => worker.terminate() };
}

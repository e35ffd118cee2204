/** Waiting for a connection's first decoded picture, without showing it. */

const ASK_EVERY_MS = 50;
const LONGEST_MS = 4_000;

/** Until the peer has decoded a picture, `wanted` is no longer true, or some seconds have passed. */
export async function firstFrame(peer: RTCPeerConnection, wanted: () => boolean): Promise<void> {
  const ends = performance.now() + LONGEST_MS;
  while (wanted() && performance.now() < ends) {
    for (const report of (await peer.getStats()).values() as IterableIterator<{ type: string; kind?: string; framesDecoded?: number }>) {
      if (report.type === "inbound-rtp" && report.kind === "video" && (report.framesDecoded ?? 0) > 0) return;
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
}

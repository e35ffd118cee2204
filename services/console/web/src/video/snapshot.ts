/** The newest key picture of a camera, as a JPEG. */
import { exchange } from "../contract/exchange";

export async function snapshot(cameraId: string, partner: boolean, signal?: AbortSignal): Promise<Blob> {
  const answer = await exchange({ verb: "GET", path: `/v1/cameras/${encodeURIComponent(cameraId)}/snapshot` }, { withPurpose: partner, what: "A picture of a camera", ...(signal ? { signal } : {}) });
  return answer.blob();
}

/**
 * How a desk's windows hand cameras to the walls that stand beside them: ids alone cross, between windows of one session in one browser.
 * Each question carries an id, and the answers name it.
 */
export const CAMERA_DRAG_TYPE = "application/x-rtcc-camera";

export type WallMessage =
  | { kind: "who"; askId: string }
  | { kind: "here"; askId: string; wallId: string; name: string }
  | { kind: "put"; askId: string; wallId: string; cameraIds: string[] }
  | { kind: "took"; askId: string; wallId: string; tile: number }
  | { kind: "selection"; askId: string }
  | { kind: "selected"; askId: string; cameraIds: string[] };

interface Told {
  sessionId: string;
  message: WallMessage;
}

const CHANNEL = "rtcc-walls";
const MOST_CAMERAS = 16;

export class WallChannel {
  private readonly channel = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel(CHANNEL);

  constructor(
    private readonly sessionId: string,
    hear: (message: WallMessage) => void,
  ) {
    if (!this.channel) return;
    this.channel.onmessage = (event: MessageEvent<unknown>) => {
      const message = messageOf(event.data, sessionId);
      if (message) hear(message);
    };
  }

  tell(message: WallMessage): void {
    this.channel?.postMessage({ sessionId: this.sessionId, message } satisfies Told);
  }

  close(): void {
    this.channel?.close();
  }
}

const isText = (value: unknown): value is string => typeof value === "string" && value.length > 0 && value.length <= 200;

/** What was told, when it came from the same session and is understood; else undefined. */
export function messageOf(told: unknown, session: string): WallMessage | undefined {
  if (typeof told !== "object" || told === null) return undefined;
  const { sessionId, message } = told as { sessionId?: unknown; message?: unknown };
  if (!session || sessionId !== session || typeof message !== "object" || message === null) return undefined;
  const { kind, askId, wallId, name, cameraIds, tile } = message as Record<string, unknown>;
  if (!isText(askId)) return undefined;
  const cameras = Array.isArray(cameraIds) ? cameraIds.filter(isText).slice(0, MOST_CAMERAS) : [];
  switch (kind) {
    case "who":
    case "selection":
      return { kind, askId };
    case "selected":
      return { kind, askId, cameraIds: cameras };
    case "here":
      return isText(wallId) && isText(name) ? { kind, askId, wallId, name } : undefined;
    case "put":
      return isText(wallId) && cameras.length ? { kind, askId, wallId, cameraIds: cameras } : undefined;
    case "took":
      return isText(wallId) && typeof tile === "number" ? { kind, askId, wallId, tile } : undefined;
    default:
      return undefined;
  }
}

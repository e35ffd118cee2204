import { useEffect, useRef, useState } from "react";
import { useSession } from "../session/store";
import { go } from "../shell/router";
import { notify } from "../ui/notices";
import { Button, Dialog } from "../ui/parts";
import { WallChannel } from "./channel";

const ANSWERS_WITHIN_MS = 400;

/** Puts a camera on the wall that is open beside this window; asks when there are several, and says so when there is none. */
export function ToWall({ cameraId, onDone }: { cameraId: string; onDone(): void }) {
  const sessionId = useSession((state) => state.session?.session_id ?? "");
  const [walls, setWalls] = useState<ReadonlyMap<string, string>>();
  const channel = useRef<WallChannel>(undefined);
  const askId = useRef(crypto.randomUUID());
  const put = (wallId: string) => channel.current?.tell({ kind: "put", askId: askId.current, wallId, cameraIds: [cameraId] });
  useEffect(() => {
    const found = new Map<string, string>();
    const made = new WallChannel(sessionId, (message) => {
      if (message.askId !== askId.current) return;
      if (message.kind === "here") found.set(message.wallId, message.name);
      if (message.kind === "took") {
        notify(`On the wall ${found.get(message.wallId) ?? ""}, tile ${message.tile}.`);
        onDone();
      }
    });
    channel.current = made;
    made.tell({ kind: "who", askId: askId.current });
    const timer = setTimeout(() => {
      const [only] = found.keys();
      if (found.size === 1 && only !== undefined) put(only);
      else setWalls(found);
    }, ANSWERS_WITHIN_MS);
    return () => {
      clearTimeout(timer);
      made.close();
    };
  }, [sessionId]);
  if (!walls) return null;
  return (
    <Dialog title="Send to the wall" testId="to-wall" onClose={onDone}>
      {walls.size ? (
        <div className="stack tight">
          {[...walls].map(([wallId, name]) => (
            <Button key={wallId} onClick={() => put(wallId)}>
              {name}
            </Button>
          ))}
        </div>
      ) : (
        <>
          <p className="secondary">No wall is open in a window of this desk. Open one in its own window, then send the tile again.</p>
          <div>
            <Button look="primary" onClick={() => go("/wall")}>
              To the walls
            </Button>
          </div>
        </>
      )}
    </Dialog>
  );
}

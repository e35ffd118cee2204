import { useEffect, useRef } from "react";
import type { Wall } from "../generated/rtcc/video/v1/wall_pb";
import { useSession } from "../session/store";
import { notify } from "../ui/notices";
import { WallChannel } from "./channel";
import { fill, tileNumber, type Plan } from "./plan";

const ANSWERS_WITHIN_MS = 600;

/** The windows beside this one ask who is a wall, and send cameras. The answer asks the map for what is chosen there. */
export function useWallChannel(wall: Wall, plan: Plan, selected: number, setPlan: (change: (before: Plan) => Plan) => void): () => void {
  const sessionId = useSession((state) => state.session?.session_id ?? "");
  const channel = useRef<WallChannel>(undefined);
  const asked = useRef<{ askId: string; answered: boolean }>(undefined);
  const now = useRef({ plan, selected });
  now.current = { plan, selected };
  useEffect(() => {
    const made = new WallChannel(sessionId, (message) => {
      if (message.kind === "who") made.tell({ kind: "here", askId: message.askId, wallId: wall.wallId, name: wall.name });
      if (message.kind === "put" && message.wallId === wall.wallId) {
        const next = fill(now.current.plan, message.cameraIds, now.current.selected);
        now.current.plan = next;
        setPlan(() => next);
        const cell = next.slots.find((slot) => slot.cameraId === message.cameraIds[0])?.cell ?? 0;
        made.tell({ kind: "took", askId: message.askId, wallId: wall.wallId, tile: tileNumber(next, cell) });
      }
      if (message.kind === "selected" && message.askId === asked.current?.askId) {
        asked.current.answered = true;
        setPlan((before) => fill(before, message.cameraIds, now.current.selected));
      }
    });
    channel.current = made;
    return () => made.close();
  }, [sessionId, wall.wallId, wall.name, setPlan]);
  return () => {
    const question = { askId: crypto.randomUUID(), answered: false };
    asked.current = question;
    channel.current?.tell({ kind: "selection", askId: question.askId });
    setTimeout(() => question.answered || notify("No map of this desk has cameras chosen: click cameras there, or draw a line along which they stand."), ANSWERS_WITHIN_MS);
  };
}

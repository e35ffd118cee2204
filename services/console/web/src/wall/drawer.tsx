import { useEffect, useId, useMemo, useState } from "react";
import { useLive } from "../live/store";
import { Button } from "../ui/parts";
import { CAMERA_DRAG_TYPE } from "./channel";
import type { Content } from "./plan";

const SHOWN = 60;
/** Dragged like a camera; the alerts' slot has no id. */
export const FOLLOW = "follow-alerts";

interface Choice {
  id: string;
  label: string;
  hint: string;
}

export const contentOf = (id: string): Content => (id === FOLLOW ? { cameraId: "", followAlerts: true } : { cameraId: id, followAlerts: false });

/** Cameras by name, to be put into a tile with Enter, by a click, or dragged there. A combobox with a list, as WAI-ARIA describes it. */
export function Drawer({ tile, onWall, onPick, onClose }: { tile: number; onWall: ReadonlySet<string>; onPick(id: string): void; onClose(): void }) {
  const own = useLive((state) => state.cameras);
  const shared = useLive((state) => state.sharedCameras);
  const agencies = useLive((state) => state.agencies);
  const [text, setText] = useState("");
  const [active, setActive] = useState(0);
  const listId = useId();
  const choices = useMemo((): Choice[] => {
    const cameras = [...own.values()].filter(({ hasStream, enabled }) => hasStream && enabled).map((camera) => ({ id: camera.cameraId, label: camera.name, hint: "" }));
    const partners = [...shared.values()].flatMap(({ camera }) => (camera ? [{ id: camera.cameraId, label: camera.name, hint: agencies.get(camera.agencyId)?.name ?? camera.agencyId }] : []));
    const byName = (one: Choice, other: Choice) => one.label.localeCompare(other.label);
    return [{ id: FOLLOW, label: "Follow alerts", hint: "newest first" }, ...cameras.sort(byName), ...partners.sort(byName)];
  }, [own, shared, agencies]);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = choices.filter(({ label, hint }) => words.every((word) => `${label} ${hint}`.toLowerCase().includes(word))).slice(0, SHOWN);
  useEffect(() => setActive(0), [text]);
  useEffect(() => {
    // Newer browsers answer with a promise, which is no clean-up.
    void document.getElementById(`${listId}-${active}`)?.scrollIntoView({ block: "nearest" });
  }, [active, listId]);
  return (
    <aside className="wall-drawer" aria-label="Cameras" data-testid="wall-drawer">
      <div className="spread keep">
        <h2>Into tile {tile}</h2>
        <Button look="quiet" aria-label="Close the list" onClick={onClose}>
          ✕
        </Button>
      </div>
      <input
        className="input"
        role="combobox"
        aria-expanded="true"
        aria-controls={listId}
        aria-activedescendant={found[active] ? `${listId}-${active}` : undefined}
        aria-label={`Camera for tile ${tile}`}
        placeholder="Camera"
        autoFocus
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            event.preventDefault();
            setActive((before) => (before + (event.key === "ArrowDown" ? 1 : found.length - 1)) % Math.max(1, found.length));
          }
          const choice = found[active];
          if (event.key === "Enter" && choice) onPick(choice.id);
          if (event.key === "Escape") onClose();
        }}
      />
      <ul id={listId} role="listbox" aria-label="Cameras" className="wall-choices">
        {found.map((choice, index) => (
          <li
            key={choice.id}
            id={`${listId}-${index}`}
            role="option"
            aria-selected={index === active}
            draggable
            onDragStart={(event) => event.dataTransfer.setData(CAMERA_DRAG_TYPE, choice.id)}
            onMouseEnter={() => setActive(index)}
            onClick={() => onPick(choice.id)}
            data-choice={choice.id}
          >
            <span className="ellipsis">{choice.label}</span>
            <span className="muted">{onWall.has(choice.id) ? "on the wall" : choice.hint}</span>
          </li>
        ))}
      </ul>
      {!found.length && <p className="muted">Nothing by that name.</p>}
    </aside>
  );
}

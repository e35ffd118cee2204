import { useEffect, useMemo, useState } from "react";
import { useLive } from "../live/store";
import { openCamera } from "../video/dock";
import { lockSession } from "../session/auth";
import { useSession } from "../session/store";
import { Dialog } from "../ui/parts";
import { useDesk } from "./desk";
import { go } from "./router";
import type { ScreenEntry } from "./screens";

interface Command {
  id: string;
  label: string;
  hint: string;
  run(): void;
}

const SHOWN = 12;

/** In the dock; on a screen without one, on the map's. */
function show(cameraId: string): void {
  openCamera(cameraId);
  if (!/^\/(map|alerts|cameras)/.test(location.pathname)) go("/map");
}

/** Ctrl K: every screen, camera and switch by name. A combobox with a list, as WAI-ARIA describes it. */
export function Palette({ screens }: { screens: readonly ScreenEntry[] }) {
  const open = useDesk((state) => state.paletteOpen);
  return open ? <PaletteDialog screens={screens} onClose={() => useDesk.setState({ paletteOpen: false })} /> : null;
}

function PaletteDialog({ screens, onClose }: { screens: readonly ScreenEntry[]; onClose(): void }) {
  const [text, setText] = useState("");
  const [active, setActive] = useState(0);
  const cameras = useLive((state) => state.cameras);
  const sharedCameras = useLive((state) => state.sharedCameras);
  const commands = useMemo((): Command[] => {
    const desk = useDesk.getState();
    return [
      ...screens.map((screen) => ({ id: screen.path, label: screen.title, hint: `G ${screen.letter.toUpperCase()}`, run: () => go(screen.path) })),
      { id: "theme", label: "Switch between dark and day theme", hint: "N", run: () => desk.setTheme(desk.theme === "dark" ? "day" : "dark") },
      { id: "keys", label: desk.letterKeys ? "Switch single-letter keys off" : "Switch single-letter keys on", hint: "", run: () => desk.setLetterKeys(!desk.letterKeys) },
      { id: "help", label: "Keyboard help", hint: "?", run: () => useDesk.setState({ helpOpen: true }) },
      { id: "lock", label: "Lock this desk", hint: "", run: () => void lockSession().then(() => useSession.getState().lock()) },
      ...[...cameras.values()].map((camera) => ({ id: camera.cameraId, label: camera.name, hint: "camera", run: () => show(camera.cameraId) })),
      ...[...sharedCameras.values()].flatMap(({ camera }) => (camera ? [{ id: camera.cameraId, label: camera.name, hint: `camera of ${camera.agencyId}`, run: () => show(camera.cameraId) }] : [])),
    ];
  }, [screens, cameras, sharedCameras]);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = commands.filter((command) => words.every((word) => command.label.toLowerCase().includes(word))).slice(0, SHOWN);
  useEffect(() => setActive(0), [text]);
  const run = (command: Command | undefined) => {
    if (!command) return;
    onClose();
    command.run();
  };
  return (
    <Dialog title="Go to, or do" onClose={onClose} testId="palette">
      <input
        className="input"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found[active] ? `palette-${active}` : undefined}
        aria-label="Screen, camera or command"
        placeholder="Screen, camera or command"
        autoFocus
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            event.preventDefault();
            const step = event.key === "ArrowDown" ? 1 : -1;
            setActive((before) => (before + step + found.length) % Math.max(1, found.length));
          }
          if (event.key === "Enter") run(found[active]);
        }}
      />
      <ul id="palette-list" role="listbox" aria-label="Matches" className="palette-list">
        {found.map((command, index) => (
          <li key={command.id} id={`palette-${index}`} role="option" aria-selected={index === active} onMouseEnter={() => setActive(index)} onClick={() => run(command)}>
            <span className="ellipsis">{command.label}</span>
            <span className="muted">{command.hint}</span>
          </li>
        ))}
      </ul>
      {!found.length && <p className="muted">Nothing by that name.</p>}
    </Dialog>
  );
}

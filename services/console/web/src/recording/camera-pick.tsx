import { useState } from "react";
import type { Camera } from "../generated/rtcc/registry/v1/registry_pb";

const MOST_SHOWN = 100;

/** One camera, found by its name; "" where `everyCamera` may be chosen too. */
export function CameraPick({ cameras, chosen, everyCamera, onChosen }: { cameras: readonly Camera[]; chosen: string; everyCamera?: boolean; onChosen(cameraId: string): void }) {
  const [text, setText] = useState("");
  const found = cameras.filter((camera) => camera.cameraId === chosen || camera.name.toLowerCase().includes(text.toLowerCase())).sort((one, other) => one.name.localeCompare(other.name));
  const choices = [...(everyCamera ? [["", "Every camera"] as const] : []), ...found.slice(0, MOST_SHOWN).map((camera) => [camera.cameraId, camera.name] as const)];
  return (
    <fieldset className="plain stack tight">
      <legend className="legend">Camera</legend>
      <input className="input" type="search" name="find-camera" aria-label="Find a camera" placeholder="Find by name" value={text} onChange={(event) => setText(event.target.value)} />
      <div className="choice-list" tabIndex={0} role="group" aria-label="Cameras">
        {choices.map(([id, name]) => (
          <label key={id} className="check">
            <input type="radio" name="camera" required value={id} checked={chosen === id} onChange={() => onChosen(id)} />
            {name}
          </label>
        ))}
        {!found.length && <p className="muted">No camera has this in its name.</p>}
        {found.length > MOST_SHOWN && <p className="muted">{found.length - MOST_SHOWN} more: type a part of the name.</p>}
      </div>
    </fieldset>
  );
}

import { useState } from "react";
import type { Camera } from "../generated/rtcc/registry/v1/registry_pb";
import { Button } from "../ui/parts";

export function CameraChoice({ cameras, chosen, onChosen }: { cameras: readonly Camera[]; chosen: ReadonlySet<string>; onChosen(chosen: ReadonlySet<string>): void }) {
  const [text, setText] = useState("");
  const shown = cameras.filter((camera) => camera.name.toLowerCase().includes(text.toLowerCase())).sort((one, other) => one.name.localeCompare(other.name));
  return (
    <fieldset className="plain stack" style={{ gap: 6 }}>
      <legend className="legend">Live view of cameras ({chosen.size} chosen)</legend>
      <div className="row" style={{ flexWrap: "nowrap" }}>
        <input className="input" type="search" aria-label="Find a camera" placeholder="Find" value={text} onChange={(event) => setText(event.target.value)} />
        <Button size="small" onClick={() => onChosen(new Set([...chosen, ...shown.map((camera) => camera.cameraId)]))}>
          Add these {shown.length}
        </Button>
        <Button size="small" onClick={() => onChosen(new Set())}>
          None
        </Button>
      </div>
      <div className="choice-list" tabIndex={0} role="group" aria-label="Cameras">
        {shown.map((camera) => (
          <label key={camera.cameraId} className="check">
            <input
              type="checkbox"
              name={`camera-${camera.cameraId}`}
              checked={chosen.has(camera.cameraId)}
              onChange={() => {
                const next = new Set(chosen);
                if (!next.delete(camera.cameraId)) next.add(camera.cameraId);
                onChosen(next);
              }}
            />
            {camera.name}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

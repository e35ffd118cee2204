import { useEffect, useRef, useState } from "react";
import { useLive } from "../live/store";
import { useRight } from "../session/store";
import { Button } from "../ui/parts";
import { giveBack, goToPreset, halt, move, removePlace, speedOfKey, storePlace, takeControl, usePtz, type Speed } from "./control";
import "./ptz.css";

const PAD: readonly (readonly [name: string, sign: string, speed: Speed | undefined])[] = [
  ["Up and left", "↖", { pan: -0.5, tilt: 0.5, zoom: 0 }],
  ["Up", "↑", { pan: 0, tilt: 0.5, zoom: 0 }],
  ["Up and right", "↗", { pan: 0.5, tilt: 0.5, zoom: 0 }],
  ["Left", "←", { pan: -0.5, tilt: 0, zoom: 0 }],
  ["", "", undefined],
  ["Right", "→", { pan: 0.5, tilt: 0, zoom: 0 }],
  ["Down and left", "↙", { pan: -0.5, tilt: -0.5, zoom: 0 }],
  ["Down", "↓", { pan: 0, tilt: -0.5, zoom: 0 }],
  ["Down and right", "↘", { pan: 0.5, tilt: -0.5, zoom: 0 }],
];

/** Takes and gives back a camera's control. Only where the camera can be moved and the person may. */
export function PtzButton({ cameraId, name }: { cameraId: string; name: string }) {
  const movable = useLive((state) => state.cameras.get(cameraId)?.movable ?? false);
  const may = useRight("camera.take_control");
  const mine = usePtz((state) => state.cameraId === cameraId);
  const busy = usePtz((state) => state.busy);
  if (!movable || !may) return null;
  return (
    <Button look="quiet" size="small" busy={busy} aria-pressed={mine} aria-label={mine ? `Stop moving ${name}` : `Move ${name}`} title={mine ? "Give the control back" : "Move this camera"} onClick={() => void (mine ? giveBack() : takeControl(cameraId))}>
      ✥
    </Button>
  );
}

/** Over the picture: who moves the camera, and, for that person, the means to. */
export function PtzPanel({ cameraId, name }: { cameraId: string; name: string }) {
  const holder = useLive((state) => state.cameraStates.get(cameraId)?.controlledBy ?? "");
  const mine = usePtz((state) => state.cameraId === cameraId);
  const problem = usePtz((state) => (state.problem?.cameraId === cameraId ? state.problem.text : ""));
  const mayTakeOver = useRight("camera.take_over_control");
  const mayMove = useRight("camera.take_control");
  // a tile that is closed moves nothing
  useEffect(() => () => void (usePtz.getState().cameraId === cameraId && giveBack()), [cameraId]);
  if (!mine && !holder && !problem) return null;
  return (
    <div className="ptz" data-testid="ptz" data-mine={mine || undefined}>
      {mine ? <Pad name={name} /> : holder && <span className="badge" data-testid="ptz-holder">{`Moved by ${holder}`}</span>}
      {problem && (
        <p className="ptz-problem" role="alert" data-testid="ptz-problem">
          {problem}
        </p>
      )}
      {!mine && mayMove && mayTakeOver && holder && (
        <Button className="ptz-target" onClick={() => void takeControl(cameraId, true)}>
          Take over
        </Button>
      )}
    </div>
  );
}

/** The places that the device remembers: to go to, and, since they are everybody's, to store and to remove by name. */
function Places() {
  const presets = usePtz((state) => state.presets);
  const [naming, setNaming] = useState(false);
  if (naming)
    return (
      <form
        className="ptz-naming"
        onSubmit={(event) => {
          event.preventDefault();
          setNaming(false);
          const name = String(new FormData(event.currentTarget).get("place")).trim();
          if (name) void storePlace(name);
        }}
      >
        <input className="ptz-presets" name="place" aria-label="Name of this place" maxLength={64} autoFocus onKeyDown={(event) => (event.stopPropagation(), event.key === "Escape" && setNaming(false))} />
        <button className="ptz-target" aria-label="Store">
          ✓
        </button>
      </form>
    );
  const choose = (value: string) => {
    const token = value.slice(1);
    if (value === "+") setNaming(true);
    else if (value.startsWith("g")) goToPreset(token);
    else if (value && confirm(`Remove the stored place ${presets.find((preset) => preset.token === token)?.name} for everybody?`)) void removePlace(token);
  };
  return (
    <select className="ptz-presets" aria-label="Go to a stored place" value="" onChange={(event) => choose(event.target.value)}>
      <option value="">Stored places</option>
      {presets.map(({ token, name }) => (
        <option key={token} value={`g${token}`}>
          {name}
        </option>
      ))}
      <option value="+">Store this place…</option>
      {presets.length > 0 && (
        <optgroup label="Remove">
          {presets.map(({ token, name }) => (
            <option key={token} value={`r${token}`}>
              {`Remove ${name}`}
            </option>
          ))}
        </optgroup>
      )}
    </select>
  );
}

/** Held buttons and held keys move; letting go stops. The arrows and + and - work while the pad has the focus. */
function Pad({ name }: { name: string }) {
  const pad = useRef<HTMLDivElement>(null);
  const held = useRef("");
  useEffect(() => {
    pad.current?.focus();
    // a window that is left gets no "key up"
    window.addEventListener("blur", halt);
    return () => {
      window.removeEventListener("blur", halt);
      halt();
    };
  }, []);
  const onKeyDown = (event: React.KeyboardEvent) => {
    const speed = event.target instanceof HTMLSelectElement ? undefined : speedOfKey(event.key);
    if (!speed) return;
    event.preventDefault();
    event.stopPropagation();
    if (held.current === event.key) return;
    held.current = event.key;
    move(speed);
  };
  const onKeyUp = (event: React.KeyboardEvent) => {
    if (held.current !== event.key) return;
    held.current = "";
    halt();
  };
  const whileHeld = (speed: Speed) => ({
    onPointerDown: (event: React.PointerEvent) => {
      event.currentTarget.setPointerCapture(event.pointerId);
      move(speed);
    },
    onPointerUp: halt,
    onPointerCancel: halt,
    onLostPointerCapture: halt,
    onKeyDown: (event: React.KeyboardEvent) => {
      if ((event.key === "Enter" || event.key === " ") && !event.repeat) {
        event.preventDefault();
        event.stopPropagation();
        move(speed);
      }
    },
    onKeyUp: (event: React.KeyboardEvent) => (event.key === "Enter" || event.key === " ") && halt(),
  });
  return (
    <div ref={pad} className="ptz-pad" role="group" tabIndex={-1} aria-label={`Move ${name}: arrows, + and -`} data-testid="ptz-pad" onKeyDown={onKeyDown} onKeyUp={onKeyUp} onBlur={(event) => !event.currentTarget.contains(event.relatedTarget) && halt()}>
      <Places />
      <div className="ptz-ways">
        {PAD.map(([way, sign, speed]) =>
          speed ? (
            <button key={way} type="button" className="ptz-target" aria-label={way} {...whileHeld(speed)}>
              {sign}
            </button>
          ) : (
            <span key="middle" />
          ),
        )}
      </div>
      <div className="ptz-zoom">
        <button type="button" className="ptz-target" aria-label="Nearer" {...whileHeld({ pan: 0, tilt: 0, zoom: 0.5 })}>
          +
        </button>
        <button type="button" className="ptz-target" aria-label="Farther" {...whileHeld({ pan: 0, tilt: 0, zoom: -0.5 })}>
          −
        </button>
        <button type="button" className="ptz-target" aria-label={`Stop moving ${name} and give the control back`} onClick={() => void giveBack()}>
          ✕
        </button>
      </div>
    </div>
  );
}

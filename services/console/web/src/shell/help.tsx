import { KeyList } from "../ui/key-list";
import { Dialog } from "../ui/parts";
import { useDesk } from "./desk";
import type { ScreenEntry } from "./screens";

const groups: readonly [string, readonly (readonly [string, string])[]][] = [
  ["Everywhere", [["Ctrl K", "Go to, or do"], ["?", "This help"], ["`", "Jump to the top alert"], ["Esc", "Back"], ["N", "Dark or day"]]],
  ["Alert queue", [["J / K", "Next, previous"], ["A", "Acknowledge"], ["Enter", "Acknowledge, open, dock 4 cameras"], ["X", "Select"], ["F", "Filter"], ["C / M", "Plate is correct / misread"], ["I", "To its incident, or make one"], ["1 – 4", "Enlarge a tile"], ["W", "Send a tile to the wall"], ["B", "A tile's picture to the incident"]]],
  ["Map", [["Arrows", "Move"], ["+ / −", "Zoom"], ["0", "Whole area"], ["L", "Layers"], ["Enter", "While placing: a point at the cross"], ["Backspace", "While drawing: take the last point back"], [", / .", "Previous, next camera along a line"]]],
];

export function Help({ screens }: { screens: readonly ScreenEntry[] }) {
  const open = useDesk((state) => state.helpOpen);
  const letterKeys = useDesk((state) => state.letterKeys);
  if (!open) return null;
  return (
    <Dialog title="Keys" wide onClose={() => useDesk.setState({ helpOpen: false })} testId="help">
      <div className="key-groups">
        {[...groups, ["G, then", screens.map((screen) => [screen.letter.toUpperCase(), screen.title] as const)] as const].map(([title, keys]) => (
          <section key={title} className="stack">
            <h3>{title}</h3>
            <KeyList keys={keys} />
          </section>
        ))}
      </div>
      <label className="check">
        <input type="checkbox" checked={letterKeys} onChange={(event) => useDesk.getState().setLetterKeys(event.target.checked)} />
        Single-letter keys act (off: only buttons, Ctrl K, Enter and Escape)
      </label>
      <p className="muted">A key acts on an alert only when its row has stood unchanged for 0.3 s. Keys never act while you type.</p>
    </Dialog>
  );
}

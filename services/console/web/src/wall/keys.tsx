import { KeyList } from "../ui/key-list";
import { Dialog } from "../ui/parts";

const KEYS: readonly (readonly [string, string])[] = [
  ["Arrows", "To the tile beside"],
  ["Shift arrows", "Change places with it"],
  ["Enter", "Enlarge, or search a camera for an empty tile"],
  ["/", "Search a camera for the tile"],
  ["M", "Take what is chosen on the map"],
  ["A", "Follow alerts in the tile"],
  ["Delete", "Empty the tile"],
  ["+ / −", "More or fewer cells for the tile"],
  ["L", "1, 4, 9 or 16 tiles"],
  ["S", "Save the wall"],
  ["N", "Dark or day"],
  ["Esc", "Back"],
];

export function WallKeys({ onClose }: { onClose(): void }) {
  return (
    <Dialog title="Keys" wide onClose={onClose} testId="wall-keys">
      <KeyList keys={KEYS} />
      <p className="secondary">On a desk beside it, W sends a camera here.</p>
    </Dialog>
  );
}

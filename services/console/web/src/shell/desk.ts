/** What this desk has chosen: theme, sound, keys, selection. Kept in this browser only. */
import { create } from "zustand";

export type Theme = "dark" | "day";

interface Desk {
  theme: Theme;
  letterKeys: boolean;
  soundArmed: boolean;
  paletteOpen: boolean;
  helpOpen: boolean;
  setTheme(theme: Theme): void;
  setLetterKeys(on: boolean): void;
}

function stored(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // storage is switched off in this browser: choices last as long as the page
  }
}

function keep(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // As above.
  }
}

export const useDesk = create<Desk>()((set) => ({
  theme: stored("rtcc.theme") === "day" ? "day" : "dark",
  letterKeys: stored("rtcc.letter-keys") !== "off",
  soundArmed: false,
  paletteOpen: false,
  helpOpen: false,
  setTheme: (theme) => {
    keep("rtcc.theme", theme);
    document.documentElement.dataset.theme = theme;
    set({ theme });
  },
  setLetterKeys: (letterKeys) => {
    keep("rtcc.letter-keys", letterKeys ? "on" : "off");
    set({ letterKeys });
  },
}));
document.documentElement.dataset.theme = useDesk.getState().theme;

import { useEffect } from "react";
import { CityMap } from "../map/city-map";
import { useSession } from "../session/store";
import { useDesk } from "../shell/desk";
import { Button } from "../ui/parts";
import { clock } from "../contract/time";
import { useNow } from "../ui/use-now";
import "./field.css";

const TRY_AGAIN_EVERY_MS = 5_000;
const openedAtMs = Date.now();

/** The field view opened without a connection: the cached shell and streets, and nothing about anybody. Comes back by itself. */
export default function OfflineField() {
  const theme = useDesk((state) => state.theme);
  useNow(1000);
  useEffect(() => {
    const again = () => void useSession.getState().load();
    const timer = setInterval(again, TRY_AGAIN_EVERY_MS);
    window.addEventListener("online", again);
    return () => {
      clearInterval(timer);
      window.removeEventListener("online", again);
    };
  }, []);
  return (
    <div className="field-view field-offline" data-testid="field-offline">
      <header className="field-head">
        <h1>Field</h1>
        <span className="grow" />
        <span className="badge" data-tone="act">
          no connection since {clock.format(openedAtMs)}
        </span>
      </header>
      <main className="field-main">
        <div className="field-map field-map-whole">
          <CityMap compact />
        </div>
        <p className="note" data-tone="act" role="status">
          Streets only. Units, alerts, calls and your incident are kept on no phone: they come when the connection is back. Use the radio.
        </p>
      </main>
      <div className="field-actions field-foot">
        <Button size="large" look="primary" onClick={() => void useSession.getState().load()}>
          Try now
        </Button>
        <Button size="large" onClick={() => useDesk.getState().setTheme(theme === "dark" ? "day" : "dark")}>
          {theme === "dark" ? "Day theme" : "Night theme"}
        </Button>
      </div>
    </div>
  );
}

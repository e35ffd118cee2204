import { useEffect, useState } from "react";
import { useLive } from "../live/store";
import { CityMap } from "../map/city-map";
import { useRight } from "../session/store";
import { go, usePath } from "../shell/router";
import { VideoDock } from "../video/video-dock";
import { showAlert } from "./actions";
import { AlertDetail } from "./alert-detail";
import { QueuePanel } from "./queue-panel";
import { choose, useSelection } from "./selection";
import "./desk.css";

/** Map, queue and dock: one working place. `/alerts` is the same without the map. An open alert stands in the address. */
export default function Desk() {
  const path = usePath();
  const withMap = path.startsWith("/map");
  const mayAlert = useRight("alert.list");
  const openId = useSelection((state) => state.openId);
  const item = useLive((state) => (openId ? state.alerts.get(openId) : undefined));
  const [asked, setAsked] = useState(() => new URLSearchParams(location.search).get("alert"));
  const arrived = useLive((state) => asked !== null && state.alerts.has(asked));
  useEffect(() => {
    const found = asked ? useLive.getState().alerts.get(asked) : undefined;
    if (!arrived || !asked || !found) return;
    choose(asked);
    showAlert(found);
    setAsked(null);
  }, [arrived, asked]);
  useEffect(() => {
    if (asked || !/^\/(map|alerts)/.test(location.pathname)) return;
    const query = openId ? `?alert=${encodeURIComponent(openId)}` : "";
    go((withMap ? "/map" : "/alerts") + query, true);
  }, [openId, asked, withMap]);
  const onAlert = (id: string) => {
    const found = useLive.getState().alerts.get(id);
    if (!found) return;
    choose(id);
    showAlert(found);
  };
  const side = mayAlert && (
    <div className="side" data-open={item ? true : undefined}>
      <QueuePanel />
      {item && withMap && <AlertDetail key={item.id} item={item} />}
    </div>
  );
  return (
    <div className="desk" data-map={withMap || undefined}>
      {withMap ? (
        <div className="scene">
          <CityMap onAlert={onAlert} />
          <VideoDock />
        </div>
      ) : (
        side
      )}
      {withMap ? (
        side
      ) : (
        <div className="scene scene-detail">
          {item ? <AlertDetail key={item.id} item={item} /> : <p className="empty">Choose an alert, or press Enter to take the top one.</p>}
          <VideoDock />
        </div>
      )}
    </div>
  );
}


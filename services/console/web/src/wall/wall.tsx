import { useEffect, useMemo, useRef, useState } from "react";
import { send } from "../contract/call";
import { useAct, useRead } from "../contract/use-call";
import { WallService, type Wall } from "../generated/rtcc/video/v1/wall_pb";
import { useLive } from "../live/store";
import { useRight } from "../session/store";
import { useDesk } from "../shell/desk";
import { useKeys } from "../shell/keys";
import { follow } from "../shell/router";
import { Icon } from "../ui/icons";
import { Notices, notify, notifyProblem } from "../ui/notices";
import { Button, Loading, ProblemNote } from "../ui/parts";
import { drop } from "../video/pool";
import { CAMERA_DRAG_TYPE } from "./channel";
import { contentOf, Drawer, FOLLOW } from "./drawer";
import { WallKeys } from "./keys";
import { Place, PLACE_DRAG_TYPE } from "./place";
import { beside, clear, followed, places, put, resize, samePlan, sideOf, slotAt, swap, tileNumber, TILES, withTiles, type Plan } from "./plan";
import { Strip } from "./strip";
import { useWallChannel } from "./use-wall-channel";
import "./wall.css";

/** Another desk may have saved the wall: read again this often. */
const READ_EVERY_MS = 30_000;
const SLEEPS_AFTER_MS = 5_000;

const planOf = (wall: Wall): Plan => ({ tiles: wall.tiles, slots: wall.slots.map(({ cell, span, cameraId, followAlerts }) => ({ cell, span, cameraId, followAlerts })) });

/** A wall fills the window: no rail, no header, letters that are read from across a room. */
export default function WallWindow({ wallId }: { wallId: string }) {
  const query = useRead(WallService.method.listWalls, {}, { everyMs: READ_EVERY_MS });
  const wall = query.data?.walls.find((one) => one.wallId === wallId);
  if (wall) return <Whole key={wallId} stored={wall} />;
  return (
    <main className="wall-empty-page">
      <h1>{query.isFetching && !query.data ? "Video wall" : "No such wall"}</h1>
      {query.isFetching && !query.data ? <Loading what="Reading" /> : <ProblemNote error={query.error} />}
      {query.data && <p className="secondary">It was removed, it is somebody's own, or the address is misspelt.</p>}
      <a className="button" href="/wall" onClick={follow}>
        To the walls
      </a>
    </main>
  );
}

function Whole({ stored }: { stored: Wall }) {
  const maySave = useRight("wall.save");
  const [plan, setPlan] = useState<Plan>(() => planOf(stored));
  const [base, setBase] = useState(stored);
  const [selected, setSelected] = useState(0);
  const [enlarged, setEnlarged] = useState<number>();
  const [drawer, setDrawer] = useState(false);
  const [helping, setHelping] = useState(false);
  const [attempts, setAttempts] = useState<ReadonlyMap<string, number>>(new Map());
  const changed = useMemo(() => !samePlan(plan, planOf(base)), [plan, base]);
  const alerts = useLive((state) => state.alerts);
  const follows = useMemo(() => followed(plan, alerts.values()), [plan, alerts]);
  const grid = useRef<HTMLDivElement>(null);
  const theme = useDesk((state) => state.theme);
  const asleep = useAsleep();
  useEffect(() => {
    document.title = `${stored.name} – OpenRTCC`;
  }, [stored.name]);
  // Saved elsewhere: taken over, unless this window holds changes of its own.
  useEffect(() => {
    if (stored.revision === base.revision || changed) return;
    setBase(stored);
    setPlan(planOf(stored));
  }, [stored, base, changed]);

  const save = useAct(
    () => send(WallService.method.saveWall, { wall: { wallId: base.wallId, name: base.name, personal: base.personal, revision: base.revision, tiles: plan.tiles, slots: [...plan.slots] } }),
    (answer) => {
      if (answer.wall) setBase(answer.wall);
      notify("The wall is saved.");
    },
  );
  const select = (cell: number) => {
    setSelected(cell);
    grid.current?.querySelector<HTMLElement>(`[data-cell="${cell}"]`)?.focus();
  };
  const pick = (id: string) => {
    const next = put(plan, selected, contentOf(id));
    setPlan(next);
    setEnlarged(undefined);
    const free = places(next).find((place) => !place.cameraId && !place.followAlerts);
    if (free) setSelected(free.cell);
    else setDrawer(false);
  };
  const askMap = useWallChannel(base, plan, selected, setPlan);
  const move = (key: Parameters<typeof beside>[2], event: KeyboardEvent) => {
    const to = beside(plan, selected, key);
    if (event.shiftKey) setPlan(swap(plan, selected, to));
    select(to);
  };
  const span = (by: number) => {
    const slot = slotAt(plan, selected);
    if (!slot) return;
    const next = resize(plan, selected, slot.span + by);
    setPlan(next);
    setSelected(next.slots.find((one) => one.cameraId === slot.cameraId && one.followAlerts === slot.followAlerts && one.span === slot.span + by)?.cell ?? slot.cell);
  };
  const enlarge = (cell: number) => setEnlarged(enlarged === cell ? undefined : cell);
  const layout = (tiles: number) => {
    setPlan(withTiles(plan, tiles));
    setSelected(0);
    setEnlarged(undefined);
  };
  const keys = {
    ArrowLeft: (event: KeyboardEvent) => move("ArrowLeft", event),
    ArrowRight: (event: KeyboardEvent) => move("ArrowRight", event),
    ArrowUp: (event: KeyboardEvent) => move("ArrowUp", event),
    ArrowDown: (event: KeyboardEvent) => move("ArrowDown", event),
    Enter: () => (slotAt(plan, selected) ? enlarge(selected) : setDrawer(true)),
    Escape: () => (drawer ? setDrawer(false) : setEnlarged(undefined)),
    Delete: () => setPlan(clear(plan, selected)),
    "/": () => setDrawer(true),
    "+": () => span(1),
    "-": () => span(-1),
    "?": () => setHelping(true),
    a: () => setPlan(put(plan, selected, contentOf(FOLLOW))),
    m: askMap,
    l: () => layout(TILES[(TILES.findIndex((count) => count === plan.tiles) + 1) % TILES.length] ?? 4),
    s: () => maySave && changed && save.mutate(undefined, { onError: notifyProblem }),
    n: () => useDesk.getState().setTheme(theme === "dark" ? "day" : "dark"),
  };
  useKeys(keys);
  const shown = places(plan);
  const onWall = new Set(plan.slots.flatMap((slot) => slot.cameraId || []));
  return (
    <main className="wall" data-testid="wall" data-tiles={plan.tiles} data-changed={changed || undefined} data-asleep={(asleep && !drawer && !helping) || undefined}>
      <h1 className="hidden-visually">Video wall {base.name}</h1>
      <div className="wall-body">
        <div ref={grid} className="wall-grid" style={{ "--side": sideOf(plan) } as React.CSSProperties} data-enlarged={enlarged !== undefined || undefined}>
          {shown.map((place) => (
            <Place
              key={place.cell}
              place={place}
              number={shown.indexOf(place) + 1}
              side={sideOf(plan)}
              follows={follows.get(place.cell)}
              selected={place.cell === selected}
              enlarged={place.cell === enlarged}
              covered={enlarged !== undefined && place.cell !== enlarged}
              attempts={attempts}
              onSelect={() => setSelected(place.cell)}
              onEnlarge={() => enlarge(place.cell)}
              onClear={() => setPlan(clear(plan, place.cell))}
              onSearch={() => {
                setSelected(place.cell);
                setDrawer(true);
              }}
              onRetry={(cameraId) => {
                drop(cameraId);
                setAttempts(new Map(attempts).set(cameraId, (attempts.get(cameraId) ?? 0) + 1));
              }}
              onDropped={(event) => {
                const from = event.dataTransfer.getData(PLACE_DRAG_TYPE);
                const id = event.dataTransfer.getData(CAMERA_DRAG_TYPE);
                if (from) setPlan(swap(plan, Number(from), place.cell));
                else if (id) setPlan(put(plan, place.cell, contentOf(id)));
                setSelected(place.cell);
              }}
            />
          ))}
        </div>
        {drawer && <Drawer tile={tileNumber(plan, selected)} onWall={onWall} onPick={pick} onClose={() => setDrawer(false)} />}
      </div>
      <div className="wall-bar">
        <div role="toolbar" aria-label="Wall">
          <strong className="ellipsis">{base.name}</strong>
          <select className="input narrow" aria-label="Tiles" value={plan.tiles} onChange={(event) => layout(Number(event.target.value))}>
            {TILES.map((count) => (
              <option key={count} value={count}>
                {count} {count === 1 ? "tile" : "tiles"}
              </option>
            ))}
          </select>
          <Button onClick={() => setDrawer(!drawer)}>
            Cameras <kbd>/</kbd>
          </Button>
          <Button onClick={askMap}>
            From the map <kbd>M</kbd>
          </Button>
          <Button onClick={keys.a}>
            Follow alerts <kbd>A</kbd>
          </Button>
          <Button aria-label="Larger tile" disabled={!slotAt(plan, selected)} onClick={keys["+"]}>
            +
          </Button>
          <Button aria-label="Smaller tile" disabled={!slotAt(plan, selected)} onClick={keys["-"]}>
            −
          </Button>
          {maySave && (
            <Button look="primary" disabled={!changed} busy={save.isPending} onClick={keys.s} data-testid="save-wall">
              Save <kbd>S</kbd>
            </Button>
          )}
          {changed && (
            <Button onClick={() => setPlan(planOf(base))} data-testid="undo-wall">
              As saved
            </Button>
          )}
          <Button aria-label={theme === "dark" ? "Day theme" : "Dark theme"} onClick={keys.n}>
            <Icon name="theme" size={26} />
          </Button>
          <Button aria-label="Keys" onClick={keys["?"]}>
            ?
          </Button>
        </div>
      </div>
      <Strip name={base.name} changed={changed} />
      {helping && <WallKeys onClose={() => setHelping(false)} />}
      <Notices />
    </main>
  );
}

/** The controls go when nobody touched anything for a while. */
function useAsleep(): boolean {
  const [asleep, setAsleep] = useState(false);
  useEffect(() => {
    let timer = setTimeout(() => setAsleep(true), SLEEPS_AFTER_MS);
    const wake = () => {
      setAsleep(false);
      clearTimeout(timer);
      timer = setTimeout(() => setAsleep(true), SLEEPS_AFTER_MS);
    };
    const signs = ["pointermove", "pointerdown", "keydown", "focusin"] as const;
    for (const sign of signs) window.addEventListener(sign, wake);
    return () => {
      clearTimeout(timer);
      for (const sign of signs) window.removeEventListener(sign, wake);
    };
  }, []);
  return asleep;
}

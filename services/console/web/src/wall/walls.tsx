import { useState } from "react";
import { send } from "../contract/call";
import { dayAndTime } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { WallService, type Wall } from "../generated/rtcc/video/v1/wall_pb";
import { useRight } from "../session/store";
import { follow } from "../shell/router";
import { notifyProblem } from "../ui/notices";
import { Page, Read, Table } from "../ui/page";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";
import { TILES } from "./plan";

const addressOf = (wallId: string) => `/wall/${encodeURIComponent(wallId)}`;

/** In a window of its own, which can be moved to another screen; the same wall twice is the same window. */
function openWindow(wallId: string): void {
  window.open(addressOf(wallId), `rtcc-wall-${wallId}`, "popup,width=1600,height=900");
}

/** The walls of the agency, and one's own. */
export default function Walls() {
  const query = useRead(WallService.method.listWalls, {});
  const maySave = useRight("wall.save");
  const [making, setMaking] = useState(false);
  const [removing, setRemoving] = useState<Wall>();
  return (
    <Page
      title="Video walls"
      actions={
        maySave && (
          <Button look="primary" onClick={() => setMaking(true)} data-testid="new-wall">
            New wall…
          </Button>
        )
      }
    >
      <p className="secondary">A wall fills a screen of its own. Its address can be given to colleagues: each sees the cameras that are theirs to see.</p>
      <Read query={query}>
        {(data) => (
          <Table
            label="Walls"
            rows={data.walls}
            rowKey={(wall) => wall.wallId}
            rowTestId="wall-row"
            empty="No wall yet. Make one, then fill it from the map, by search, or with what is newest in the alerts."
            columns={[
              {
                title: "Name",
                cell: (wall) => (
                  <a href={addressOf(wall.wallId)} onClick={follow}>
                    {wall.name}
                  </a>
                ),
              },
              { title: "Tiles", cell: (wall) => `${wall.slots.length} of ${wall.tiles}` },
              { title: "For", cell: (wall) => (wall.personal ? <span className="badge">you alone</span> : "the agency") },
              { title: "Changed", cell: (wall) => `${dayAndTime(wall.changedAt)} ${wall.changedByName}` },
              {
                title: "",
                cell: (wall) => (
                  <span className="row">
                    <Button size="small" aria-label={`Open ${wall.name} in its own window`} onClick={() => openWindow(wall.wallId)}>
                      Own window
                    </Button>
                    {maySave && (
                      <Button size="small" look="danger" aria-label={`Remove ${wall.name}`} onClick={() => setRemoving(wall)}>
                        Remove…
                      </Button>
                    )}
                  </span>
                ),
              },
            ]}
          />
        )}
      </Read>
      {making && <NewWall onClose={() => setMaking(false)} />}
      {removing && <RemoveWall wall={removing} onClose={() => setRemoving(undefined)} />}
    </Page>
  );
}

function NewWall({ onClose }: { onClose(): void }) {
  const [name, setName] = useState("");
  const [tiles, setTiles] = useState<number>(4);
  const [personal, setPersonal] = useState(false);
  const make = useAct(
    () => send(WallService.method.saveWall, { wall: { name: name.trim(), tiles, personal } }),
    () => onClose(),
  );
  return (
    <Dialog
      title="New wall"
      testId="new-wall-dialog"
      onClose={onClose}
      onSubmit={() => make.mutate(undefined)}
      foot={
        <Button type="submit" look="primary" busy={make.isPending}>
          Make it
        </Button>
      }
    >
      <Field label="Name">{(attributes) => <input {...attributes} name="name" required maxLength={60} autoComplete="off" placeholder="Lobby, left screen" value={name} onChange={(event) => setName(event.target.value)} />}</Field>
      <Field label="Tiles">
        {(attributes) => (
          <select {...attributes} name="tiles" value={tiles} onChange={(event) => setTiles(Number(event.target.value))}>
            {TILES.map((count) => (
              <option key={count} value={count}>
                {count}
              </option>
            ))}
          </select>
        )}
      </Field>
      <label className="check">
        <input type="checkbox" name="personal" checked={personal} onChange={(event) => setPersonal(event.target.checked)} />
        For me alone
      </label>
      <ProblemNote error={make.error} />
    </Dialog>
  );
}

function RemoveWall({ wall, onClose }: { wall: Wall; onClose(): void }) {
  const remove = useAct(
    () => send(WallService.method.removeWall, { wallId: wall.wallId }),
    () => onClose(),
  );
  return (
    <Dialog
      title={`Remove ${wall.name}`}
      testId="remove-wall-dialog"
      onClose={onClose}
      onSubmit={() => remove.mutate(undefined, { onError: notifyProblem })}
      foot={
        <Button type="submit" look="danger" busy={remove.isPending}>
          Remove it
        </Button>
      }
    >
      <p>{wall.personal ? "Nobody else uses it." : "It is gone for everybody of the agency; windows that show it keep what they show until they are closed."}</p>
    </Dialog>
  );
}

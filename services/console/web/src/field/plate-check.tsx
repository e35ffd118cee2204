import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useState } from "react";
import { send } from "../contract/call";
import { clockTime } from "../contract/time";
import { useAct } from "../contract/use-call";
import { IntakeService } from "../generated/rtcc/intake/v1/intake_pb";
import { useRight } from "../session/store";
import { Button, ProblemNote } from "../ui/parts";

const DAY_MS = 86_400_000;

/** Where was this plate read in the last day? Carries purpose and case number like every search (R18). */
export function PlateCheck() {
  const maySearch = useRight("plate_read.search");
  const [plate, setPlate] = useState("");
  const search = useAct((asked: string) => send(IntakeService.method.searchPlateReads, { plate: asked, from: timestampFromMs(Date.now() - DAY_MS), until: timestampFromMs(Date.now()), limit: 10 }, { what: `Search for plate ${asked}` }));
  if (!maySearch) return null;
  return (
    <form
      className="field-plate"
      onSubmit={(event) => {
        event.preventDefault();
        search.mutate(plate.replace(/[^A-Z0-9?]/g, ""));
      }}
    >
      <input className="input mono" aria-label="Plate" placeholder="Plate" required minLength={2} maxLength={12} autoCapitalize="characters" autoComplete="off" value={plate} onChange={(event) => setPlate(event.target.value.toUpperCase())} />
      <Button type="submit" size="large" busy={search.isPending}>
        Check
      </Button>
      <div style={{ gridColumn: "1 / -1" }}>
        <ProblemNote error={search.error} />
        {search.data && (
          <p className="note" role="status">
            {search.data.reads.length ? `${search.data.reads.length} reads in 24 h, the last at ${clockTime(search.data.reads[0]?.occurredAt)}` : "No read in 24 h"}
          </p>
        )}
      </div>
    </form>
  );
}

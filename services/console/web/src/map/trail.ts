/** Where a unit went, laid on the map. History of people's movements: asked with purpose and case number, for one unit at a time. */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { send } from "../contract/call";
import { milliseconds, span } from "../contract/time";
import { LocationService } from "../generated/rtcc/location/v1/location_pb";
import { useMap, type Trail } from "./store";

const BACK_MS = 3 * 60 * 60 * 1000;

/** The last three hours of a unit, its last fix with age and error at the end. Throws as every call does. */
export async function layTrail(unitId: string, callSign: string, nowMs: number): Promise<{ fixes: number; last: string }> {
  const answer = await send(LocationService.method.getTrail, { unitId, from: timestampFromMs(nowMs - BACK_MS), until: timestampFromMs(nowMs), limit: 1000 }, { what: `Where ${callSign} went` });
  const points: Trail["points"][number][] = [];
  const timesMs: number[] = [];
  for (const { position, fixedAt } of answer.points) {
    if (!position?.coordinate) continue;
    points.push({ longitude: position.coordinate.longitudeDeg, latitude: position.coordinate.latitudeDeg });
    timesMs.push(milliseconds(fixedAt));
  }
  const last = answer.last;
  const at = last?.position?.coordinate;
  if (at && !points.length) {
    points.push({ longitude: at.longitudeDeg, latitude: at.latitudeDeg });
    timesMs.push(milliseconds(last.fixedAt));
  }
  const age = last ? span((nowMs - milliseconds(last.fixedAt)) / 1000) : "";
  const accuracyM = last?.position?.accuracyM ?? 0;
  const end = points.at(-1);
  const told = last ? `last fix ${age} ago${accuracyM > 0 ? `, ± ${Math.round(accuracyM)} m` : ""}` : "no fix is known";
  if (end) {
    useMap.setState({ trail: { points, timesMs, label: `${callSign}, ${told}`, accuracyM }, drawing: undefined });
    useMap.getState().flyTo(end.longitude, end.latitude);
  }
  return { fixes: answer.stored, last: told };
}

import { latitudeOf, longitudeOf, trackField } from "../live/units";
import { useLive } from "../live/store";
import { useMap } from "../map/store";

/** Fly there and open the card. */
export function showTrack(number: number): void {
  const row = trackField.rowOf(number);
  if (row === undefined) return;
  useMap.setState({ picked: { kind: "track", number } });
  useMap.getState().flyTo(longitudeOf(trackField.toX[row] as number), latitudeOf(trackField.toY[row] as number));
}

/** Another window of this desk chose it. */
export function followTrack(trackId: string): void {
  for (const track of useLive.getState().tracks.values()) if (track.trackId === trackId) showTrack(track.number);
}

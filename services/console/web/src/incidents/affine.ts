/** The plan's place on the map: the affine transform that fits its control points best (least squares), as the service computes it. Pure. */

export interface Tie {
  xPx: number;
  yPx: number;
  longitude: number;
  latitude: number;
}

export interface Fit {
  /** Degrees of a pixel. */
  place(xPx: number, yPx: number): { longitude: number; latitude: number };
  /** Metres by which each control point is missed, in their order. Three points always fit. */
  residualsM: number[];
  rmsM: number;
}

const METRES_PER_DEGREE = 111_320;
export const LEAST_POINTS = 3;

/** Undefined when there are too few points, or all on one line. */
export function fit(ties: readonly Tie[]): Fit | undefined {
  if (ties.length < LEAST_POINTS) return undefined;
  const mean = (pick: (tie: Tie) => number) => ties.reduce((sum, tie) => sum + pick(tie), 0) / ties.length;
  const [x0, y0, longitude0, latitude0] = [mean((tie) => tie.xPx), mean((tie) => tie.yPx), mean((tie) => tie.longitude), mean((tie) => tie.latitude)];
  let [xx, xy, yy, xLon, yLon, xLat, yLat] = [0, 0, 0, 0, 0, 0, 0];
  for (const tie of ties) {
    const [x, y, longitude, latitude] = [tie.xPx - x0, tie.yPx - y0, tie.longitude - longitude0, tie.latitude - latitude0];
    xx += x * x;
    xy += x * y;
    yy += y * y;
    xLon += x * longitude;
    yLon += y * longitude;
    xLat += x * latitude;
    yLat += y * latitude;
  }
  const determinant = xx * yy - xy * xy;
  if (determinant < 1e-6 * Math.max(1, xx * yy)) return undefined;
  const longitudePer = [(xLon * yy - yLon * xy) / determinant, (yLon * xx - xLon * xy) / determinant] as const;
  const latitudePer = [(xLat * yy - yLat * xy) / determinant, (yLat * xx - xLat * xy) / determinant] as const;
  const place = (xPx: number, yPx: number) => ({
    longitude: longitude0 + longitudePer[0] * (xPx - x0) + longitudePer[1] * (yPx - y0),
    latitude: latitude0 + latitudePer[0] * (xPx - x0) + latitudePer[1] * (yPx - y0),
  });
  const shrink = Math.cos((latitude0 * Math.PI) / 180);
  const residualsM = ties.map((tie) => {
    const found = place(tie.xPx, tie.yPx);
    return METRES_PER_DEGREE * Math.hypot((found.longitude - tie.longitude) * shrink, found.latitude - tie.latitude);
  });
  return { place, residualsM, rmsM: Math.sqrt(residualsM.reduce((sum, one) => sum + one * one, 0) / ties.length) };
}

/** Upper left, upper right, lower right, lower left of an image. */
export function cornersOf(found: Fit, widthPx: number, heightPx: number): { longitude: number; latitude: number }[] {
  return [found.place(0, 0), found.place(widthPx, 0), found.place(widthPx, heightPx), found.place(0, heightPx)];
}

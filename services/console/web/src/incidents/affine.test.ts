import { expect, test } from "vitest";
import { cornersOf, fit, type Tie } from "./affine";

/** A plan turned by 30 degrees, 5 cm a pixel, near 60.17 N. */
function turned(xPx: number, yPx: number, missM = 0): Tie {
  const [cosine, sine] = [Math.cos(Math.PI / 6), Math.sin(Math.PI / 6)];
  const east = 0.05 * (xPx * cosine + yPx * sine) + missM;
  const north = 0.05 * (xPx * sine - yPx * cosine);
  return { xPx, yPx, longitude: 24.94 + east / (111_320 * Math.cos((60.17 * Math.PI) / 180)), latitude: 60.17 + north / 111_320 };
}

test("three points fit exactly, and the corners are where they belong", () => {
  const found = fit([turned(0, 0), turned(800, 0), turned(0, 600)]);
  expect(found?.rmsM).toBeLessThan(1e-3);
  const [, , lowerRight] = cornersOf(found as NonNullable<typeof found>, 800, 600);
  expect(lowerRight?.longitude).toBeCloseTo(turned(800, 600).longitude, 7);
  expect(lowerRight?.latitude).toBeCloseTo(turned(800, 600).latitude, 7);
});

test("a point that was set wrongly has the largest residual, in metres", () => {
  const found = fit([turned(0, 0), turned(800, 0), turned(800, 600), turned(0, 600), turned(400, 300), turned(700, 90, 4)]);
  const residuals = found?.residualsM ?? [];
  expect(residuals.indexOf(Math.max(...residuals))).toBe(5);
  expect(Math.max(...residuals)).toBeGreaterThan(1.5);
  expect(Math.max(...residuals)).toBeLessThan(4);
});

test("too few points, or points on one line, fit nothing", () => {
  expect(fit([turned(0, 0), turned(9, 9)])).toBeUndefined();
  expect(fit([turned(0, 0), turned(100, 100), turned(200, 200), turned(300, 300)])).toBeUndefined();
  expect(fit([turned(5, 5), turned(5, 5), turned(5, 5)])).toBeUndefined();
});

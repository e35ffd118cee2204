/** The ground that an own drone films: its picture's outline, and a line from the drone to its middle. */
import type { Sight } from "../live/sights";
import { mercatorX, mercatorY } from "../live/units";

type Place = (mercatorX: number, mercatorY: number) => [x: number, y: number];

export function drawSight(pen: CanvasRenderingContext2D, place: Place, sight: Sight, drone: readonly [number, number], colour: string): void {
  const onScreen = ([longitude, latitude]: readonly [number, number]) => place(mercatorX(longitude), mercatorY(latitude));
  pen.strokeStyle = pen.fillStyle = colour;
  pen.lineWidth = 1.4;
  if (sight.corners.length) {
    pen.beginPath();
    sight.corners.forEach((corner, index) => (index ? pen.lineTo(...onScreen(corner)) : pen.moveTo(...onScreen(corner))));
    pen.closePath();
    pen.globalAlpha = 0.16;
    pen.fill();
    pen.globalAlpha = 1;
    pen.stroke();
  }
  if (sight.middle) {
    const [x, y] = onScreen(sight.middle);
    pen.setLineDash([2, 4]);
    pen.beginPath();
    pen.moveTo(...drone);
    pen.lineTo(x, y);
    pen.stroke();
    pen.setLineDash([]);
    pen.beginPath();
    pen.moveTo(x - 5, y);
    pen.lineTo(x + 5, y);
    pen.moveTo(x, y - 5);
    pen.lineTo(x, y + 5);
    pen.stroke();
  }
}

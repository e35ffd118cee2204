/** Masks of the unit symbols, 64 px a cell. Red: where anything is; green: body (else rim); blue: mark inside. North is up. */

const CELL = 64;
export const ATLAS_CELLS = 9;

export const cells = { patrolHeading: 0, patrol: 1, officer: 2, drone: 3, command: 4, unknownDrone: 5, aircraft: 6, droneInZone: 7, transit: 8 } as const;

export function kindCell(kind: string, headingKnown: boolean): number {
  if (kind === "officer") return cells.officer;
  if (kind === "drone") return cells.drone;
  if (kind === "command") return cells.command;
  if (kind === "transit") return cells.transit;
  return headingKnown ? cells.patrolHeading : cells.patrol;
}

export function buildAtlas(): ImageData {
  const canvas = new OffscreenCanvas(CELL * ATLAS_CELLS, CELL);
  const pen = canvas.getContext("2d") as OffscreenCanvasRenderingContext2D;
  const shape = (cell: number, path: (scale: number) => void, mark?: () => void) => {
    pen.save();
    pen.translate(cell * CELL + CELL / 2, CELL / 2);
    pen.fillStyle = "#f00";
    pen.beginPath();
    path(1);
    pen.fill();
    pen.fillStyle = "#ff0";
    pen.beginPath();
    path(0.82);
    pen.fill();
    if (mark) {
      pen.fillStyle = "#f0f";
      pen.beginPath();
      mark();
      pen.fill();
    }
    pen.restore();
  };
  const disc = (radius: number) => (scale: number) => pen.arc(0, 0, radius * scale, 0, Math.PI * 2);
  shape(
    cells.patrolHeading,
    (scale) => {
      pen.arc(0, 3, 19 * scale, -0.86, Math.PI + 0.86);
      pen.lineTo(0, 3 - 32 * scale);
      pen.closePath();
    },
    () => {
      pen.moveTo(0, -12);
      pen.lineTo(9, 11);
      pen.lineTo(0, 6);
      pen.lineTo(-9, 11);
      pen.closePath();
    },
  );
  shape(cells.patrol, disc(20), () => pen.arc(0, 0, 6, 0, Math.PI * 2));
  shape(cells.officer, disc(24), () => {
    pen.arc(0, -7, 7, 0, Math.PI * 2);
    pen.ellipse(0, 12, 11, 8, 0, Math.PI, 0);
  });
  shape(
    cells.drone,
    (scale) => {
      pen.moveTo(0, -28 * scale);
      pen.lineTo(24 * scale, 20 * scale);
      pen.lineTo(0, 9 * scale);
      pen.lineTo(-24 * scale, 20 * scale);
      pen.closePath();
    },
  );
  shape(
    cells.command,
    (scale) => pen.rect(-21 * scale, -21 * scale, 42 * scale, 42 * scale),
    () => pen.rect(-8, -8, 16, 16),
  );
  const diamond = (radius: number) => (scale: number) => {
    pen.moveTo(0, -radius * scale);
    pen.lineTo(radius * scale, 0);
    pen.lineTo(0, radius * scale);
    pen.lineTo(-radius * scale, 0);
    pen.closePath();
  };
  const rotors = () => {
    for (const [x, y] of [[-6, -6], [6, -6], [-6, 6], [6, 6]] as const) {
      pen.moveTo(x + 4, y);
      pen.arc(x, y, 4, 0, Math.PI * 2);
    }
  };
  shape(cells.unknownDrone, diamond(24), rotors);
  shape(cells.droneInZone, diamond(30), rotors);
  shape(
    cells.transit,
    (scale) => pen.roundRect(-14 * scale, -25 * scale, 28 * scale, 50 * scale, 8),
    () => pen.rect(-8, -18, 16, 9),
  );
  // Seen from above, nose up: body, wings, tail.
  shape(cells.aircraft, (scale) => {
    const outline = [0, -26, 5, -14, 5, -6, 27, 6, 27, 12, 5, 6, 4, 17, 11, 23, 11, 27, 0, 24, -11, 27, -11, 23, -4, 17, -5, 6, -27, 12, -27, 6, -5, -6, -5, -14];
    for (let index = 0; index < outline.length; index += 2) pen.lineTo((outline[index] as number) * (scale === 1 ? 1.1 : 0.92), (outline[index + 1] as number) * (scale === 1 ? 1.1 : 0.92));
    pen.closePath();
  });
  return pen.getImageData(0, 0, canvas.width, canvas.height);
}

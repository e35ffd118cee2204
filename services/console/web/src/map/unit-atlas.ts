/** Masks of the unit symbols, 64 px a cell. Red: where anything is; green: body (else rim); blue: mark inside. North is up. */

const CELL = 64;
export const ATLAS_CELLS = 5;

const cells = { patrolHeading: 0, patrol: 1, officer: 2, drone: 3, command: 4 } as const;

export function kindCell(kind: string, headingKnown: boolean): number {
  if (kind === "officer") return cells.officer;
  if (kind === "drone") return cells.drone;
  if (kind === "command") return cells.command;
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
  return pen.getImageData(0, 0, canvas.width, canvas.height);
}

/**
 * Pictures made smaller for a device that cannot hold them whole: each pixel is the mean of a square of pixels, so that
 * it lies in the middle of that square.
 */
import type { FrameDescription } from "./frame";
import { moved, unit, type Plane } from "./geometry";
import type { Vector3 } from "./model";
import type { Voxels } from "./upright";

export interface Reduction {
  /** So often columns and rows are halved. */
  readonly halvings: number;
  /** Of so many images one is taken: 1 for all. */
  readonly every: number;
}

export const UNREDUCED: Reduction = { halvings: 0, every: 1 };

export const isReduced = ({ halvings, every }: Reduction): boolean => halvings > 0 || every > 1;

export const halved = (pixels: number, halvings: number): number => Math.ceil(pixels / 2 ** halvings);

/** Where the first of the smaller pixels has its middle, in pixels of the whole picture. */
const firstMiddle = (halvings: number): number => (2 ** halvings - 1) / 2;

export function halvedPlane(plane: Plane, halvings: number): Plane {
  if (halvings === 0) return plane;
  const { origin, row, column, spacing, columns, rows } = plane;
  const [by, off] = [2 ** halvings, firstMiddle(halvings)];
  return {
    ...plane,
    origin: moved(origin, [row, off * spacing[0]], [column, off * spacing[1]]),
    spacing: [spacing[0] * by, spacing[1] * by],
    columns: halved(columns, halvings),
    rows: halved(rows, halvings),
  };
}

/** The description of a frame that was halved so often; what it says in pixels is of the halved one. */
export function halvedFrame(frame: FrameDescription, halvings: number): FrameDescription {
  const { rows, columns, spacingMm, orientation, positionMm } = frame;
  const [by, off] = [2 ** halvings, firstMiddle(halvings)];
  const place = (at: Vector3, mm: readonly [number, number], row: Vector3, column: Vector3) =>
    moved(at, [unit(row), off * mm[1]], [unit(column), off * mm[0]]);
  return {
    ...frame,
    rows: halved(rows, halvings),
    columns: halved(columns, halvings),
    spacingMm: spacingMm && [spacingMm[0] * by, spacingMm[1] * by],
    positionMm: positionMm && orientation && spacingMm ? place(positionMm, spacingMm, orientation.row, orientation.column) : positionMm,
  };
}

/**
 * Means of squares of 2^`halvings` pixels a side, rounded where the values are whole numbers. At the right and lower edge
 * a square has fewer. Values for which `isNone` holds, padding, are counted only where a square has no others.
 */
export function meansOf<Kind extends Voxels>(
  values: Kind,
  { columns, rows }: { readonly columns: number; readonly rows: number },
  halvings: number,
  isNone: (value: number) => boolean,
): Kind {
  const side = 2 ** halvings;
  const [wide, high] = [halved(columns, halvings), halved(rows, halvings)];
  const made = new (values.constructor as new (length: number) => Kind)(wide * high);
  const isWhole = !(values instanceof Float32Array);
  for (let row = 0; row < high; row += 1) {
    const lower = Math.min(rows, (row + 1) * side);
    for (let column = 0; column < wide; column += 1) {
      const right = Math.min(columns, (column + 1) * side);
      let [sum, count, none] = [0, 0, 0];
      for (let y = row * side; y < lower; y += 1) {
        for (let x = column * side; x < right; x += 1) {
          const value = values[y * columns + x]!;
          if (isNone(value)) none = value;
          else {
            sum += value;
            count += 1;
          }
        }
      }
      const mean = count > 0 ? sum / count : none;
      made[row * wide + column] = isWhole ? Math.round(mean) : mean;
    }
  }
  return made;
}

/** The same of a picture of 8 bits: means of each of the first three of its `samples`. */
export function meansOfColours(
  values: ArrayLike<number>,
  { columns, rows }: { readonly columns: number; readonly rows: number },
  halvings: number,
  samples: number,
): Uint8Array {
  const side = 2 ** halvings;
  const [wide, high] = [halved(columns, halvings), halved(rows, halvings)];
  const made = new Uint8Array(wide * high * 3);
  for (let row = 0; row < high; row += 1) {
    const lower = Math.min(rows, (row + 1) * side);
    for (let column = 0; column < wide; column += 1) {
      const right = Math.min(columns, (column + 1) * side);
      let [red, green, blue] = [0, 0, 0];
      for (let y = row * side; y < lower; y += 1) {
        for (let x = column * side; x < right; x += 1) {
          const at = (y * columns + x) * samples;
          red += values[at]!;
          green += values[at + 1]!;
          blue += values[at + 2]!;
        }
      }
      const count = (lower - row * side) * (right - column * side);
      made.set([Math.round(red / count), Math.round(green / count), Math.round(blue / count)], (row * wide + column) * 3);
    }
  }
  return made;
}

/** A picture of a frame in another size than its own. */
export interface Resized {
  readonly columns: number;
  readonly rows: number;
  /** Pixels of the frame for each of the picture's, across and down. */
  readonly by: { readonly x: number; readonly y: number };
}

interface At {
  readonly x: number;
  readonly y: number;
}

/** A place in the picture as one in the frame, both in pixels from the middle of the first. */
export function inFrame({ x, y }: At, { by }: Resized): At {
  return { x: (x + 0.5) * by.x - 0.5, y: (y + 0.5) * by.y - 0.5 };
}

export function inPicture({ x, y }: At, { by }: Resized): At {
  return { x: (x + 0.5) / by.x - 0.5, y: (y + 0.5) / by.y - 0.5 };
}

/** How often a picture is halved against its frame, about; 0 for one that is only stretched. */
export function halvingsOf({ by }: Resized): number {
  return Math.max(0, Math.round(Math.log2(Math.min(by.x, by.y))));
}

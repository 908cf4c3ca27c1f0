/** The voxels of an upright volume from frames that lean (`Tilt` of `volume.ts`), layer by layer. */
import type { Tilt, Volume } from "./volume";

/** Numbers that a layer can be written to and read from. */
export type Voxels = Int16Array | Uint16Array | Uint8Array | Float32Array;

/**
 * One layer, `columns` × `rows` values from `offset` on. Each lies between the same pixel of two frames,
 * in a straight line; `outside` stands where there are no frames. `frames` are in the order of the volume.
 */
export function uprightLayer(
  { dimensions: [columns, rows], tilt }: Pick<Volume, "dimensions"> & { readonly tilt: Tilt },
  frames: readonly ArrayLike<number>[],
  layer: number,
  outside: number,
  into: Voxels,
  offset = 0,
): void {
  const isWhole = !(into instanceof Float32Array);
  const [rowStep, columnStep] = tilt.axis === 0 ? [0, 1] : [1, 0];
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const pixel = row * columns + column;
      const at = layer + tilt.first - (row * rowStep + column * columnStep) * tilt.lean;
      const value = between(frames, at, pixel) ?? outside;
      into[offset + pixel] = isWhole ? Math.round(value) : value;
    }
  }
}

/** Frames so near to one another that a rounding parts them are one. */
const SAME_FRAME = 1e-6;

function between(frames: readonly ArrayLike<number>[], at: number, pixel: number): number | undefined {
  const below = Math.floor(at + SAME_FRAME);
  const share = Math.max(0, at - below);
  const low = frames[below]?.[pixel];
  if (share <= SAME_FRAME || low === undefined) return low;
  const high = frames[below + 1]?.[pixel];
  return high === undefined ? undefined : low + (high - low) * share;
}

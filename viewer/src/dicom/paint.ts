/**
 * A gray image painted by the processor: where each pixel of the screen lies in the image, the value there
 * between its four neighbours, and its gray. The order is that of the graphics card: values are interpolated,
 * then windowed, so that both paint the same picture.
 */

/** Where the centres of the image's pixels are on the screen, in its pixels; axes of both are parallel. */
export interface Placing {
  /** Of the pixel in column 0 and row 0. */
  readonly origin: readonly [number, number];
  /** From one column, and from one row, to the next. */
  readonly column: readonly [number, number];
  readonly row: readonly [number, number];
}

export interface Source {
  readonly columns: number;
  readonly rows: number;
  readonly values: ArrayLike<number>;
}

/** Values up to `lower` are black, those from `upper` on white; `invert` exchanges them. */
export interface Greys {
  readonly lower: number;
  readonly upper: number;
  readonly invert: boolean;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A pixel of the screen lies between two of the image: the first of them, and the share of the other. */
interface Axis {
  /** The first pixel of the screen that shows the image, and the one behind the last. */
  readonly from: number;
  readonly to: number;
  readonly first: Int32Array;
  readonly second: Int32Array;
  readonly share: Float32Array;
}

const BLACK = 0xff000000;
const STEP = 0x010101;
const PARALLEL = 1e-3;

/** Whether the image lies along the edges of the screen, so that it can be painted so. */
export function isUpright({ column, row }: Placing): boolean {
  const along = Math.hypot(...column) * PARALLEL;
  const straight = Math.abs(column[1]) <= along && Math.abs(row[0]) <= along;
  const turned = Math.abs(column[0]) <= along && Math.abs(row[1]) <= along;
  return along > 0 && (straight || turned);
}

/**
 * Paints all of `target`, RGBA in words of a little-endian machine; what is beside the image becomes black.
 * `smooth` interpolates; else a pixel of the screen shows the value of the nearest pixel of the image.
 */
export function paintGray(
  target: Uint32Array,
  size: Size,
  { columns, rows, values }: Source,
  placing: Placing,
  { lower, upper, invert }: Greys,
  smooth: boolean,
): void {
  const { width, height } = size;
  const isTurned = Math.abs(placing.column[0]) < Math.abs(placing.column[1]);
  const [perX, perY] = isTurned ? [placing.row[0], placing.column[1]] : [placing.column[0], placing.row[1]];
  const x = axisOf(width, isTurned ? rows : columns, placing.origin[0], perX, smooth);
  const y = axisOf(height, isTurned ? columns : rows, placing.origin[1], perY, smooth);
  // One line of the image after the other is interpolated across, then along.
  const alongStep = isTurned ? columns : 1;
  const acrossStep = isTurned ? 1 : columns;
  const line = new Float32Array(isTurned ? rows : columns);
  const scale = 255 / Math.max(upper - lower, Number.MIN_VALUE);
  const [least, most] = neighbours(x);
  target.fill(BLACK);
  for (let down = y.from; down < y.to; down += 1) {
    const one = y.first[down]! * acrossStep;
    const other = y.second[down]! * acrossStep;
    const part = y.share[down]!;
    for (let at = least; at <= most; at += 1) {
      const value = values[one + at * alongStep]!;
      line[at] = value + (values[other + at * alongStep]! - value) * part;
    }
    const start = down * width;
    for (let right = x.from; right < x.to; right += 1) {
      const value = line[x.first[right]!]!;
      let grey = (value + (line[x.second[right]!]! - value) * x.share[right]! - lower) * scale;
      if (grey < 0) grey = 0;
      else if (grey > 255) grey = 255;
      const whole = (grey + 0.5) | 0;
      target[start + right] = BLACK + (invert ? 255 - whole : whole) * STEP;
    }
  }
}

/** An image reaches half a pixel beyond the centres of its outermost ones; there they have no neighbour. */
function axisOf(screen: number, image: number, origin: number, step: number, smooth: boolean): Axis {
  const first = new Int32Array(screen);
  const second = new Int32Array(screen);
  const share = new Float32Array(screen);
  let [from, to] = [screen, 0];
  for (let at = 0; at < screen; at += 1) {
    const place = (at + 0.5 - origin) / step;
    if (place < -0.5 || place >= image - 0.5) continue;
    const low = smooth ? Math.floor(place) : Math.round(place);
    first[at] = Math.min(image - 1, Math.max(0, low));
    second[at] = Math.min(image - 1, Math.max(0, smooth ? low + 1 : low));
    share[at] = smooth ? place - low : 0;
    from = Math.min(from, at);
    to = at + 1;
  }
  return { from: Math.min(from, to), to, first, second, share };
}

/** The outermost pixels of the image that an axis of the screen needs. */
function neighbours({ from, to, first, second }: Axis): readonly [number, number] {
  if (from >= to) return [0, -1];
  const ends = [first[from]!, second[from]!, first[to - 1]!, second[to - 1]!];
  return [Math.min(...ends), Math.max(...ends)];
}

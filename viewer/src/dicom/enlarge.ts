/** A picture in small, in the size of the whole: every value stays where it lies. */

export type Values = Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array | Float32Array | Float64Array;

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/**
 * `values` of `small`, which was halved so often, as an array of `full`; both have `samples` a pixel, beside one another.
 *
 * Halving by wavelets keeps every second sample where it is (ITU-T T.800 Annex F), so that column 1 of a picture
 * halved twice is column 4. Between them lie straight lines; what is beyond `most` or `least` is held there.
 */
export function enlarged<Kind extends Values>(
  values: Kind,
  small: Size,
  halvings: number,
  full: Size,
  samples: number,
  [least, most]: readonly [number, number],
): Kind {
  const step = 2 ** halvings;
  const made = new (values.constructor as new (length: number) => Kind)(full.columns * full.rows * samples);
  const isWhole = !(values instanceof Float32Array || values instanceof Float64Array);
  const line = new Float64Array(small.columns * samples);
  for (let row = 0; row < full.rows; row += 1) {
    const above = Math.min(Math.floor(row / step), small.rows - 1);
    const below = Math.min(above + 1, small.rows - 1);
    const down = (row - above * step) / step;
    const [first, second] = [above * line.length, below * line.length];
    for (let at = 0; at < line.length; at += 1) {
      const from = values[first + at]!;
      line[at] = Math.min(most, Math.max(least, from + (values[second + at]! - from) * Math.min(1, down)));
    }
    const begins = row * full.columns * samples;
    for (let column = 0; column < full.columns; column += 1) {
      const left = Math.min(Math.floor(column / step), small.columns - 1);
      const right = Math.min(left + 1, small.columns - 1);
      const across = Math.min(1, (column - left * step) / step);
      for (let sample = 0; sample < samples; sample += 1) {
        const from = line[left * samples + sample]!;
        const value = from + (line[right * samples + sample]! - from) * across;
        made[begins + column * samples + sample] = isWhole ? Math.round(value) : value;
      }
    }
  }
  return made;
}

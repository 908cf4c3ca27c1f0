/** Lines of pictures whose components were decoded one after another. */

/** Arrays of numbers of any size. */
type Samples = Uint8Array | Int8Array | Uint16Array | Int16Array;

/**
 * `lines` are all of the first component, then all of the second, and so on, but were put where those go that take turns,
 * each sample at its component's place in a pixel. The result has every sample in its own pixel.
 *
 * The decoder of HTJ2K takes lines in turns, which they only come in where the stream transforms colours (T.814; OpenJPH
 * calls the other order planar).
 */
export function linesInTurns<Kind extends Samples>(lines: Kind, columns: number, rows: number, components: number): Kind {
  const pixels = new (lines.constructor as new (length: number) => Kind)(lines.length);
  for (let component = 0; component < components; component += 1) {
    for (let row = 0; row < rows; row += 1) {
      const came = component * rows + row;
      let from = Math.floor(came / components) * columns * components + (came % components);
      let to = row * columns * components + component;
      for (let column = 0; column < columns; column += 1, from += components, to += components) pixels[to] = lines[from]!;
    }
  }
  return pixels;
}

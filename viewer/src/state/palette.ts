/**
 * 256 colours for one picture. Greys of an image are kept as they are: only what colours take away
 * from them makes them coarser.
 */

export type Colour = readonly [red: number, green: number, blue: number];

/** How colours are found among pixels, and pixels among colours. */
export interface Quantizer {
  quantize(rgba: Uint8Array, most: number): Colour[];
  applyPalette(rgba: Uint8Array, palette: Colour[]): Uint8Array;
}

export interface Indexed {
  readonly palette: Colour[];
  /** A place in the palette for each pixel. */
  readonly indexes: Uint8Array;
}

const MOST_COLOURS = 256;
/** Letters and lines over an image. */
const FEWEST_COLOURS = 32;
/** Shades of a picture in colour need greys as well. */
const FEWEST_GREYS = 64;
/** Below this difference of its channels a pixel is seen as grey. */
const COLOURED = 10;

export function indexed(rgba: Uint8Array, { quantize, applyPalette }: Quantizer): Indexed {
  const count = rgba.length >> 2;
  const coloured: number[] = [];
  for (let pixel = 0; pixel < count; pixel += 1) if (isColoured(rgba, pixel * 4)) coloured.push(pixel);
  const share = coloured.length / count;
  const colours =
    share === 0 ? 0 : Math.min(MOST_COLOURS - FEWEST_GREYS, Math.max(FEWEST_COLOURS, Math.round(2 * share * MOST_COLOURS)));
  const greys = MOST_COLOURS - colours;
  // From white to black: some readers take rising greys for no palette, and forget that others follow.
  const palette: Colour[] = Array.from({ length: greys }, (_, index) => {
    const grey = Math.round(((greys - 1 - index) * 255) / (greys - 1));
    return [grey, grey, grey];
  });
  const indexes = new Uint8Array(count);
  for (let pixel = 0; pixel < count; pixel += 1) indexes[pixel] = greys - 1 - Math.round((rgba[pixel * 4 + 1]! * (greys - 1)) / 255);
  if (colours > 0) {
    const only = new Uint8Array(coloured.length * 4);
    coloured.forEach((pixel, at) => only.set(rgba.subarray(pixel * 4, pixel * 4 + 4), at * 4));
    const found = quantize(only, colours);
    const places = applyPalette(only, found);
    coloured.forEach((pixel, at) => (indexes[pixel] = greys + places[at]!));
    palette.push(...found);
  }
  return { palette, indexes };
}

function isColoured(rgba: Uint8Array, at: number): boolean {
  const [red, green, blue] = [rgba[at]!, rgba[at + 1]!, rgba[at + 2]!];
  return Math.max(red, green, blue) - Math.min(red, green, blue) > COLOURED;
}

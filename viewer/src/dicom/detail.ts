/** Which piece of a large image is to be had sharper, where what is seen of it is smaller than it is. */
import type { ImagePoint } from "./measure";

export interface Piece {
  /** In pixels of the image, from its corner. */
  readonly left: number;
  readonly top: number;
  readonly columns: number;
  readonly rows: number;
  /** So often it is halved. */
  readonly halvings: number;
}

/** Around what is seen, so that a small step does not leave it. */
const MARGIN = 0.1;

/**
 * The piece that is seen within `corners`, as sharp as the screen shows it: `dots` of it for each pixel of the image.
 * Undefined where the picture of which `halvings` are known is as sharp.
 */
export function pieceFor(
  corners: readonly ImagePoint[],
  image: { readonly columns: number; readonly rows: number },
  dots: number,
  halvings: number,
): Piece | undefined {
  const wanted = Math.max(0, Math.floor(-Math.log2(dots)));
  if (wanted >= halvings) return undefined;
  const span = (places: readonly number[], most: number): readonly [number, number] => {
    const [first, last] = [Math.min(...places) + 0.5, Math.max(...places) + 0.5];
    const margin = (last - first) * MARGIN;
    const from = Math.max(0, Math.floor(first - margin));
    return [from, Math.min(most, Math.ceil(last + margin)) - from];
  };
  const [left, columns] = span(corners.map(({ x }) => x), image.columns);
  const [top, rows] = span(corners.map(({ y }) => y), image.rows);
  return columns > 0 && rows > 0 ? { left, top, columns, rows, halvings: wanted } : undefined;
}

/** Whether one piece holds all of another, as sharp. */
export function covers(one: Piece, other: Piece): boolean {
  const isWithin = (from: number, length: number, first: number, all: number) => from >= first && from + length <= first + all;
  return (
    one.halvings <= other.halvings &&
    isWithin(other.left, other.columns, one.left, one.columns) &&
    isWithin(other.top, other.rows, one.top, one.rows)
  );
}

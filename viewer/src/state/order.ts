/** In which order the images of a stack are wanted, from where the person is and where they are going. */

export type Direction = 1 | -1;

/** So many images behind are wanted as much as one ahead that lies as many times farther. */
const AHEAD = 3;

/** How little an image is wanted: 0 is the one that is looked at. */
export function farness(index: number, at: number, direction: Direction): number {
  const ahead = (index - at) * direction;
  return ahead >= 0 ? ahead : -ahead * AHEAD;
}

/** Indices from the most wanted on, each once. */
function* wanted(length: number, at: number, direction: Direction): Generator<number> {
  let [ahead, behind] = [at, at - direction];
  const isThere = (index: number) => index >= 0 && index < length;
  while (isThere(ahead) || isThere(behind)) {
    const isAhead = !isThere(behind) || (isThere(ahead) && farness(ahead, at, direction) <= farness(behind, at, direction));
    yield isAhead ? ahead : behind;
    if (isAhead) ahead += direction;
    else behind -= direction;
  }
}

/** The most wanted of those that `isMissing`; undefined where there is none within `most`. */
export function nextWanted(
  length: number,
  at: number,
  direction: Direction,
  most: number,
  isMissing: (index: number) => boolean,
): number | undefined {
  let looked = 0;
  for (const index of wanted(length, at, direction)) {
    if ((looked += 1) > most) return undefined;
    if (isMissing(index)) return index;
  }
  return undefined;
}

/** The images that are kept where only `most` fit, those that are wanted most: the first, and the one behind the last. */
export function windowAround(length: number, at: number, direction: Direction, most: number): readonly [number, number] {
  if (most >= length) return [0, length];
  let [from, to, taken] = [at, at + 1, 0];
  for (const index of wanted(length, at, direction)) {
    if ((taken += 1) > most) break;
    [from, to] = [Math.min(from, index), Math.max(to, index + 1)];
  }
  return [from, to];
}

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

/** Each index once, in passes: every `widest`-th from `at`, then those halfway between them, and so on to the last gaps. */
export function coarseToFine(length: number, at: number, widest: number): readonly (readonly number[])[] {
  const passes: number[][] = [];
  for (let [gap, before] = [widest, 0]; gap >= 1; [before, gap] = [gap, Math.floor(gap / 2)]) {
    const pass: number[] = [];
    for (let index = at % gap; index < length; index += gap) {
      if (before === 0 || (index - at) % before !== 0) pass.push(index);
    }
    passes.push(pass.sort((a, b) => Math.abs(a - at) - Math.abs(b - at)));
  }
  return passes;
}

/** For each index the nearest one that is here, the earlier of two; undefined for all where none is. */
export function nearestHere(isHere: readonly boolean[]): readonly (number | undefined)[] {
  const nearest: (number | undefined)[] = [];
  let last: number | undefined;
  isHere.forEach((here, index) => {
    if (here) last = index;
    nearest.push(last);
  });
  for (let [index, next] = [isHere.length - 1, undefined as number | undefined]; index >= 0; index -= 1) {
    if (isHere[index]) next = index;
    const before = nearest[index];
    if (next !== undefined && (before === undefined || next - index < index - before)) nearest[index] = next;
  }
  return nearest;
}

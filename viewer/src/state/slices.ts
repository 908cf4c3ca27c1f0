/** Work that comes in steps, done a few milliseconds at a time, so that the page answers meanwhile. */

const SLICE_MS = 8;
/** Steps between two looks at the clock. */
const STEPS_AT_ONCE = 64;

export interface Taken<Value> {
  readonly values: readonly Value[];
  /** Nothing more comes. */
  readonly isDone: boolean;
  /** There would be more than `most`. */
  readonly isCut: boolean;
}

/**
 * Tells what has come after each slice, the first at once; what is null is left out. The result stops it.
 */
export function takeInSlices<Value>(
  steps: Iterator<Value | null>,
  most: number,
  onTaken: (taken: Taken<Value>) => void,
  now: () => number = () => performance.now(),
): () => void {
  const values: Value[] = [];
  let next: ReturnType<typeof setTimeout> | undefined;
  function slice(): void {
    const end = now() + SLICE_MS;
    do {
      for (let step = 0; step < STEPS_AT_ONCE; step += 1) {
        const { done, value } = steps.next();
        if (done) return onTaken({ values: [...values], isDone: true, isCut: false });
        if (value === null) continue;
        if (values.length === most) return onTaken({ values: [...values], isDone: true, isCut: true });
        values.push(value);
      }
    } while (now() < end);
    onTaken({ values: [...values], isDone: false, isCut: false });
    next = setTimeout(slice, 0);
  }
  slice();
  return () => clearTimeout(next);
}

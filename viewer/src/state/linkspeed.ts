/**
 * How fast frames come, from those that came last, and whether it pays to have the server compress.
 */

export interface LinkSpeed {
  /** A frame of so many bytes was asked for and had come, in milliseconds of one clock. */
  note(bytes: number, askedAt: number, cameAt: number): void;
  /** Of all connections together; undefined until a few frames have come. */
  bytesPerSecond(): number | undefined;
  /** The same, or what a link that is known to be slow may give at least. */
  expected(): number | undefined;
  isSlow(): boolean;
}

const REMEMBERED = 12;
const ENOUGH = 3;
/** About 64 Mbit/s: below it a frame of half the size comes sooner, though it is made first. */
const SLOW_BYTES_PER_SECOND = 8e6;
const SLOW_AT_LEAST = 5e5;

export function createLinkSpeed(isKnownSlow = false): LinkSpeed {
  const came: { readonly bytes: number; readonly askedAt: number; readonly cameAt: number }[] = [];
  const bytesPerSecond = () => {
    if (came.length < ENOUGH) return undefined;
    const bytes = came.reduce((sum, one) => sum + one.bytes, 0);
    const from = Math.min(...came.map((one) => one.askedAt));
    const to = Math.max(...came.map((one) => one.cameAt));
    return bytes / (Math.max(1, to - from) / 1000);
  };
  return {
    note(bytes, askedAt, cameAt) {
      if (bytes <= 0) return;
      came.push({ bytes, askedAt, cameAt });
      if (came.length > REMEMBERED) came.shift();
    },
    bytesPerSecond,
    expected: () => bytesPerSecond() ?? (isKnownSlow ? SLOW_AT_LEAST : undefined),
    isSlow: () => (bytesPerSecond() ?? (isKnownSlow ? 0 : Infinity)) < SLOW_BYTES_PER_SECOND,
  };
}

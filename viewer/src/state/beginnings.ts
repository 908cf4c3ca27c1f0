/** How many bytes of a frame are asked for first, so that it is seen in small before all of it has come. */

export interface FrameSize {
  readonly rows: number;
  readonly columns: number;
  readonly samplesPerPixel: number;
  readonly bitsAllocated: number;
}

/** What lossless compression leaves of it, about. */
const COMPRESSED = 0.5;
/** Where nothing is known of the link, a frame of this size is worth a second request. */
const LARGE_BYTES = 1 << 20;
/** What takes longer than this is waited for. */
const WAIT_S = 0.4;
/** The small picture has this many pixels along its longer side, or up to twice as many. */
const SEEN_PIXELS = 256;
/** Small pictures take more bytes a pixel than what is added to them: three quarters of what they are uncompressed. */
const SMALL_COMPRESSED = 0.75;
const HEAD_BYTES = 2048;

/** Undefined where all may as well be asked for at once. `bytesPerSecond`: of the link, where it is known. */
export function firstBytes(frame: FrameSize, bytesPerSecond: number | undefined): number | undefined {
  const pixelBytes = frame.samplesPerPixel * Math.ceil(frame.bitsAllocated / 8);
  const whole = frame.rows * frame.columns * pixelBytes;
  const isLong = bytesPerSecond === undefined ? whole * COMPRESSED >= LARGE_BYTES : whole * COMPRESSED >= WAIT_S * bytesPerSecond;
  const halvings = Math.floor(Math.log2(Math.max(frame.rows, frame.columns) / SEEN_PIXELS));
  if (!isLong || halvings < 1) return undefined;
  return Math.ceil((whole / 4 ** halvings) * SMALL_COMPRESSED) + HEAD_BYTES;
}

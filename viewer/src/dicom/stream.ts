/**
 * Whether a JPEG 2000 stream is of the image that its header tells of (ITU-T T.800 A.5.1, SIZ).
 *
 * The decoder here keeps what it decoded before where it is given something that is no stream, and would
 * show one image as another.
 */

const JPEG_2000 = /^1\.2\.840\.10008\.1\.2\.4\.(9[0-3]|20[1-3])$/;
const SOC = 0xff4f;
const SIZ = 0xff51;
const SOT = 0xff90;
/** Marker, length and capabilities lie before the size. */
const XSIZ = 8;
const SIZ_END = 40;
const MOST_SEGMENTS = 4096;

export function isStreamOf(
  transferSyntaxUid: string,
  bytes: Uint8Array,
  { rows, columns }: { readonly rows: number; readonly columns: number },
): boolean {
  if (!JPEG_2000.test(transferSyntaxUid)) return true;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength < SIZ_END + 2 || view.getUint16(0) !== SOC || view.getUint16(2) !== SIZ) return false;
  const size = (axis: number) => view.getUint32(XSIZ + 4 * axis) - view.getUint32(XSIZ + 8 + 4 * axis);
  return size(0) === columns && size(1) === rows && hasTile(view);
}

/** Without a tile there is nothing to decode. */
function hasTile(view: DataView): boolean {
  let at = 2;
  for (let segment = 0; segment < MOST_SEGMENTS && at + 4 <= view.byteLength; segment += 1) {
    if (view.getUint16(at) === SOT) return true;
    at += 2 + Math.max(2, view.getUint16(at + 2));
  }
  return false;
}

/**
 * How much of a picture the first bytes of an HTJ2K stream hold (ITU-T T.800 Annex A, T.814).
 *
 * Streams that go resolution by resolution (RPCL order, 1.2.840.10008.1.2.4.202; others may, too) begin with the whole
 * picture in small. Where each resolution is a tile-part, their lengths tell exactly how far bytes reach.
 */

const HTJ2K = /^1\.2\.840\.10008\.1\.2\.4\.20[1-3]$/;

export const isHtj2k = (transferSyntaxUid: string): boolean => HTJ2K.test(transferSyntaxUid);

const MARKERS = { soc: 0xff4f, siz: 0xff51, cod: 0xff52, tlm: 0xff55, sot: 0xff90, eoc: 0xffd9 } as const;
/** Progression orders that give resolution after resolution (T.800 A.6.1): LRCP of one layer, RLCP, RPCL. */
const [LRCP, RLCP, RPCL] = [0, 1, 2];
const MOST_SEGMENTS = 4096;
/** 255 of each of 65,535 tiles would be allowed; no image has that many. */
const MOST_PARTS = 1 << 18;
/** SOT and SOD. */
const SOT_BYTES = 14;
/** T.800 Table A.15. */
const MOST_DECOMPOSITIONS = 32;
/** EOC, and what pads a fragment to an even length. */
const END_BYTES = 3;
/** Each halving leaves a quarter of the pixels; smaller pictures take more bytes a pixel. */
const SHARE_OF_QUARTER = 1.6;

interface Head {
  /** How often the picture is halved down to the smallest. */
  readonly decompositions: number;
  /** Where the first tile-part begins. */
  readonly end: number;
  /** Lengths of all tile-parts, where they are told in front. */
  readonly parts: readonly number[];
}

/**
 * By how many halvings the picture is smaller that `bytes`, the first of `total`, hold of all columns and rows.
 * Undefined where they hold none, or cannot be told to.
 */
export function halvingsWithin(bytes: Uint8Array, total: number): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const head = headOf(view);
  if (!head) return undefined;
  const { decompositions, end, parts } = head;
  const lengths = parts.length > 0 ? parts : partsWithin(view, end);
  const isInParts = lengths.length > 1 || (lengths[0] !== undefined && end + lengths[0] < total - END_BYTES);
  if (isInParts) return wholeParts(lengths, decompositions, end, bytes.length);
  const halvings = Array.from({ length: decompositions }, (_, index) => index + 1);
  return halvings.find((times) => end + (total - end) * Math.min(1, SHARE_OF_QUARTER / 4 ** times) <= bytes.length);
}

/**
 * Whether all tile-parts are there, to their ends (T.800 A.4.2). The decoder here makes a picture of what it is given
 * and does not tell what it lacks.
 */
export function isWhole(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = firstPart(view);
  if (at === undefined) return false;
  let isLast = false;
  for (let part = 0; part < MOST_PARTS && at + 2 <= view.byteLength; part += 1) {
    const marker = view.getUint16(at);
    if (marker === MARKERS.eoc) return true;
    if (marker !== MARKERS.sot || at + SOT_BYTES > view.byteLength) break;
    const length = view.getUint32(at + 6);
    // The last may reach to the end without telling its length.
    if (length === 0) return true;
    if (length < SOT_BYTES) return false;
    const [index, count] = [view.getUint8(at + 10), view.getUint8(at + 11)];
    isLast = count === 0 || index + 1 === count;
    at += length;
  }
  // Some writers leave out the last marker; a fragment is padded to an even length.
  return isLast && (at === view.byteLength || at + 1 === view.byteLength);
}

function firstPart(view: DataView): number | undefined {
  if (view.byteLength < 4 || view.getUint16(0) !== MARKERS.soc) return undefined;
  let at = 2;
  for (let segment = 0; segment < MOST_SEGMENTS && at + 4 <= view.byteLength; segment += 1) {
    if (view.getUint16(at) === MARKERS.sot) return at;
    at += 2 + Math.max(2, view.getUint16(at + 2));
  }
  return undefined;
}

/** Of tile-parts that are resolutions, the smallest first. */
function wholeParts(lengths: readonly number[], decompositions: number, end: number, held: number): number | undefined {
  if (lengths.length > decompositions + 1) return undefined;
  let [at, whole] = [end, 0];
  for (const length of lengths) {
    at += length;
    if (at > held) break;
    whole += 1;
  }
  return whole === 0 || whole > decompositions ? undefined : decompositions + 1 - whole;
}

/** Undefined where the stream has another order, several tiles, or components of different sizes. */
function headOf(view: DataView): Head | undefined {
  if (view.byteLength < 4 || view.getUint16(0) !== MARKERS.soc || view.getUint16(2) !== MARKERS.siz) return undefined;
  let decompositions: number | undefined;
  const parts: number[] = [];
  let at = 2;
  for (let segment = 0; segment < MOST_SEGMENTS && at + 4 <= view.byteLength; segment += 1) {
    const [marker, length] = [view.getUint16(at), view.getUint16(at + 2)];
    if (marker === MARKERS.sot) return decompositions === undefined ? undefined : { decompositions, end: at, parts };
    if (length < 2 || at + 2 + length > view.byteLength) return undefined;
    const body = new DataView(view.buffer, view.byteOffset + at + 4, length - 2);
    if (marker === MARKERS.siz && !isPlain(body)) return undefined;
    if (marker === MARKERS.tlm) parts.push(...lengthsIn(body));
    if (marker === MARKERS.cod) {
      decompositions = decompositionsIn(body);
      if (decompositions === undefined) return undefined;
    }
    at += 2 + length;
  }
  return undefined;
}

/** One tile from the corner on, all components with as many samples (T.800 A.5.1). */
function isPlain(siz: DataView): boolean {
  if (siz.byteLength < 36) return false;
  const [width, height, left, top, tileWidth, tileHeight, tileLeft, tileTop] = Array.from({ length: 8 }, (_, at) =>
    siz.getUint32(2 + 4 * at),
  ) as [number, number, number, number, number, number, number, number];
  const components = siz.getUint16(34);
  if ([left, top, tileLeft, tileTop].some((at) => at !== 0) || tileWidth < width || tileHeight < height) return false;
  if (siz.byteLength < 36 + 3 * components) return false;
  return Array.from({ length: components }, (_, at) => siz.getUint16(37 + 3 * at)).every((steps) => steps === 0x0101);
}

/** T.800 A.6.1. */
function decompositionsIn(cod: DataView): number | undefined {
  if (cod.byteLength < 6) return undefined;
  const [order, layers, decompositions] = [cod.getUint8(1), cod.getUint16(2), cod.getUint8(5)];
  const isByResolution = order === RLCP || order === RPCL || (order === LRCP && layers === 1);
  return isByResolution && decompositions <= MOST_DECOMPOSITIONS ? decompositions : undefined;
}

/** T.800 A.7.1. */
function lengthsIn(tlm: DataView): readonly number[] {
  if (tlm.byteLength < 2) return [];
  const sizes = tlm.getUint8(1);
  const [tileBytes, lengthBytes] = [(sizes >> 4) & 3, sizes & 0x40 ? 4 : 2];
  const count = Math.floor((tlm.byteLength - 2) / (tileBytes + lengthBytes));
  return Array.from({ length: count }, (_, index) => {
    const at = 2 + index * (tileBytes + lengthBytes) + tileBytes;
    return lengthBytes === 4 ? tlm.getUint32(at) : tlm.getUint16(at);
  });
}

/** The lengths that tile-parts tell themselves (T.800 A.4.2), as far as they begin within the bytes. */
function partsWithin(view: DataView, end: number): readonly number[] {
  const lengths: number[] = [];
  for (let at = end; lengths.length < MOST_SEGMENTS && at + 12 <= view.byteLength && view.getUint16(at) === MARKERS.sot; ) {
    const length = view.getUint32(at + 6);
    if (length < SOT_BYTES) break;
    lengths.push(length);
    at += length;
  }
  return lengths;
}

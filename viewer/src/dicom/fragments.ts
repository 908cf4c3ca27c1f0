/**
 * Where the frames of encapsulated Pixel Data lie (PS3.5 A.4): from an Extended or a Basic Offset Table, else from the
 * fragments themselves. Reads headers only, through windows of the file.
 */
import { DicomError } from "./bytes";

/** A part of the file with the frame in it: fragments with their Item headers. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const WINDOW = 1 << 16;
const HEADER = 8;
const UNDEFINED = 0xffffffff;
const ITEM = 0xe000fffe; // as the four bytes make it in little endian
const SEQUENCE_END = 0xe0ddfffe;
const MOST_FRAGMENTS = 500_000;

/** Reads eight bytes at a place. */
class Headers {
  private start = 0;
  private held = new DataView(new ArrayBuffer(0));

  constructor(private readonly content: Blob) {}

  async at(offset: number): Promise<{ readonly tag: number; readonly length: number }> {
    if (offset + HEADER > this.content.size) throw new DicomError("cut", "7FE00010", offset);
    if (offset < this.start || offset + HEADER > this.start + this.held.byteLength) {
      this.held = new DataView(await this.content.slice(offset, offset + WINDOW).arrayBuffer());
      this.start = offset;
    }
    const at = offset - this.start;
    return { tag: this.held.getUint32(at, true), length: this.held.getUint32(at + 4, true) };
  }
}

/** An Extended Offset Table (PS3.3 C.7.6.3.1.8): 64-bit numbers, little endian. */
export function offsetsOf(table: Uint8Array): readonly number[] {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  return Array.from({ length: Math.floor(view.byteLength / 8) }, (_, at) => Number(view.getBigUint64(at * 8, true)));
}

/**
 * The spans of all frames. `from` is where the Basic Offset Table's Item begins; `extended` offsets count like its own
 * from behind that Item. Throws DicomError.
 */
export async function frameSpans(
  content: Blob,
  from: number,
  frames: number,
  extended: readonly number[],
): Promise<readonly Span[]> {
  const headers = new Headers(content);
  const table = await headers.at(from);
  if (table.tag !== ITEM || table.length === UNDEFINED) throw new DicomError("broken", "7FE00010", from);
  const first = from + HEADER + table.length;
  if (first > content.size) throw new DicomError("cut", "7FE00010", from);
  const offsets = extended.length > 0 ? extended : await basicOffsets(content, from + HEADER, table.length, frames);
  if (offsets.length === frames && frames > 1) {
    const told = await spansByOffsets(headers, content, first, offsets);
    if (told) return told;
  }
  return await spansByFragments(headers, content, first, frames);
}

async function basicOffsets(content: Blob, at: number, length: number, frames: number): Promise<readonly number[]> {
  if (length !== frames * 4) return [];
  const view = new DataView(await content.slice(at, at + length).arrayBuffer());
  return Array.from({ length: frames }, (_, index) => view.getUint32(index * 4, true));
}

/** Undefined where the table is not to be believed: offsets that do not rise, or name no Item. */
async function spansByOffsets(
  headers: Headers,
  content: Blob,
  first: number,
  offsets: readonly number[],
): Promise<readonly Span[] | undefined> {
  const isRising = offsets.every((offset, index) => index === 0 || offset > offsets[index - 1]!);
  const last = first + offsets.at(-1)!;
  if (!isRising || offsets[0] !== 0 || last + HEADER > content.size) return undefined;
  for (const offset of [offsets[1]!, offsets.at(-1)!]) if ((await headers.at(first + offset)).tag !== ITEM) return undefined;
  const { found } = await fragmentsFrom(headers, content, last);
  const end = found.at(-1)?.end ?? last; // of a file that is cut there, the frames before are whole
  return offsets.map((offset, index) => ({ start: first + offset, end: first + (offsets[index + 1] ?? end - first) }));
}

async function spansByFragments(headers: Headers, content: Blob, first: number, frames: number): Promise<readonly Span[]> {
  const { found, isCut } = await fragmentsFrom(headers, content, first);
  const end = found.at(-1)?.end;
  if (end === undefined || (isCut && frames === 1)) throw new DicomError("cut", "7FE00010", first);
  if (!isCut && found.length === frames) return found;
  if (frames === 1) return [{ start: first, end }];
  const starts: number[] = [];
  for (const { start } of found) if (await beginsImage(content, start + HEADER)) starts.push(start);
  // Of a file that is cut, the last frame may lack its end.
  if (isCut && found.length < frames && starts.length === found.length) return found;
  if (isCut ? starts.length > frames : starts.length !== frames) throw new DicomError("broken", "7FE00010", first);
  const spans = starts.map((start, index) => ({ start, end: starts[index + 1] ?? end }));
  return isCut ? spans.slice(0, -1) : spans;
}

interface Fragments {
  readonly found: readonly Span[];
  /** The file ends before the last one does. */
  readonly isCut: boolean;
}

/** Up to the delimiter, which some writers forget at the very end of the file. */
async function fragmentsFrom(headers: Headers, content: Blob, from: number): Promise<Fragments> {
  const found: Span[] = [];
  let pos = from;
  while (pos !== content.size) {
    if (pos + HEADER > content.size) return { found, isCut: !(await beginsDelimiter(content, pos)) };
    const { tag, length } = await headers.at(pos);
    if (tag === SEQUENCE_END) break;
    if (tag !== ITEM || length === UNDEFINED) throw new DicomError("broken", "7FE00010", pos);
    const end = pos + HEADER + length;
    if (end > content.size) return { found, isCut: true };
    if (found.length === MOST_FRAGMENTS) throw new DicomError("bound", "7FE00010", pos);
    found.push({ start: pos, end });
    pos = end;
  }
  return { found, isCut: false };
}

async function beginsDelimiter(content: Blob, at: number): Promise<boolean> {
  const torn = new Uint8Array(await content.slice(at).arrayBuffer());
  return torn[2] === (SEQUENCE_END >> 16 & 0xff);
}

/** JPEG, JPEG-LS and JPEG 2000 code streams begin with a marker; a JP2 box and JPEG XL with their own. */
async function beginsImage(content: Blob, at: number): Promise<boolean> {
  const head = new DataView(await content.slice(at, at + 4).arrayBuffer());
  if (head.byteLength < 4) return false;
  const word = head.getUint16(0);
  return word === 0xffd8 || word === 0xff4f || word === 0xff0a || head.getUint32(0) === 0x0000000c;
}

/** The code stream of a frame: what its fragments hold, one behind the other. Throws DicomError. */
export async function codeStream(content: Blob, { start, end }: Span): Promise<Uint8Array> {
  if (end <= start) throw new DicomError("cut", "7FE00010", start);
  const bytes = new Uint8Array(await content.slice(start, end).arrayBuffer());
  const view = new DataView(bytes.buffer);
  let size = 0;
  for (let pos = 0; pos + HEADER <= bytes.length; ) {
    const length = view.getUint32(pos + 4, true);
    if (view.getUint32(pos, true) !== ITEM || pos + HEADER + length > bytes.length)
      throw new DicomError("broken", "7FE00010", start + pos);
    // In place: what is written never overtakes what is read.
    bytes.copyWithin(size, pos + HEADER, pos + HEADER + length);
    size += length;
    pos += HEADER + length;
  }
  return bytes.subarray(0, size);
}

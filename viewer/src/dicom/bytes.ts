/** Bytes of a file that is read in parts, and the one error that reading it can give. */

/** Why a file cannot be read; the page has words for each. */
export type Unreadable =
  /** No DICOM file at all: counted and passed over. */
  | "notDicom"
  /** A list of a disc's files (PS3.3 F), which holds no images itself. */
  | "directory"
  /** The file ends before what it announces. */
  | "cut"
  /** Elements that contradict the rules of their encoding. */
  | "broken"
  /** Sequences within sequences, items or elements beyond any sense. */
  | "bound"
  /** A deflated Data Set that cannot be inflated, or grows without end. */
  | "inflate"
  /** Without the UIDs of study, series and object. */
  | "nameless"
  /** The file is not there any more, or is locked. */
  | "unreachable";

export class DicomError extends Error {
  override readonly name = "DicomError";

  constructor(
    readonly why: Unreadable,
    /** The element at fault, and where in the bytes it is. */
    readonly tag?: string | undefined,
    readonly offset?: number | undefined,
  ) {
    super(`${why}${tag ? ` (${tag.slice(0, 4)},${tag.slice(4)})` : ""}${offset === undefined ? "" : ` @${offset}`}`);
  }
}

/** Bytes by their place. `read` never asks beyond `size`. */
export interface ByteSource {
  readonly size: number;
  read(offset: number, length: number): Uint8Array;
}

export function sourceOf(bytes: Uint8Array): ByteSource {
  return { size: bytes.byteLength, read: (offset, length) => bytes.subarray(offset, offset + length) };
}

/** One read brings the whole header of most objects, and costs little where it is stepped over. */
const WINDOW = 1 << 16;

/** Reads through one window, so that neighbouring bytes are fetched together. */
export function windowed(size: number, load: (offset: number, end: number) => Uint8Array): ByteSource {
  let start = 0;
  let held: Uint8Array = new Uint8Array(0);
  return {
    size,
    read(offset, length) {
      if (offset < start || offset + length > start + held.byteLength) {
        held = load(offset, Math.min(size, offset + Math.max(length, WINDOW)));
        start = offset;
      }
      return held.subarray(offset - start, offset - start + length);
    },
  };
}

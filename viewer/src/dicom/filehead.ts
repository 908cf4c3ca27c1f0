/**
 * The File Meta Information of a DICOM file (PS3.10 7.1), as an object of the DICOM JSON model.
 *
 * It is always Explicit VR Little Endian. What is cut off or is no file gives what was read until there.
 */
import type { DicomElement, DicomObject } from "./model";

/** More than the head of any file is long; private information in it may be longer, and is then left out. */
export const HEAD_BYTES = 1 << 16;

const PREAMBLE = 128;
const LONG_VRS = new Set(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]);
const UNDEFINED_LENGTH = 0xffffffff;

export function fileHead(bytes: Uint8Array<ArrayBuffer>): DicomObject {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const latin1 = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  const head: Record<string, DicomElement> = {};
  if (bytes.length < PREAMBLE + 4 || latin1(PREAMBLE, PREAMBLE + 4) !== "DICM") return head;
  let at = PREAMBLE + 4;
  while (at + 8 <= bytes.length && view.getUint16(at, true) === 2) {
    const tag = `0002${view.getUint16(at + 2, true).toString(16).toUpperCase().padStart(4, "0")}`;
    const vr = latin1(at + 4, at + 6);
    const isLong = LONG_VRS.has(vr);
    if (isLong && at + 12 > bytes.length) break;
    const length = isLong ? view.getUint32(at + 8, true) : view.getUint16(at + 6, true);
    const from = at + (isLong ? 12 : 8);
    at = from + length;
    if (length === UNDEFINED_LENGTH || at > bytes.length) break;
    if (vr === "UL" && length === 4) head[tag] = { vr, Value: [view.getUint32(from, true)] };
    else if (isLong && vr !== "UR") head[tag] = { vr, InlineBinary: btoa(latin1(from, at)) };
    else head[tag] = { vr, Value: length ? [latin1(from, at).replace(/[\0 ]+$/, "")] : [] };
  }
  return head;
}

/** What browsers call a character set of PS3.3 C.12.1.1.2; those that are switched by escapes are read by their first. */
export function encodingOf(characterSet: string | undefined): string {
  return ENCODINGS[(characterSet ?? "").replace(/^ISO 2022 IR /, "ISO_IR ")] ?? "utf-8";
}

const ENCODINGS: Readonly<Record<string, string>> = {
  "ISO_IR 100": "iso-8859-1",
  "ISO_IR 101": "iso-8859-2",
  "ISO_IR 109": "iso-8859-3",
  "ISO_IR 110": "iso-8859-4",
  "ISO_IR 144": "iso-8859-5",
  "ISO_IR 127": "iso-8859-6",
  "ISO_IR 126": "iso-8859-7",
  "ISO_IR 138": "iso-8859-8",
  "ISO_IR 148": "iso-8859-9",
  "ISO_IR 203": "iso-8859-15",
  "ISO_IR 166": "windows-874",
  "ISO_IR 13": "shift_jis",
  GB18030: "gb18030",
  GBK: "gbk",
};

/** DICOM files made byte by byte, for tests of what reads them. */

export type Bytes = readonly number[];

export const ascii = (text: string): Bytes => [...text].map((letter) => letter.charCodeAt(0));
export const le16 = (value: number): Bytes => [value & 0xff, (value >> 8) & 0xff];
export const le32 = (value: number): Bytes => [...le16(value & 0xffff), ...le16(value >>> 16)];
export const UNDEFINED = 0xffffffff;

function tagBytes(tag: string): Bytes {
  return [...le16(parseInt(tag.slice(0, 4), 16)), ...le16(parseInt(tag.slice(4), 16))];
}

const LONG = new Set(["OB", "OW", "SQ", "UN", "UT", "OV"]);

const even = (value: Bytes, pad: number): Bytes => (value.length % 2 === 0 ? value : [...value, pad]);

/** Explicit VR Little Endian; `length` may say something else than is there. */
export function element(tag: string, vr: string, value: string | Bytes, length?: number): Bytes {
  const bytes = typeof value === "string" ? even(ascii(value), vr === "UI" ? 0 : 0x20) : value;
  const said = length ?? bytes.length;
  const head = LONG.has(vr) ? [...ascii(vr), 0, 0, ...le32(said)] : [...ascii(vr), ...le16(said)];
  return [...tagBytes(tag), ...head, ...bytes];
}

/** Implicit VR Little Endian. */
export function bare(tag: string, value: string | Bytes, length?: number): Bytes {
  const bytes = typeof value === "string" ? even(ascii(value), 0x20) : value;
  return [...tagBytes(tag), ...le32(length ?? bytes.length), ...bytes];
}

export const item = (content: Bytes): Bytes => bare("FFFEE000", content);
export const openItem = (content: Bytes): Bytes => [...bare("FFFEE000", content, UNDEFINED), ...bare("FFFEE00D", [])];
export const SEQUENCE_END = bare("FFFEE0DD", []);

export const NAMES: Bytes = [
  ...element("00080016", "UI", "1.2.840.10008.5.1.4.1.1.2"),
  ...element("00080018", "UI", "1.2.3.4"),
  ...element("0020000D", "UI", "1.2.3"),
  ...element("0020000E", "UI", "1.2.3.1"),
];

export function file(dataSet: Bytes, syntax = "1.2.840.10008.1.2.1"): Uint8Array {
  const meta = element("00020010", "UI", syntax);
  return Uint8Array.from([...new Array<number>(128).fill(0), ...ascii("DICM"), ...element("00020000", "UL", le32(meta.length)), ...meta, ...dataSet]);
}

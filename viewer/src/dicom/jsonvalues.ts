/**
 * The values of one element as the DICOM JSON model holds them (PS3.18 F.2), by VR.
 *
 * As the server makes them: text that is no number stays text, numbers that are not finite are "NaN", "Infinity" and
 * "-Infinity", and `undefined` says that the bytes do not fit the VR.
 */
import { decodeText, latin1 } from "./charset";

export interface ReadingText {
  readonly charset: readonly string[];
  readonly littleEndian: boolean;
}

type Read = (bytes: Uint8Array, how: ReadingText) => readonly unknown[] | undefined;

const PADDING_AT_END = /[ \0]+$/;
const PADDING = /^[ \0]+|[ \0]+$/g;

const unpadded = (text: string) => text.replace(PADDING_AT_END, "");
const stripped = (text: string) => text.replaceAll(PADDING, "");
const unlessEmpty = (values: readonly string[]) => (values.length === 1 && values[0] === "" ? [] : values);

const plain: Read = (bytes) => {
  const text = unpadded(latin1(bytes));
  return unlessEmpty(text.split("\\"));
};

const strings: Read = (bytes, { charset }) => unlessEmpty(decodeText(bytes, charset, false).split("\\").map(unpadded));

/** A backslash is a character like others. */
const text: Read = (bytes, { charset }) => unlessEmpty([unpadded(decodeText(bytes, charset, false))]);

const names: Read = (bytes, { charset }) => {
  const whole = unpadded(decodeText(bytes, charset, true));
  return whole === "" ? [] : whole.split("\\").map(nameOf);
};

const GROUPS = ["Alphabetic", "Ideographic", "Phonetic"] as const;

function nameOf(name: string): Readonly<Record<string, string>> {
  const groups = name.replace(/=+$/, "").split("=").slice(0, GROUPS.length);
  return Object.fromEntries(groups.map((group, index) => [GROUPS[index]!, group]));
}

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
/** An IS has 12 characters, a DS 16. */
const LONGEST_NUMBER = 64;
const LARGEST_INTEGER = 2 ** 63;

function decimal(written: string): unknown {
  const text = stripped(written).trim();
  if (text === "") return null;
  const value = text.length <= LONGEST_NUMBER && DECIMAL.test(text) ? Number(text) : NaN;
  return Number.isFinite(value) ? value : stripped(written);
}

function integer(written: string): unknown {
  const value = decimal(written);
  if (typeof value !== "number") return value;
  const whole = Math.trunc(value) || 0;
  return Math.abs(whole) < LARGEST_INTEGER ? whole : stripped(written);
}

const numbersWith =
  (one: (written: string) => unknown): Read =>
  (bytes) => {
    const text = stripped(latin1(bytes));
    return text === "" ? [] : text.split("\\").map(one);
  };

function finite(value: number): unknown {
  if (Number.isFinite(value)) return value;
  return Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
}

const binary =
  (size: number, get: (view: DataView, at: number, little: boolean) => unknown): Read =>
  (bytes, { littleEndian }) => {
    if (bytes.length % size !== 0) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: bytes.length / size }, (_, index) => get(view, index * size, littleEndian));
  };

const hex = (value: number) => value.toString(16).toUpperCase().padStart(4, "0");

const tags: Read = (bytes, how) => {
  const words = binary(2, (view, at, little) => hex(view.getUint16(at, little)))(bytes.subarray(0, bytes.length & ~3), how)!;
  return words.length === 0 ? undefined : words.flatMap((word, at) => (at % 2 === 0 ? [`${word}${words[at + 1]}`] : []));
};

const READERS: Readonly<Record<string, Read>> = {
  AS: plain, CS: plain, DA: plain, DT: plain, TM: plain, UI: plain,
  LO: strings, SH: strings, UC: strings,
  LT: text, ST: text, UT: text,
  AE: (bytes) => unlessEmpty(latin1(bytes).split("\\").map(stripped)),
  AT: tags,
  DS: numbersWith(decimal),
  IS: numbersWith(integer),
  PN: names,
  UR: (bytes) => unlessEmpty([unpadded(latin1(bytes))]),
  FD: binary(8, (view, at, little) => finite(view.getFloat64(at, little))),
  FL: binary(4, (view, at, little) => finite(view.getFloat32(at, little))),
  SL: binary(4, (view, at, little) => view.getInt32(at, little)),
  SS: binary(2, (view, at, little) => view.getInt16(at, little)),
  SV: binary(8, (view, at, little) => Number(view.getBigInt64(at, little))),
  UL: binary(4, (view, at, little) => view.getUint32(at, little)),
  US: binary(2, (view, at, little) => view.getUint16(at, little)),
  UV: binary(8, (view, at, little) => Number(view.getBigUint64(at, little))),
};

/** Whether values of this VR are read; all others are bytes, or sequences. */
export function isRead(vr: string): boolean {
  return READERS[vr] !== undefined;
}

export function valuesOf(vr: string, bytes: Uint8Array, how: ReadingText): readonly unknown[] | undefined {
  return READERS[vr]?.(bytes, how);
}

/** Lookup tables of the Modality, VOI and Presentation LUT (PS3.3 C.11.1, C.11.2, C.11.4), as the server reads them. */
import { TAG, numbers, text, type DicomObject } from "./model";

export interface LookupTable {
  /** The value that the first entry is for. */
  readonly first: number;
  readonly entries: Uint16Array;
  /** The largest value of the output's range: white. */
  readonly top: number;
  readonly explanation: string | undefined;
}

const MOST_ENTRIES = 1 << 16;

/**
 * The table of one Item, whose LUT Data are these bytes, little endian; undefined for one without descriptor or
 * data. `isSigned` says what the first mapped value is where its VR does not.
 */
export function lookupTable(item: DicomObject, data: Uint8Array, isSigned: boolean): LookupTable | undefined {
  const [count, given, told] = numbers(item, TAG.lutDescriptor);
  if (count === undefined || given === undefined || told === undefined) return undefined;
  const first = isSigned && given > 0x7fff ? given - 0x10000 : given;
  const bits = told >= 1 && told <= 16 ? told : 16;
  const entries = entriesOf(data, count & 0xffff || MOST_ENTRIES, bits);
  if (entries.length === 0) return undefined;
  let highest = 0;
  for (const entry of entries) highest = Math.max(highest, entry);
  let depth = bits;
  while (highest >> depth) depth += 1; // a descriptor that says fewer bits than its entries have
  return { first, entries, top: 2 ** depth - 1, explanation: text(item, TAG.lutExplanation) };
}

/** Entries of 8 bits may lie two in a word; where the length says 8 bits or 16 it is right (PS3.3 C.7.6.3.1.6). */
function entriesOf(data: Uint8Array, count: number, bits: number): Uint16Array {
  const isByLength = count > 1 && (data.length === count || data.length === count + (count % 2));
  if (isByLength || (bits <= 8 && data.length < 2 * count)) return Uint16Array.from(data.subarray(0, count));
  const words = new Uint16Array(Math.min(count, data.length >> 1));
  for (let index = 0; index < words.length; index += 1) words[index] = data[2 * index]! | (data[2 * index + 1]! << 8);
  return words;
}

/** Beyond an end that end's entry (PS3.3 C.11.1.1.1). */
export function lookUp({ first, entries }: LookupTable, value: number): number {
  const index = Math.floor(value - first);
  return entries[index > 0 ? Math.min(index, entries.length - 1) : 0]!;
}

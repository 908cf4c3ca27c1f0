/**
 * Text of a Data Set: Specific Character Set (PS3.3 C.12.1.1.2) with code extensions (PS3.5 6.1.2).
 *
 * Reading never fails: what cannot be decoded becomes U+FFFD, a term that is not known is read as Latin-1, and all
 * known escapes are followed, declared or not. UTF-8, GB18030 and GBK stand alone, without escapes.
 */

type Decode = (bytes: Uint8Array) => string;

/** Every byte is the character of its number; TextDecoder's "latin1" is another set. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += CHUNK) text += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  return text;
}

const CHUNK = 8192; // arguments of one call

const decoders = new Map<string, TextDecoder>();

function by(label: string): Decode {
  return (bytes) => {
    let decoder = decoders.get(label);
    if (!decoder) decoders.set(label, (decoder = new TextDecoder(label)));
    return decoder.decode(bytes);
  };
}

const ALONE = new Set(["utf-8", "gb18030", "gbk"]);

/** What a text begins in when the term is value 1, by the number in its name. */
const SINGLE_BYTE: Readonly<Record<string, string>> = {
  "13": "shift_jis", "101": "iso-8859-2", "109": "iso-8859-3", "110": "iso-8859-4", "126": "iso-8859-7",
  "127": "iso-8859-6", "138": "iso-8859-8", "144": "iso-8859-5", "148": "iso-8859-9", "149": "euc-kr", "58": "gbk",
  "166": "windows-874", "192": "utf-8", "203": "iso-8859-15",
};

/** The encoding of value 1; undefined for Latin-1, and for what is not known. */
function firstLabel(term: string): string | undefined {
  const name = term.trim().toUpperCase();
  const plain = name.replaceAll(/[-_]/g, "");
  if (plain === "UTF8") return "utf-8";
  if (plain === "GB18030") return "gb18030";
  if (plain === "GBK" || plain === "ISO 2022 GBK") return "gbk";
  const number = /^ISO[ _-]*(?:2022)?[ _-]*(?:IR)?[ _-]*(\d+)$/.exec(name)?.[1];
  return number === undefined ? undefined : SINGLE_BYTE[number];
}

interface Designated {
  readonly decode: Decode;
  /** Of bytes above 0x7F; else of those below. */
  readonly isG1: boolean;
  readonly isTwoByte: boolean;
}

/** JIS X 0208 as EUC-JP has it: both bytes with the eighth bit. */
const kanji: Decode = (bytes) => by("euc-jp")(bytes.map((byte) => byte | 0x80));

/** JIS X 0212: as well, each character behind 0x8F. */
const supplementaryKanji: Decode = (bytes) => {
  const long = new Uint8Array((bytes.length / 2) * 3);
  for (let from = 0, to = 0; from + 1 < bytes.length; from += 2, to += 3)
    long.set([0x8f, bytes[from]! | 0x80, bytes[from + 1]! | 0x80], to);
  return by("euc-jp")(long);
};

const g0 = (decode: Decode, isTwoByte = false): Designated => ({ decode, isG1: false, isTwoByte });
const g1 = (decode: Decode): Designated => ({ decode, isG1: true, isTwoByte: false });

const ESCAPES: Readonly<Record<string, Designated>> = {
  "(B": g0(latin1),
  "(J": g0(latin1),
  ")I": g1(by("shift_jis")),
  "$B": g0(kanji, true),
  "$(D": g0(supplementaryKanji, true),
  "$)C": g1(by("euc-kr")),
  "$)A": g1(by("gbk")),
  "-A": g1(latin1),
  "-B": g1(by("iso-8859-2")),
  "-C": g1(by("iso-8859-3")),
  "-D": g1(by("iso-8859-4")),
  "-F": g1(by("iso-8859-7")),
  "-G": g1(by("iso-8859-6")),
  "-H": g1(by("iso-8859-8")),
  "-L": g1(by("iso-8859-5")),
  "-M": g1(by("iso-8859-9")),
  "-T": g1(by("windows-874")),
  "-b": g1(by("iso-8859-15")),
};

const ESC = 0x1b;
const TEXT_DELIMITERS = new Set([..."\\\t\n\f\r"].map((one) => one.charCodeAt(0)));
const NAME_DELIMITERS = new Set([...TEXT_DELIMITERS, "^".charCodeAt(0), "=".charCodeAt(0)]);

/** A value in the character set of its Data Set, padding and backslashes included. */
export function decodeText(bytes: Uint8Array, charset: readonly string[], isName: boolean): string {
  const hasEscape = bytes.includes(ESC);
  if (!hasEscape && bytes.every((byte) => byte < 0x80)) return latin1(bytes);
  const label = charset.length > 0 ? firstLabel(charset[0]!) : undefined;
  const first = label ? by(label) : latin1;
  if (!hasEscape || (label && ALONE.has(label))) return first(bytes);
  return extended(bytes, first, isName ? NAME_DELIMITERS : TEXT_DELIMITERS);
}

function extended(bytes: Uint8Array, first: Decode, delimiters: ReadonlySet<number>): string {
  let text = "";
  let low = ESCAPES["(B"]!;
  let high = first;
  let at = 0;
  while (at < bytes.length) {
    if (bytes[at] === ESC) {
      const found = escapeAt(bytes, at);
      if (found) {
        if (found.set.isG1) high = found.set.decode;
        else low = found.set;
        at += found.length;
        continue;
      }
    }
    const end = endOfRun(bytes, at, low, delimiters);
    if (low.isTwoByte && end > at) {
      text += low.decode(bytes.subarray(at, end));
      at = end;
    } else if (low.isTwoByte) {
      low = ESCAPES["(B"]!; // a control character or a byte above 0x7F: the writer did not switch back
    } else {
      text += high(bytes.subarray(at, end));
      at = end;
      if (delimiters.has(bytes[end - 1]!)) [low, high] = [ESCAPES["(B"]!, first];
    }
  }
  return text;
}

/** Up to the next escape; of two-byte characters whole ones only, else up to and with the next delimiter. */
function endOfRun(bytes: Uint8Array, from: number, low: Designated, delimiters: ReadonlySet<number>): number {
  let at = from;
  if (low.isTwoByte) {
    while (at + 1 < bytes.length && isGraphic(bytes[at]!) && isGraphic(bytes[at + 1]!)) at += 2;
    return at;
  }
  do at += 1;
  while (at < bytes.length && bytes[at] !== ESC && !delimiters.has(bytes[at - 1]!));
  return at;
}

function isGraphic(byte: number): boolean {
  return byte >= 0x21 && byte <= 0x7e;
}

const LONGEST_ESCAPE = 3;

function escapeAt(bytes: Uint8Array, at: number): { readonly set: Designated; readonly length: number } | undefined {
  const letters = latin1(bytes.subarray(at + 1, at + 1 + LONGEST_ESCAPE));
  for (let length = LONGEST_ESCAPE; length > 1; length -= 1) {
    const set = ESCAPES[letters.slice(0, length)];
    if (set) return { set, length: length + 1 };
  }
  return undefined;
}

/**
 * DICOM files (PS3.10 7) as the DICOM JSON model (PS3.18 F), read in parts: headers only.
 *
 * Values longer than a packet of binary, and all pixels, are left where they are and named by a reference. Reading ends
 * at Pixel Data of the object itself: what may follow (padding, signatures) has no use in a viewer. Everything that a
 * file says is bounded, and every failure is a `DicomError`.
 *
 * Own code and not a library's: those for browsers want the whole file as one array, and recurse as deep as it says.
 */
import { DicomError, type ByteSource } from "./bytes";
import { latin1 } from "./charset";
import { vrOf } from "./dictionary";
import { isRead, valuesOf, type ReadingText } from "./jsonvalues";
import { EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE } from "./syntaxes";
import { TAG, items, text, texts, type DicomElement, type DicomObject } from "./model";

/** Bytes of a binary value that still travel inside the JSON, as from the server. */
const INLINE_LIMIT = 1024;
/** Longer texts are left out as binary is. */
const TEXT_LIMIT = 1 << 20;
const META_LIMIT = 64 << 10;
/** The deepest objects in use (structured reports) stay below 20. */
const MOST_NESTING = 64;
/** Whole-slide images of 100,000 tiles carry an item for each; a phone has to hold what is read. */
const MOST_ITEMS = 500_000;
const MOST_ELEMENTS = 2_000_000;

const UNDEFINED = 0xffffffff;
const ITEM = "FFFEE000";
const ITEM_END = "FFFEE00D";
const SEQUENCE_END = "FFFEE0DD";
const PIXELS = new Set(["7FE00008", "7FE00009", "7FE00010"]);

const SHORT_VRS = new Set("AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split(" "));
const LONG_VRS = new Set("OB OD OF OL OV OW SQ SV UC UN UR UT UV".split(" "));

const MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10";

interface Layout {
  readonly implicit: boolean;
  readonly littleEndian: boolean;
}

/** What stands before the Data Set. */
export interface FileMeta {
  readonly transferSyntaxUid: string;
  readonly sopClassUid: string;
  readonly dataSetOffset: number;
}

/** Names bytes that are left out; `length` is undefined for fragments up to a delimiter. */
export type Refer = (offset: number, length: number | undefined) => string;

export interface Wish {
  readonly refer: Refer;
  /** Which attributes of the object itself are wanted; without it all. */
  readonly only?: ReadonlySet<string> | undefined;
}

/** File Meta Information, or what a file without one looks like. Throws DicomError. */
export function readMeta(source: ByteSource): FileMeta {
  const start = startOfMeta(source);
  let pos = start ?? 0;
  const values = new Map<string, string>();
  while (start !== undefined && pos + 8 <= source.size) {
    const head = headerView(source, pos, 12);
    if (head.getUint16(0, true) !== 2) break;
    const { tag, value, length } = metaHeader(head, pos);
    if (value + length > source.size) throw new DicomError("cut", tag, pos);
    if (value + length > start + META_LIMIT) throw new DicomError("broken", tag, pos);
    values.set(tag, latin1(source.read(value, length)).replaceAll(/^[ \0]+|[ \0]+$/g, ""));
    pos = value + length;
  }
  const named = values.get("00020010");
  const transferSyntaxUid = named || guessedSyntax(source, pos);
  if (!transferSyntaxUid) throw new DicomError(start === undefined ? "notDicom" : "broken", "00020010", pos);
  const sopClassUid = values.get("00020002") ?? "";
  return { transferSyntaxUid, sopClassUid, dataSetOffset: pos };
}

function startOfMeta(source: ByteSource): number | undefined {
  if (source.size >= 132 && latin1(source.read(128, 4)) === "DICM") return 132;
  if (source.size < 16) throw new DicomError("notDicom");
  if (latin1(source.read(0, 4)) === "DICM") return 4;
  const head = headerView(source, 0, 8);
  const isMeta = head.getUint16(0, true) === 2 && head.getUint16(2, true) <= 0x10;
  return isMeta ? 0 : undefined;
}

function metaHeader(head: DataView, pos: number): { tag: string; value: number; length: number } {
  const tag = tagAt(head, 0, true);
  const vr = lettersAt(head, 4);
  const isLong = LONG_VRS.has(vr);
  if (isLong && head.byteLength < 12) throw new DicomError("cut", tag, pos);
  if (isLong) return { tag, value: pos + 12, length: head.getUint32(8, true) };
  if (/^[A-Z]{2}$/.test(vr)) return { tag, value: pos + 8, length: head.getUint16(6, true) };
  return { tag, value: pos + 8, length: head.getUint32(4, true) }; // Implicit VR, as some writers made it
}

/** The syntax that a Data Set seems to be in; undefined where it seems to be none. */
function guessedSyntax(source: ByteSource, pos: number): string | undefined {
  if (pos + 8 > source.size) return undefined;
  const head = headerView(source, pos, 8);
  const isBig = head.getUint16(0, true) === 0x0800;
  if (!isBig && head.getUint16(0, true) !== 0x0008) return undefined;
  const vr = lettersAt(head, 4);
  if (SHORT_VRS.has(vr) || LONG_VRS.has(vr)) return isBig ? EXPLICIT_BIG : EXPLICIT_LITTLE;
  const isKnown = vrOf(tagAt(head, 0, true)) !== "UN";
  return !isBig && isKnown && pos + 8 + head.getUint32(4, true) <= source.size ? IMPLICIT_LITTLE : undefined;
}

/**
 * A Data Set as JSON; `source` is that of the file, or for a deflated one the inflated bytes with `offset` 0.
 *
 * Available Transfer Syntax UID (0008,3002) is what the file is written in. Throws DicomError.
 */
export function readDataSet(source: ByteSource, meta: FileMeta, offset: number, wish: Wish): DicomObject {
  if (meta.sopClassUid === MEDIA_STORAGE_DIRECTORY) throw new DicomError("directory");
  const syntax = meta.transferSyntaxUid;
  const said: Layout = { implicit: syntax === IMPLICIT_LITTLE, littleEndian: syntax !== EXPLICIT_BIG };
  const layout = layoutOfItem(source, offset, source.size, said);
  const walk = new Walk(source, wish.refer);
  const object = walk.object(offset, source.size, layout, TOP, wish.only);
  return { ...object.elements, [TAG.availableTransferSyntaxUid]: { vr: "UI", Value: [syntax] } };
}

/** The files that a DICOMDIR names, as paths from where it lies, in its order (PS3.3 F.3). Throws DicomError. */
export function filesListed(source: ByteSource): readonly string[] {
  const { dataSetOffset, transferSyntaxUid } = readMeta(source);
  const wish = { refer: () => "", only: new Set([TAG.directoryRecordSequence]) };
  const records = readDataSet(source, { dataSetOffset, transferSyntaxUid, sopClassUid: "" }, dataSetOffset, wish);
  return items(records, TAG.directoryRecordSequence).flatMap((record) => {
    const parts = texts(record, TAG.referencedFileId);
    return parts.length > 0 ? [parts.join("/")] : [];
  });
}

/** Throws where an object lacks what names it. */
export function requireNames(object: DicomObject): void {
  for (const tag of [TAG.studyInstanceUid, TAG.seriesInstanceUid, TAG.sopInstanceUid])
    if (!/^[0-9.]{1,64}$/.test(text(object, tag) ?? "")) throw new DicomError("nameless", tag);
}

/** What a Data Set or Item takes from those around it. */
interface Surroundings {
  readonly depth: number;
  readonly charset: readonly string[];
  readonly signed: boolean;
}

const TOP: Surroundings = { depth: 0, charset: [], signed: false };

interface Header {
  readonly tag: string;
  readonly vr: string;
  readonly value: number;
  readonly length: number;
}

interface Level {
  readonly elements: Record<string, DicomElement>;
  /** The first byte after it, delimiters included. */
  readonly end: number;
}

class Walk {
  private itemsLeft = MOST_ITEMS;
  private elementsLeft = MOST_ELEMENTS;

  constructor(
    private readonly source: ByteSource,
    private readonly refer: Refer,
  ) {}

  /** The elements from `pos` to `end`, or to the delimiter of an Item of undefined length (`end` is then undefined). */
  object(
    from: number,
    end: number | undefined,
    layout: Layout,
    around: Surroundings,
    only?: ReadonlySet<string>,
  ): Level {
    const limit = end ?? this.source.size;
    const elements: Record<string, DicomElement> = {};
    let { charset, signed } = around;
    let pos = from;
    while (pos + 8 <= limit) {
      const header = this.header(pos, limit, layout);
      const { tag, value, length } = header;
      if (tag === ITEM_END && around.depth > 0) return { elements, end: value };
      if (around.depth === 0 && tag === "00000000") return { elements, end: limit }; // padding
      if (tag.startsWith("FFFE") || tag.startsWith("0000") || tag.startsWith("0002")) throw new DicomError("broken", tag, pos);
      if ((this.elementsLeft -= 1) < 0) throw new DicomError("bound", tag, pos);
      const vr = this.decided(header, layout, elements, signed);
      const isPixels = PIXELS.has(tag);
      if (length !== UNDEFINED && value + length > limit) throw new DicomError("cut", tag, pos);
      const isWanted = !only || only.has(tag);
      if (vr === "SQ") {
        const inside = { depth: around.depth + 1, charset, signed };
        if (length !== UNDEFINED && !isWanted) pos = value + length;
        else {
          const items: DicomObject[] = [];
          pos = this.items(tag, value, length === UNDEFINED ? undefined : value + length, layout, inside, items);
          if (isWanted) elements[tag] = { vr, Value: items };
        }
      } else if (length === UNDEFINED) {
        if (isWanted) elements[tag] = { vr, BulkDataURI: this.refer(value, undefined) };
        if (isPixels && around.depth === 0) return { elements, end: limit };
        pos = this.fragments(tag, value, layout);
      } else {
        if (isWanted) elements[tag] = this.element(header, vr, { charset, littleEndian: layout.littleEndian }, isPixels);
        if (isPixels && around.depth === 0) return { elements, end: limit };
        pos = value + length;
      }
      if (tag === TAG.specificCharacterSet) charset = termsOf(this.plainText(value, length));
      if (tag === TAG.pixelRepresentation && length === 2) signed = this.short(value, layout) !== 0;
    }
    if (end === undefined) throw new DicomError("cut", undefined, pos);
    if (pos !== limit && !this.isZero(pos, limit)) throw new DicomError("cut", undefined, pos);
    return { elements, end: limit };
  }

  /** The Items of a sequence; answers what follows it. */
  private items(
    tag: string,
    from: number,
    end: number | undefined,
    layout: Layout,
    inside: Surroundings,
    into: DicomObject[],
  ): number {
    if (inside.depth > MOST_NESTING) throw new DicomError("bound", tag, from);
    const limit = end ?? this.source.size;
    const content = this.contentLayout(from, limit, layout);
    let pos = from;
    while (pos + 8 <= limit) {
      const head = headerView(this.source, pos, 8);
      const delimiter = tagAt(head, 0, content.littleEndian);
      const length = head.getUint32(4, content.littleEndian);
      if (delimiter === SEQUENCE_END) return pos + 8;
      if (delimiter !== ITEM) throw new DicomError("broken", tag, pos);
      if ((this.itemsLeft -= 1) < 0) throw new DicomError("bound", tag, pos);
      const start = pos + 8;
      const stop = length === UNDEFINED ? undefined : start + length;
      if (stop !== undefined && stop > limit) throw new DicomError("cut", tag, pos);
      const own = layoutOfItem(this.source, start, stop ?? limit, content);
      const item = this.object(start, stop, own, inside);
      into.push(item.elements);
      pos = stop ?? item.end;
    }
    if (end === undefined) throw new DicomError("cut", tag, pos);
    if (pos !== limit) throw new DicomError("broken", tag, pos);
    return limit;
  }

  /** Steps over the fragments of an encapsulated value (PS3.5 A.4). */
  private fragments(tag: string, from: number, layout: Layout): number {
    let pos = from;
    while (pos + 8 <= this.source.size) {
      const head = headerView(this.source, pos, 8);
      const delimiter = tagAt(head, 0, layout.littleEndian);
      const length = head.getUint32(4, layout.littleEndian);
      if (delimiter === SEQUENCE_END) return pos + 8;
      if (delimiter !== ITEM || length === UNDEFINED) throw new DicomError("broken", tag, pos);
      if ((this.itemsLeft -= 1) < 0) throw new DicomError("bound", tag, pos);
      pos += 8 + length;
    }
    throw new DicomError("cut", tag, pos);
  }

  /** A UN of undefined length is Implicit VR Little Endian in a big-endian Data Set too (PS3.5 6.2.2). */
  private contentLayout(from: number, limit: number, layout: Layout): Layout {
    if (layout.littleEndian || from + 4 > limit) return layout;
    const first = tagAt(headerView(this.source, from, 4), 0, true);
    return first === ITEM || first === SEQUENCE_END ? { implicit: true, littleEndian: true } : layout;
  }

  private header(pos: number, limit: number, layout: Layout): Header {
    const head = headerView(this.source, pos, 12);
    const { littleEndian } = layout;
    const tag = tagAt(head, 0, littleEndian);
    if (layout.implicit || tag.startsWith("FFFE"))
      return { tag, vr: layout.implicit ? vrOf(tag) : "UN", value: pos + 8, length: head.getUint32(4, littleEndian) };
    const vr = lettersAt(head, 4);
    if (SHORT_VRS.has(vr)) return { tag, vr, value: pos + 8, length: head.getUint16(6, littleEndian) };
    if (!LONG_VRS.has(vr)) return this.oddHeader(tag, head, pos, limit, layout);
    if (head.byteLength < 12) throw new DicomError("cut", tag, pos);
    return { tag, vr, value: pos + 12, length: head.getUint32(8, littleEndian) };
  }

  /** A VR that is none of the standard's: the first form after which a good element follows. */
  private oddHeader(tag: string, head: DataView, pos: number, limit: number, layout: Layout): Header {
    const { littleEndian } = layout;
    const short = head.getUint16(6, littleEndian);
    const letters = lettersAt(head, 4);
    const isLetters = /^[A-Za-z]{2}$/.test(letters);
    const implicit = { tag, vr: vrOf(tag), value: pos + 8, length: head.getUint32(4, littleEndian) };
    if (tag === "00000000") return implicit; // padding
    const forms: Header[] = isLetters ? [] : [implicit];
    // The reserved bytes of a 32-bit length (PS3.5 7.1.2).
    if (short === 0 && head.byteLength >= 12)
      forms.push({ tag, vr: "UN", value: pos + 12, length: head.getUint32(8, littleEndian) });
    forms.push({ tag, vr: "UN", value: pos + 8, length: short });
    if (isLetters) forms.push(implicit);
    const mayRepeat = (form: Header) => (form === implicit ? undefined : letters);
    const found = forms.find((form) => this.leadsOn(form.value + form.length, limit, tag, layout, mayRepeat(form)));
    if (!found) throw new DicomError("broken", tag, pos);
    return found;
  }

  private leadsOn(pos: number, limit: number, after: string, layout: Layout, mayRepeat: string | undefined): boolean {
    if (pos === limit) return true;
    if (pos > limit - 8) return false;
    const head = headerView(this.source, pos, 8);
    const tag = tagAt(head, 0, layout.littleEndian);
    if (tag === ITEM_END || tag === SEQUENCE_END) return true;
    const vr = lettersAt(head, 4);
    return (SHORT_VRS.has(vr) || LONG_VRS.has(vr) || vr === mayRepeat) && tag > after;
  }

  /** The VR to read with, where the header leaves it open. */
  private decided(header: Header, layout: Layout, level: Readonly<Record<string, DicomElement>>, signed: boolean): string {
    const { tag, vr, length } = header;
    if (vr === "UN" && length === UNDEFINED) return "SQ"; // PS3.5 6.2.2 note 2
    if (!layout.implicit && vr !== "UN") return vr;
    // A public attribute longer than this was made UN because its VR has 16-bit lengths.
    if (!layout.implicit && length >= 0xffff) return vr;
    const known = vrOf(tag);
    if (known === "xs") return signed ? "SS" : "US";
    if (known === "xw") return level["00283002"]?.Value?.[0] === 1 ? "US" : "OW";
    return known;
  }

  private element({ value, length }: Header, vr: string, how: ReadingText, isPixels: boolean): DicomElement {
    if (length === 0) return { vr };
    const isText = isRead(vr);
    if (isPixels || length > (isText ? TEXT_LIMIT : INLINE_LIMIT)) return { vr, BulkDataURI: this.refer(value, length) };
    const bytes = this.source.read(value, length);
    const values = valuesOf(vr, bytes, how);
    if (values) return values.length > 0 ? { vr, Value: values } : { vr };
    return length > INLINE_LIMIT
      ? { vr: "UN", BulkDataURI: this.refer(value, length) }
      : { vr: isText ? "UN" : vr, InlineBinary: btoa(latin1(bytes)) };
  }

  private plainText(value: number, length: number): string {
    return length <= INLINE_LIMIT ? latin1(this.source.read(value, length)) : "";
  }

  private short(value: number, layout: Layout): number {
    return headerView(this.source, value, 2).getUint16(0, layout.littleEndian);
  }

  private isZero(from: number, end: number): boolean {
    return this.source.read(from, Math.min(8, end - from)).every((byte) => byte === 0);
  }
}

function termsOf(written: string): readonly string[] {
  return written.split("\\").map((term) => term.replaceAll(/^[ \0]+|[ \0]+$/g, ""));
}

/** The layout of an Item's content, or of a Data Set, which may be another than is said. */
function layoutOfItem(source: ByteSource, start: number, end: number, said: Layout): Layout {
  if (end - start < 8 || start + 8 > source.size) return said;
  const head = headerView(source, start, 8);
  if (tagAt(head, 0, said.littleEndian).startsWith("FFFE")) return said;
  const vr = lettersAt(head, 4);
  const looksExplicit = SHORT_VRS.has(vr) || LONG_VRS.has(vr);
  if (looksExplicit === !said.implicit) return said;
  const length = head.getUint32(4, said.littleEndian);
  const fits = length === UNDEFINED || start + 8 + length <= end;
  // An implicit length that happens to spell a VR is at least 16,705: it is one if so much is there.
  if (looksExplicit) return fits ? said : { ...said, implicit: false };
  return fits ? { ...said, implicit: true } : said;
}

function headerView(source: ByteSource, offset: number, length: number): DataView {
  const bytes = source.read(offset, Math.min(length, source.size - offset));
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function tagAt(view: DataView, at: number, littleEndian: boolean): string {
  return (hex(view.getUint16(at, littleEndian)) + hex(view.getUint16(at + 2, littleEndian))).toUpperCase();
}

const hex = (value: number) => value.toString(16).padStart(4, "0");

function lettersAt(view: DataView, at: number): string {
  return String.fromCharCode(view.getUint8(at), view.getUint8(at + 1));
}

/**
 * All attributes of an object as rows that are read, folded and searched.
 *
 * A row stands for an attribute, for an Item of a sequence, or for a part of the object (its head, the
 * functional groups of one frame, the Data Set). Rows come from generators: whoever draws them takes as many
 * as there is time for, whatever the size of the object.
 */
import { TAG, items, type DicomElement, type DicomObject } from "./model";

/** A name of the data dictionary (PS3.6). */
export interface Named {
  readonly vr: string;
  readonly keyword: string;
  readonly name: string;
}

export type Dictionary = (tag: string) => Named | undefined;

export type PartName = "head" | "frame" | "shared" | "object";

export interface Part {
  readonly name: PartName;
  readonly object: DicomObject;
}

export interface Row {
  /** Tags and numbers of Items from the part on, `/` between: one row has one. */
  readonly path: string;
  readonly depth: number;
  readonly kind: "part" | "attribute" | "item";
  readonly part: PartName;
  /** Eight hexadecimal digits; of an Item, those of its sequence. */
  readonly tag: string;
  /** Of an attribute. */
  readonly element: DicomElement | undefined;
  /** Of an Item, from 1. */
  readonly item: number;
  /** How many rows lie right below it when it is open. */
  readonly below: number;
  /** Of a private attribute (PS3.5 7.8.1), where the object tells it. */
  readonly creator: string | undefined;
}

/**
 * The parts of an object, what is nearest to the picture first. `frame` counts from 1; `head` is its File Meta
 * Information.
 */
export function partsOf(object: DicomObject, frame: number, head: DicomObject | undefined): readonly Part[] {
  const own = items(object, TAG.perFrameFunctionalGroups)[frame - 1];
  const shared = items(object, TAG.sharedFunctionalGroups)[0];
  const parts: Part[] = [];
  if (own) parts.push({ name: "frame", object: own });
  if (shared && own) parts.push({ name: "shared", object: shared });
  if (head) parts.push({ name: "head", object: head });
  parts.push({ name: "object", object });
  return parts;
}

/** The rows that are seen when those of the paths in `open` are open. */
export function* rowsOf(parts: readonly Part[], open: ReadonlySet<string>): Generator<Row> {
  for (const part of parts) {
    const row = partRow(part);
    if (parts.length > 1) yield row;
    if (parts.length === 1 || open.has(row.path)) yield* opened(part.object, row, parts.length > 1 ? 1 : 0, open);
  }
}

function* opened(object: DicomObject, above: Row, depth: number, open: ReadonlySet<string>): Generator<Row> {
  for (const row of attributeRows(object, above, depth)) {
    yield row;
    if (!open.has(row.path)) continue;
    for (const [item, below] of itemRows(row)) {
      yield item;
      if (open.has(item.path)) yield* opened(below, item, item.depth + 1, open);
    }
  }
}

/** A step of a search: a row that fits or leads to one that does, or nothing yet. */
export type Step = Row | null;

/**
 * The rows in which every word stands, in tag, keyword, name, VR, creator or value, each below the rows that lead to it.
 * A word that is a tag may be written with parentheses and comma.
 */
export function* found(parts: readonly Part[], words: string, dictionary: Dictionary): Generator<Step> {
  const wanted = words.trim().split(/\s+/).filter(Boolean).map(pattern);
  for (const part of parts) {
    const row = partRow(part);
    yield* foundBelow(part.object, row, parts.length > 1 ? 1 : 0, parts.length > 1 ? [row] : [], wanted, dictionary);
  }
}

function* foundBelow(
  object: DicomObject,
  above: Row,
  depth: number,
  leading: readonly Row[],
  wanted: readonly RegExp[],
  dictionary: Dictionary,
): Generator<Step, boolean> {
  // Rows that lead to a find are told once, with the first that they lead to.
  let isTold: boolean = false;
  for (const row of attributeRows(object, above, depth)) {
    const fits = wanted.every((word) => holds(row, word, dictionary));
    if (fits) {
      if (!isTold) yield* leading;
      isTold = true;
      yield row;
    } else yield null;
    let isRowTold: boolean = fits;
    for (const [item, below] of itemRows(row)) {
      const way: readonly Row[] = [...(isTold ? [] : leading), ...(isRowTold ? [] : [row]), item];
      const isFound: boolean = yield* foundBelow(below, item, item.depth + 1, way, wanted, dictionary);
      isTold ||= isFound;
      isRowTold ||= isFound;
    }
  }
  return isTold;
}

function pattern(word: string): RegExp {
  const tag = /^\(?([0-9a-fx]{4}),?([0-9a-fx]{4})?\)?,?$/i.exec(word);
  if (tag && /[(),]/.test(word)) return new RegExp(`^${tag[1]}${tag[2] ?? ""}`, "i");
  return new RegExp(word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "i");
}

function holds(row: Row, word: RegExp, dictionary: Dictionary): boolean {
  const named = dictionary(row.tag);
  if (word.test(row.tag) || (named && (word.test(named.keyword) || word.test(named.name)))) return true;
  if (word.test(row.element?.vr ?? "") || (row.creator !== undefined && word.test(row.creator))) return true;
  return valuesOf(row.element).some((value) => word.test(value));
}

function partRow({ name, object }: Part): Row {
  const below = Object.keys(object).length;
  return { path: name, depth: 0, kind: "part", part: name, tag: "", element: undefined, item: 0, below, creator: undefined };
}

function* attributeRows(object: DicomObject, above: Row, depth: number): Generator<Row> {
  for (const tag of Object.keys(object).sort()) {
    const element = object[tag]!;
    yield {
      path: `${above.path}/${tag}`,
      depth,
      kind: "attribute",
      part: above.part,
      tag,
      element,
      item: 0,
      below: element.vr === "SQ" ? items(object, tag).length : 0,
      creator: creatorOf(object, tag),
    };
  }
}

function* itemRows(row: Row): Generator<readonly [Row, DicomObject]> {
  if (row.element?.vr !== "SQ") return;
  const all = items({ [row.tag]: row.element }, row.tag);
  for (const [index, below] of all.entries()) {
    const item = index + 1;
    const path = `${row.path}/${item}`;
    yield [{ ...row, path, depth: row.depth + 1, kind: "item", element: undefined, item, below: Object.keys(below).length }, below];
  }
}

export function isPrivate(tag: string): boolean {
  return parseInt(tag[3] ?? "0", 16) % 2 === 1;
}

/** Who reserved the block of a private attribute, in the same Data Set or Item (PS3.5 7.8.1). */
function creatorOf(object: DicomObject, tag: string): string | undefined {
  if (!isPrivate(tag) || tag.startsWith("00", 4)) return undefined;
  const creator = object[`${tag.slice(0, 4)}00${tag.slice(4, 6)}`]?.Value?.[0];
  return typeof creator === "string" ? creator : undefined;
}

/** Each value as text; none of a sequence and of what is binary. */
export function valuesOf(element: DicomElement | undefined): readonly string[] {
  if (!element || element.vr === "SQ") return [];
  return (element.Value ?? []).map(valueText);
}

function valueText(value: unknown): string {
  if (typeof value === "string") return value;
  if (value === null || value === undefined) return "";
  if (typeof value !== "object") return String(value);
  const groups = value as Record<string, unknown>;
  const named = ["Alphabetic", "Ideographic", "Phonetic"].map((key) => (typeof groups[key] === "string" ? groups[key] : ""));
  return named.join("=").replace(/=+$/, "");
}

/** The whole value as text, `\` between values (PS3.5 6.4). */
export function fullText(element: DicomElement | undefined): string {
  return valuesOf(element).join("\\");
}

/** How much of a value stands in its row. */
const LONGEST_LINE = 200;

/** The beginning of the value, on one line. */
export function lineOf(element: DicomElement | undefined): string {
  let line = "";
  for (const value of element?.vr === "SQ" ? [] : (element?.Value ?? [])) {
    line += (line && "\\") + valueText(value).slice(0, LONGEST_LINE + 1);
    if (line.length > LONGEST_LINE) break;
  }
  line = line.replace(/\s+/g, " ");
  return line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)}…` : line;
}

/** Bytes of what stands in the JSON as Base64; undefined for all else. */
export function inlineBytes(element: DicomElement | undefined): number | undefined {
  const base64 = element?.InlineBinary;
  if (typeof base64 !== "string") return undefined;
  const padding = base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0;
  return Math.max(0, Math.floor((base64.length * 3) / 4) - padding);
}

/** VRs of text, which is read where it is fetched apart (PS3.5 6.2). */
const TEXT_VRS = new Set(["UT", "UC", "UR", "LT", "ST", "LO", "SH", "PN", "AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"]);

export function isText(element: DicomElement | undefined): boolean {
  return TEXT_VRS.has(element?.vr ?? "");
}

/** `0010,0010`. */
export function tagShown(tag: string): string {
  return `${tag.slice(0, 4)},${tag.slice(4)}`;
}

/** The rows of the dictionary as the server gives them: by tag, VR, keyword, name. */
export type DictionaryRows = Readonly<Record<string, readonly [vr: string, keyword: string, name: string]>>;

/** Looks tags up; those of repeating groups (PS3.5 7.6) stand with an `x` for any digit. */
export function dictionaryOf(rows: DictionaryRows): Dictionary {
  const repeating = Object.keys(rows)
    .filter((tag) => tag.includes("x"))
    .sort((a, b) => a.split("x").length - b.split("x").length)
    .map((tag) => ({ tag, fits: new RegExp(`^${tag.replaceAll("x", "[0-9A-F]")}$`) }));
  return (tag) => {
    if (isPrivate(tag)) return undefined;
    const row = Object.hasOwn(rows, tag) ? rows[tag] : rows[repeating.find(({ fits }) => fits.test(tag))?.tag ?? ""];
    return row && { vr: row[0], keyword: row[1], name: row[2] };
  };
}

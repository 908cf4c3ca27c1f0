/**
 * The content tree of a structured report as lines of text (PS3.3 C.17.3).
 *
 * Every content item has a concept name and, by its value type, a value; its children follow
 * indented. Only what can be read is given: coordinates and references are named, not drawn.
 */
import { numberInWords } from "../i18n/language";
import { t } from "../i18n/study";
import { items, numbers, personName, text, type DicomObject } from "./model";
import { dateInWords, listed, nameInWords, timeInWords } from "./words";

export interface ReportLine {
  readonly depth: number;
  readonly name: string;
  readonly value: string;
  readonly heading: boolean;
}

const CONTENT_SEQUENCE = "0040A730";
const CONCEPT_NAME = "0040A043";
const VALUE_TYPE = "0040A040";
/** Deeper reports exist only in attacks. */
const DEEPEST = 32;
const MOST_LINES = 5_000;
const TEXT_VALUE = "0040A160";
/** A measured value is never rounded. */
const MOST_DIGITS = 20;

export function reportLines(instance: DicomObject): readonly ReportLine[] {
  const lines: ReportLine[] = [];
  collect(instance, 0, lines);
  return lines;
}

export function reportTitle(instance: DicomObject): string {
  return codeMeaning(instance, CONCEPT_NAME) || t().report.title;
}

function collect(parent: DicomObject, depth: number, lines: ReportLine[]): void {
  if (depth > DEEPEST) return;
  for (const item of items(parent, CONTENT_SEQUENCE)) {
    if (lines.length >= MOST_LINES) return;
    const value = contentValue(item);
    const heading = text(item, VALUE_TYPE) === "CONTAINER";
    const name = codeMeaning(item, CONCEPT_NAME);
    if (name || value) lines.push({ depth, name, value, heading });
    collect(item, name || value ? depth + 1 : depth, lines);
  }
}

function codeMeaning(object: DicomObject, sequence: string): string {
  const code = items(object, sequence)[0];
  return text(code, "00080104") ?? text(code, "00080100") ?? "";
}

const VALUE_OF: Readonly<Record<string, (item: DicomObject) => string>> = {
  TEXT: (item) => text(item, TEXT_VALUE) ?? (item[TEXT_VALUE]?.BulkDataURI ? t().report.tooLong : ""),
  CODE: (item) => codeMeaning(item, "0040A168"),
  NUM: measuredValue,
  DATE: (item) => dateInWords(text(item, "0040A121")),
  TIME: (item) => timeInWords(text(item, "0040A122")),
  DATETIME: (item) => dateTimeInWords(text(item, "0040A120")),
  PNAME: (item) => nameInWords(personName(item, "0040A123")),
  UIDREF: (item) => text(item, "0040A124") ?? "",
  IMAGE: () => t().report.image,
  WAVEFORM: () => t().report.waveform,
  COMPOSITE: () => t().report.object,
  SCOORD: (item) => coordinates(item),
  SCOORD3D: (item) => coordinates(item),
  TCOORD: () => t().report.moments,
};

function contentValue(item: DicomObject): string {
  return VALUE_OF[text(item, VALUE_TYPE) ?? ""]?.(item) ?? "";
}

function measuredValue(item: DicomObject): string {
  const measured = items(item, "0040A300")[0];
  const value = numbers(measured, "0040A30A")[0];
  if (value === undefined) return codeMeaning(item, "0040A301");
  const unit = items(measured, "004008EA")[0];
  const symbol = text(unit, "00080100") ?? "";
  return `${numberInWords(value, MOST_DIGITS)} ${symbol === "1" || symbol.startsWith("{") ? "" : symbol}`.trim();
}

function dateTimeInWords(value: string | undefined): string {
  return `${dateInWords(value?.slice(0, 8))} ${timeInWords(value?.slice(8))}`.trim();
}

function coordinates(item: DicomObject): string {
  const points = numbers(item, "00700022").length / 2;
  const type = (text(item, "00700023") ?? "").toLowerCase();
  const shapes: Readonly<Record<string, string>> = t().report.shapes;
  const shape = Object.hasOwn(shapes, type) ? shapes[type]! : type || t().report.region;
  return points > 1 ? listed([shape, t().counts.points(points)], ", ") : shape;
}

/**
 * DICOM values as people read them: names, dates, times, ages, modalities (PS3.5 6.2, PS3.3 C.7.3.1.1.1).
 * What cannot be read as its type is shown as it was sent.
 */
import { dayInWords, t } from "../i18n/language";

/** "Doe^Jane^^Dr" → "Doe, Jane". The first component group that holds something is shown. */
export function nameInWords(name: string | null | undefined): string {
  const group = (name ?? "").split("=").find((part) => part.replace(/\^/g, "").trim() !== "") ?? "";
  const [family = "", given = "", middle = ""] = group.split("^").map((part) => part.trim());
  const first = [given, middle].filter(Boolean).join(" ");
  return [family, first].filter(Boolean).join(", ") || t().values.noName;
}

interface CalendarDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

function calendarDate(value: string | null | undefined): CalendarDate | undefined {
  const match = /^(\d{4})[-.]?(\d{2})[-.]?(\d{2})/.exec(value ?? "");
  if (!match) return undefined;
  const [year, month, day] = match.slice(1).map(Number) as [number, number, number];
  // 31 February would count as 3 March, and the year 45 be read as one of another century.
  const counted = new Date(Date.UTC(year, month - 1, day));
  const exists = year >= 1000 && counted.getUTCMonth() === month - 1 && counted.getUTCDate() === day;
  return exists ? { year, month, day } : undefined;
}

/** "20260102" → "02 Jan 2026". */
export function dateInWords(value: string | null | undefined): string {
  const date = calendarDate(value);
  return date ? dayInWords(date.year, date.month, date.day) : (value ?? "");
}

/** "134502.12" → "13:45". */
export function timeInWords(value: string | null | undefined): string {
  const match = /^(\d{2}):?(\d{2})/.exec(value ?? "");
  return match ? `${match[1]}:${match[2]}` : "";
}

/** A moment of ISO 8601, in the time of this place. */
export function momentInWords(iso: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  const two = (n: number) => String(n).padStart(2, "0");
  return `${dayInWords(at.getFullYear(), at.getMonth() + 1, at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** Age on the day of the study: "54 y", "7 mo", "12 d"; empty when either date is missing. */
export function ageInWords(birth: string | null | undefined, onDay: string | null | undefined): string {
  const from = calendarDate(birth);
  const to = calendarDate(onDay);
  if (!from || !to) return "";
  const months =
    (to.year - from.year) * 12 + (to.month - from.month) - (to.day < from.day ? 1 : 0);
  if (months < 0) return "";
  if (months >= 24) return t().values.years(Math.floor(months / 12));
  if (months >= 2) return t().values.months(months);
  const days = Date.UTC(to.year, to.month - 1, to.day) - Date.UTC(from.year, from.month - 1, from.day);
  return t().values.days(Math.round(days / 86_400_000));
}

export function sexInWords(value: string | null | undefined): string {
  const { male, female, otherSex } = t().values;
  const words: Record<string, string> = { M: male, F: female, O: otherSex };
  return words[(value ?? "").toUpperCase()] ?? "";
}

/** Modalities by their plain name, for those that a card or a filter names. */
export function modalityInWords(code: string): string {
  const known: Readonly<Record<string, string>> = t().modalities;
  return Object.hasOwn(known, code) ? known[code]! : code;
}

/** "MR, SR": what a study or a series holds, without the empty and the repeated. */
export function listed(parts: readonly (string | undefined | null)[], separator = " · "): string {
  return [...new Set(parts.filter((part): part is string => !!part))].join(separator);
}

/**
 * DICOM values as people read them: names, dates, times, ages, modalities (PS3.5 6.2, PS3.3 C.7.3.1.1.1).
 * What cannot be read as its type is shown as it was sent.
 */

/** "Doe^Jane^^Dr" → "Doe, Jane". The first component group that holds something is shown. */
export function nameInWords(name: string | null | undefined): string {
  const group = (name ?? "").split("=").find((part) => part.replace(/\^/g, "").trim() !== "") ?? "";
  const [family = "", given = "", middle = ""] = group.split("^").map((part) => part.trim());
  const first = [given, middle].filter(Boolean).join(" ");
  return [family, first].filter(Boolean).join(", ") || "No name";
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
  return month >= 1 && month <= 12 && day >= 1 && day <= 31 ? { year, month, day } : undefined;
}

/** Months in letters, all of one width: no reader takes the day for the month. */
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

export function dateInWords(value: string | null | undefined): string {
  const date = calendarDate(value);
  if (!date) return value ?? "";
  return `${String(date.day).padStart(2, "0")} ${MONTHS[date.month - 1]} ${date.year}`;
}

/** "134502.12" → "13:45". */
export function timeInWords(value: string | null | undefined): string {
  const match = /^(\d{2}):?(\d{2})/.exec(value ?? "");
  return match ? `${match[1]}:${match[2]}` : "";
}

/** Age on the day of the study: "54 y", "7 mo", "12 d"; empty when either date is missing. */
export function ageInWords(birth: string | null | undefined, onDay: string | null | undefined): string {
  const from = calendarDate(birth);
  const to = calendarDate(onDay);
  if (!from || !to) return "";
  const months =
    (to.year - from.year) * 12 + (to.month - from.month) - (to.day < from.day ? 1 : 0);
  if (months < 0) return "";
  if (months >= 24) return `${Math.floor(months / 12)} y`;
  if (months >= 2) return `${months} mo`;
  const days = Date.UTC(to.year, to.month - 1, to.day) - Date.UTC(from.year, from.month - 1, from.day);
  return `${Math.round(days / 86_400_000)} d`;
}

export function sexInWords(value: string | null | undefined): string {
  const words: Record<string, string> = { M: "M", F: "F", O: "Other" };
  return words[(value ?? "").toUpperCase()] ?? "";
}

/** Modalities by their plain name, for those that a card or a filter names. */
const MODALITY: Readonly<Record<string, string>> = {
  CT: "Computed tomography",
  MR: "Magnetic resonance",
  US: "Ultrasound",
  CR: "Radiograph",
  DX: "Radiograph",
  MG: "Mammogram",
  XA: "Angiography",
  RF: "Fluoroscopy",
  NM: "Nuclear medicine",
  PT: "PET",
  ECG: "Electrocardiogram",
  SR: "Report",
  DOC: "Document",
  SEG: "Segmentation",
  PR: "Presentation state",
  KO: "Key objects",
  RTSTRUCT: "Radiotherapy structures",
  RTPLAN: "Radiotherapy plan",
  RTDOSE: "Radiotherapy dose",
};

export function modalityInWords(code: string): string {
  return MODALITY[code] ?? code;
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

/** "MR, SR": what a study or a series holds, without the empty and the repeated. */
export function listed(parts: readonly (string | undefined | null)[], separator = " · "): string {
  return [...new Set(parts.filter((part): part is string => !!part))].join(separator);
}

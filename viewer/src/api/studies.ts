/** The study list: `GET /api/studies`. */
import { datesAsNumbers } from "../dicom/datewords";
import { t } from "../i18n/language";
import { ApiError, getJson } from "./http";

export interface StudyRow {
  readonly studyUid: string;
  readonly patientName: string;
  readonly patientId: string;
  readonly patientBirthDate: string;
  readonly patientSex: string;
  readonly studyDate: string;
  readonly studyTime: string;
  readonly description: string;
  readonly accession: string;
  readonly referringPhysician: string;
  readonly modalities: readonly string[];
  readonly series: number;
  readonly instances: number;
  readonly thumbnail: string | null;
}

export interface StudyFilter {
  /** Names, IDs, dates, words: what a person types. */
  readonly words: string;
  readonly modalities: readonly string[];
  /** Studies of so many days up to today; 0 for all. */
  readonly days: number;
}

export interface StudyPage {
  readonly total: number;
  /** There are more, too many to count. */
  readonly isLeast: boolean;
  readonly studies: readonly StudyRow[];
}

const DAY_MS = 86_400_000;

/** The first day of a period that ends today, as YYYY-MM-DD in local time. */
function firstDay(days: number): string {
  const day = new Date(Date.now() - (days - 1) * DAY_MS);
  const two = (part: number) => String(part).padStart(2, "0");
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}

export async function findStudies(
  filter: StudyFilter,
  page: { readonly limit: number; readonly offset: number },
  signal?: AbortSignal,
): Promise<StudyPage> {
  const query = new URLSearchParams({ limit: String(page.limit), offset: String(page.offset) });
  const words = datesAsNumbers(filter.words, new Date());
  if (words) query.set("q", words);
  if (filter.modalities.length > 0) query.set("modality", filter.modalities.join(","));
  if (filter.days > 0) query.set("from", firstDay(filter.days));
  return studyPage(await getJson(`/api/studies?${query}`, signal));
}

function studyPage(answer: unknown): StudyPage {
  const { total, totalIsLeast, studies } = (answer ?? {}) as Record<string, unknown>;
  if (!Array.isArray(studies)) {
    throw new ApiError(() => t().errors.unreadable, "/api/studies: no list of studies in the answer");
  }
  const rows = studies.map(studyRow);
  return { total: typeof total === "number" ? total : rows.length, isLeast: totalIsLeast === true, studies: rows };
}

function studyRow(value: unknown): StudyRow {
  const row = (value ?? {}) as Record<string, unknown>;
  const words = (key: string) => (typeof row[key] === "string" ? row[key] : "");
  const amount = (key: string) => (typeof row[key] === "number" ? row[key] : 0);
  const modalities = Array.isArray(row["modalities"]) ? row["modalities"] : [];
  return {
    studyUid: words("studyUid"),
    patientName: words("patientName"),
    patientId: words("patientId"),
    patientBirthDate: words("patientBirthDate"),
    patientSex: words("patientSex"),
    studyDate: words("studyDate"),
    studyTime: words("studyTime"),
    description: words("description"),
    accession: words("accession"),
    referringPhysician: words("referringPhysician"),
    modalities: modalities.filter((code): code is string => typeof code === "string"),
    series: amount("series"),
    instances: amount("instances"),
    thumbnail: words("thumbnail") || null,
  };
}

/** What reports of a study measured: `/api/studies/{StudyInstanceUID}/measurements`. */
import type { DraftMeasurement } from "./drafts";
import { getJson } from "./http";

/** The report that says so; date and time as DICOM writes them, the observer as a person's name. */
export interface ReportSource {
  readonly sopInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly title: string;
  readonly date: string;
  readonly time: string;
  readonly observer: string;
}

export interface ReportedMeasurement extends DraftMeasurement {
  readonly source: ReportSource;
}

export interface Reports {
  readonly reports: number;
  readonly measurements: readonly ReportedMeasurement[];
  readonly notUnderstood: readonly {
    readonly sopInstanceUid: string;
    readonly reason: string;
    readonly count: number;
  }[];
}

export async function readReports(study: string, signal?: AbortSignal): Promise<Reports> {
  return (await getJson(`/api/studies/${study}/measurements`, signal)) as Reports;
}

/** The other studies of a study's patient: the same Patient ID of the same issuer (PS3.3 C.2.2), newest first. */
import { createSignal } from "solid-js";
import { isCancelled, type ApiError } from "../api/http";
import { TAG, text, texts, type DicomObject } from "../dicom/model";

export interface Prior {
  readonly uid: string;
  readonly date: string;
  readonly time: string;
  readonly description: string;
  readonly modalities: readonly string[];
}

export interface PriorsSource {
  findStudy(study: string, signal: AbortSignal): Promise<DicomObject | undefined>;
  /** Studies whose Patient ID fits; a wildcard in it may find others too. */
  findStudiesOfPatient(patientId: string, signal: AbortSignal): Promise<readonly DicomObject[]>;
}

export interface Priors {
  /** Null while they have not come. */
  readonly studies: () => readonly Prior[] | null;
  readonly error: () => ApiError | null;
  /** Asks once; again after an error. */
  load(): void;
  dispose(): void;
}

export function createPriors(uid: string, source: PriorsSource): Priors {
  const [studies, setStudies] = createSignal<readonly Prior[] | null>(null);
  const [error, setError] = createSignal<ApiError | null>(null);
  const lifetime = new AbortController();
  let isAsked = false;

  async function find(): Promise<void> {
    try {
      const own = await source.findStudy(uid, lifetime.signal);
      const patientId = text(own, TAG.patientId);
      // Nobody's studies are not those of one patient.
      const found = patientId ? await source.findStudiesOfPatient(patientId, lifetime.signal) : [];
      setStudies(priorsAmong(found, own));
    } catch (failure) {
      isAsked = false;
      if (!isCancelled(failure)) setError(failure as ApiError);
    }
  }

  return {
    studies,
    error,
    load() {
      if (isAsked) return;
      isAsked = true;
      setError(null);
      void find();
    },
    dispose: () => lifetime.abort(),
  };
}

export function priorsAmong(found: readonly DicomObject[], own: DicomObject | undefined): readonly Prior[] {
  const identity = (study: DicomObject | undefined) =>
    [TAG.patientId, TAG.issuerOfPatientId].map((tag) => text(study, tag) ?? "").join("\\");
  return found
    .filter((study) => identity(study) === identity(own))
    .filter((study) => text(study, TAG.studyInstanceUid) !== text(own, TAG.studyInstanceUid))
    .map((study) => ({
      uid: text(study, TAG.studyInstanceUid) ?? "",
      date: text(study, TAG.studyDate) ?? "",
      time: text(study, TAG.studyTime) ?? "",
      description: text(study, TAG.studyDescription) ?? "",
      modalities: texts(study, TAG.modalitiesInStudy),
    }))
    .sort((a, b) => b.date.localeCompare(a.date) || b.time.localeCompare(a.time));
}

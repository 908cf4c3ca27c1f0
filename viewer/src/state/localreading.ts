/** What the page and the worker that reads files on this device say to one another. */
import type { Unreadable } from "../dicom/bytes";
import { TAG, type DicomObject } from "../dicom/model";

export interface NumberedFile {
  readonly number: number;
  readonly file: File;
}

export interface ReadRequest {
  readonly task: number;
  readonly files: readonly NumberedFile[];
  /** All attributes, or what tells objects apart and what a list shows (`SURVEYED`). */
  readonly whole: boolean;
}

export interface Problem {
  readonly why: Unreadable;
  readonly tag?: string | undefined;
  readonly offset?: number | undefined;
}

export interface Read {
  readonly number: number;
  readonly object?: DicomObject;
  readonly problem?: Problem;
  /** Of a list of a disc's files (DICOMDIR): their paths from where it lies, in its order. */
  readonly directory?: readonly string[];
}

export interface ReadAnswer {
  readonly task: number;
  readonly found: readonly Read[];
  /** What the program itself failed with; nothing was found then. */
  readonly crash?: string;
}

export const SURVEYED: ReadonlySet<string> = new Set([
  TAG.specificCharacterSet, TAG.sopClassUid, TAG.sopInstanceUid, TAG.studyDate, TAG.seriesDate, TAG.studyTime,
  TAG.accessionNumber, TAG.modality, TAG.studyDescription, TAG.seriesDescription, TAG.patientName, TAG.patientId,
  TAG.issuerOfPatientId, TAG.patientBirthDate, TAG.patientSex, TAG.studyInstanceUid, TAG.seriesInstanceUid,
  TAG.seriesNumber, TAG.instanceNumber,
]);

/** Where this server takes objects over DICOM: `GET /api/health`. */
import { getJson } from "./http";

export interface DicomDoor {
  readonly aet: string;
  readonly port: number;
}

/** Null where the server does not say. */
export async function dicomDoor(): Promise<DicomDoor | null> {
  const { dicom } = ((await getJson("/api/health")) ?? {}) as { dicom?: unknown };
  const { aet, port } = (dicom ?? {}) as { aet?: unknown; port?: unknown };
  return typeof aet === "string" && typeof port === "number" ? { aet, port } : null;
}

/** Values that metadata leave out, from the server or from the file on this device that they are in. */
import { bulkBeginning, bulkSize } from "../api/dicomweb";
import type { Piece } from "../api/http";
import { readLocalReference } from "../dicom/localref";
import { localBytes } from "./localfiles";

/** The beginning of a value, and its size. */
export async function valueBeginning(uri: string, length: number): Promise<Piece> {
  const reference = readLocalReference(uri);
  if (!reference) return await bulkBeginning(uri, length);
  const total = reference.length ?? 0;
  const bytes = await localBytes({ ...reference, length: Math.min(length, total) });
  return { bytes, total };
}

/** Bytes of a value; undefined where nothing says it. */
export async function valueSize(uri: string): Promise<number | undefined> {
  const reference = readLocalReference(uri);
  return reference ? reference.length : await bulkSize(uri);
}

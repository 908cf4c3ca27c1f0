/** The bytes of a value, be it of the archive or of a file on this device. */
import { bytesOf as bytesOfArchive } from "../api/bulk";
import { readLocalReference } from "../dicom/localref";
import type { DicomElement } from "../dicom/model";
import { localBytes } from "../state/localfiles";

export function valueBytes(element: DicomElement | undefined): Promise<Uint8Array<ArrayBuffer>> {
  const local = readLocalReference(element?.BulkDataURI);
  return local ? localBytes(local) : bytesOfArchive(element);
}

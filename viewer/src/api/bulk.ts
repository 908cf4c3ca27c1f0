/** Binary values of metadata, wherever they are kept. */
import type { DicomElement } from "../dicom/model";
import { bulkData } from "./dicomweb";
import { bytesOfBase64 } from "./localfiles";

/** Values that were fetched, as planes and tables of a series are the same for its frames. */
const fetched = new Map<string, Promise<Uint8Array<ArrayBuffer>>>();
const MOST_KEPT = 64;

/** The bytes of an element, little endian; none for one that holds none. */
export function bytesOf(element: DicomElement | undefined): Promise<Uint8Array<ArrayBuffer>> {
  if (!element) return Promise.resolve(new Uint8Array());
  if (element.InlineBinary !== undefined) return Promise.resolve(bytesOfBase64(element.InlineBinary));
  const uri = element.BulkDataURI;
  if (uri !== undefined) return fetchedOnce(uri);
  // Words, as LUT Data with VR US has them.
  const words = (element.Value ?? []).map(Number);
  const bytes = new Uint8Array(2 * words.length);
  words.forEach((word, at) => new DataView(bytes.buffer).setUint16(2 * at, word & 0xffff, true));
  return Promise.resolve(bytes);
}

function fetchedOnce(uri: string): Promise<Uint8Array<ArrayBuffer>> {
  let found = fetched.get(uri);
  if (!found) {
    found = bulkData(uri)
      .then((blob) => blob.arrayBuffer())
      .then((buffer) => new Uint8Array(buffer));
    fetched.set(uri, found);
    found.catch(() => fetched.delete(uri));
    if (fetched.size > MOST_KEPT) fetched.delete(fetched.keys().next().value!);
  }
  return found;
}

/** The files on this device that are read here: handles only, whose bytes are asked for when they are needed. */
import { whyNotGiven } from "../dicom/allocation";
import { DicomError } from "../dicom/bytes";
import { inflated } from "../dicom/inflate";
import { readLocalReference, type LocalReference } from "../dicom/localref";
import { TAG, type DicomObject } from "../dicom/model";

const files = new Map<number, File>();
const local = new WeakSet<DicomObject>();
let given = 0;

/** The number under which references name a file; none is given twice. */
export function keepFile(file: File): number {
  given += 1;
  files.set(given, file);
  return given;
}

export function dropFile(number: number): void {
  files.delete(number);
}

export function fileOf(number: number): File | undefined {
  return files.get(number);
}

/** Says of an object that it was read here. A mark beside it: what a stored object says of itself is not believed. */
export function noteLocal(object: DicomObject): void {
  local.add(object);
}

export function isLocal(object: DicomObject): boolean {
  return local.has(object);
}

/** The Data Set that was inflated last: its frames are asked for one after the other. */
let last: { readonly key: string; readonly bytes: Promise<Uint8Array> } | undefined;

/** What a reference counts its offsets in. */
export async function contentOf({ file: number, deflatedFrom }: LocalReference): Promise<Blob> {
  const file = files.get(number);
  if (!file) throw new DicomError("unreachable");
  if (deflatedFrom === undefined) return file;
  const key = `${number}/${deflatedFrom}`;
  if (last?.key !== key) last = { key, bytes: inflated(file, deflatedFrom) };
  return new Blob([(await last.bytes) as BlobPart]);
}

/** The bytes of a value of known length. Throws DicomError, or what the browser says of a file that is gone. */
export async function localBytes(reference: LocalReference): Promise<Uint8Array<ArrayBuffer>> {
  const { offset, length } = reference;
  const content = await contentOf(reference);
  if (length === undefined || offset + length > content.size) throw new DicomError("cut", undefined, offset);
  try {
    return new Uint8Array(await content.slice(offset, offset + length).arrayBuffer());
  } catch (error) {
    throw whyNotGiven(length, error);
  }
}

/** What an encapsulated document holds. Throws DicomError. */
export async function localDocument(object: DicomObject): Promise<Blob> {
  const element = object[TAG.encapsulatedDocument];
  const reference = readLocalReference(element?.BulkDataURI);
  if (reference) return new Blob([await localBytes(reference)]);
  if (element?.InlineBinary === undefined) throw new DicomError("cut", TAG.encapsulatedDocument);
  return new Blob([bytesOfBase64(element.InlineBinary)]);
}

export function bytesOfBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

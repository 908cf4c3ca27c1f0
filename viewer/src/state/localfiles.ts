/** The files on this device that are read here: handles only, whose bytes are asked for when they are needed. */
import { DicomError } from "../dicom/bytes";
import { inflated } from "../dicom/inflate";
import type { LocalReference } from "../dicom/localref";

const files: File[] = [];

/** The number under which references name a file. */
export function keepFile(file: File): number {
  return files.push(file) - 1;
}

export function fileOf(number: number): File | undefined {
  return files[number];
}

/** The Data Set that was inflated last: its frames are asked for one after the other. */
let last: { readonly key: string; readonly bytes: Promise<Uint8Array> } | undefined;

/** What a reference counts its offsets in. */
export async function contentOf({ file: number, deflatedFrom }: LocalReference): Promise<Blob> {
  const file = files[number];
  if (!file) throw new DicomError("cut");
  if (deflatedFrom === undefined) return file;
  const key = `${number}/${deflatedFrom}`;
  if (last?.key !== key) last = { key, bytes: inflated(file, deflatedFrom) };
  return new Blob([(await last.bytes) as BlobPart]);
}

/** The bytes of a value of known length. Throws DicomError, or what the browser says of a file that is gone. */
export async function localBytes(reference: LocalReference): Promise<Uint8Array> {
  const { offset, length } = reference;
  const content = await contentOf(reference);
  if (length === undefined || offset + length > content.size) throw new DicomError("cut", undefined, offset);
  return new Uint8Array(await content.slice(offset, offset + length).arrayBuffer());
}

/** The one queue of files on their way into the archive, whichever page they were given to. */
import { createSignal } from "solid-js";
import { uploadFile } from "../api/upload";
import { createUploads } from "../state/uploads";

const [stored, setStored] = createSignal(0);

/** Grows with each file that the archive has taken. */
export { stored };

export const uploads = createUploads(uploadFile, () => setStored((count) => count + 1));

export function sendFiles(files: readonly File[]): void {
  uploads.add(files);
}

/**
 * The one queue of files on their way into the archive, whichever page they were given to. Its code comes with the
 * first file.
 */
import { createSignal } from "solid-js";
import type { Uploads } from "../state/uploads";

const [stored, setStored] = createSignal(0);
const [uploads, setUploads] = createSignal<Uploads | null>(null);

/** `stored` grows with each file that the archive has taken; `uploads` is null before any was given. */
export { stored, uploads };

export async function sendFiles(files: readonly File[]): Promise<void> {
  const [{ createUploads }, { uploadFile }] = await Promise.all([
    import("../state/uploads"),
    import("../api/upload"),
  ]);
  const queue = uploads() ?? createUploads(uploadFile, () => setStored((count) => count + 1));
  setUploads(queue);
  queue.add(files);
}

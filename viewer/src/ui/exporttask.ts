/** Work that a dialog begins and may end, and the file that comes of it. */
import { onCleanup } from "solid-js";
import { isCancelled } from "../api/http";

/** Gives a file to the person; nothing is sent anywhere. */
export function download(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has taken it by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** One task at a time: each that begins ends the one before, and all end with their owner. */
export function createTask() {
  let current: AbortController | undefined;
  const stop = () => current?.abort(new DOMException("cancelled", "AbortError"));
  onCleanup(stop);
  return {
    stop,
    /** Resolves undefined where it was ended. */
    async run<Value>(work: (signal: AbortSignal) => Promise<Value>): Promise<Value | undefined> {
      stop();
      const own = (current = new AbortController());
      try {
        const value = await work(own.signal);
        return own.signal.aborted ? undefined : value;
      } catch (error) {
        if (own.signal.aborted || isCancelled(error)) return undefined;
        throw error;
      }
    },
  };
}

/** The worker that reads headers, as a function; one for the page, started when first needed. */
import type { NumberedFile, Read, ReadAnswer, ReadRequest } from "./localreading";

export type ReadFiles = (files: readonly NumberedFile[], whole: boolean) => Promise<readonly Read[]>;

interface Waiting {
  resolve(found: readonly Read[]): void;
  reject(error: Error): void;
}

let worker: Worker | undefined;
let tasks = 0;
const waiting = new Map<number, Waiting>();

function started(): Worker {
  const made = new Worker(new URL("./local-worker.ts", import.meta.url), { type: "module" });
  made.onmessage = ({ data: { task, found, crash } }: MessageEvent<ReadAnswer>) => {
    const one = waiting.get(task);
    waiting.delete(task);
    if (crash === undefined) one?.resolve(found);
    else one?.reject(new Error(crash));
  };
  made.onerror = ({ message }) => {
    const failed = [...waiting.values()];
    waiting.clear();
    worker = undefined;
    for (const one of failed) one.reject(new Error(message || "the worker did not start"));
  };
  return made;
}

export const readFiles: ReadFiles = (files, whole) =>
  new Promise((resolve, reject) => {
    worker ??= started();
    const task = (tasks += 1);
    waiting.set(task, { resolve, reject });
    worker.postMessage({ task, files, whole } satisfies ReadRequest);
  });

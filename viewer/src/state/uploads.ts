/**
 * Files on their way into the archive: a queue with a few at a time, progress per file, and
 * failures that stay visible until they are dismissed.
 */
import { createStore } from "solid-js/store";
import type { UploadAnswer } from "../api/upload";
import type { Draft } from "./draft";
import { isCancelled, type ApiError } from "../api/http";

export type UploadFile = (
  file: File,
  onProgress: (share: number) => void,
  signal: AbortSignal,
) => Promise<UploadAnswer>;

export interface FailedUpload {
  readonly name: string;
  readonly error: ApiError;
}

export interface Sending {
  readonly file: File;
  readonly name: string;
  readonly share: number;
}

export interface UploadState {
  readonly total: number;
  readonly done: number;
  /** Those under way, with the share that has left. */
  readonly sending: readonly Sending[];
  readonly failed: readonly FailedUpload[];
}

export interface Uploads {
  readonly state: UploadState;
  add(files: readonly File[]): void;
  cancel(): void;
  dismiss(): void;
}

/** Enough to keep the server's group commit busy, few enough to leave a connection for the list. */
const AT_A_TIME = 3;
const NOTHING: UploadState = { total: 0, done: 0, sending: [], failed: [] };

export function createUploads(upload: UploadFile, onStored: () => void): Uploads {
  const [state, setState] = createStore<Draft<UploadState>>({ ...NOTHING });
  let waiting: File[] = [];
  let abort = new AbortController();

  function next(): void {
    while (state.sending.length < AT_A_TIME && waiting.length > 0) void send(waiting.shift()!);
  }

  async function send(file: File): Promise<void> {
    const signal = abort.signal;
    const entry = { file, name: file.name, share: 0 };
    setState("sending", (sending) => [...sending, entry]);
    const progress = (share: number) =>
      setState("sending", (all) => all.map((one) => (one.file === file ? { ...one, share } : one)));
    try {
      await upload(file, progress, signal);
      onStored();
    } catch (error) {
      if (!isCancelled(error)) fail(file, error);
    }
    if (signal.aborted) return;
    setState(({ sending, done }) => ({
      sending: sending.filter((one) => one.file !== file),
      done: done + 1,
    }));
    next();
  }

  function fail(file: File, error: unknown): void {
    setState("failed", (others) => [...others, { name: file.name, error: error as ApiError }]);
  }

  return {
    state,
    add(files) {
      if (files.length === 0) return;
      if (state.sending.length === 0 && waiting.length === 0) setState({ total: 0, done: 0 });
      waiting = [...waiting, ...files];
      setState("total", (total) => total + files.length);
      next();
    },
    cancel() {
      waiting = [];
      abort.abort();
      abort = new AbortController();
      setState({ total: 0, done: 0, sending: [] });
    },
    dismiss: () => setState({ ...NOTHING }),
  };
}

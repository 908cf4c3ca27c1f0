/**
 * Keeps the measurements of a study on the server as they are made, a moment after each change.
 *
 * One request at a time. Where another device has written meanwhile, both are kept: what is new there comes
 * here, what was removed here stays removed. Without an answer it is tried again, ever more seldom.
 */
import { createSignal } from "solid-js";
import type { Draft, DraftMeasurement, Written } from "../api/drafts";
import type { ImagePoint, Spacing } from "../dicom/measure";
import { fromDraft, referenceOf, toDraft } from "./draftform";
import type { ImageReference, Measurement } from "./measurements";

export type SavingState = "opening" | "saved" | "saving" | "waiting";

export interface DraftStore {
  read(): Promise<Draft | null>;
  write(version: number | null, measurements: readonly DraftMeasurement[]): Promise<Written>;
  report(key: string): Promise<number>;
}

export interface Kept {
  list(): readonly Measurement[];
  /** Takes what is not there yet. */
  receive(list: readonly Measurement[]): void;
  clear(): void;
  /** The size of an image's pixels; undefined where the image is not in the study. */
  spacingOf(image: ImageReference, points: readonly ImagePoint[]): Promise<Spacing | undefined>;
}

const AFTER_MS = 700;
const AGAIN_MS = [3_000, 10_000, 30_000, 60_000];
const MOST_MERGES = 5;

export type Saving = ReturnType<typeof createSaving>;

export function createSaving(store: DraftStore, kept: Kept, newKey: () => string) {
  const [state, setState] = createSignal<SavingState>("opening");
  let version: number | null = null;
  /** What the server has, as far as is known here. */
  let there: readonly DraftMeasurement[] = [];
  /** Of kinds that are not drawn here, or on images that are not here: they are given back as they came. */
  let foreign: readonly DraftMeasurement[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running: Promise<void> | undefined;
  let failures = 0;
  let isOver = false;

  const now = () => [...foreign, ...kept.list().map(toDraft)];
  const isThere = () => JSON.stringify(now()) === JSON.stringify(there);

  async function take(draft: Draft | null): Promise<void> {
    const removed = new Set(there.map(({ id }) => id));
    const known = new Set(now().map(({ id }) => id));
    version = draft?.version ?? null;
    there = draft?.measurements ?? [];
    const fresh = there.filter(({ id }) => !known.has(id) && !removed.has(id));
    const received: Measurement[] = [];
    for (const one of fresh) {
      const points = one.points.map(([x, y]) => ({ x, y }));
      const spacing = await kept.spacingOf(referenceOf(one), points);
      const drawn = spacing && fromDraft(one, spacing);
      if (drawn) received.push(drawn);
      else foreign = [...foreign, one];
    }
    if (received.length > 0) kept.receive(received);
  }

  async function open(): Promise<void> {
    try {
      await take(await store.read());
      failures = 0;
    } catch {
      return again(open);
    }
    setState("saved");
    changed();
  }

  function again(what: () => Promise<void>): void {
    setState("waiting");
    const wait = AGAIN_MS[Math.min(failures, AGAIN_MS.length - 1)]!;
    failures += 1;
    clearTimeout(timer);
    if (!isOver) timer = setTimeout(() => void what(), wait);
  }

  function changed(): void {
    if (state() === "opening" || isThere()) return;
    setState("saving");
    clearTimeout(timer);
    timer = setTimeout(() => void save(), AFTER_MS);
  }

  function save(): Promise<void> {
    clearTimeout(timer);
    running ??= write().finally(() => {
      running = undefined;
      if (state() === "saving" && !isOver) changed();
    });
    return running;
  }

  async function write(): Promise<void> {
    setState("saving");
    try {
      for (let turn = 0; turn < MOST_MERGES && !isThere(); turn += 1) {
        const sent = now();
        const written = await store.write(version, sent);
        if ("current" in written) await take(written.current);
        else [version, there] = [written.version, sent];
      }
      failures = 0;
      if (isThere()) setState("saved");
    } catch {
      again(save);
    }
  }

  return {
    state,
    open,
    changed,
    save,
    /** Makes a report of all; throws an `ApiError` where that cannot be. */
    async finish(): Promise<void> {
      await save();
      version = await store.report(newKey());
      there = [];
      foreign = [];
      kept.clear();
      setState("saved");
    },
    dispose(): void {
      isOver = true;
      clearTimeout(timer);
      if (state() === "saving") void write();
    },
  };
}

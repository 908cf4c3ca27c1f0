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
  /** Lets go of these, where they have not been changed since; that is no step that can be taken back. */
  forget(list: readonly Measurement[]): void;
  /** The size of an image's pixels; undefined where the image is not in the study. */
  spacingOf(image: ImageReference, points: readonly ImagePoint[]): Promise<Spacing | undefined>;
}

const AFTER_MS = 700;
const AGAIN_MS = [3_000, 10_000, 30_000, 60_000];
const MOST_MERGES = 5;

export type Saving = ReturnType<typeof createSaving>;

export function createSaving(store: DraftStore, kept: Kept, newKey: () => string) {
  const [state, setState] = createSignal<SavingState>("opening");
  /** Why it waits. */
  const [problem, setProblem] = createSignal<Error | null>(null);
  let version: number | null = null;
  /** What the server has, as far as is known here. */
  let there: readonly DraftMeasurement[] = [];
  /** Of kinds that are not drawn here, or on images that are not here: they are given back as they came. */
  let foreign: readonly DraftMeasurement[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running: Promise<void> | undefined;
  let failures = 0;
  let isOver = false;
  /** Of a report whose answer was lost: asked again with the same key, no second one is made. */
  let key: string | undefined;

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
      const points = (one.points ?? []).map(([x, y]) => ({ x, y }));
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
    } catch (error) {
      return again(open, error);
    }
    setProblem(null);
    setState("saved");
    changed();
  }

  function again(what: () => Promise<void>, error: unknown): void {
    setProblem(error as Error);
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
      setProblem(null);
      if (isThere()) setState("saved");
    } catch (error) {
      again(save, error);
    }
  }

  return {
    state,
    problem,
    open,
    changed,
    save,
    /** Makes a report of all that is saved; throws an `ApiError` where that cannot be, and nothing is lost. */
    async finish(): Promise<void> {
      for (let turn = 0; turn < MOST_MERGES && !isThere(); turn += 1) {
        await save();
        const why = problem();
        if (why) throw why;
      }
      const reported = kept.list();
      key ??= newKey();
      version = await store.report(key);
      [key, there, foreign] = [undefined, [], []];
      kept.forget(reported);
      setState("saved");
      changed();
    },
    /** What waits for its moment is written now: the page is left. */
    flush(): void {
      if (state() === "saving") void save();
    },
    dispose(): void {
      this.flush();
      isOver = true;
      clearTimeout(timer);
    },
  };
}

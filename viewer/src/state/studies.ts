/**
 * The study list as state: what is asked, what has come, what is under way.
 *
 * Answers that are no longer asked for are cancelled. Rows that are looked at never move by
 * themselves: when the archive changes, numbers in known rows are updated where they stand, and
 * a changed order waits as `newer` until the person asks for it.
 */
import { batch } from "solid-js";
import { createStore, reconcile } from "solid-js/store";
import type { Draft } from "./draft";
import { isCancelled, type ApiError } from "../api/http";
import type { StudyFilter, StudyPage, StudyRow } from "../api/studies";

export const EVERYTHING: StudyFilter = { words: "", modalities: [], from: "", to: "" };

export type FindStudies = (
  filter: StudyFilter,
  page: { readonly limit: number; readonly offset: number },
  signal?: AbortSignal,
) => Promise<StudyPage>;

export interface StudyListState {
  readonly filter: StudyFilter;
  readonly rows: readonly StudyRow[];
  readonly total: number;
  /** Nothing has come yet for anything asked. */
  readonly fresh: boolean;
  readonly busy: boolean;
  /** The rows answer an earlier question; the answer to this one is on its way. */
  readonly stale: boolean;
  readonly error: ApiError | null;
  /** A page in another order than the one shown waits to be shown. */
  readonly newer: StudyPage | null;
}

export interface StudyList {
  readonly state: StudyListState;
  ask(change: Partial<StudyFilter>): void;
  more(): void;
  retry(): void;
  /** The archive changed: ask again without moving what is shown. */
  refresh(): void;
  showNewer(): void;
  dispose(): void;
}

export const PAGE = 50;
/** Long enough to swallow a typed word, short enough to feel immediate. */
const TYPING_MS = 140;

export function createStudyList(find: FindStudies, initial: StudyFilter = EVERYTHING): StudyList {
  const [state, setState] = createStore<Draft<StudyListState>>({
    filter: initial,
    rows: [],
    total: 0,
    fresh: true,
    busy: false,
    stale: false,
    error: null,
    newer: null,
  });
  let running: AbortController | undefined;
  let refreshing: AbortController | undefined;
  let typing: ReturnType<typeof setTimeout> | undefined;

  async function load(offset: number): Promise<void> {
    running?.abort();
    refreshing?.abort();
    const own = (running = new AbortController());
    setState({ busy: true, stale: offset === 0, error: null });
    try {
      const page = await find(state.filter, { limit: PAGE, offset }, own.signal);
      if (!own.signal.aborted) show(page, offset);
    } catch (error) {
      if (!isCancelled(error) && !own.signal.aborted) {
        fail(error as ApiError, offset);
      }
    }
  }

  /** Rows that answer another question must not stand under this one. */
  function fail(error: ApiError, offset: number): void {
    setState({ busy: false, stale: false, error });
    if (offset === 0) setState({ rows: [], total: 0, newer: null });
  }

  function show(page: StudyPage, offset: number): void {
    const known = new Set(state.rows.slice(0, offset).map((row) => row.studyUid));
    const added = page.studies.filter((row) => !known.has(row.studyUid));
    batch(() => {
      setState("rows", reconcile([...state.rows.slice(0, offset), ...added], { key: "studyUid" }));
      setState({ total: page.total, fresh: false, busy: false, stale: false, error: null, newer: null });
    });
  }

  async function refresh(): Promise<void> {
    if (state.busy) return;
    refreshing?.abort();
    const own = (refreshing = new AbortController());
    const limit = Math.max(PAGE, Math.min(state.rows.length, 4 * PAGE));
    try {
      const page = await find(state.filter, { limit, offset: 0 }, own.signal);
      if (!own.signal.aborted) compare(page);
    } catch (error) {
      // The list that is shown stays true enough; the next change asks again.
      if (!isCancelled(error) && state.rows.length === 0) setState({ error: error as ApiError });
    }
  }

  function compare(page: StudyPage): void {
    const shown = state.rows.slice(0, page.studies.length);
    const sameOrder =
      shown.length === page.studies.length &&
      shown.every((row, index) => row.studyUid === page.studies[index]!.studyUid);
    if (state.rows.length === 0) return show(page, 0);
    if (!sameOrder) return setState({ newer: page });
    batch(() => {
      const rest = state.rows.slice(page.studies.length);
      setState("rows", reconcile([...page.studies, ...rest], { key: "studyUid" }));
      setState({ total: page.total, newer: null });
    });
  }

  void load(0);
  return {
    state,
    ask(change) {
      setState("filter", (filter) => ({ ...filter, ...change }));
      clearTimeout(typing);
      typing = setTimeout(() => void load(0), change.words === undefined ? 0 : TYPING_MS);
    },
    more() {
      if (!state.busy && !state.error && state.rows.length < state.total) {
        void load(state.rows.length);
      }
    },
    retry: () => void load(state.rows.length),
    refresh: () => void refresh(),
    showNewer() {
      if (state.newer) show(state.newer, 0);
    },
    dispose() {
      running?.abort();
      refreshing?.abort();
      clearTimeout(typing);
    },
  };
}

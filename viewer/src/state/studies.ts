/**
 * The study list as state: what is asked, which pages of the answer have come, what is under way.
 *
 * The list is as long as the answer says; rows come by pages when they come into sight. Answers that
 * are no longer asked for are cancelled. Rows that are looked at never move by themselves: when the
 * archive changes, values in known rows are updated where they stand, and a changed order waits as
 * `newer` until the person asks for it.
 */
import { batch } from "solid-js";
import { createStore, reconcile } from "solid-js/store";
import type { Draft } from "./draft";
import { isCancelled, type ApiError } from "../api/http";
import type { StudyFilter, StudyPage, StudyRow } from "../api/studies";

export const EVERYTHING: StudyFilter = { words: "", modalities: [], days: 0 };

export type FindStudies = (
  filter: StudyFilter,
  page: { readonly limit: number; readonly offset: number },
  signal?: AbortSignal,
) => Promise<StudyPage>;

export interface StudyListState {
  readonly filter: StudyFilter;
  /** Page by page, the rows that have come. */
  readonly pages: Readonly<Record<number, readonly StudyRow[]>>;
  readonly total: number;
  /** There are more, too many to count. */
  readonly isLeast: boolean;
  /** Nothing has come yet for anything asked. */
  readonly fresh: boolean;
  /** The answer to what is asked is on its way. */
  readonly busy: boolean;
  /** The rows answer an earlier question; the answer to this one is on its way. */
  readonly stale: boolean;
  readonly error: ApiError | null;
  /** The archive has changed so that rows would move. */
  readonly newer: boolean;
}

export interface StudyList {
  readonly state: StudyListState;
  /** The row at a place from 0; undefined while it has not come. */
  row(index: number): StudyRow | undefined;
  ask(change: Partial<StudyFilter>): void;
  /** These rows are in sight, first to last: what is missing of them is fetched. */
  see(first: number, last: number): void;
  retry(): void;
  /** The archive changed: ask again without moving what is shown. */
  refresh(): void;
  showNewer(): void;
  dispose(): void;
}

export const PAGE = 50;
/** Long enough to swallow a typed word, short enough to feel immediate. */
const TYPING_MS = 140;
/** Rows that fly by while a scrollbar is dragged are not worth a request. */
const FLYING_MS = 60;
/** Pages asked for at once: the server gives 500 rows at most. */
const MOST_PAGES = 8;

export function createStudyList(find: FindStudies, initial: StudyFilter = EVERYTHING): StudyList {
  const [state, setState] = createStore<Draft<StudyListState>>({
    filter: { ...initial }, // the store writes into what it is given
    pages: {},
    total: 0,
    isLeast: false,
    fresh: true,
    busy: false,
    stale: false,
    error: null,
    newer: false,
  });
  let running: AbortController | undefined;
  let refreshing: AbortController | undefined;
  /** The pages on their way, and how to call them off. */
  let coming: { readonly from: number; readonly to: number; readonly abort: AbortController } | undefined;
  let seen = { from: 0, to: 0 };
  let typing: ReturnType<typeof setTimeout> | undefined;
  let flying: ReturnType<typeof setTimeout> | undefined;

  function callOff(): void {
    running?.abort();
    refreshing?.abort();
    coming?.abort.abort();
    coming = undefined;
  }

  /** The question anew, from its first row. */
  async function load(): Promise<void> {
    callOff();
    const own = (running = new AbortController());
    setState({ busy: true, stale: true, error: null });
    try {
      const page = await find(state.filter, { limit: PAGE, offset: 0 }, own.signal);
      if (own.signal.aborted) return;
      batch(() => {
        setState("pages", reconcile({ 0: page.studies }));
        const { total, isLeast } = page;
        setState({ total, isLeast, fresh: false, busy: false, stale: false, newer: false });
      });
      fetchSeen();
    } catch (error) {
      if (isCancelled(error) || own.signal.aborted) return;
      // Rows that answer another question must not stand under this one.
      batch(() => {
        setState("pages", reconcile({}));
        setState({ total: 0, isLeast: false, busy: false, stale: false, newer: false, error: error as ApiError });
      });
    }
  }

  /** The first run of pages in sight that are neither here nor on their way. */
  function missing(): { readonly from: number; readonly to: number } | undefined {
    const last = Math.min(seen.to, Math.ceil(state.total / PAGE) - 1);
    let from = seen.from;
    while (from <= last && state.pages[from]) from += 1;
    let to = from;
    while (to < last && !state.pages[to + 1] && to + 1 - from < MOST_PAGES) to += 1;
    return from <= last ? { from, to } : undefined;
  }

  function fetchSeen(): void {
    // Pages of the new answer have no place among those of the old one.
    if (state.busy || state.error) return;
    const wanted = missing();
    if (!wanted) return;
    if (coming) {
      if (coming.from <= seen.to && coming.to >= seen.from) return; // goes on when these have come
      coming.abort.abort();
    }
    void fetchPages(wanted.from, wanted.to);
  }

  async function fetchPages(from: number, to: number): Promise<void> {
    const own = { from, to, abort: new AbortController() };
    coming = own;
    try {
      const limit = (to - from + 1) * PAGE;
      const page = await find(state.filter, { limit, offset: from * PAGE }, own.abort.signal);
      if (own.abort.signal.aborted) return;
      coming = undefined;
      batch(() => {
        for (let at = from; at <= to; at += 1) putPage(at, page.studies.slice((at - from) * PAGE, (at - from + 1) * PAGE));
        if (page.total !== state.total) setState({ newer: true });
      });
      fetchSeen();
    } catch (error) {
      if (isCancelled(error) || own.abort.signal.aborted) return;
      coming = undefined;
      setState({ error: error as ApiError });
    }
  }

  function putPage(at: number, rows: readonly StudyRow[]): void {
    setState("pages", { [at]: rows });
  }

  async function refresh(): Promise<void> {
    if (state.busy) return;
    refreshing?.abort();
    const own = (refreshing = new AbortController());
    // The newest come at the top; what is in sight is what must be true.
    const parts = seen.from === 0 ? [seen] : [{ from: 0, to: 0 }, seen];
    try {
      for (const part of parts) {
        const to = Math.min(part.to, part.from + MOST_PAGES - 1);
        const range = { limit: (to - part.from + 1) * PAGE, offset: part.from * PAGE };
        const page = await find(state.filter, range, own.signal);
        if (own.signal.aborted) return;
        compare(part.from, to, page);
      }
    } catch (error) {
      // The list that is shown stays true enough; the next change asks again.
      if (!isCancelled(error) && state.total === 0) setState({ error: error as ApiError });
    }
  }

  function compare(from: number, to: number, page: StudyPage): void {
    if (state.total === 0) {
      setState({ error: null });
      return void (page.total > 0 && load());
    }
    batch(() => {
      if (page.total !== state.total) setState({ newer: true });
      for (let at = from; at <= to; at += 1) {
        const shown = state.pages[at];
        const now = page.studies.slice((at - from) * PAGE, (at - from + 1) * PAGE);
        if (!shown) continue;
        const isSame = shown.length === now.length && shown.every((row, i) => row.studyUid === now[i]!.studyUid);
        if (isSame) putPage(at, now);
        else setState({ newer: true });
      }
    });
  }

  void load();
  return {
    state,
    row: (index) => state.pages[Math.floor(index / PAGE)]?.[index % PAGE],
    ask(change) {
      setState("filter", (filter) => ({ ...filter, ...change }));
      setState({ busy: true }); // said at once, though nothing is sent while a word is being typed
      clearTimeout(typing);
      const onlyWords = change.words !== undefined && Object.keys(change).length === 1;
      typing = setTimeout(() => void load(), onlyWords ? TYPING_MS : 0);
    },
    see(first, last) {
      seen = { from: Math.floor(Math.max(0, first) / PAGE), to: Math.floor(Math.max(first, last) / PAGE) };
      flying ??= setTimeout(() => {
        flying = undefined;
        fetchSeen();
      }, FLYING_MS);
    },
    retry() {
      if (Object.keys(state.pages).length === 0) return void load();
      setState({ error: null });
      fetchSeen();
    },
    refresh: () => void refresh(),
    showNewer: () => void load(),
    dispose() {
      callOff();
      clearTimeout(typing);
      clearTimeout(flying);
    },
  };
}

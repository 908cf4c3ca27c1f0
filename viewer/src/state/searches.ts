/** Searches with a name, kept on this device. */
import { createSignal } from "solid-js";
import type { StudyFilter } from "../api/studies";
import { remember, remembered } from "../i18n/kept";

export interface SavedSearch {
  readonly name: string;
  readonly filter: StudyFilter;
}

/** More than a menu shows at a glance. */
export const MOST_SEARCHES = 40;

/** What was kept, as far as it can be read as searches. */
export function readSearches(kept: string | null): readonly SavedSearch[] {
  let found: unknown;
  try {
    found = JSON.parse(kept ?? "[]");
  } catch {
    return []; // written by another program, or cut short
  }
  return Array.isArray(found) ? found.flatMap((one) => readSearch(one) ?? []).slice(0, MOST_SEARCHES) : [];
}

function readSearch(value: unknown): SavedSearch | undefined {
  const { name, filter } = (value ?? {}) as { name?: unknown; filter?: unknown };
  const { words, modalities, days } = (filter ?? {}) as Record<string, unknown>;
  if (typeof name !== "string" || !name || typeof words !== "string" || !Array.isArray(modalities)) return undefined;
  const codes = modalities.filter((code): code is string => typeof code === "string");
  return { name, filter: { words, modalities: codes, days: typeof days === "number" && days > 0 ? days : 0 } };
}

/** One of the same name is replaced where it stands. */
export function withSaved(searches: readonly SavedSearch[], saved: SavedSearch): readonly SavedSearch[] {
  const known = searches.some(({ name }) => name === saved.name);
  if (known) return searches.map((one) => (one.name === saved.name ? saved : one));
  return [...searches, saved].slice(-MOST_SEARCHES);
}

export function isSame(a: StudyFilter, b: StudyFilter): boolean {
  const codes = (filter: StudyFilter) => [...filter.modalities].sort().join();
  return a.words.trim() === b.words.trim() && a.days === b.days && codes(a) === codes(b);
}

const KEY = "gantry.searches";

const [searches, setSearches] = createSignal<readonly SavedSearch[]>(readSearches(remembered(KEY)));
export { searches };

export function keepSearches(kept: readonly SavedSearch[]): void {
  setSearches(kept);
  remember(KEY, kept.length > 0 ? JSON.stringify(kept) : null);
}

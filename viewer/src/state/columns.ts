/** The columns of the study list: which of them, in which order, kept on this device. */
import { createSignal } from "solid-js";
import { remember, remembered } from "../i18n/kept";

/** All there are, in the order in which they are offered. */
export const COLUMNS = [
  "name",
  "id",
  "born",
  "sex",
  "description",
  "accession",
  "modality",
  "referring",
  "when",
  "series",
  "images",
] as const;

export type ColumnId = (typeof COLUMNS)[number];

export const USUAL_COLUMNS: readonly ColumnId[] = ["name", "description", "modality", "when", "images"];

/** Whose study it is can be read in every row. */
export const ALWAYS: ColumnId = "name";

/** What was kept, as far as it names columns. */
export function readColumns(kept: string | null): readonly ColumnId[] {
  const named = (kept ?? "").split(",");
  const known = named.filter((id, at): id is ColumnId => (COLUMNS as readonly string[]).includes(id) && named.indexOf(id) === at);
  return known.includes(ALWAYS) ? known : USUAL_COLUMNS;
}

/** In or out; a new one stands last. */
export function withToggled(columns: readonly ColumnId[], id: ColumnId): readonly ColumnId[] {
  if (id === ALWAYS) return columns;
  return columns.includes(id) ? columns.filter((other) => other !== id) : [...columns, id];
}

export function withMoved(columns: readonly ColumnId[], id: ColumnId, by: 1 | -1): readonly ColumnId[] {
  const from = columns.indexOf(id);
  const to = from + by;
  if (from === -1 || to < 0 || to >= columns.length) return columns;
  const moved = [...columns];
  [moved[from], moved[to]] = [moved[to]!, moved[from]!];
  return moved;
}

const KEY = "gantry.columns";

const [columns, setColumns] = createSignal<readonly ColumnId[]>(readColumns(remembered(KEY)));
export { columns };

export function chooseColumns(chosen: readonly ColumnId[]): void {
  setColumns(chosen);
  remember(KEY, chosen.join(","));
}

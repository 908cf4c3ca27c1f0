/**
 * Which display set is shown where: a grid of cells, one of which the hands and keys are for.
 *
 * A layout is a value; every change gives another. Cells beyond the grid are remembered, so that a
 * grid that is made smaller and larger again shows what it showed.
 */

import { CUTS, type Cut, type Seen } from "../dicom/volume";

export const MOST_SIDE = 4;

/** A display set, and how its volume is seen; null for images as they were taken. */
export interface Content {
  readonly set: string;
  readonly cut: Seen | null;
  /** The display set that is laid over it, if any. */
  readonly over?: string | undefined;
  /** The display set whose images it is seen in place of, in one cell, where it is none of three planes. */
  readonly inPlaceOf?: string | undefined;
}

export interface Layout {
  readonly rows: number;
  readonly columns: number;
  /** Row by row; null for an empty cell. */
  readonly cells: readonly (Content | null)[];
  /** Index of the active cell. */
  readonly active: number;
  /** The active cell alone fills the stage, as after a double click. */
  readonly alone: boolean;
}

export const ONE_CELL: Layout = { rows: 1, columns: 1, cells: [null], active: 0, alone: false };

export function cellCount(layout: Layout): number {
  return layout.rows * layout.columns;
}

/** The indexes of the cells that are seen, in reading order. */
export function seenCells(layout: Layout): readonly number[] {
  if (layout.alone) return [layout.active];
  return Array.from({ length: cellCount(layout) }, (_, index) => index);
}

/**
 * The same in another grid. Empty cells are filled with what `others` offers, in its order, without
 * what is shown already.
 */
export function inGrid(layout: Layout, rows: number, columns: number, others: readonly string[]): Layout {
  const sides = [rows, columns].map((side) => Math.min(MOST_SIDE, Math.max(1, Math.floor(side))));
  const count = sides[0]! * sides[1]!;
  // The active cell stays in sight: it changes places with the last one where it would fall out.
  const kept = [...layout.cells];
  const active = Math.min(layout.active, count - 1);
  if (active !== layout.active) [kept[active], kept[layout.active]] = [kept[layout.active]!, kept[active]!];
  while (kept.length < count) kept.push(null);
  const shown = new Set(kept.slice(0, count).map((cell) => cell?.set));
  const more = others.filter((id) => !shown.has(id));
  for (let index = 0; index < count; index += 1) kept[index] ??= whole(more.shift() ?? null);
  return { rows: sides[0]!, columns: sides[1]!, cells: kept, active, alone: false };
}

/** A display set put into a cell, which becomes the active one. */
export function put(layout: Layout, cell: number, id: string | null): Layout {
  if (cell < 0 || cell >= cellCount(layout)) return layout;
  const cells = layout.cells.map((old, index) => (index === cell ? whole(id) : old));
  return { ...layout, cells, active: cell };
}

/** A volume cut along its three planes, with its images as they were taken beside them. */
export function allCuts(id: string): Layout {
  const cells = [...CUTS, null].map((cut) => ({ set: id, cut }));
  return { rows: 2, columns: 2, cells, active: 0, alone: false };
}

/** The same with another volume laid over each plane, and that one's own images beside them. */
export function fusedCuts(under: string, over: string): Layout {
  const planes = CUTS.map((cut) => ({ set: under, cut, over }));
  return { rows: 2, columns: 2, cells: [...planes, { set: over, cut: null }], active: 0, alone: false };
}

/** Another volume laid over one in the plane of its images, where the active cell shows the images now. */
export function laidInPlace(layout: Layout, under: string, cut: Cut, over: string): Layout {
  const inPlaceOf = activeSet(layout) ?? under;
  return inActive(layout, { set: under, cut, over, inPlaceOf });
}

/** The images again that it took the place of. */
export function takenOff(layout: Layout): Layout {
  return inActive(layout, whole(layout.cells[layout.active]?.inPlaceOf ?? activeSet(layout)));
}

function inActive(layout: Layout, content: Content | null): Layout {
  return { ...layout, cells: layout.cells.map((old, index) => (index === layout.active ? content : old)) };
}

export function isFused(layout: Layout): boolean {
  return layout.cells.slice(0, cellCount(layout)).some((cell) => cell?.over !== undefined);
}

/** Whether a display set is seen in its three cuts. */
export function isCut(layout: Layout): boolean {
  const isPlane = (cell: Content | null) => cell?.cut && cell.cut !== "solid" && cell.inPlaceOf === undefined;
  return layout.cells.slice(0, cellCount(layout)).some(isPlane);
}

/** A volume as a solid thing where its images are, or the other way round: beside its cuts, else in the active cell. */
export function toggleSolid(layout: Layout): Layout {
  const id = activeSet(layout);
  if (id === null) return layout;
  const beside = layout.cells.findIndex(
    (cell, index) => index < cellCount(layout) && cell?.set === id && (cell.cut === null || cell.cut === "solid"),
  );
  const at = isCut(layout) && beside >= 0 ? beside : layout.active;
  const isSolid = layout.cells[at]?.cut === "solid";
  const content: Content = { set: id, cut: isSolid ? null : "solid" };
  return { ...layout, cells: layout.cells.map((old, index) => (index === at ? content : old)) };
}

function whole(id: string | null): Content | null {
  return id === null ? null : { set: id, cut: null };
}

/** Put into the first empty cell, if there is one and it is shown nowhere yet; the active cell stays. */
export function fill(layout: Layout, id: string): Layout {
  const seen = layout.cells.slice(0, cellCount(layout));
  const free = seen.indexOf(null);
  if (free < 0 || seen.some((cell) => cell?.set === id)) return layout;
  return { ...layout, cells: layout.cells.map((old, index) => (index === free ? whole(id) : old)) };
}

export function activate(layout: Layout, cell: number): Layout {
  if (cell === layout.active || cell < 0 || cell >= cellCount(layout)) return layout;
  return { ...layout, active: cell };
}

/** The next cell in reading order, or the one before. */
export function step(layout: Layout, direction: 1 | -1): Layout {
  const count = cellCount(layout);
  return { ...layout, active: (layout.active + direction + count) % count };
}

/** The active cell fills the stage, or all are seen again. */
export function toggleAlone(layout: Layout): Layout {
  return cellCount(layout) === 1 ? layout : { ...layout, alone: !layout.alone };
}

/** Whether the same is shown in the same places, whichever cell is the active one. */
export function isSameLayout(a: Layout, b: Layout): boolean {
  return JSON.stringify({ ...a, active: 0 }) === JSON.stringify({ ...b, active: 0 });
}

export function isSameContent(a: Content | null | undefined, b: Content | null | undefined): boolean {
  return JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}

/**
 * What was shown before `now`. In the same grid the active cell stays the one that it is; one of the `changed` cells
 * is in sight, whatever fills the stage.
 */
export function broughtBack(then: Layout, now: Layout, changed: readonly number[]): Layout {
  const isSameGrid = then.rows === now.rows && then.columns === now.columns && then.alone === now.alone;
  const layout = isSameGrid ? { ...then, active: now.active } : then;
  const seen = seenCells(layout);
  const [first] = changed;
  return first === undefined || changed.some((cell) => seen.includes(cell)) ? layout : { ...layout, active: first };
}

export function activeSet(layout: Layout): string | null {
  return layout.cells[layout.active]?.set ?? null;
}

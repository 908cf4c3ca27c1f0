/**
 * Measuring by hand: what is drawn, taken hold of, moved and chosen now, over what was measured so far.
 *
 * Knows images by a `Sight`: which one it is, and how its points and those of the screen belong together.
 */
import { createSignal } from "solid-js";
import {
  POINT_COUNT,
  handlesOf,
  hasArea,
  isKind,
  minus,
  outlines,
  shapeOf,
  shifted,
  statistics,
  withHandle,
  within,
  type ImagePoint,
  type Kind,
  type Pixels,
  type Spacing,
  type Statistics,
} from "../dicom/measure";
import { newUid } from "../dicom/uid";
import { createHistory, type Part } from "../state/history";
import { add, change, find, remove, type Measurement, type Measurements } from "../state/measurements";
import { isSameWhere, seenOn, type Where } from "../state/space";
import { follow, press, release, seen, type Drawing } from "./drawing";
import type { Point } from "./gestures";
import type { DragTool } from "./mouse";

export interface Sight extends Where {
  /** The size of the pixels where these points lie. */
  spacingFor(points: readonly ImagePoint[]): Spacing;
  readonly columns: number;
  readonly rows: number;
  toImage(at: Point): ImagePoint | undefined;
  toScreen(point: ImagePoint): Point | undefined;
  pixels(): Pixels | undefined;
  /** Its values are still on their way. */
  readonly isComing: boolean;
}

/** How near a press must be, in pixels of the screen. */
export interface Reach {
  readonly handle: number;
  readonly line: number;
}

export const MOUSE_REACH: Reach = { handle: 9, line: 6 };
export const FINGER_REACH: Reach = { handle: 26, line: 20 };

/** Two points of a shape are so far apart at least, in pixels of the screen. */
const APART_PX = 4;
const FREEHAND_STEP_PX = 3;
/** While a shape is moved, more pixels than these are counted only when it is let go. */
const LIVE_PIXELS = 600_000;

export interface Hit {
  readonly id: string;
  /** Index of the point, or null for the shape as a whole. */
  readonly handle: number | null;
}

interface Carried {
  readonly hit: Hit;
  readonly from: ImagePoint;
  /** As it is seen where it was taken hold of. */
  readonly original: Measurement;
  readonly where: Where;
}

/** What is being drawn, and where. */
interface Drawn {
  readonly drawing: Drawing;
  readonly shape: Measurement;
  readonly where: Where;
}

export type Measuring = ReturnType<typeof createMeasuring>;

const ofStudies = new Map<string, Measuring>();

/** The measurements of a study: they, and their history, are still there when one comes back to it. */
export function measuringOf(study: string): Measuring {
  const known = ofStudies.get(study) ?? createMeasuring();
  ofStudies.set(study, known);
  return known;
}

export function createMeasuring() {
  const history = createHistory();
  const [list, setList] = createSignal<Measurements>([]);
  const [selected, setSelected] = createSignal<string | null>(null);
  const [aimed, setAimed] = createSignal<Hit | null>(null);
  /** The text of this one is being written on the image. */
  const [naming, setNaming] = createSignal<string | null>(null);
  const [drawn, setDrawn] = createSignal<Drawn | null>(null);
  const [carried, setCarried] = createSignal<Measurement | null>(null);
  let held: Carried | undefined;
  let pressed = false;
  /** Drawn where values were still on their way. */
  const uncounted = new Set<string>();

  const measured: Part<Measurements> = {
    read: list,
    restore(was) {
      setList(was);
      if (!find(was, selected())) select(null);
    },
    isSame: Object.is,
  };
  /** What is no step is made to have been there before. */
  function revise(change: (all: Measurements) => Measurements): void {
    setList(change(list()));
    history.revise(measured, change);
  }
  const setAll = (next: Measurements) => history.act(measured, () => setList(next));

  /** All as they are seen now: what is carried where the hand has it, what is being drawn last. */
  const visible = (): readonly Measurement[] => {
    const moving = carried();
    const all = moving ? list().map((one) => (one.id === moving.id ? moving : one)) : list();
    const drawing = drawn();
    return drawing ? [...all, drawing.shape] : all;
  };
  /** Those that lie in what is looked at, in its pixels. */
  const seenIn = (where: Where) => visible().flatMap((one) => seenOn(one, where) ?? []);

  function select(id: string | null): void {
    setSelected(id);
    if (id !== naming()) setNaming(null);
  }

  function abandon(): boolean {
    const had = drawn() !== null || carried() !== null;
    setDrawn(null);
    setCarried(null);
    held = undefined;
    pressed = false;
    return had;
  }

  function shaped(drawing: Drawing, sight: Sight, id: string): Measurement {
    const { kind } = drawing;
    const placed = seen(drawing);
    const spacing = sight.spacingFor(placed);
    const points = shapeOf(kind, placed, spacing);
    const plane = sight.slice?.plane;
    const shape: Measurement = { id, kind, image: sight.image, points, spacing, statistics: null, label: "", plane };
    return counted(shape, sight, LIVE_PIXELS);
  }

  function draw(drawing: Drawing, sight: Sight): void {
    const { image, slice } = sight;
    setDrawn({ drawing, shape: shaped(drawing, sight, drawn()?.shape.id ?? newUid()), where: { image, slice } });
  }

  function finish(drawing: Drawing, sight: Sight, id: string): void {
    setDrawn(null);
    const done = counted(shaped(drawing, sight, id), sight, Infinity);
    if (sight.isComing) uncounted.add(id);
    setAll(add(list(), done));
    setSelected(done.id);
    setNaming(done.kind === "arrow" ? done.id : null);
  }

  const imagePoint = (sight: Sight, at: Point): ImagePoint | undefined => {
    const point = sight.toImage(at);
    return point && within(point, sight.columns, sight.rows);
  };

  /** The wheel may turn while a hand holds something: it stays on its own image. */
  const isOn = (sight: Sight): boolean => {
    const under = held?.where ?? drawn()?.where;
    return !under || isSameWhere(under, sight);
  };

  /** What is being drawn, if that is on what is looked at; else it is given up. */
  function goingOn(sight: Sight): Drawn | undefined {
    const going = drawn();
    if (going && isSameWhere(going.where, sight)) return going;
    if (going) setDrawn(null);
    return undefined;
  }

  function moveHeld({ hit, from, original }: Carried, point: ImagePoint, sight: Sight): void {
    const { kind, points, spacing } = original;
    const moved =
      hit.handle === null ? shifted(points, inImage(points, minus(point, from), sight)) : withHandle(kind, points, hit.handle, point, spacing);
    // On a cut of another volume in the same space, its values are that one's.
    const now = { ...original, image: sight.image, points: moved, spacing: sight.spacingFor(moved) };
    setCarried(counted(now, sight, LIVE_PIXELS));
  }

  function letHeldGo(sight: Sight): void {
    const moved = carried();
    held = undefined;
    setCarried(null);
    if (!moved) return;
    const { id, image, points, spacing, statistics, plane } = counted(moved, sight, Infinity);
    if (sight.isComing) uncounted.add(id);
    setAll(change(list(), id, { image, points, spacing, statistics, plane }));
  }

  function goOn(next: ReturnType<typeof release>, { drawing, shape }: Drawn, live: ImagePoint, sight: Sight): void {
    if (next === "nothing") setDrawn(null);
    else if (next !== "done") draw(next, sight);
    // The last point of a spline was set already.
    else finish({ ...drawing, live: drawing.kind === "spline" ? drawing.placed.at(-1)! : live }, sight, shape.id);
  }

  return {
    list,
    /** Of what is done in the study: of measurements here, of what is seen by the page. */
    history,
    selected,
    select,
    aimed,
    naming,
    setNaming,
    visible,
    seenIn,
    isDrawing: () => drawn() !== null,
    /** What is drawn or moved now, as it is seen. */
    underway: (): Measurement | null => drawn()?.shape ?? carried(),
    /** Whether a shape lies under the hand, or the tool draws one: the press is then ours. */
    take(tool: DragTool, sight: Sight, at: Point, reach: Reach, onlySelected = false): boolean {
      const point = imagePoint(sight, at);
      if (!point) return false;
      const going = goingOn(sight);
      const hit = going ? null : hitAt(seenIn(sight), sight, at, reach, selected());
      const original = hit && seenIn(sight).find(({ id }) => id === hit.id);
      if (hit && original && (!onlySelected || isKind(tool) || hit.id === selected())) {
        held = { hit, from: point, original, where: { image: sight.image, slice: sight.slice } };
        select(hit.id);
        return true;
      }
      if (!isKind(tool)) {
        select(null);
        return false;
      }
      setNaming(null);
      pressed = true;
      draw(press(going?.drawing, tool, point), sight);
      return true;
    },
    carry(sight: Sight, at: Point): void {
      const point = imagePoint(sight, at);
      if (!point || !isOn(sight)) return;
      if (held) return moveHeld(held, point, sight);
      const going = drawn();
      if (going) draw(follow(going.drawing, point, pressed, isApart(going.drawing, sight, at, FREEHAND_STEP_PX)), sight);
    },
    letGo(sight: Sight, at: Point): void {
      pressed = false;
      if (!isOn(sight)) return void abandon();
      if (held) return letHeldGo(sight);
      const going = drawn();
      const point = imagePoint(sight, at);
      if (!going || !point) return;
      const [first] = going.drawing.placed;
      const isFirst = isNear(sight, first, at, MOUSE_REACH.handle);
      goOn(release(going.drawing, point, isApart(going.drawing, sight, at, APART_PX), isFirst), going, point, sight);
    },
    /** A key sets a point of a shape; the same one twice ends a shape that has an inside. */
    setPoint(tool: Kind, sight: Sight, at: ImagePoint): void {
      const point = within(at, sight.columns, sight.rows);
      const before = goingOn(sight);
      draw(press(before?.drawing, tool, point), sight);
      const going = drawn()!;
      const last = going.drawing.placed.at(-1);
      const isFar = !(last && last.x === point.x && last.y === point.y);
      if (tool !== "freehand") return goOn(release(going.drawing, point, isFar), going, point, sight);
      if (isFar) draw({ ...going.drawing, placed: [...going.drawing.placed, point] }, sight);
      else if (before) goOn(release(going.drawing, point, isFar), going, point, sight);
    },
    /** Keys move the point that comes next. */
    aimAt(sight: Sight, at: ImagePoint): void {
      const going = goingOn(sight);
      if (going) draw(follow(going.drawing, within(at, sight.columns, sight.rows), false, false), sight);
    },
    /** Keys take hold of a point of the selected shape; undefined where it is not here, or has no such point. */
    takePoint(sight: Sight, at: number): ImagePoint | undefined {
      const original = seenIn(sight).find(({ id }) => id === selected());
      const handle = original && handlesOf(original.kind, original.points)[at];
      if (!original || handle === undefined) return undefined;
      const from = original.points[handle]!;
      held = { hit: { id: original.id, handle }, from, original, where: { image: sight.image, slice: sight.slice } };
      return from;
    },
    movePoint(sight: Sight, to: ImagePoint): void {
      if (held && isOn(sight)) moveHeld(held, within(to, sight.columns, sight.rows), sight);
    },
    /** Keys let go of it, where it is now. */
    dropPoint(sight: Sight): void {
      if (!held) return;
      if (isOn(sight)) letHeldGo(sight);
      else abandon();
    },
    /** The pointer moves without a button: a shape that was begun follows it. */
    hover(sight: Sight | undefined, at: Point | null): void {
      const going = drawn();
      if (!sight || !at) return void setAimed(null);
      if (going) {
        const point = imagePoint(sight, at);
        if (point && isSameWhere(going.where, sight)) draw(follow(going.drawing, point, false, false), sight);
        return;
      }
      const hit = hitAt(seenIn(sight), sight, at, MOUSE_REACH, selected());
      if (hit?.id !== aimed()?.id || hit?.handle !== aimed()?.handle) setAimed(hit);
    },
    tap(sight: Sight, at: Point): void {
      select(hitAt(seenIn(sight), sight, at, FINGER_REACH, selected())?.id ?? null);
    },
    abandon,
    /** Counts what was drawn here before the values came; it is no step that can be taken back. */
    recount(sight: Sight): void {
      if (sight.isComing || uncounted.size === 0) return;
      const here = new Set(seenIn(sight).flatMap(({ id }) => (uncounted.delete(id) ? [id] : [])));
      if (here.size > 0)
        revise((all) => all.map((one) => (here.has(one.id) && seenOn(one, sight) ? counted(one, sight, Infinity) : one)));
    },
    /** Takes what was measured elsewhere, beside what is here; it is no step that can be taken back. */
    receive(fresh: Measurements): void {
      revise((all) => [...all, ...fresh.filter(({ id }) => !find(all, id))]);
    },
    /** Lets go of these for good, but for those that were changed meanwhile. */
    forget(gone: Measurements): void {
      abandon();
      select(null);
      history.drop(measured);
      setList(list().filter((one) => !gone.includes(one)));
    },
    /** One step back out of what is under way; false where there was nothing. */
    escape(): boolean {
      if (abandon()) return true;
      const had = selected() !== null;
      select(null);
      return had;
    },
    remove(id: string | null): void {
      if (!id) return;
      setAll(remove(list(), id));
      if (selected() === id) select(null);
    },
    label(id: string, label: string): void {
      if (find(list(), id)?.label !== label) setAll(change(list(), id, { label }));
    },
  };
}

/** As much of a way as the shape can go without leaving the image. */
function inImage(points: readonly ImagePoint[], way: ImagePoint, { columns, rows }: Sight): ImagePoint {
  const limited = (by: number, values: readonly number[], size: number) =>
    Math.max(Math.min(0, -0.5 - Math.min(...values)), Math.min(Math.max(0, size - 0.5 - Math.max(...values)), by));
  const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)];
  return { x: limited(way.x, xs, columns), y: limited(way.y, ys, rows) };
}

/** The same with the statistics of what is inside now. */
function counted(shape: Measurement, sight: Sight, mostPixels: number): Measurement {
  return { ...shape, statistics: statisticsOf(shape, sight, mostPixels) };
}

function statisticsOf({ kind, points, spacing }: Measurement, sight: Sight, mostPixels: number): Statistics | null {
  if (!(hasArea(kind) || kind === "probe") || points.length < (isOpen(kind) ? 3 : 1)) return null;
  const pixels = boxOf(kind, points, spacing) <= mostPixels ? sight.pixels() : undefined;
  return (pixels && statistics(kind, points, spacing, pixels)) ?? null;
}

const isOpen = (kind: Kind): boolean => POINT_COUNT[kind] === undefined;

function boxOf(kind: Kind, points: readonly ImagePoint[], spacing: Spacing): number {
  const corners = outlines(kind, points, spacing).flatMap((line) => line.points);
  const side = (values: readonly number[]) => Math.max(...values) - Math.min(...values);
  return side(corners.map(({ x }) => x)) * side(corners.map(({ y }) => y));
}

function isApart({ placed }: Drawing, sight: Sight, at: Point, px: number): boolean {
  const last = placed.at(-1);
  return !last || !isNear(sight, last, at, px);
}

function isNear(sight: Sight, point: ImagePoint | undefined, at: Point, px: number): boolean {
  const there = point && sight.toScreen(point);
  return there !== undefined && Math.hypot(at.x - there.x, at.y - there.y) < px;
}

/** What lies under a point of the screen: points before lines, the selected before others, the later before the earlier. */
export function hitAt(
  shapes: readonly Measurement[],
  sight: Pick<Sight, "toScreen">,
  at: Point,
  reach: Reach,
  selected: string | null,
): Hit | null {
  const order = [...shapes].reverse().sort((a, b) => Number(b.id === selected) - Number(a.id === selected));
  let best: Hit | null = null;
  let least = reach.handle;
  for (const { id, kind, points } of order) {
    for (const index of handlesOf(kind, points)) {
      const there = sight.toScreen(points[index]!);
      const away = there ? Math.hypot(there.x - at.x, there.y - at.y) : Infinity;
      if (away < least) [best, least] = [{ id, handle: index }, away];
    }
  }
  if (best) return best;
  least = reach.line;
  for (const { id, kind, points, spacing } of order) {
    for (const { points: corners, closed, faint } of outlines(kind, points, spacing)) {
      const line = corners.flatMap((corner) => sight.toScreen(corner) ?? []);
      const count = faint ? 0 : closed ? line.length : line.length - 1;
      for (let index = 0; index < count; index += 1) {
        const away = awayFrom(at, line[index]!, line[(index + 1) % line.length]!);
        if (away < least) [best, least] = [{ id, handle: null }, away];
      }
    }
  }
  return best;
}

function awayFrom(p: Point, a: Point, b: Point): number {
  const square = (b.x - a.x) ** 2 + (b.y - a.y) ** 2;
  const share = square === 0 ? 0 : ((p.x - a.x) * (b.x - a.x) + (p.y - a.y) * (b.y - a.y)) / square;
  const held = Math.min(1, Math.max(0, share));
  return Math.hypot(p.x - a.x - held * (b.x - a.x), p.y - a.y - held * (b.y - a.y));
}

/** What of a study is shown where: the grid of cells, and how they follow one another. */
import { createEffect, createMemo, createSignal, on, onCleanup, untrack } from "solid-js";
import { placeOfImage, type DisplaySet, type Stack } from "../dicom/displaysets";
import { areParallel, length, opposite, unit } from "../dicom/geometry";
import { hangingOf, needsAllSeries } from "../dicom/hanging";
import type { Link } from "../dicom/link";
import type { Vector3 } from "../dicom/model";
import { cross, dot } from "../dicom/orientation";
import { CUTS, isVolume, ownCut, volumeOf, type NoVolume } from "../dicom/volume";
import { centreOf, createCell, type Cell } from "../render/cell";
import { isSamePose, type Beginning, type Pose, type ShownView } from "../render/view";
import {
  MOST_SIDE,
  ONE_CELL,
  activate,
  activeSet,
  allCuts,
  broughtBack,
  cellCount,
  fill,
  fusedCuts,
  inGrid,
  isCut,
  isFused,
  isSameContent,
  isSameLayout,
  laidInPlace,
  put,
  seenCells,
  step,
  takenOff,
  toggleAlone,
  toggleSolid,
  type Layout,
} from "../state/layout";
import { FIRST_LOOK, fusionPair, isFusible, type FusionLook } from "../state/fusion";
import type { History, Part } from "../state/history";
import type { Measurement } from "../state/measurements";
import { middleOf, seenOn } from "../state/space";
import type { OpenStudy } from "../state/study";
import type { Point } from "../tools/gestures";
import { sightOf } from "../ui/sight";
import { meetingOf, screenOf, type TurnablePlane } from "../ui/turning";

/** How far a hand would drag a solid for one degree. */
const SOLID_PX = 400 / 180;

/** Where a display set begins; in one cell, or in any. */
interface Begun {
  readonly id: string;
  readonly at: Beginning;
  readonly cell?: number;
}

/** All that is seen of a study, but for what is only walked through. */
interface Seen {
  readonly layout: Layout;
  readonly withoutCuts: Layout;
  readonly fusion: FusionLook;
  readonly beginnings: readonly Begun[];
  /** Of each cell; undefined where nothing was shown yet. */
  readonly poses: readonly (Pose | undefined)[];
}

/** A phone shows one image at a time. */
const NARROW = matchMedia("(max-width: 760px)");

export type Stage = ReturnType<typeof createStage>;

/**
 * What a reader changes of what is seen becomes steps of `history`. `onRefusal` hears why a stack cannot be seen as a
 * volume, `onNoPair` that no series can be laid over another.
 */
export function createStage(
  study: OpenStudy,
  history: History,
  onRefusal: (reason: NoVolume) => void,
  onNoPair: () => void,
) {
  const [fusionLook, setFusionLook] = createSignal<FusionLook>(FIRST_LOOK);
  const [layout, setLayout] = createSignal<Layout>(ONE_CELL);
  const [linked, setLinked] = createSignal(true);
  const [lines, setLines] = createSignal(true);
  const [cursor, setCursor] = createSignal<Vector3 | null>(null);
  const [beginnings, setBeginnings] = createSignal<readonly Begun[]>([]);
  const cells: readonly Cell[] = Array.from({ length: MOST_SIDE * MOST_SIDE }, () => createCell({ act }));
  let withoutCuts: Layout = ONE_CELL;

  const active = (): Cell => cells[layout().active]!;
  const view = () => active().shown();
  const displaySet = createMemo(() => study.find(activeSet(layout())));
  const stack = createMemo<Stack | undefined>(() => {
    const set = displaySet();
    return set?.kind === "stack" ? set : undefined;
  });

  const seen: Part<Seen> = {
    read: () => ({
      layout: layout(),
      withoutCuts,
      fusion: fusionLook(),
      beginnings: beginnings(),
      poses: cells.slice(0, cellCount(layout())).map((cell) => cell.pose()),
    }),
    restore(then) {
      const now = this.read();
      const changed = [...then.poses.keys()].filter((cell) => !isSameCell(then, now, cell));
      withoutCuts = then.withoutCuts;
      const posed = then.poses.flatMap((pose, cell) => {
        const id = then.layout.cells[cell]?.set;
        return pose && id ? [{ id, cell, at: { index: pose.index, pose } }] : [];
      });
      setBeginnings([...posed, ...then.beginnings]);
      // What is about to show another thing would draw once more what it showed.
      if (!isSameFusion(then, now)) dressFusion(then.fusion);
      setLayout(broughtBack(then.layout, now.layout, changed));
      // Those that show another thing than before begin as they were held.
      for (const cell of changed) {
        const pose = then.poses[cell];
        if (pose && isSameContent(then.layout.cells[cell], now.layout.cells[cell])) cells[cell]!.hold(pose);
      }
    },
    isSame: (a, b) =>
      isSameLayout(a.layout, b.layout) &&
      isSameFusion(a, b) &&
      a.poses.every((pose, cell) => isSamePose(pose, b.poses[cell])),
  };

  onCleanup(() => history.drop(seen));

  function act(change: () => void, burst?: string): void {
    history.act(seen, change, burst);
  }

  /** What a reader wants to see, and where it begins; what was begun as it had been held begins anew next time. */
  function arrange(next: Layout, begun = beginnings().filter(({ at }) => !at.pose), burst?: string): void {
    act(() => {
      setBeginnings(begun);
      setLayout(next);
    }, burst);
  }

  function show(id: string, cell = layout().active, at?: Beginning, burst?: string): void {
    arrange(put(layout(), cell, id), at && [{ id, at }], burst);
  }

  async function showSeries(series: string, cell?: number): Promise<void> {
    const first = await study.openSeries(series);
    if (first) show(first.id, cell);
  }

  /** What a rail item or a drop names: a display set, or a series that is not read yet. */
  function showNamed(name: string, cell?: number): void {
    if (study.find(name)) show(name, cell);
    else void showSeries(name, cell);
  }

  function stepSet(direction: 1 | -1): void {
    const sets = study.sets();
    const next = sets[sets.findIndex((set) => set.id === activeSet(layout())) + direction];
    if (next) show(next.id, undefined, undefined, "series");
  }

  async function setGrid(rows: number, columns: number): Promise<void> {
    arrange(inGrid(layout(), rows, columns, study.sets().filter(isImage).map((set) => set.id)));
    // Cells that are still empty take what is read meanwhile.
    for (const { uid: series, sets } of study.state().series) {
      const first = sets ? undefined : await study.openSeries(series);
      if (!first || !isImage(first)) continue;
      setLayout(fill(layout(), first.id));
      history.revise(seen, (was) => ({ ...was, layout: fill(was.layout, first.id) }));
    }
  }

  /** What the address asks for, else the first series; false where something that it names is not there. */
  async function begin(first: DisplaySet, { series, instance, frame, window }: Link): Promise<boolean> {
    if (![series, instance, frame, window].some(Boolean) && (await hang(first))) return true;
    const opened = series ? await study.openSeries(series) : first;
    const place = () => (instance ? placeOfImage(study.sets(), instance) : undefined);
    // An image that is named without its series is looked for in all of them.
    for (const other of instance && !series ? study.state().series : []) {
      if (study.find(instance!) || place()) break;
      await study.openSeries(other.uid);
    }
    const named = study.find(instance ?? null);
    const held = named ? undefined : place();
    const set = named ?? held?.set ?? opened ?? first;
    setBeginnings([{ id: set.id, at: { index: held?.index ?? (frame && frame - 1), window } }]);
    setLayout(put(layout(), 0, set.id));
    history.drop(seen);
    const isFound = instance ? (named ?? held) !== undefined : opened !== undefined;
    return isFound && (frame === undefined || set.kind !== "stack" || frame <= set.frames.length);
  }

  /** As the readers of its modality expect it; false where they expect nothing. */
  async function hang(first: DisplaySet): Promise<boolean> {
    if (NARROW.matches) return false;
    if (needsAllSeries(first)) await Promise.all(study.state().series.map(({ uid }) => study.openSeries(uid)));
    const hanging = hangingOf(study.sets());
    if (!hanging) return false;
    const { rows, columns, cells: hungOnes } = hanging;
    setBeginnings(hungOnes.flatMap((hung, cell) => (hung ? [{ id: hung.set, cell, at: { index: hung.index, hung } }] : [])));
    const active = Math.max(0, hungOnes.findIndex((hung) => hung !== null));
    setLayout({ rows, columns, cells: hungOnes.map((hung) => hung && { set: hung.set, cut: null }), active, alone: false });
    history.drop(seen);
    return true;
  }

  /** To one image, in the cell that shows its stack already where there is one. */
  function goTo(set: Stack, index: number): void {
    const shows = (cell: number) => layout().cells[cell]?.set === set.id && !layout().cells[cell]?.cut;
    const cell = seenCells(layout()).find(shows);
    if (cell === undefined) return show(set.id, layout().active, { index });
    setLayout(activate(layout(), cell));
    cells[cell]!.view()?.goTo(index);
  }

  /** What is to be seen on a cut, as soon as cuts are there. */
  const [sought, setSought] = createSignal<Measurement | null>(null);

  /** To a measurement in space; its volume is cut where that is not seen yet. */
  function goToCut(set: Stack, one: Measurement): void {
    const volume = volumeOf(set);
    if (!isVolume(volume)) return onRefusal(volume);
    if (!isCut(layout()) || activeSet(layout()) !== set.id) {
      act(() => {
        if (!isCut(layout())) withoutCuts = layout();
        setBeginnings([{ id: set.id, at: { point: middleOf(one) } }]);
        setLayout(allCuts(set.id));
      });
    }
    setSought(one);
  }

  createEffect(() => {
    const one = sought();
    if (!one) return;
    if (!isCut(layout())) return void setSought(null);
    const cuts = seenCells(layout()).filter((cell) => (layout().cells[cell]?.cut ?? "solid") !== "solid");
    if (!cuts.every((cell) => cells[cell]!.shown()?.plane)) return;
    setSought(null);
    untrack(() => act(() => seek(one, cuts)));
  });

  /** Brings a measurement into sight: on a cut that it lies in, or else on one that is turned so that it does. */
  function seek(one: Measurement, cuts: readonly number[]): void {
    const point = middleOf(one);
    const along = one.plane?.normal;
    if (!point || !along) return;
    for (const cell of cuts) cells[cell]!.view()?.goToPoint(point);
    const normalOf = (cell: number) => cells[cell]!.shown()!.plane!.normal;
    const holds = (cell: number) => {
      const sight = sightOf(cells[cell]!);
      return sight !== undefined && seenOn(one, sight) !== undefined;
    };
    const [nearest] = [...cuts].sort((a, b) => Math.abs(dot(normalOf(b), along)) - Math.abs(dot(normalOf(a), along)));
    const found = cuts.find(holds) ?? nearest;
    if (found === undefined) return;
    if (!holds(found)) {
      const normal = normalOf(found);
      const axis = cross(normal, dot(normal, along) < 0 ? opposite(along) : along);
      if (length(axis) > 0) cells[found]!.turnPlane(unit(axis), point, Math.atan2(length(axis), Math.abs(dot(normal, along))));
    }
    setLayout(activate(layout(), found));
  }

  function isSeenAsVolume(): boolean {
    const shown = stack();
    const volume = shown && volumeOf(shown);
    if (volume && !isVolume(volume)) onRefusal(volume);
    return volume !== undefined && isVolume(volume);
  }

  /** How images were looked at before another volume took their place. */
  const lookedAt = new Map<string, Pick<Beginning, "window" | "inverted">>();

  /** The same place in the patient, where it stands on the screen; `id` is what is seen then. */
  function standing(id: string): Beginning {
    const now = view();
    const isSame = activeSet(layout()) === id;
    const look = isSame ? { window: now?.window ?? undefined, inverted: now?.inverted } : lookedAt.get(id);
    return { point: now ? centreOf(now) : undefined, stance: active().view()?.stance?.(), ...look };
  }

  /**
   * Of the pair that the images in hand are one of: over the images in their place, or over all planes where these are
   * seen; taken off by the same way.
   */
  async function toggleFusion(): Promise<void> {
    const { inPlaceOf } = layout().cells[layout().active] ?? {};
    if (inPlaceOf !== undefined) {
      return arrange(takenOff(layout()), [{ id: inPlaceOf, cell: layout().active, at: standing(inPlaceOf) }]);
    }
    if (isCut(layout()) && isFused(layout())) {
      const under = layout().cells.find((cell) => cell?.over !== undefined)!.set;
      return arrange(allCuts(under), activeSet(layout()) === under ? [{ id: under, at: pointed() }] : undefined);
    }
    const wanted = study.state().series.filter(({ sets, modality }) => !sets && isFusible(modality));
    await Promise.all(wanted.map(({ uid }) => study.openSeries(uid)));
    const pair = fusionPair(study.sets(), stack());
    if (!pair) return onNoPair();
    const isUnder = stack()?.id === pair.under.id;
    const volume = volumeOf(pair.under);
    if (isCut(layout())) {
      const { point, ...look } = pointed();
      arrange(fusedCuts(pair.under.id, pair.over.id), [{ id: pair.under.id, at: isUnder ? { point, ...look } : { point } }]);
    } else if (isVolume(volume)) {
      const shown = view();
      if (shown && stack()) lookedAt.set(stack()!.id, { window: shown.window ?? undefined, inverted: shown.inverted });
      const at = standing(pair.under.id);
      const own = isUnder ? at : { ...at, window: undefined, inverted: undefined };
      const begun = [{ id: pair.under.id, cell: layout().active, at: own }];
      arrange(laidInPlace(layout(), pair.under.id, ownCut(volume), pair.over.id), begun);
    }
  }

  /** The place and the greys of what is in view. */
  function pointed(): Beginning {
    const now = view();
    return { point: now ? centreOf(now) : undefined, window: now?.window ?? undefined, inverted: now?.inverted };
  }

  function dressFusion(look: FusionLook): void {
    for (const cell of cells) cell.setFusion(look);
    setFusionLook(look);
  }

  function setFusion(look: FusionLook): void {
    const burst = look.palette === fusionLook().palette ? "fusion" : undefined;
    act(() => dressFusion(look), burst);
  }

  /** The planes of one volume that are seen, each with the way to turn it; none but all three. */
  function planesOf(set: string | undefined): readonly TurnablePlane[] {
    const found = seenCells(layout()).flatMap((index) => {
      const { set: id, cut } = layout().cells[index] ?? {};
      const shown = cells[index]!.shown();
      if (id !== set || !cut || cut === "solid" || !shown?.plane) return [];
      return [{ cell: index, shown, plane: shown.plane, turn: cells[index]!.turnPlane }];
    });
    return found.length === CUTS.length ? found : [];
  }

  /** Turns the active plane about the line that runs down, or to the right, through where the planes meet. */
  function turn(about: "down" | "right", degrees: number): void {
    const shown = view();
    const now = active().view();
    if (!shown || !now) return;
    if (now.turn) return now.turn(about === "down" ? { x: degrees * SOLID_PX, y: 0 } : { x: 0, y: -degrees * SOLID_PX });
    const screen = screenOf(now);
    const pivot = meetingOf(planesOf(activeSet(layout()) ?? undefined)) ?? centreOf(shown);
    if (screen && pivot && shown.cut) active().turnPlane(screen[about], pivot, (degrees * Math.PI) / 180);
  }

  /** Planes that were turned go back together: it is seldom the active one that a hand has turned. */
  function reset(): void {
    act(() => {
      for (const { cell, shown } of planesOf(activeSet(layout()) ?? undefined))
        if (shown.turned && cell !== layout().active) cells[cell]!.view()?.reset();
      active().view()?.reset();
    });
  }

  function togglePlanes(): void {
    const shown = stack();
    const goes = isCut(layout());
    if (!shown) return void (goes && arrange(withoutCuts));
    if (!goes && !isSeenAsVolume()) return;
    const whole = seenCells(layout()).find((index) => !layout().cells[index]?.cut);
    const taken = goes ? cells[whole ?? layout().active] : active();
    const from = taken?.shown();
    const at: Beginning = { ...pointed(), index: from?.index, point: from ? centreOf(from) : undefined };
    const { over } = layout().cells[layout().active] ?? {};
    const begun = [{ id: shown.id, at }];
    if (goes) return arrange(withoutCuts, begun);
    act(() => {
      withoutCuts = layout();
      // What is laid over the images stays over the planes.
      arrange(over === undefined ? allCuts(shown.id) : fusedCuts(shown.id, over), begun);
    });
  }

  // The others scroll along where the active cell is scrolled to, if they lie parallel to it.
  const place = createMemo(() => {
    const shown = view();
    return shown && { cell: layout().active, id: activeSet(layout()), index: shown.index };
  }, null, { equals: (a, b) => a?.cell === b?.cell && a?.id === b?.id && a?.index === b?.index });
  createEffect(
    on(place, (now, before) => {
      const shown = view();
      if (!linked() || !shown || !now || before?.cell !== now.cell || before?.id !== now.id) return;
      const centre = centreOf(shown);
      for (const index of centre ? seenCells(layout()) : []) {
        const other = cells[index]!.shown();
        if (index !== now.cell && other && areKin(shown, other) && areParallel(shown.plane!, other.plane!))
          cells[index]!.view()?.goToPoint(centre!);
      }
    }),
  );

  // All cuts of one volume are seen in one window; that is no step of its own.
  const window = createMemo(() => view()?.window ?? null, null, {
    equals: (a, b) => a?.center === b?.center && a?.width === b?.width,
  });
  createEffect(
    on(window, (now) => {
      const shown = activeSet(layout());
      if (!now || !isCut(layout())) return;
      for (const index of seenCells(layout())) {
        const other = cells[index]!.shown()?.window;
        const isSame = other?.center === now.center && other.width === now.width;
        if (other && !isSame && layout().cells[index]?.set === shown)
          history.quietly(() => cells[index]!.view()?.setWindow(now));
      }
    }),
  );

  function moveCursor(from: number, at: Point): void {
    const shown = cells[from]!.shown();
    const point = cells[from]!.view()?.pointAt(at);
    if (!shown || !point) return;
    setCursor(point);
    for (const index of seenCells(layout())) {
      const other = cells[index]!.shown();
      if (index !== from && other && areKin(shown, other)) cells[index]!.view()?.goToPoint(point);
    }
  }

  /** What other cells show, the active one's first: it is drawn in the accent colour. */
  function othersOf(index: number): readonly ShownView[] {
    if (!lines()) return [];
    const order = [layout().active, ...seenCells(layout()).filter((cell) => cell !== layout().active)];
    return order.filter((cell) => cell !== index).flatMap((cell) => cells[cell]!.shown() ?? []);
  }

  return {
    layout,
    cells,
    linked,
    lines,
    cursor,
    /** The active cell, what it shows, and the hands' way to it. */
    active,
    view,
    viewport: () => active().view(),
    displaySet,
    stack,
    /** Where a display set begins; undefined where nobody asked. */
    beginningOf(id: string | undefined, cell: number): Beginning | undefined {
      const own = beginnings().filter((begun) => begun.id === id);
      return (own.find((begun) => begun.cell === cell) ?? own.find((begun) => begun.cell === undefined))?.at;
    },
    show,
    showNamed,
    stepSet,
    setGrid,
    begin,
    goTo,
    goToCut,
    togglePlanes,
    toggleSolid: () => isSeenAsVolume() && arrange(toggleSolid(layout())),
    toggleFusion: () => void toggleFusion(),
    fusion: fusionLook,
    /** What is laid over planes that are seen, whichever cell is the active one. */
    over: () => seenCells(layout()).map((cell) => cells[cell]!.shown()?.over).find((over) => over) ?? null,
    setFusion,
    planesOf,
    turn,
    reset,
    toggleAlone: () => arrange(toggleAlone(layout())),
    activate: (cell: number) => setLayout(activate(layout(), cell)),
    stepCell: (direction: 1 | -1) => setLayout(step(layout(), direction)),
    toggleLinked: () => setLinked((value) => !value),
    toggleLines: () => setLines((value) => !value),
    moveCursor,
    hideCursor: () => setCursor(null),
    othersOf,
  };
}

/** Whether a cell showed the same, held in the same way. */
function isSameCell(a: Seen, b: Seen, cell: number): boolean {
  return isSameContent(a.layout.cells[cell], b.layout.cells[cell]) && isSamePose(a.poses[cell], b.poses[cell]);
}

function isSameFusion(a: Seen, b: Seen): boolean {
  return JSON.stringify(a.fusion) === JSON.stringify(b.fusion);
}

function isImage(set: DisplaySet): boolean {
  return set.kind === "stack";
}

/** Whether two images lie in one Frame of Reference, each at a known place. */
function areKin(a: ShownView, b: ShownView): boolean {
  const isSame = a.frameOfReferenceUid !== undefined && a.frameOfReferenceUid === b.frameOfReferenceUid;
  return isSame && a.plane !== undefined && b.plane !== undefined;
}

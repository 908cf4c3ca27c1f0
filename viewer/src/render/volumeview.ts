/**
 * One viewport that shows slices of a volume. Where each lies is known without the graphics card
 * (`dicom/volume.ts`), so the camera follows what is kept here, and not the other way round.
 */
import { Enums, type Types } from "@cornerstonejs/core";
import type { Stack } from "../dicom/displaysets";
import type { FrameDescription, Window } from "../dicom/frame";
import { centreOf, planeValues, rotated, straightCutting, turnedCutting, type Cutting, type Turned } from "../dicom/cutting";
import { difference, moved, opposite, pixelOf, pointAt, type Plane } from "../dicom/geometry";
import type { Pixels } from "../dicom/measure";
import type { Vector3 } from "../dicom/model";
import { cross, dot, edgeLetters } from "../dicom/orientation";
import { endsOf, windowBetween } from "../dicom/presets";
import { isReduced, type Reduction } from "../dicom/reduction";
import { SUV_UNIT, suvFactor, unitOf, uptakeOf, type Uptake } from "../dicom/uptake";
import { meantWindow } from "../dicom/voi";
import { sliceValues, slicesIn, slicing, voxelOf, type Cut, type Projection, type Slab, type Volume } from "../dicom/volume";
import { FIRST_LOOK, type FusionLook } from "../state/fusion";
import type { Point } from "../tools/gestures";
import { disable, renderingEngine, watchLoss } from "./engine";
import { ALONG_BOTH, LARGEST_ZOOM, SMALLEST_ZOOM, draggedWindow, drawnBy, playFrames } from "./stackview";
import type { Beginning, Pose, Probed, ShownOver, StackViewListener, Stance, View } from "./view";
import { paintActor, palettePainting } from "./paint";
import { volumesOf, type HeldVolume, type Taken } from "./volumes";

export interface VolumeView extends View {
  show(stack: Stack, study: string, cut: Cut, beginning?: Beginning): Promise<void>;
  setSlab(slab: Slab | null): void;
  /** Turns its plane about a line through a point of the patient; radians, as a screw that drives along the axis. */
  turnPlane(axis: Vector3, pivot: Vector3, angle: number): void;
  /** Lays another stack of the same Frame of Reference over it, or takes it away. */
  lay(over: Stack | null, study: string): Promise<void>;
  setFusion(look: FusionLook): void;
}

/** What is looked at: everything a hand has changed. */
interface Look {
  readonly index: number;
  readonly window: Window;
  readonly inverted: boolean;
  readonly slab: Slab | null;
  /** Null for a layer of the volume. */
  readonly turned: Turned | null;
  /** Screen pixels from the middle of the element to the middle of the picture. */
  readonly pan: Point;
  /** 1 where the whole picture just fits. */
  readonly zoom: number;
  /** Quarter turns to the right, after the picture was flipped. */
  readonly turns: number;
  readonly flipped: boolean;
}

/** What hands have made of it, wherever it was scrolled to. */
type Made = Omit<Look, "index" | "turned"> & { readonly directions: Pick<Turned, "right" | "down"> | null };

interface Shown {
  readonly volume: Volume;
  readonly straight: Cutting;
  readonly cut: Cut;
  readonly held: HeldVolume;
  readonly uptake: Uptake | undefined;
  /** Of the middle image: what is the same for all is told by one. */
  readonly frame: FrameDescription;
  readonly instance: Stack["frames"][number]["instance"];
  readonly windows: Window;
}

/** The volume that is seen over it. */
interface Over extends Taken {
  readonly stack: Stack;
  readonly window: Window;
}

/** PET of known uptake begins with this much of it as the brightest. */
const FIRST_SUV = 10;

/** How far the eye is from the picture, in mm; of no matter without perspective. */
const EYE_MM = 1000;

/** Rays do not begin at the middle of a slice; so close, their samples are near enough to each. */
const SAMPLES_PER_SLICE = 8;

const { MAXIMUM_INTENSITY_BLEND, MINIMUM_INTENSITY_BLEND, AVERAGE_INTENSITY_BLEND } = Enums.BlendModes;
const BLENDING: Readonly<Record<Projection, Enums.BlendModes>> = {
  greatest: MAXIMUM_INTENSITY_BLEND,
  least: MINIMUM_INTENSITY_BLEND,
  mean: AVERAGE_INTENSITY_BLEND,
};

let viewports = 0;

/** `whole`: nothing is shown before all of it has come. */
export function createVolumeView(element: HTMLDivElement, listener: StackViewListener, whole: boolean): VolumeView {
  const engine = renderingEngine();
  const viewportId = `volume-${(viewports += 1)}`;
  engine.enableElement({
    viewportId,
    element,
    type: Enums.ViewportType.ORTHOGRAPHIC,
    defaultOptions: { background: [0, 0, 0], orientation: Enums.OrientationAxis.AXIAL },
  });
  const viewport = engine.getViewport(viewportId) as Types.IVolumeViewport;

  let shown: Shown | undefined;
  let look: Look | undefined;
  let cutting: Cutting | undefined;
  let wantedSlab: Slab | null = null;
  let shows = 0;
  let over: Over | undefined;
  let fusion: FusionLook = FIRST_LOOK;
  let known: { readonly shown: Shown; readonly look: Look; readonly pixels: Pixels } | undefined;
  const volumes = volumesOf(viewport, listener);
  const upper = volumesOf(viewport, listener, true);
  let playing: { cancel(): void; onStop(): void } | undefined;

  const resized = new ResizeObserver(() => {
    if (element.clientWidth === 0 || element.clientHeight === 0) return;
    engine.resize(true, true);
    draw();
  });
  resized.observe(element);
  const stopWatching = watchLoss(() => listener.onLost());

  function stop(): void {
    playing?.cancel();
    playing?.onStop();
    playing = undefined;
  }

  const plane = (): Plane => cutting!.planeAt(look!.index);

  /** Directions of the screen in the patient, and how many of its pixels a millimetre takes. */
  function screen(): { readonly right: Vector3; readonly down: Vector3; readonly pixelsPerMm: number } {
    const { row, column } = plane();
    // A plane that is turned is no larger or smaller on the screen than it was.
    const { columns, rows, spacing } = shown!.straight.planeAt(0);
    const { flipped, turns, zoom } = look!;
    let [right, down]: [Vector3, Vector3] = [flipped ? opposite(row) : row, column];
    // A quarter turn to the right: what was below is now on the left.
    for (let turn = 0; turn < turns; turn += 1) [right, down] = [opposite(down), right];
    const [width, height] = [columns * spacing[0], rows * spacing[1]];
    const [across, along] = turns % 2 === 0 ? [width, height] : [height, width];
    const fitting = Math.min(element.clientWidth / across, element.clientHeight / along);
    return { right, down, pixelsPerMm: fitting * zoom };
  }

  /** The point of the patient in the middle of the element. */
  function middle(): Vector3 {
    const { origin, normal } = plane();
    const { right, down, pixelsPerMm } = screen();
    const centre = centreOf(shown!.volume);
    const picture = moved(centre, [normal, dot(difference(origin, centre), normal)]);
    return moved(picture, [right, -look!.pan.x / pixelsPerMm], [down, -look!.pan.y / pixelsPerMm]);
  }

  const placeOf = (point: Vector3): Point => {
    const { right, down, pixelsPerMm } = screen();
    const from = middle();
    const way: Vector3 = [point[0] - from[0], point[1] - from[1], point[2] - from[2]];
    return {
      x: element.clientWidth / 2 + dot(way, right) * pixelsPerMm,
      y: element.clientHeight / 2 + dot(way, down) * pixelsPerMm,
    };
  };

  const pointUnder = ({ x, y }: Point): Vector3 => {
    const { right, down, pixelsPerMm } = screen();
    return moved(
      middle(),
      [right, (x - element.clientWidth / 2) / pixelsPerMm],
      [down, (y - element.clientHeight / 2) / pixelsPerMm],
    );
  };

  function draw(): void {
    if (!shown || !look || element.clientHeight === 0) return;
    const { right, down, pixelsPerMm } = screen();
    const focalPoint = middle();
    const normal = cross(down, right);
    viewport.setCamera({
      focalPoint: [...focalPoint],
      position: [...moved(focalPoint, [normal, EYE_MM])],
      viewPlaneNormal: [...normal],
      viewUp: [...opposite(down)],
      parallelScale: element.clientHeight / 2 / pixelsPerMm,
    });
    viewport.render();
    tell(right, down, pixelsPerMm);
  }

  function tell(right: Vector3, down: Vector3, pixelsPerMm: number): void {
    const { volume, cut, held, frame, instance, uptake } = shown!;
    const at = plane();
    const centre = pointAt(at, (at.columns - 1) / 2, (at.rows - 1) / 2);
    listener.onView({
      index: look!.index,
      count: cutting!.count,
      frame: {
        ...frame,
        rows: at.rows,
        columns: at.columns,
        spacingMm: [at.spacing[1], at.spacing[0]],
        orientation: { row: at.row, column: at.column },
        positionMm: at.origin,
        sliceThicknessMm: look!.slab ? look!.slab.mm : cutting!.stepMm,
        sliceLocationMm: look!.turned ? undefined : centre[ALONG[cut]],
      },
      frameNumber: 0,
      coming: null,
      reduced: reducedBy(volume),
      instance,
      window: look!.window,
      inverted: look!.inverted,
      edges: edgeLetters(right, down),
      pixelsPerMm,
      magnification: pixelsPerMm * at.spacing[0],
      plane: at,
      frameOfReferenceUid: volume.frameOfReferenceUid,
      cut,
      stepMm: cutting!.stepMm,
      subtracted: null,
      slab: look!.slab,
      rendering: null,
      uptake,
      turned: look!.turned !== null,
      straightened: volume.tilt?.degrees ?? null,
      isForming: !held.isWhole,
      over: shownOver(),
      crop: null,
    });
  }

  function shownOver(): ShownOver | null {
    if (!over) return null;
    const { stack, frame, held, volume } = over;
    const { palette, opacity, window } = fusion;
    const whole = held.whole;
    const values = { window: window ?? over.window, whole, unit: unitOf(frame), uptake: uptakeOf(stack) };
    return { palette, opacity, modality: stack.modality, reduced: reducedBy(volume), ...values };
  }

  /** What is seen now, as values; counted once, since a hand asks for it at every step. */
  function pixels(): Pixels {
    const { volume, cut, held, frame, uptake } = shown!;
    const { index, slab, turned } = look!;
    const isSame = known?.shown === shown && known?.look.index === index && known.look.slab === slab;
    if (known && isSame && known.look.turned === turned) return known.pixels;
    const slices = slab && { slices: slicesIn(slab, cutting!), projection: slab.projection };
    const values = turned
      ? planeValues(volume, cutting!, index, slices, held.valueAt)
      : sliceValues(volume, slicing(volume, cut), index, slices, (voxel) => held.valueAt(voxel)!);
    const { columns, rows } = plane();
    const factor = suvFactor(uptake);
    const unit = factor === undefined ? unitOf(frame) : SUV_UNIT;
    const pixels = { columns, rows, values, slope: factor ?? 1, intercept: 0, unit };
    known = { shown: shown!, look: look!, pixels };
    return pixels;
  }

  function change(part: Partial<Look>): void {
    if (!look) return;
    look = { ...look, ...part };
    draw();
  }

  function paint(part: Pick<Look, "window"> | Pick<Look, "inverted">): void {
    if (!look) return;
    look = { ...look, ...part };
    const [lower, upper] = endsOf(look.window);
    viewport.setProperties({ voiRange: { lower, upper }, invert: look.inverted });
    draw();
  }

  function paintOver(): void {
    const actor = upper.actor();
    if (over && actor) paintActor(actor, palettePainting(fusion.palette, fusion.window ?? over.window, fusion.opacity));
    draw();
  }

  function setSlab(slab: Slab | null): void {
    if (!shown || !look || !cutting) return;
    wantedSlab = slab;
    const { stepMm } = cutting;
    const slices = slab ? slicesIn(slab, cutting) : 1;
    look = { ...look, slab: slab && slices > 1 ? { ...slab, mm: slices * stepMm } : null };
    const projection = look.slab?.projection ?? "greatest";
    const sampleMm = stepMm / SAMPLES_PER_SLICE;
    for (const actor of [volumes.actor(), upper.actor()]) {
      actor?.getMapper()?.setSampleDistance(sampleMm);
      // Opacities are those of so many mm: of one sample, here, so that they are what they say.
      actor?.getProperty().setScalarOpacityUnitDistance(0, sampleMm);
    }
    viewport.setBlendMode(BLENDING[projection]);
    // From the middle of the first slice to that of the last; a mean takes all of their thickness.
    const halfMm = projection === "mean" ? (slices * stepMm) / 2 : ((slices - 1) * stepMm) / 2 + sampleMm;
    if (look.slab) viewport.setSlabThickness(halfMm);
    else viewport.resetSlabThickness();
    draw();
  }

  const clamped = (index: number) => Math.max(0, Math.min((cutting?.count ?? 1) - 1, index));

  function turnPlane(axis: Vector3, pivot: Vector3, angle: number): void {
    if (!shown || !look) return;
    const { row, column } = plane();
    const before = placeOf(pivot);
    const turned: Turned = { right: rotated(row, axis, angle), down: rotated(column, axis, angle), pivot };
    cutting = turnedCutting(shown.volume, shown.cut, turned);
    look = { ...look, turned, index: cutting.indexAt(pivot) };
    // What it is turned about stays where it is on the screen.
    const after = placeOf(pivot);
    look = { ...look, pan: { x: look.pan.x + before.x - after.x, y: look.pan.y + before.y - after.y } };
    setSlab(wantedSlab);
  }

  function goToPoint(point: Vector3): void {
    if (!shown || !look || !cutting) return;
    if (!look.turned) return change({ index: cutting.indexAt(point) });
    // There are no layers here: a picture is made that holds the very point.
    const turned = { ...look.turned, pivot: point };
    cutting = turnedCutting(shown.volume, shown.cut, turned);
    change({ turned, index: cutting.indexAt(point) });
  }

  function beginWith(now: Shown, { point, window, inverted, stance }: Beginning): void {
    cutting = now.straight;
    look = {
      index: point ? cutting.indexAt(point) : cutting.count >> 1,
      turned: null,
      window: window ? meantWindow(window, now.frame) : now.windows,
      inverted: inverted ?? now.frame.isInverse,
      slab: null,
      pan: { x: 0, y: 0 },
      zoom: 1,
      turns: 0,
      flipped: false,
    };
    if (stance) stand(stance);
  }

  /** Turned, sized and placed as another image of its plane stood. */
  function stand({ middle: wanted, right, down, pixelsPerMm }: Stance): void {
    const before = look!;
    for (const flipped of [false, true])
      for (const turns of [0, 1, 2, 3]) {
        look = { ...before, flipped, turns };
        const now = screen();
        if (dot(now.right, right) + dot(now.down, down) < ALONG_BOTH) continue;
        look = { ...look, zoom: pixelsPerMm / now.pixelsPerMm };
        const { x, y } = placeOf(wanted);
        look = { ...look, pan: { x: element.clientWidth / 2 - x, y: element.clientHeight / 2 - y } };
        return;
      }
    look = before;
  }

  function pose(): Pose | undefined {
    if (!look) return undefined;
    const { index, turned, ...made } = look;
    return { kind: "volume", made: { ...made, directions: directionsOf(turned) }, index, pivot: turned?.pivot };
  }

  /** A plane that was only walked through since stays where it is. */
  function hold(pose: Pose): void {
    if (!shown || !look || pose.kind !== "volume") return;
    const { directions, ...made } = pose.made as Made;
    const isTurnedSo = JSON.stringify(directions) === JSON.stringify(directionsOf(look.turned));
    const turned = isTurnedSo ? look.turned : directions && { ...directions, pivot: pose.pivot! };
    cutting = turned ? turnedCutting(shown.volume, shown.cut, turned) : shown.straight;
    look = { ...made, turned, index: clamped(isTurnedSo ? look.index : pose.index) };
    setSlab(made.slab);
    paint({ window: made.window });
  }

  return {
    async show(stack, study, cut, beginning = {}) {
      stop();
      [shown, look, cutting, over] = [undefined, undefined, undefined, undefined];
      upper.drop();
      const take = ({ volume, held, frame, instance }: Taken) => {
        const isFirst = shown === undefined;
        const windows = frame.windows[0] ? meantWindow(frame.windows[0], frame) : held.whole;
        const straight = straightCutting(volume, cut);
        shown = { volume, straight, cut, held, frame, instance, windows, uptake: uptakeOf(stack) };
        if (isFirst) beginWith(shown, beginning);
        if (isFirst && beginning.pose?.kind === "volume") {
          look = { ...look!, index: clamped(beginning.pose.index) };
          hold(beginning.pose);
        }
        setSlab(wantedSlab);
        paint({ window: look!.window });
      };
      wantedSlab = null;
      const own = (shows += 1);
      const taken = await volumes.take(stack, study, whole ? undefined : take);
      if (taken) take(taken);
      else if (own === shows) [shown, look, cutting] = [undefined, undefined, undefined];
    },
    setSlab,
    turnPlane,
    async lay(stack, study) {
      over = undefined;
      upper.drop();
      const taken = shown && stack ? await upper.take(stack, study) : undefined;
      if (taken && stack) over = { ...taken, stack, window: firstWindow(taken, stack) };
      if (!shown) return;
      setSlab(wantedSlab);
      paintOver();
    },
    setFusion(next) {
      fusion = next;
      paintOver();
    },
    goTo: (index) => change({ index: clamped(index) }),
    scroll: (images) => look && change({ index: clamped(look.index + images) }),
    goToPoint,
    pointAt: (at) => (look ? pointUnder(at) : undefined),
    imagePointAt(at) {
      if (!look) return undefined;
      const { x, y } = pixelOf(plane(), pointUnder(at));
      return { x, y };
    },
    placeOfImagePoint: ({ x, y }) => (look ? placeOf(pointAt(plane(), x, y)) : undefined),
    // Of means, the least, the greatest and the deviation would be others than those of what is stored.
    pixels: (index) =>
      look?.index === index && shown?.held.isWhole && shown.volume.reduction.halvings === 0 ? pixels() : undefined,
    stance: () => (look ? { middle: middle(), ...screen() } : undefined),
    placeOf: (point) => (look ? placeOf(point) : { x: 0, y: 0 }),
    probe(at) {
      if (!shown || !look) return undefined;
      const point = pointUnder(at);
      const here = valueUnder(shown, point, shown.uptake);
      const { x, y } = pixelOf(plane(), point);
      if (!here) return undefined;
      return {
        column: Math.round(x),
        row: Math.round(y),
        ...here,
        over: over && valueUnder(over, point, uptakeOf(over.stack)),
      };
    },
    setWindow: (window) => shown && paint({ window: meantWindow(window, shown.frame) }),
    dragWindow: (delta) => look && paint({ window: draggedWindow(look.window, delta) }),
    pan: ({ x, y }) => look && change({ pan: { x: look.pan.x + x, y: look.pan.y + y } }),
    fit: () => look && change({ zoom: 1, pan: { x: 0, y: 0 } }),
    zoom(factor, around) {
      if (!look) return;
      const zoom = Math.min(LARGEST_ZOOM, Math.max(SMALLEST_ZOOM, look.zoom * factor));
      // What is under the fingers stays under them.
      const by = zoom / look.zoom;
      const { x, y } = around ?? { x: element.clientWidth / 2, y: element.clientHeight / 2 };
      const [fromX, fromY] = [x - element.clientWidth / 2, y - element.clientHeight / 2];
      change({ zoom, pan: { x: fromX + (look.pan.x - fromX) * by, y: fromY + (look.pan.y - fromY) * by } });
    },
    pose,
    hold,
    rotate: () => look && change({ turns: (look.turns + 1) % 4, pan: { x: -look.pan.y, y: look.pan.x } }),
    flip() {
      if (!look) return;
      // The screen is what is mirrored, whichever way the picture is turned.
      const turns = (4 - look.turns) % 4;
      change({ flipped: !look.flipped, turns, pan: { x: -look.pan.x, y: look.pan.y } });
    },
    invert: () => look && paint({ inverted: !look.inverted }),
    reset() {
      if (!shown || !look) return;
      beginWith(shown, { point: look.turned?.pivot ?? plane().origin });
      setSlab(null);
      paint({ window: shown.windows });
    },
    play(framesPerSecond, onStop) {
      stop();
      const next = () => {
        if (look && shown) change({ index: (look.index + 1) % cutting!.count });
        return Promise.resolve();
      };
      playing = { ...playFrames(framesPerSecond, next), onStop };
    },
    look: () => look && { kind: "volume", look, pixelsPerMm: screen().pixelsPerMm },
    async wear(portrait, fit) {
      if (!shown || portrait.kind !== "volume") return;
      const worn = portrait.look as Look;
      cutting = worn.turned ? turnedCutting(shown.volume, shown.cut, worn.turned) : shown.straight;
      look = { ...worn, index: clamped(worn.index), slab: null, zoom: 1, pan: { x: 0, y: 0 } };
      const fitting = screen().pixelsPerMm;
      setSlab(worn.slab);
      if (fit !== "whole") {
        const pixelsPerMm = "magnified" in fit ? portrait.pixelsPerMm * fit.magnified : fit.pixelsPerMm;
        const by = pixelsPerMm / portrait.pixelsPerMm;
        look = { ...look, zoom: pixelsPerMm / fitting, pan: { x: worn.pan.x * by, y: worn.pan.y * by } };
      }
      paint({ window: look.window });
    },
    drawn: (index) => drawnBy(element, () => change(index === undefined ? {} : { index: clamped(index) })),
    stop,
    dispose() {
      stop();
      resized.disconnect();
      stopWatching();
      disable(engine, viewportId);
      upper.dispose();
      volumes.dispose();
    },
  };
}

const directionsOf = (turned: Turned | null): Made["directions"] => turned && { right: turned.right, down: turned.down };

/** What the nearest voxel holds. */
function valueUnder(
  { volume, held, frame }: Pick<Taken, "volume" | "held" | "frame">,
  point: Vector3,
  uptake: Uptake | undefined,
): Pick<Probed, "values" | "unit" | "suvFactor" | "isMean"> | undefined {
  const [i, j, k] = voxelOf(volume, point).map(Math.round) as [number, number, number];
  const value = held.valueAt([i, j, k]);
  const isMean = volume.reduction.halvings > 0;
  return value === undefined ? undefined : { values: [value], unit: unitOf(frame), suvFactor: suvFactor(uptake), isMean };
}

const reducedBy = ({ reduction }: Volume): Reduction | null => (isReduced(reduction) ? reduction : null);

function firstWindow({ frame, held }: Taken, stack: Stack): Window {
  const factor = suvFactor(uptakeOf(stack));
  if (factor !== undefined) return windowBetween(0, FIRST_SUV / factor);
  return frame.windows[0] ? meantWindow(frame.windows[0], frame) : held.whole;
}

/** The axis of the patient that a cut is walked along. */
const ALONG = { sagittal: 0, coronal: 1, axial: 2 } as const;

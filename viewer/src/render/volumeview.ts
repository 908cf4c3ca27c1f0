/**
 * One viewport that shows slices of a volume. Where each lies is known without the graphics card
 * (`dicom/volume.ts`), so the camera follows what is kept here, and not the other way round.
 */
import { Enums, utilities, type Types } from "@cornerstonejs/core";
import type { Stack } from "../dicom/displaysets";
import type { FrameDescription, Window } from "../dicom/frame";
import { moved, pixelOf, pointAt, type Plane } from "../dicom/geometry";
import type { Pixels } from "../dicom/measure";
import type { Vector3 } from "../dicom/model";
import { cross, dot, edgeLetters } from "../dicom/orientation";
import {
  sliceAt,
  sliceOf,
  sliceValues,
  slicesIn,
  slicing,
  voxelOf,
  type Cut,
  type Projection,
  type Slab,
  type Slicing,
  type Volume,
} from "../dicom/volume";
import type { Point } from "../tools/gestures";
import { renderingEngine } from "./engine";
import {
  LARGEST_ZOOM,
  SMALLEST_ZOOM,
  draggedWindow,
  playFrames,
  unitOf,
  type Beginning,
  type StackViewListener,
  type View,
} from "./stackview";
import { volumesOf, type HeldVolume } from "./volumes";

export interface VolumeView extends View {
  show(stack: Stack, study: string, cut: Cut, beginning?: Beginning): Promise<void>;
  setSlab(slab: Slab | null): void;
}

/** What is looked at: everything a hand has changed. */
interface Look {
  readonly index: number;
  readonly window: Window;
  readonly inverted: boolean;
  readonly slab: Slab | null;
  /** Screen pixels from the middle of the element to the middle of the picture. */
  readonly pan: Point;
  /** 1 where the whole picture just fits. */
  readonly zoom: number;
  /** Quarter turns to the right, after the picture was flipped. */
  readonly turns: number;
  readonly flipped: boolean;
}

interface Shown {
  readonly volume: Volume;
  readonly slicing: Slicing;
  readonly cut: Cut;
  readonly held: HeldVolume;
  /** Of the middle image: what is the same for all is told by one. */
  readonly frame: FrameDescription;
  readonly instance: Stack["frames"][number]["instance"];
  readonly windows: Window;
}

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

export function createVolumeView(element: HTMLDivElement, listener: StackViewListener): VolumeView {
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
  let known: { readonly shown: Shown; readonly index: number; readonly slab: Slab | null; readonly pixels: Pixels } | undefined;
  const volumes = volumesOf(viewport, listener);
  let playing: { cancel(): void; onStop(): void } | undefined;

  const resized = new ResizeObserver(() => {
    if (element.clientWidth === 0 || element.clientHeight === 0) return;
    engine.resize(true, true);
    draw();
  });
  resized.observe(element);

  function stop(): void {
    playing?.cancel();
    playing?.onStop();
    playing = undefined;
  }

  const plane = (): Plane => sliceOf(shown!.volume, shown!.slicing, look!.index);

  /** Directions of the screen in the patient, and how many of its pixels a millimetre takes. */
  function screen(): { readonly right: Vector3; readonly down: Vector3; readonly pixelsPerMm: number } {
    const { row, column, columns, rows, spacing } = plane();
    const { flipped, turns, zoom } = look!;
    let [right, down]: [Vector3, Vector3] = [flipped ? turned(row) : row, column];
    // A quarter turn to the right: what was below is now on the left.
    for (let turn = 0; turn < turns; turn += 1) [right, down] = [turned(down), right];
    const [width, height] = [columns * spacing[0], rows * spacing[1]];
    const [across, along] = turns % 2 === 0 ? [width, height] : [height, width];
    const fitting = Math.min(element.clientWidth / across, element.clientHeight / along);
    return { right, down, pixelsPerMm: fitting * zoom };
  }

  /** The point of the patient in the middle of the element. */
  function middle(): Vector3 {
    const at = plane();
    const { right, down, pixelsPerMm } = screen();
    const picture = pointAt(at, (at.columns - 1) / 2, (at.rows - 1) / 2);
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
      viewUp: [...turned(down)],
      parallelScale: element.clientHeight / 2 / pixelsPerMm,
    });
    viewport.render();
    tell(right, down, pixelsPerMm);
  }

  function tell(right: Vector3, down: Vector3, pixelsPerMm: number): void {
    const { volume, slicing: way, cut, frame, instance } = shown!;
    const at = plane();
    const centre = pointAt(at, (at.columns - 1) / 2, (at.rows - 1) / 2);
    listener.onView({
      index: look!.index,
      count: way.count,
      frame: {
        ...frame,
        rows: at.rows,
        columns: at.columns,
        spacingMm: [at.spacing[1], at.spacing[0]],
        orientation: { row: at.row, column: at.column },
        positionMm: at.origin,
        sliceThicknessMm: look!.slab ? look!.slab.mm : way.stepMm,
        sliceLocationMm: centre[ALONG[cut]],
      },
      frameNumber: 0,
      instance,
      window: look!.window,
      inverted: look!.inverted,
      edges: edgeLetters(right, down),
      pixelsPerMm,
      magnification: pixelsPerMm * at.spacing[0],
      plane: at,
      frameOfReferenceUid: volume.frameOfReferenceUid,
      cut,
      stepMm: way.stepMm,
      subtracted: null,
      slab: look!.slab,
      rendering: null,
    });
  }

  /** What is seen now, as values; counted once, since a hand asks for it at every step. */
  function pixels(): Pixels {
    const { volume, slicing: way, held, frame } = shown!;
    const { index, slab } = look!;
    if (known && known.shown === shown && known.index === index && known.slab === slab) return known.pixels;
    const slices = slab && { slices: slicesIn(slab, way), projection: slab.projection };
    const values = sliceValues(volume, way, index, slices, (voxel) => held.valueAt(voxel)!);
    const { columns, rows } = plane();
    const pixels = { columns, rows, values, slope: 1, intercept: 0, unit: unitOf(frame.rescaleType) };
    known = { shown: shown!, index, slab, pixels };
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
    const { center, width } = look.window;
    const voiRange = utilities.windowLevel.toLowHighRange(width, center);
    viewport.setProperties({ voiRange, invert: look.inverted });
    draw();
  }

  function setSlab(slab: Slab | null): void {
    if (!shown || !look) return;
    const { stepMm } = shown.slicing;
    const slices = slab ? slicesIn(slab, shown.slicing) : 1;
    look = { ...look, slab: slab && slices > 1 ? { ...slab, mm: slices * stepMm } : null };
    const projection = look.slab?.projection ?? "greatest";
    const sampleMm = stepMm / SAMPLES_PER_SLICE;
    const actor = viewport.getDefaultActor()?.actor as Types.VolumeActor | undefined;
    actor?.getMapper()?.setSampleDistance(sampleMm);
    viewport.setBlendMode(BLENDING[projection]);
    // From the middle of the first slice to that of the last; a mean takes all of their thickness.
    const halfMm = projection === "mean" ? (slices * stepMm) / 2 : ((slices - 1) * stepMm) / 2 + sampleMm;
    if (look.slab) viewport.setSlabThickness(halfMm);
    else viewport.resetSlabThickness();
    draw();
  }

  const clamped = (index: number) => Math.max(0, Math.min((shown?.slicing.count ?? 1) - 1, index));

  function beginWith(now: Shown, { point, window }: Beginning): void {
    const { count } = now.slicing;
    look = {
      index: point ? sliceAt(now.volume, now.slicing, point) : count >> 1,
      window: window ?? now.windows,
      inverted: now.frame.photometricInterpretation === "MONOCHROME1",
      slab: null,
      pan: { x: 0, y: 0 },
      zoom: 1,
      turns: 0,
      flipped: false,
    };
  }

  return {
    async show(stack, study, cut, beginning = {}) {
      stop();
      [shown, look] = [undefined, undefined];
      const taken = await volumes.take(stack, study);
      if (!taken) return;
      const { volume, held, frame, instance } = taken;
      const windows = frame.windows[0] ?? held.whole;
      shown = { volume, slicing: slicing(volume, cut), cut, held, frame, instance, windows };
      beginWith(shown, beginning);
      setSlab(null);
      paint({ window: look!.window });
    },
    setSlab,
    goTo: (index) => change({ index: clamped(index) }),
    scroll: (images) => look && change({ index: clamped(look.index + images) }),
    goToPoint: (point) => shown && change({ index: sliceAt(shown.volume, shown.slicing, point) }),
    pointAt: (at) => (look ? pointUnder(at) : undefined),
    imagePointAt(at) {
      if (!look) return undefined;
      const { x, y } = pixelOf(plane(), pointUnder(at));
      return { x, y };
    },
    placeOfImagePoint: ({ x, y }) => (look ? placeOf(pointAt(plane(), x, y)) : undefined),
    pixels: (index) => (look?.index === index ? pixels() : undefined),
    placeOf: (point) => (look ? placeOf(point) : { x: 0, y: 0 }),
    probe(at) {
      if (!shown || !look) return undefined;
      const point = pointUnder(at);
      const [i, j, k] = voxelOf(shown.volume, point).map(Math.round) as [number, number, number];
      const value = shown.held.valueAt([i, j, k]);
      const { x, y } = pixelOf(plane(), point);
      if (value === undefined) return undefined;
      return { column: Math.round(x), row: Math.round(y), values: [value], unit: unitOf(shown.frame.rescaleType) };
    },
    setWindow: (window) => paint({ window }),
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
      beginWith(shown, { point: plane().origin });
      setSlab(null);
      paint({ window: shown.windows });
    },
    play(framesPerSecond, onStop) {
      stop();
      const next = () => {
        if (look && shown) change({ index: (look.index + 1) % shown.slicing.count });
        return Promise.resolve();
      };
      playing = { ...playFrames(framesPerSecond, next), onStop };
    },
    stop,
    dispose() {
      stop();
      resized.disconnect();
      engine.disableElement(viewportId);
      volumes.dispose();
    },
  };
}

/** The axis of the patient that a cut is walked along. */
const ALONG = { sagittal: 0, coronal: 1, axial: 2 } as const;

function turned([x, y, z]: Vector3): Vector3 {
  return [-x, -y, -z];
}

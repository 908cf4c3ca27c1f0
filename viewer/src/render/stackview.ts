/**
 * One viewport that shows one stack: what the person does goes in, what is shown comes out as a
 * value. The only place that moves a camera or sets a window.
 */
import { Enums, cache, utilities, type Types } from "@cornerstonejs/core";
import { firstIndex, type Stack } from "../dicom/displaysets";
import type { FrameDescription, Window } from "../dicom/frame";
import type { ImagePoint, Pixels } from "../dicom/measure";
import { nearestPlane, planeOf, type Plane } from "../dicom/geometry";
import { TAG, text, type DicomObject, type Vector3 } from "../dicom/model";
import { cross, edgeLetters, edgeLettersFromNames, type EdgeLetters } from "../dicom/orientation";
import type { NoVolume, Rendering, Seen, Slab } from "../dicom/volume";
import type { Point } from "../tools/gestures";
import { renderingEngine } from "./engine";
import { bring, isHere } from "./bring";
import { imageIdsOf, isRendered, knownFrame } from "./imageids";
import { prefetchStack, type Prefetch, type Progress } from "./prefetch";
import { keepStack, recallStack } from "./transport";

export interface ShownView {
  readonly index: number;
  readonly count: number;
  readonly frame: FrameDescription;
  /** Of the frame in its instance, from 1; 0 for a slice cut through a volume. */
  readonly frameNumber: number;
  readonly instance: DicomObject;
  readonly window: Window | null;
  readonly inverted: boolean;
  readonly edges: EdgeLetters | null;
  /** Screen pixels per millimetre; null without a known spacing. */
  readonly pixelsPerMm: number | null;
  /** Screen pixels per image pixel. */
  readonly magnification: number;
  /** Where the image is in the patient, as far as its header tells. */
  readonly plane: Plane | undefined;
  readonly frameOfReferenceUid: string | undefined;
  /** How the volume is cut that this is a slice of; null for an image as it was taken. */
  readonly cut: Seen | null;
  /** How many of its slices are seen as one, and how; null for one. */
  readonly slab: Slab | null;
  /** Of a solid thing. */
  readonly rendering: Rendering | null;
}

/** What a stack begins with where somebody has asked for that. */
export interface Beginning {
  readonly index?: number | undefined;
  /** Of the patient; slices of a volume begin at the one nearest to it, and not at an index. */
  readonly point?: Vector3 | undefined;
  readonly window?: Window | undefined;
}

/** One pixel: its column and row, from 0, and what it holds. */
export interface Probed {
  readonly column: number;
  readonly row: number;
  /** One value in `unit`, or three of colour. */
  readonly values: readonly number[];
  readonly unit: string;
}

export interface LoadFailure {
  readonly index: number;
  readonly message: string;
}

export interface StackViewListener {
  onView(view: ShownView): void;
  onProgress(progress: Progress): void;
  onFailure(failure: LoadFailure): void;
  /** It cannot be shown in the way that was asked for. */
  onRefusal(reason: NoVolume): void;
}

/** What hands and keys do to a picture, be it one of a stack or a cut through a volume. */
export interface View {
  goTo(index: number): void;
  /** To the image nearest to a point of the patient, where images are known to lie. */
  goToPoint(point: Vector3): void;
  /** The point of the patient that is seen there; undefined where none is known. */
  pointAt(at: Point): Vector3 | undefined;
  /** Where a point of the patient is seen, in pixels of the element. */
  placeOf(point: Vector3): Point;
  /** The point of the image that is seen there, and where one is seen; undefined while there is no image. */
  imagePointAt(at: Point): ImagePoint | undefined;
  placeOfImagePoint(point: ImagePoint): Point | undefined;
  /** The values of an image while it is shown; undefined for colour and for what the server rendered. */
  pixels(index: number): Pixels | undefined;
  probe(at: Point): Probed | undefined;
  scroll(images: number): void;
  setWindow(window: Window): void;
  dragWindow(delta: Point): void;
  pan(delta: Point): void;
  zoom(factor: number, around?: Point): void;
  /** Of what is turned by a hand that would otherwise scroll or set a window. */
  turn?(delta: Point): void;
  rotate(): void;
  flip(): void;
  invert(): void;
  reset(): void;
  play(framesPerSecond: number, onStop: () => void): void;
  stop(): void;
  dispose(): void;
}

export interface StackView extends View {
  show(stack: Stack, study: string, beginning?: Beginning): Promise<void>;
}

const NARROWEST_WINDOW = 1;
/** A drag over this many pixels changes the window by its own width. */
const WINDOW_DRAG_PX = 300;
export const SMALLEST_ZOOM = 0.1;
export const LARGEST_ZOOM = 30;

let viewports = 0;

export function createStackView(element: HTMLDivElement, listener: StackViewListener): StackView {
  const engine = renderingEngine();
  const viewportId = `stack-${(viewports += 1)}`;
  engine.enableElement({
    viewportId,
    element,
    type: Enums.ViewportType.STACK,
    defaultOptions: { background: [0, 0, 0] },
  });
  const viewport = engine.getViewport(viewportId) as Types.IStackViewport;

  let imageIds: readonly string[] = [];
  let planes: readonly (Plane | undefined)[] = [];
  let target = 0;
  let generation = 0;
  let prefetch: Prefetch | undefined;
  let following: Promise<void> | undefined;
  /** Whether the viewport knows of the stack; before its first image has come it shows nothing of it. */
  let isSet = false;
  let onBegun = () => {};
  let playing: { cancel(): void; onStop(): void } | undefined;

  const told = () => {
    const view = currentView(viewport);
    if (view) listener.onView(view);
  };
  const resized = new ResizeObserver(() => {
    if (element.clientWidth > 0 && element.clientHeight > 0) engine.resize(true, true);
  });

  const watched = [
    Enums.Events.STACK_NEW_IMAGE,
    Enums.Events.VOI_MODIFIED,
    Enums.Events.IMAGE_RENDERED,
  ];
  for (const name of watched) element.addEventListener(name, told);
  resized.observe(element);

  function stop(): void {
    playing?.cancel();
    playing?.onStop();
    playing = undefined;
  }

  function goTo(index: number): Promise<unknown> {
    const before = target;
    target = Math.max(0, Math.min(imageIds.length - 1, index));
    if (imageIds.length === 0) return Promise.resolve();
    if (target !== before) prefetch?.around(target, target > before ? 1 : -1);
    if (isHere(imageIds[target]!)) return showTarget(generation);
    // One at a time: who scrolls on over a slow link wants none of those that were passed.
    following ??= follow().finally(() => {
      following = undefined;
    });
    return following;
  }

  async function follow(): Promise<void> {
    const own = generation;
    for (let shown = -1; shown !== target && own === generation; ) {
      shown = target;
      await showTarget(own);
    }
  }

  /** What cannot be had is told; what is shown stays then, under its own number. */
  async function showTarget(own: number): Promise<void> {
    const index = target;
    try {
      await bring(imageIds[index]!, false);
      if (own !== generation) return;
      if (!isSet) await begin(index, own);
      else if (index !== viewport.getCurrentImageIdIndex()) await viewport.setImageIdIndex(index);
      // It was told that another could not be had.
      else told();
    } catch (error) {
      if (own === generation && index === target) listener.onFailure({ index, message: reason(error) });
    }
  }

  /** The first image of a stack decides how all are seen: where the camera is, and which window holds. */
  async function begin(index: number, own: number): Promise<void> {
    await viewport.setStack([...imageIds], index);
    if (own !== generation) return;
    isSet = true;
    viewport.resetCamera();
    viewport.render();
    onBegun();
  }

  return {
    async show(stack, study, beginning = {}) {
      stop();
      prefetch?.stop();
      const own = (generation += 1);
      imageIds = imageIdsOf(stack, study);
      planes = imageIds.map((id) => planeOf(knownFrame(id)!.frame));
      target = firstIndex(stack, beginning.index);
      recallStack(stack, study, imageIds);
      isSet = false;
      following = undefined;
      onBegun = () => {
        if (beginning.window) this.setWindow(beginning.window);
        prefetch = prefetchStack(imageIds, target, bytesOf(imageIds[target]!), listener.onProgress, () => {
          void keepStack(stack, study);
        });
      };
      await showTarget(own);
    },
    goTo: (index) => void goTo(index),
    scroll: (images) => void goTo(target + images),
    goToPoint(point) {
      const index = nearestPlane(planes, point);
      if (index !== undefined) void goTo(index);
    },
    pointAt({ x, y }) {
      if (!planes[target] || !viewport.getDefaultActor()) return undefined;
      const [wx, wy, wz] = viewport.canvasToWorld([x, y]);
      return [wx, wy, wz];
    },
    placeOf(point) {
      const [x, y] = viewport.worldToCanvas([...point]);
      return { x, y };
    },
    imagePointAt({ x, y }) {
      const shown = viewport.getImageData();
      if (!shown) return undefined;
      const world = viewport.canvasToWorld([x, y]);
      const [column, row] = utilities.transformWorldToIndexContinuous(shown.imageData, world);
      return { x: column!, y: row! };
    },
    placeOfImagePoint(point) {
      const shown = viewport.getImageData();
      if (!shown) return undefined;
      const world = utilities.transformIndexToWorld(shown.imageData, [point.x, point.y, 0]);
      const [x, y] = viewport.worldToCanvas(world as Types.Point3);
      return { x, y };
    },
    pixels: (index) => (index === viewport.getCurrentImageIdIndex() ? pixels(viewport) : undefined),
    probe: (at) => probe(viewport, at),
    setWindow({ center, width }) {
      const voiRange = utilities.windowLevel.toLowHighRange(width, center);
      viewport.setProperties({ voiRange });
      viewport.render();
    },
    dragWindow(delta) {
      const now = currentWindow(viewport);
      if (now) this.setWindow(draggedWindow(now, delta));
    },
    pan({ x, y }) {
      const [panX, panY] = viewport.getPan();
      viewport.setPan([panX + x, panY + y]);
      viewport.render();
    },
    zoom(factor, around) {
      const point: Types.Point2 = around
        ? [around.x, around.y]
        : [element.clientWidth / 2, element.clientHeight / 2];
      const held = viewport.canvasToWorld(point);
      const zoom = viewport.getZoom() * factor;
      viewport.setZoom(Math.min(LARGEST_ZOOM, Math.max(SMALLEST_ZOOM, zoom)));
      const moved = viewport.worldToCanvas(held);
      const [panX, panY] = viewport.getPan();
      viewport.setPan([panX + point[0] - moved[0], panY + point[1] - moved[1]]);
      viewport.render();
    },
    rotate() {
      const { rotation = 0 } = viewport.getViewPresentation();
      viewport.setViewPresentation({ rotation: (rotation + 90) % 360 });
      viewport.render();
    },
    flip() {
      viewport.setCamera({ flipHorizontal: !viewport.getCamera().flipHorizontal });
      viewport.render();
    },
    invert() {
      viewport.setProperties({ invert: !viewport.getProperties().invert });
      viewport.render();
    },
    reset() {
      viewport.resetProperties();
      viewport.resetCamera();
      viewport.render();
    },
    play(framesPerSecond, onStop) {
      stop();
      playing = { ...playFrames(framesPerSecond, () => goTo((target + 1) % imageIds.length)), onStop };
    },
    stop,
    dispose() {
      generation += 1;
      stop();
      prefetch?.stop();
      resized.disconnect();
      for (const name of watched) element.removeEventListener(name, told);
      engine.disableElement(viewportId);
    },
  };
}

export function draggedWindow(window: Window, { x, y }: Point): Window {
  const step = Math.max(window.width, NARROWEST_WINDOW) / WINDOW_DRAG_PX;
  return { width: Math.max(NARROWEST_WINDOW, window.width + x * step), center: window.center + y * step };
}

/** Steps at the given rate, and never asks for a frame while the one before has not come. */
export function playFrames(framesPerSecond: number, step: () => Promise<unknown>): { cancel(): void } {
  let request = 0;
  let due = performance.now();
  let waiting = false;
  const tick = (now: number) => {
    request = requestAnimationFrame(tick);
    if (waiting || now < due) return;
    due = Math.max(due + 1000 / framesPerSecond, now - 1000 / framesPerSecond);
    waiting = true;
    void step().finally(() => {
      waiting = false;
    });
  };
  request = requestAnimationFrame(tick);
  return { cancel: () => cancelAnimationFrame(request) };
}

/** What one image takes decoded: what this one does, and no less than its header says. */
function bytesOf(imageId: string): number {
  const { rows, columns, samplesPerPixel, bitsAllocated } = knownFrame(imageId)!.frame;
  const said = rows * columns * samplesPerPixel * Math.min(4, Math.ceil(bitsAllocated / 8));
  return Math.max(said, cache.getImage(imageId)?.sizeInBytes ?? 0);
}

export function reason(error: unknown): string {
  if (error instanceof Error) return error.message;
  if (error instanceof XMLHttpRequest) return `the server answered ${error.status}`;
  return String(error);
}

function currentWindow(viewport: Types.IStackViewport): Window | null {
  const range = viewport.getProperties().voiRange;
  if (!range) return null;
  const { windowCenter, windowWidth } = utilities.windowLevel.toWindowLevel(range.lower, range.upper);
  return { center: windowCenter, width: windowWidth };
}

function currentView(viewport: Types.IStackViewport): ShownView | undefined {
  const imageId = viewport.getCurrentImageId();
  const found = imageId ? knownFrame(imageId) : undefined;
  if (!imageId || !found || !viewport.getDefaultActor()) return undefined;
  const { frame, instance, number } = found;
  const { right, down } = screenDirections(viewport);
  const pixelsPerUnit = screenPixelsPerUnit(viewport, right);
  return {
    index: viewport.getCurrentImageIdIndex(),
    count: viewport.getImageIds().length,
    frame,
    frameNumber: number,
    instance,
    window: isRendered(imageId) ? null : currentWindow(viewport),
    inverted: viewport.getProperties().invert === true,
    edges: edges(frame, instance, right, down),
    pixelsPerMm: frame.spacingMm && !frame.spacingAtDetector ? pixelsPerUnit : null,
    magnification: pixelsPerUnit * (frame.spacingMm?.[1] ?? 1),
    plane: planeOf(frame),
    frameOfReferenceUid: text(instance, TAG.frameOfReferenceUid),
    cut: null,
    slab: null,
    rendering: null,
  };
}

function probe(viewport: Types.IStackViewport, at: Point): Probed | undefined {
  const imageId = viewport.getCurrentImageId();
  const frame = imageId ? knownFrame(imageId)?.frame : undefined;
  const shown = viewport.getImageData();
  if (!imageId || !frame || !shown || isRendered(imageId)) return undefined;
  const world = viewport.canvasToWorld([at.x, at.y]);
  const [column, row] = utilities.transformWorldToIndex(shown.imageData, world);
  if (column === undefined || row === undefined) return undefined;
  const image = viewport.getCornerstoneImage();
  if (column < 0 || row < 0 || column >= image.columns || row >= image.rows) return undefined;
  const held = image.voxelManager?.getAtIJK(column, row, 0);
  if (held === undefined || held === null) return undefined;
  if (typeof held !== "number") return { column, row, values: [...held].slice(0, 3), unit: "" };
  const isScaled = image.preScale?.scaled === true;
  const value = isScaled ? held : held * frame.rescaleSlope + frame.rescaleIntercept;
  return { column, row, values: [value], unit: unitOf(frame.rescaleType) };
}

function pixels(viewport: Types.IStackViewport): Pixels | undefined {
  const imageId = viewport.getCurrentImageId();
  const frame = imageId ? knownFrame(imageId)?.frame : undefined;
  if (!imageId || !frame || !viewport.getDefaultActor() || isRendered(imageId)) return undefined;
  const image = viewport.getCornerstoneImage();
  if (image.color || image.imageId !== imageId) return undefined;
  const isScaled = image.preScale?.scaled === true;
  return {
    columns: image.columns,
    rows: image.rows,
    values: image.getPixelData(),
    slope: isScaled ? 1 : frame.rescaleSlope,
    intercept: isScaled ? 0 : frame.rescaleIntercept,
    unit: unitOf(frame.rescaleType),
  };
}

/** US is "unspecified" (PS3.3 C.11.1.1.2). */
export function unitOf(rescaleType: string | undefined): string {
  return !rescaleType || rescaleType === "US" ? "" : rescaleType;
}

interface ScreenDirections {
  readonly right: Vector3;
  readonly down: Vector3;
}

function screenDirections(viewport: Types.IStackViewport): ScreenDirections {
  const { viewUp, viewPlaneNormal } = viewport.getCamera();
  const up = [...(viewUp ?? [0, -1, 0])] as unknown as Vector3;
  const normal = [...(viewPlaneNormal ?? [0, 0, -1])] as unknown as Vector3;
  // Flipping turns the normal round: the picture is then seen from behind.
  return { right: cross(up, normal), down: [-up[0], -up[1], -up[2]] };
}

function screenPixelsPerUnit(viewport: Types.IStackViewport, right: Vector3): number {
  const { focalPoint } = viewport.getCamera();
  if (!focalPoint) return 1;
  const [x, y, z] = focalPoint;
  const a = viewport.worldToCanvas([x, y, z]);
  const b = viewport.worldToCanvas([x + right[0], y + right[1], z + right[2]]);
  return Math.hypot(b[0] - a[0], b[1] - a[1]) || 1;
}

function edges(
  frame: FrameDescription,
  instance: DicomObject,
  right: Vector3,
  down: Vector3,
): EdgeLetters | null {
  if (frame.orientation) return edgeLetters(right, down);
  const row = text(instance, TAG.patientOrientation, 0);
  const column = text(instance, TAG.patientOrientation, 1);
  return row && column ? edgeLettersFromNames(row, column, right, down) : null;
}

/**
 * One viewport that shows one stack: what the person does goes in, what is shown comes out as a
 * value. The only place that moves a camera or sets a window.
 */
import { Enums, cache, utilities, type Types } from "@cornerstonejs/core";
import { ApiError } from "../api/http";
import { firstIndex, type Stack } from "../dicom/displaysets";
import { placing, type Hung } from "../dicom/hanging";
import type { FrameDescription, Window } from "../dicom/frame";
import type { LookupTable } from "../dicom/lut";
import type { Mask } from "../dicom/planes";
import { rangeOf, voiFunctionOf, windowOfRange } from "../dicom/voi";
import { embeddedPlane, tableShown } from "./graded";
import type { ImagePoint, Pixels } from "../dicom/measure";
import { nearestPlane, planeOf, type Plane } from "../dicom/geometry";
import { TAG, text, type DicomObject, type Vector3 } from "../dicom/model";
import { cross, dot, edgeLetters, edgeLettersFromNames, type EdgeLetters } from "../dicom/orientation";
import type { Crop } from "../dicom/crop";
import type { Palette } from "../dicom/palettes";
import { canSubtract } from "../dicom/subtraction";
import type { NoVolume, Rendering, Seen, Slab } from "../dicom/volume";
import { SUV_UNIT, suvFactor, unitOf, uptakeOf, type Uptake } from "../dicom/uptake";
import type { Point } from "../tools/gestures";
import { renderingEngine } from "./engine";
import { bring, isHere } from "./bring";
import { wordsOf } from "./localframe";
import { imageIdsOf, isRendered, knownFrame, plainId, subtractedId } from "./imageids";
import { NotFetched, prefetchStack, type Prefetch, type Progress } from "./prefetch";
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
  /** Between it and the next slice of the cut; null for an image as it was taken. */
  readonly stepMm: number | null;
  /** How many of its slices are seen as one, and how; null for one. */
  readonly slab: Slab | null;
  /** Less its mask; null where nothing says what to subtract. */
  readonly subtracted: boolean | null;
  /** Of a solid thing. */
  readonly rendering: Rendering | null;
  /** What the values stand for, or why that is not known; undefined for all but PET. */
  readonly uptake: Uptake | undefined;
  /** A hand has turned it out of the planes of the patient. */
  readonly turned: boolean;
  /** By how many degrees the gantry was tilted, where its images were straightened for this. */
  readonly straightened: number | null;
  /** What is laid over it. */
  readonly over: ShownOver | null;
  /** Of a solid thing: the box that is seen of it, and the ends of the box's edges in the patient. */
  readonly crop: ShownCrop | null;
}

export interface ShownCrop {
  readonly faces: Crop;
  readonly edges: readonly (readonly [Vector3, Vector3])[];
}

/** A volume that is seen over another one. */
export interface ShownOver {
  readonly palette: Palette;
  readonly opacity: number;
  readonly window: Window;
  /** From the least to the greatest value. */
  readonly whole: Window;
  readonly unit: string;
  readonly uptake: Uptake | undefined;
  readonly modality: string;
}

/** What a stack begins with where somebody has asked for that. */
export interface Beginning {
  readonly index?: number | undefined;
  /** Of the patient; slices of a volume begin at the one nearest to it, and not at an index. */
  readonly point?: Vector3 | undefined;
  readonly window?: Window | undefined;
  /** How it hangs, where its reader expects that. */
  readonly hung?: Hung | undefined;
}

/** One pixel: its column and row, from 0, and what it holds. */
export interface Probed {
  readonly column: number;
  readonly row: number;
  /** One value in `unit`, or three of colour. */
  readonly values: readonly number[];
  readonly unit: string;
  /** SUV for one of `unit`, where it is known. */
  readonly suvFactor: number | undefined;
  /** What the volume over it holds there. */
  readonly over?: Pick<Probed, "values" | "unit" | "suvFactor"> | undefined;
}

export interface LoadFailure {
  readonly index: number;
  /** What a person reads, where more is known than that it failed. */
  readonly words?: string | undefined;
  readonly message: string;
}

export interface StackViewListener {
  onView(view: ShownView): void;
  onProgress(progress: Progress): void;
  onFailure(failure: LoadFailure): void;
  /** It cannot be shown in the way that was asked for. */
  onRefusal(reason: NoVolume): void;
}

/** A glass over a view, in an element of its own. */
export interface Magnifier {
  /** What lies there in the view, so many times larger, in the middle of the glass. */
  show(at: Point, factor: number): void;
  dispose(): void;
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
  /** The values of an image while it is shown; undefined for what the server rendered. */
  pixels(index: number): Pixels | undefined;
  /** An overlay that stands in bits of the pixels that are shown. */
  embedded?(group: number): Mask | undefined;
  probe(at: Point): Probed | undefined;
  scroll(images: number): void;
  setWindow(window: Window): void;
  dragWindow(delta: Point): void;
  pan(delta: Point): void;
  /** As large as it fits, in the middle; window and turns stay. */
  fit(): void;
  /** The mask is taken off, or put back. */
  subtract?(): void;
  magnifier?(element: HTMLDivElement): Magnifier;
  zoom(factor: number, around?: Point): void;
  /** Of what is turned by a hand that would otherwise scroll or set a window. */
  turn?(delta: Point): void;
  /** Of the same: by this share of a full turn, about what is upright on the screen. */
  turnAround?(share: number): void;
  /** How it is looked at; undefined before anything is shown. */
  look(): Portrait | undefined;
  /** Is looked at as another of its kind is. */
  wear(portrait: Portrait, fit: Fit): Promise<void>;
  /** Resolves once it is drawn, at an index where one is given; fails where that image cannot be had. */
  drawn(index?: number): Promise<void>;
  rotate(): void;
  flip(): void;
  invert(): void;
  reset(): void;
  play(framesPerSecond: number, onStop: () => void): void;
  stop(): void;
  dispose(): void;
}

/** How much is seen of what another view shows. */
export type Fit =
  /** So many pixels of the element for each of the other's, around the same middle. */
  | { readonly magnified: number }
  /** So many pixels of the element for a millimetre, around the same middle. */
  | { readonly pixelsPerMm: number }
  /** All of the image, as large as the element takes. */
  | "whole";

interface StackPortrait {
  readonly kind: "stack";
  readonly camera: Types.ICamera;
  readonly pixelsPerUnit: number;
  readonly isSubtracted: boolean;
  readonly properties: { [Name in "voiRange" | "VOILUTFunction" | "invert"]: Types.StackViewportProperties[Name] | undefined };
}

/** How a view is looked at: the other kinds keep theirs in a form of their own. */
export type Portrait =
  | StackPortrait
  | { readonly kind: "volume"; readonly look: unknown; readonly pixelsPerMm: number }
  | { readonly kind: "solid"; readonly look: unknown; readonly pixelsPerMm: number };

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
  let uptake: Uptake | undefined;
  let target = 0;
  let generation = 0;
  let prefetch: Prefetch | undefined;
  let following: Promise<void> | undefined;
  /** Whether the viewport knows of the stack; before its first image has come it shows nothing of it. */
  let isSet = false;
  let onBegun = () => {};
  let hung: Hung | undefined;
  let playing: { cancel(): void; onStop(): void } | undefined;

  const told = () => {
    dress(viewport);
    const view = currentView(viewport, uptake);
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

  const isSubtracted = () => imageIds.some((id) => id !== plainId(id));

  async function subtract(wanted: boolean): Promise<void> {
    const own = generation;
    imageIds = imageIds.map((id) => (wanted ? subtractedId(id) : plainId(id)));
    const looked = viewport.getViewPresentation();
    await viewport.setStack([...imageIds], target);
    if (own !== generation) return;
    viewport.resetProperties(); // the window of the one means nothing to the other
    viewport.setViewPresentation(looked);
    viewport.render();
  }

  /** Turns and places the picture as its reader expects it. */
  function hang(): void {
    const frame = knownFrame(imageIds[target] ?? "")?.frame;
    if (!hung || !frame) return;
    if (hung.flip) viewport.setCamera({ flipHorizontal: true });
    if (hung.inverted !== undefined) viewport.setProperties({ invert: hung.inverted });
    const [down, across] = frame.spacingMm ?? [frame.pixelAspect, 1];
    const picture = [frame.columns * across, frame.rows * down] as const;
    const { zoom, right } = placing([element.clientWidth, element.clientHeight], picture, hung);
    viewport.setZoom(zoom);
    viewport.setPan([right, 0]);
    viewport.render();
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
      if (own === generation && index === target) listener.onFailure({ index, words: wordsOf(error) ?? unreachable(error), message: reason(error) });
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
      uptake = uptakeOf(stack);
      target = firstIndex(stack, beginning.index);
      recallStack(stack, study, imageIds);
      isSet = false;
      following = undefined;
      onBegun = () => {
        hung = beginning.hung;
        hang();
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
    pixels: (index) => (index === viewport.getCurrentImageIdIndex() ? pixels(viewport, suvFactor(uptake)) : undefined),
    embedded: (group) => (viewport.getDefaultActor() ? embeddedPlane(viewport.getCornerstoneImage(), group) : undefined),
    probe: (at) => probe(viewport, at, suvFactor(uptake)),
    setWindow({ center, width }) {
      viewport.setProperties({ voiRange: rangeOf(center, width, functionOf(viewport)) });
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
    fit() {
      viewport.setZoom(1);
      viewport.setPan([0, 0]);
      viewport.render();
    },
    subtract() {
      void subtract(!isSubtracted());
    },
    magnifier: (glass) => magnifierOf(viewport, glass),
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
      hang();
    },
    play(framesPerSecond, onStop) {
      stop();
      playing = { ...playFrames(framesPerSecond, () => goTo((target + 1) % imageIds.length)), onStop };
    },
    look() {
      if (!viewport.getDefaultActor()) return undefined;
      const { voiRange, VOILUTFunction, invert } = viewport.getProperties();
      return {
        kind: "stack",
        camera: viewport.getCamera(),
        pixelsPerUnit: screenPixelsPerUnit(viewport, screenDirections(viewport).right),
        isSubtracted: isSubtracted(),
        properties: { voiRange, VOILUTFunction, invert },
      };
    },
    async wear(portrait, fit) {
      if (portrait.kind === "stack" && portrait.isSubtracted !== isSubtracted()) await subtract(portrait.isSubtracted);
      const image = viewport.getImageData();
      if (portrait.kind !== "stack" || !image) return;
      const { camera, properties, pixelsPerUnit } = portrait;
      const isGrey = !isRendered(viewport.getCurrentImageId());
      viewport.setProperties((isGrey ? properties : { invert: properties.invert }) as Types.StackViewportProperties);
      viewport.resetCamera();
      const middle = viewport.getCamera().focalPoint;
      viewport.setCamera(camera);
      const scale = () => {
        if (fit !== "whole") return "magnified" in fit ? pixelsPerUnit * fit.magnified : fit.pixelsPerMm;
        const { right, down } = screenDirections(viewport);
        const sides = [0, 1].map((axis) => image.dimensions[axis]! * image.spacing[axis]!);
        const along = (way: Vector3) =>
          sides.reduce((sum, side, axis) => sum + Math.abs(dot(way, image.direction.slice(axis * 3, axis * 3 + 3) as unknown as Vector3)) * side, 0);
        return Math.min(element.clientWidth / along(right), element.clientHeight / along(down));
      };
      if (fit === "whole" && middle && camera.focalPoint && camera.position) {
        const way = middle.map((at, axis) => at - camera.focalPoint![axis]!);
        const position = camera.position.map((at, axis) => at + way[axis]!) as Types.Point3;
        viewport.setCamera({ focalPoint: middle, position });
      }
      viewport.setCamera({ parallelScale: element.clientHeight / 2 / scale() });
      viewport.render();
    },
    async drawn(index) {
      if (index !== undefined) await goTo(index);
      if (index !== undefined && viewport.getCornerstoneImage()?.imageId !== imageIds[target])
        throw new NotFetched(imageIds[target]!, "it did not come");
      await drawnBy(element, () => viewport.render());
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

let magnifiers = 0;

/** A viewport of its own, so that the glass shows all that the image holds, and not the screen's pixels larger. */
function magnifierOf(viewport: Types.IStackViewport, element: HTMLDivElement): Magnifier {
  const engine = renderingEngine();
  const viewportId = `lens-${(magnifiers += 1)}`;
  engine.enableElement({ viewportId, element, type: Enums.ViewportType.STACK, defaultOptions: { background: [0, 0, 0] } });
  const glass = engine.getViewport(viewportId) as Types.IStackViewport;
  let imageId: string | undefined;
  let isGone = false;
  async function follow(at: Point, factor: number): Promise<void> {
    const wanted = viewport.getCurrentImageId();
    if (!wanted || !viewport.getDefaultActor()) return;
    if (wanted !== imageId) {
      imageId = wanted;
      await glass.setStack([wanted], 0);
    }
    if (isGone || wanted !== imageId) return;
    const { voiRange, invert } = viewport.getProperties();
    glass.setProperties({ ...(voiRange && { voiRange }), ...(invert !== undefined && { invert }) });
    const camera = viewport.getCamera();
    const point = viewport.canvasToWorld([at.x, at.y]);
    const from = camera.focalPoint!;
    const moved = (place: Types.Point3): Types.Point3 => [
      place[0] + point[0] - from[0],
      place[1] + point[1] - from[1],
      place[2] + point[2] - from[2],
    ];
    const share = element.clientHeight / Math.max(1, viewport.element.clientHeight);
    glass.setCamera({
      ...camera,
      focalPoint: moved(from),
      position: moved(camera.position!),
      parallelScale: (camera.parallelScale! * share) / factor,
    });
    dress(glass);
    glass.render();
  }
  return {
    show: (at, factor) => void follow(at, factor),
    dispose() {
      isGone = true;
      engine.disableElement(viewportId);
    },
  };
}

/** Resolves with the next picture of an element, which `draw` asks for. */
export function drawnBy(element: HTMLDivElement, draw: () => void): Promise<void> {
  return new Promise((resolve) => {
    element.addEventListener(Enums.Events.IMAGE_RENDERED, () => resolve(), { once: true });
    draw();
  });
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

/** What is wrong is not the image then. */
function unreachable(error: unknown): string | undefined {
  return error instanceof ApiError && error.status === 0 ? `${error.message} ${error.advice}` : undefined;
}

export function reason(error: unknown): string {
  if (error instanceof Error) return error.message;
  if (error instanceof XMLHttpRequest) return `the server answered ${error.status}`;
  return String(error);
}

function currentWindow(viewport: Types.IStackViewport): Window | null {
  const range = viewport.getProperties().voiRange;
  if (!range) return null;
  return windowOfRange(range.lower, range.upper, functionOf(viewport));
}

const functionOf = (viewport: Types.IStackViewport) => voiFunctionOf(viewport.getProperties().VOILUTFunction);

/** Steps of a table that the graphics card is given; between them it draws straight lines. */
const TABLE_STEPS = 512;
/** Transfer functions that are a table, and whether upside down. */
const tables = new WeakMap<object, { readonly table: LookupTable; readonly inverted: boolean }>();

/** Shows the image through its VOI LUT (PS3.3 C.11.2.1.1) for as long as nobody has set a window. */
function dress(viewport: Types.IStackViewport): void {
  const actor = viewport.getDefaultActor()?.actor as Types.ImageActor | undefined;
  if (!actor) return;
  const property = actor.getProperty();
  const now = property.getRGBTransferFunction(0);
  const { voiRange, invert = false } = viewport.getProperties();
  if (!voiRange) return;
  const table = tableShown(viewport.getCornerstoneImage(), voiRange);
  const worn = now ? tables.get(now) : undefined;
  if (table ? worn?.table === table && worn.inverted === invert : worn === undefined) return;
  const shares = table ? sharesOf(table) : [0, 1];
  const { lower, upper } = voiRange;
  const made = utilities.createLinearRGBTransferFunction({ lower, upper });
  made.removeAllPoints();
  shares.forEach((share, at) => {
    const grey = invert ? 1 - share : share;
    made.addRGBPoint(lower + ((upper - lower) * at) / (shares.length - 1), grey, grey, grey);
  });
  if (table) tables.set(made, { table, inverted: invert });
  property.setRGBTransferFunction(0, made);
}

function sharesOf({ entries, top }: LookupTable): readonly number[] {
  const steps = Math.min(TABLE_STEPS, Math.max(2, entries.length));
  return Array.from({ length: steps }, (_, at) => {
    const entry = entries[Math.round((at * (entries.length - 1)) / (steps - 1))]!;
    return Math.min(1, entry / top);
  });
}

function currentView(viewport: Types.IStackViewport, uptake: Uptake | undefined): ShownView | undefined {
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
    stepMm: null,
    slab: null,
    subtracted: canSubtract(instance) ? imageId !== plainId(imageId) : null,
    rendering: null,
    uptake,
    turned: false,
    straightened: null,
    over: null,
    crop: null,
  };
}

function probe(viewport: Types.IStackViewport, at: Point, factor: number | undefined): Probed | undefined {
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
  if (typeof held !== "number") return { column, row, values: [...held].slice(0, 3), unit: "", suvFactor: undefined };
  const isScaled = image.preScale?.scaled === true;
  const value = isScaled ? held : held * frame.rescaleSlope + frame.rescaleIntercept;
  return { column, row, values: [value], unit: unitOf(frame), suvFactor: factor };
}

/** Where the uptake is known, that is what a region measures. */
function pixels(viewport: Types.IStackViewport, factor: number | undefined): Pixels | undefined {
  const imageId = viewport.getCurrentImageId();
  const frame = imageId ? knownFrame(imageId)?.frame : undefined;
  if (!imageId || !frame || !viewport.getDefaultActor() || isRendered(imageId)) return undefined;
  const image = viewport.getCornerstoneImage();
  if (image.imageId !== imageId) return undefined;
  const isScaled = image.color || image.preScale?.scaled === true;
  const values = image.getPixelData();
  return {
    columns: image.columns,
    rows: image.rows,
    values,
    samples: image.color ? Math.round(values.length / (image.columns * image.rows)) : 1,
    slope: (isScaled ? 1 : frame.rescaleSlope) * (factor ?? 1),
    intercept: isScaled ? 0 : frame.rescaleIntercept * (factor ?? 1),
    unit: image.color ? "" : factor === undefined ? unitOf(frame) : SUV_UNIT,
  };
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

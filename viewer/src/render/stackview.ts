/**
 * One viewport that shows one stack: what the person does goes in, what is shown comes out as a
 * value. The only place that moves a camera or sets a window.
 */
import { Enums, cache, utilities, type Types } from "@cornerstonejs/core";
import { ApiError, isAbsent } from "../api/http";
import { firstIndex, type Stack } from "../dicom/displaysets";
import { placing, type Hung } from "../dicom/hanging";
import type { FrameDescription, Window } from "../dicom/frame";
import { rangeOf, voiFunctionOf, windowOfRange } from "../dicom/voi";
import type { Pixels } from "../dicom/measure";
import { difference, moved, nearestPlane, opposite, planeOf, type Plane } from "../dicom/geometry";
import { TAG, text, type DicomObject, type Vector3 } from "../dicom/model";
import { cross, dot, edgeLetters, edgeLettersFromNames, type EdgeLetters } from "../dicom/orientation";
import { halvingsOf, inFrame, inPicture, type Reduction, type Resized } from "../dicom/reduction";
import { canSubtract } from "../dicom/subtraction";
import { SUV_UNIT, suvFactor, unitOf, uptakeOf, type Uptake } from "../dicom/uptake";
import { t } from "../i18n/language";
import { isOutOfMemory } from "../state/memory";
import type { Point } from "../tools/gestures";
import { disable, drawNow, renderingEngine, watchLoss } from "./engine";
import { bring, cancel } from "./bring";
import { halvingsIn, loadShown, putEarly, takeBackEarly, type OnEarly, type Showing } from "./early";
import { embeddedPlane } from "./graded";
import { isHere } from "./here";
import {
  chooseWindow,
  chosenWindow,
  imageIdsOf,
  isRendered,
  knownFrame,
  pictureWindow,
  plainId,
  resizedOf,
  subtractedId,
} from "./imageids";
import { wordsOf } from "./localframe";
import { magnifierOf } from "./magnifier";
import { NotFetched, prefetchStack, type Prefetch } from "./prefetch";
import { assureRoomToDraw, withRoom } from "./room";
import { keepStack } from "../state/keptstacks";
import { recallStack } from "./transport";
import type { Beginning, Pose, Probed, ShownView, Stance, StackViewListener, View } from "./view";
import { dress } from "./voitable";

export interface StackView extends View {
  show(stack: Stack, study: string, beginning?: Beginning): Promise<void>;
}

/** A hand that sets a window rests so long before the server is asked. */
const REST_MS = 200;
const NARROWEST_WINDOW = 1;
/** Windows of fractions may be of any width; no step takes more than half of it, so that it can be had back. */
const LEAST_SHARE = 0.5;
/** Of two directions that are the same: the sum of their cosines is 2. */
export const ALONG_BOTH = 1.99;
/** A drag over this many pixels changes the window by its own width. */
const WINDOW_DRAG_PX = 300;
export const SMALLEST_ZOOM = 0.1;
export const LARGEST_ZOOM = 30;

/** What hands have made of a stack. */
interface Made {
  /** Null while each image is seen in its own. */
  readonly voiRange: Types.VOIRange | null;
  /** In which the server renders it. */
  readonly chosen: Window | null;
  readonly inverted: boolean;
  readonly subtracted: boolean;
  readonly flipped: boolean;
  /** In degrees. */
  readonly rotation: number;
  /** From the middle of the image to that of the element, and half of what is seen, in the unit of the image. */
  readonly right: number;
  readonly down: number;
  readonly halfHeight: number;
}

/** The same for what differs only by how it was counted, from image to image. */
const exact = (value: number): number => Number(value.toFixed(6)) + 0;

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
  failWithoutMemory(viewport);

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
  /** To be called when an image of the stack has come, all of it. */
  let onCome = () => {};
  /** What is seen of the image that is waited for, before all of it has come. */
  let earlyShown: string | undefined;
  let hung: Hung | undefined;
  /** In which the server renders what is too large for this device, where somebody has set one. */
  let chosen: Window | undefined;
  let isRendering = false;
  let isOutdated = false;
  let resting: ReturnType<typeof setTimeout> | undefined;
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
  const stopWatching = watchLoss(() => listener.onLost(target));

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

  /** Whether the server made what is shown, and can make it in another window. */
  const isPicture = () => {
    const imageId = viewport.getCurrentImageId();
    return imageId !== undefined && isRendered(imageId) && pictureWindow(imageId) !== null;
  };

  function renderIn(window: Window | undefined): void {
    chosen = window;
    chooseWindow(imageIds[target]!, window);
    told();
    clearTimeout(resting);
    // A hand that goes on would have each of its steps rendered.
    resting = setTimeout(() => void renderAnew(), REST_MS);
  }

  /** In the window that is wanted once the server has made it, and not in one that was wanted meanwhile. */
  async function renderAnew(): Promise<void> {
    isOutdated = true;
    if (isRendering) return;
    isRendering = true;
    for (const own = generation; isOutdated && own === generation; ) {
      isOutdated = false;
      const imageId = imageIds[target]!;
      if (isHere(imageId)) cache.removeImageLoadObject(imageId);
      await showTarget(own);
    }
    isRendering = false;
  }

  /** The window in which the images before were rendered is that of all. */
  function keepWindow(imageId: string): void {
    if (!chosen || chosenWindow(imageId) === chosen || !resizedOf(imageId)) return;
    chooseWindow(imageId, chosen);
    if (isHere(imageId)) cache.removeImageLoadObject(imageId);
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

  /** Turns, sizes and places the picture as another one of its plane stood. */
  function stand({ middle, right, down, pixelsPerMm }: Stance): void {
    const isSo = () => {
      const screen = screenDirections(viewport);
      return dot(screen.right, right) + dot(screen.down, down) > ALONG_BOTH;
    };
    const turned = [false, true].some((flipHorizontal) => {
      viewport.setCamera({ flipHorizontal });
      return [0, 90, 180, 270].some((rotation) => {
        viewport.setViewPresentation({ rotation });
        return isSo();
      });
    });
    if (!turned) {
      viewport.resetCamera();
      viewport.render();
      return;
    }
    viewport.setZoom((viewport.getZoom() * pixelsPerMm) / screenPixelsPerUnit(viewport, screenDirections(viewport).right));
    const [x, y] = viewport.worldToCanvas([...middle]);
    const [panX, panY] = viewport.getPan();
    viewport.setPan([panX + element.clientWidth / 2 - x, panY + element.clientHeight / 2 - y]);
    viewport.render();
  }

  /** How far what is seen in the middle of the element lies to the right of and below the middle of the image. */
  function offset(): { readonly right: number; readonly down: number } {
    const { imageData, dimensions } = viewport.getImageData()!;
    const middle = utilities.transformIndexToWorld(imageData, [(dimensions[0] - 1) / 2, (dimensions[1] - 1) / 2, 0]);
    const way = difference(viewport.getCamera().focalPoint!, middle);
    const { right, down } = screenDirections(viewport);
    return { right: dot(way, right), down: dot(way, down) };
  }

  function pose(): Pose | undefined {
    if (!viewport.getDefaultActor()) return undefined;
    const { voiRange, isComputedVOI, invert = false } = viewport.getProperties();
    const { parallelScale, flipHorizontal = false } = viewport.getCamera();
    const { right, down } = offset();
    const made: Made = {
      voiRange: (!isComputedVOI && voiRange) || null,
      chosen: chosen ?? null,
      inverted: invert,
      subtracted: isSubtracted(),
      flipped: flipHorizontal,
      rotation: exact(viewport.getViewPresentation().rotation ?? 0),
      right: exact(right),
      down: exact(down),
      halfHeight: exact(parallelScale ?? 1),
    };
    return { kind: "stack", made, index: target };
  }

  async function hold(pose: Pose): Promise<void> {
    if (pose.kind !== "stack" || !viewport.getDefaultActor()) return;
    const made = pose.made as Made;
    const own = generation;
    if (made.subtracted !== isSubtracted()) await subtract(made.subtracted);
    if (own !== generation) return;
    if (!made.voiRange && !viewport.getProperties().isComputedVOI) viewport.resetProperties();
    viewport.setProperties({ ...(made.voiRange && { voiRange: made.voiRange }), invert: made.inverted });
    if (isPicture() && made.chosen !== (chosen ?? null)) renderIn(made.chosen ?? undefined);
    viewport.resetCamera();
    viewport.setCamera({ flipHorizontal: made.flipped });
    viewport.setViewPresentation({ rotation: made.rotation });
    const now = offset();
    const directions = screenDirections(viewport);
    const { focalPoint, position } = viewport.getCamera();
    const there = (from: Vector3): Types.Point3 => {
      const [x, y, z] = moved(from, [directions.right, made.right - now.right], [directions.down, made.down - now.down]);
      return [x, y, z];
    };
    viewport.setCamera({ focalPoint: there(focalPoint!), position: there(position!), parallelScale: made.halfHeight });
    viewport.render();
  }

  function goTo(index: number): Promise<unknown> {
    const before = target;
    target = Math.max(0, Math.min(imageIds.length - 1, index));
    if (imageIds.length === 0) return Promise.resolve();
    if (target !== before) prefetch?.around(target, target > before ? 1 : -1);
    // Seen already, if not in all detail: whoever goes on does not wait for the rest.
    if (earlyShown !== undefined && earlyShown !== imageIds[target]) cancel(earlyShown);
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
    const imageId = imageIds[index]!;
    let showingEarly: Promise<unknown> | undefined;
    keepWindow(imageId);
    try {
      const onEarly: OnEarly = (image) => {
        if (own !== generation || showingEarly) return;
        if (index !== target) return cancel(imageId);
        earlyShown = imageId;
        putEarly(imageId, image);
        // What cannot be seen early is seen a little later.
        showingEarly = put(index, own).catch(() => undefined);
      };
      await withRoom(imageId, false, async (isAgain) => {
        // Two parts and the whole take more memory than the whole.
        await bring(imageId, false, isAgain ? undefined : onEarly);
        await showingEarly;
        // Whoever made a small picture of it let go of it.
        if (!isHere(imageId)) await bring(imageId, false);
        assureRoomToDraw(imageId);
        // It was told that another could not be had.
        if (own === generation && !(await put(index, own))) told();
      });
      if (own === generation) onCome();
    } catch (error) {
      if (own === generation && index === target) listener.onFailure({ index, words: wordsOf(error) ?? unreachable(error) ?? noPixels(error) ?? noMemory(error), message: reason(error) });
    } finally {
      takeBackEarly(imageId);
      if (earlyShown === imageId) earlyShown = undefined;
    }
  }

  /** Shows what there is of an image; false where that is shown already. */
  async function put(index: number, own: number): Promise<boolean> {
    const isShown = index === viewport.getCurrentImageIdIndex();
    if (!isSet) await begin(index, own);
    else if (!isShown) {
      await orAsBefore(viewport, () => viewport.setImageIdIndex(index));
      drawNow(engine);
    } else if (halvingsIn(viewport.getCornerstoneImage()) || isRenderedAnew(viewport)) await orAsBefore(viewport, () => showAgain(viewport));
    else return false;
    return true;
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
      target = (beginning.point && nearestPlane(planes, beginning.point)) ?? firstIndex(stack, beginning.index);
      recallStack(stack, study, imageIds);
      isSet = false;
      chosen = undefined;
      clearTimeout(resting);
      following = undefined;
      onBegun = () => {
        hung = beginning.hung;
        hang();
        if (beginning.stance) stand(beginning.stance);
        if (beginning.inverted !== undefined) viewport.setProperties({ invert: beginning.inverted });
        if (beginning.window) this.setWindow(beginning.window);
        if (beginning.pose) void hold(beginning.pose);
      };
      onCome = () => {
        onCome = () => {};
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
    stance() {
      if (!planes[target] || !viewport.getDefaultActor()) return undefined;
      const { right, down } = screenDirections(viewport);
      const [x, y, z] = viewport.canvasToWorld([element.clientWidth / 2, element.clientHeight / 2]);
      return { middle: [x, y, z], right, down, pixelsPerMm: screenPixelsPerUnit(viewport, right) };
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
      const resized = resizedOf(viewport.getCurrentImageId());
      return resized ? inFrame({ x: column!, y: row! }, resized) : { x: column!, y: row! };
    },
    placeOfImagePoint(point) {
      const shown = viewport.getImageData();
      if (!shown) return undefined;
      const resized = resizedOf(viewport.getCurrentImageId());
      const { x: column, y: row } = resized ? inPicture(point, resized) : point;
      const world = utilities.transformIndexToWorld(shown.imageData, [column, row, 0]);
      const [x, y] = viewport.worldToCanvas(world as Types.Point3);
      return { x, y };
    },
    pixels: (index, evenEarly = false) =>
      index === viewport.getCurrentImageIdIndex() ? pixels(viewport, suvFactor(uptake), evenEarly) : undefined,
    embedded: (group) => (viewport.getDefaultActor() ? embeddedPlane(viewport.getCornerstoneImage(), group) : undefined),
    probe: (at) => probe(viewport, at, suvFactor(uptake)),
    setWindow(window) {
      const { center, width, voiFunction = functionOf(viewport) } = window;
      if (isPicture()) return renderIn({ center, width, voiFunction: window.voiFunction ?? pictureWindow(imageIds[target]!)!.voiFunction });
      viewport.setProperties({ voiRange: rangeOf(center, width, voiFunction) });
      viewport.render();
    },
    dragWindow(delta) {
      const now = isPicture() ? pictureWindow(imageIds[target]!) : currentWindow(viewport);
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
    pose,
    hold: (pose) => void hold(pose),
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
      if (isPicture() && chosenWindow(imageIds[target]!)) renderIn(undefined);
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
      clearTimeout(resting);
      stop();
      prefetch?.stop();
      resized.disconnect();
      for (const name of watched) element.removeEventListener(name, told);
      stopWatching();
      disable(engine, viewportId);
    },
  };
}

/** What of a viewport says which image it shows, and holds a copy of it. */
interface Holding {
  currentImageIdIndex: number;
  csImage: Types.IImage;
  _imageData: unknown;
  createVTKImageData(how: unknown): unknown;
  _createVTKImageData(how: unknown): void;
}

/** Where there is no memory for a picture, its own way goes on with what it holds of the one before. */
function failWithoutMemory(viewport: Types.IStackViewport): void {
  const holding = viewport as unknown as Holding;
  holding._createVTKImageData = (how) => {
    holding._imageData = holding.createVTKImageData(how);
  };
}

/** Shows another image; where that fails, the viewport says that it shows what it showed. */
async function orAsBefore(viewport: Types.IStackViewport, show: () => Promise<unknown>): Promise<void> {
  const holding = viewport as unknown as Holding;
  const { currentImageIdIndex, csImage } = holding;
  try {
    await show();
  } catch (error) {
    Object.assign(holding, { currentImageIdIndex, csImage });
    throw error;
  }
}

/** Whether what is shown is a picture of which there is another by now. */
function isRenderedAnew(viewport: Types.IStackViewport): boolean {
  const imageId = viewport.getCurrentImageId();
  if (imageId === undefined || !isRendered(imageId)) return false;
  return viewport.getCornerstoneImage() !== cache.getImage(imageId);
}

/** The image that is shown, as it is in the cache by now. */
async function showAgain(viewport: Types.IStackViewport): Promise<void> {
  await loadShown([viewport.getCurrentImageId()!], viewport as unknown as Showing);
}

/** Resolves with the next picture of an element, which `draw` asks for. */
export function drawnBy(element: HTMLDivElement, draw: () => void): Promise<void> {
  return new Promise((resolve) => {
    element.addEventListener(Enums.Events.IMAGE_RENDERED, () => resolve(), { once: true });
    draw();
  });
}

export function draggedWindow(window: Window, { x, y }: Point): Window {
  if (window.voiFunction === "LINEAR_EXACT") {
    const width = window.width * Math.max(LEAST_SHARE, 1 + x / WINDOW_DRAG_PX);
    return { ...window, width, center: window.center + (y * window.width) / WINDOW_DRAG_PX };
  }
  const step = Math.max(window.width, NARROWEST_WINDOW) / WINDOW_DRAG_PX;
  return { ...window, width: Math.max(NARROWEST_WINDOW, window.width + x * step), center: window.center + y * step };
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
  const small = cache.getImage(imageId);
  if (small && resizedOf(imageId)) return small.sizeInBytes;
  const said = rows * columns * samplesPerPixel * Math.min(4, Math.ceil(bitsAllocated / 8));
  return Math.max(said, cache.getImage(imageId)?.sizeInBytes ?? 0);
}

/** What is wrong is not the image then. */
function unreachable(error: unknown): string | undefined {
  return error instanceof ApiError && error.status === 0 ? `${error.message} ${error.advice}` : undefined;
}

function noPixels(error: unknown): string | undefined {
  return isAbsent(error) ? t().errors.noPixels : undefined;
}

function noMemory(error: unknown): string | undefined {
  return isOutOfMemory(error) ? t().errors.noMemory : undefined;
}

export function reason(error: unknown): string {
  if (error instanceof Error) return error.message;
  if (error instanceof XMLHttpRequest) return `the server answered ${error.status}`;
  return String(error);
}

function currentWindow(viewport: Types.IStackViewport): Window | null {
  const range = viewport.getProperties().voiRange;
  if (!range) return null;
  const voiFunction = functionOf(viewport);
  return { ...windowOfRange(range.lower, range.upper, voiFunction), voiFunction };
}

const functionOf = (viewport: Types.IStackViewport) => voiFunctionOf(viewport.getProperties().VOILUTFunction);

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
    window: isRendered(imageId) ? pictureWindow(imageId) : currentWindow(viewport),
    inverted: viewport.getProperties().invert === true,
    edges: edges(frame, instance, right, down),
    pixelsPerMm: frame.spacingMm && !frame.spacingAtDetector ? pixelsPerUnit : null,
    magnification: pixelsPerUnit * (frame.spacingMm?.[1] ?? 1),
    plane: planeOf(frame),
    frameOfReferenceUid: text(instance, TAG.frameOfReferenceUid),
    coming: halvingsIn(viewport.getCornerstoneImage()) ?? null,
    reduced: reducedBy(resizedOf(imageId)),
    cut: null,
    stepMm: null,
    slab: null,
    subtracted: canSubtract(instance) ? imageId !== plainId(imageId) : null,
    rendering: null,
    uptake,
    turned: false,
    straightened: null,
    isForming: false,
    over: null,
    crop: null,
  };
}

function reducedBy(resized: Resized | undefined): Reduction | null {
  const halvings = resized ? halvingsOf(resized) : 0;
  return halvings > 0 ? { halvings, every: 1 } : null;
}

function probe(viewport: Types.IStackViewport, at: Point, factor: number | undefined): Probed | undefined {
  const imageId = viewport.getCurrentImageId();
  const frame = imageId ? knownFrame(imageId)?.frame : undefined;
  const shown = viewport.getImageData();
  if (!imageId || !frame || !shown || isRendered(imageId) || halvingsIn(viewport.getCornerstoneImage())) return undefined;
  const world = viewport.canvasToWorld([at.x, at.y]);
  const [column, row] = utilities.transformWorldToIndex(shown.imageData, world);
  if (column === undefined || row === undefined) return undefined;
  const image = viewport.getCornerstoneImage();
  if (column < 0 || row < 0 || column >= image.columns || row >= image.rows) return undefined;
  const held = image.voxelManager?.getAtIJK(column, row, 0);
  if (held === undefined || held === null) return undefined;
  const resized = resizedOf(imageId);
  const at0 = resized ? inFrame({ x: column, y: row }, resized) : { x: column, y: row };
  const place = { column: Math.floor(at0.x), row: Math.floor(at0.y), isMean: resized !== undefined };
  if (typeof held !== "number") return { ...place, values: [...held].slice(0, 3), unit: "", suvFactor: undefined };
  const isScaled = image.preScale?.scaled === true;
  const value = isScaled ? held : held * frame.rescaleSlope + frame.rescaleIntercept;
  return { ...place, values: [value], unit: unitOf(frame), suvFactor: factor };
}

/** Where the uptake is known, that is what a region measures. */
function pixels(viewport: Types.IStackViewport, factor: number | undefined, evenEarly: boolean): Pixels | undefined {
  const imageId = viewport.getCurrentImageId();
  const frame = imageId ? knownFrame(imageId)?.frame : undefined;
  if (!imageId || !frame || !viewport.getDefaultActor() || isRendered(imageId)) return undefined;
  const image = viewport.getCornerstoneImage();
  // Of means, there are no statistics.
  if (image.imageId !== imageId || resizedOf(imageId) || (!evenEarly && halvingsIn(image))) return undefined;
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
  return { right: cross(up, normal), down: opposite(up) };
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

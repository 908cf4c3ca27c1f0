/** What is seen when an export begins, and the pictures and clips that are made of it. */
import { framesPerSecond } from "../dicom/cine";
import { describeFrame } from "../dicom/frame";
import { pointAt } from "../dicom/geometry";
import { TAG, text } from "../dicom/model";
import { CUTS, isVolume, sliceOf, slicing, type Seen } from "../dicom/volume";
import { dateInWords, nameInWords } from "../dicom/words";
import { t } from "../i18n/study";
import { volumeHere } from "../render/budget";
import type { ShownView, View } from "../render/view";
import { createTwin, type Model, type Twin } from "../render/twin";
import type { ClipWriter } from "../render/clip";
import {
  MOST_CLIP_SIDE,
  MOST_SIDE,
  even,
  indexesOf,
  ownSize,
  within,
  type Range,
  type Scale,
  type Shown,
  type Size,
} from "../state/exporting";
import { DOTS_PER_MM, type Box } from "../state/printing";
import type { Identity } from "../state/study";
import { paint, type Around, type Placed } from "./picture";

/** One viewport with an image. */
export interface SceneCell {
  readonly model: Model;
  readonly around: Around;
  readonly shown: ShownView;
  /** Of the stage, in pixels of the page. */
  readonly box: Box;
  /** What of the box the image takes, as much on both sides of the middle. */
  readonly filled: Size;
  /** Rows of the image run up or down on the screen. */
  readonly isTurned: boolean;
}

export interface Scene {
  /** Those that are seen, in reading order. */
  readonly cells: readonly SceneCell[];
  readonly active: SceneCell | undefined;
  /** Pixels of the page. */
  readonly size: Size;
  readonly identity: Identity | null;
}

/** How the image of a view of a size lies in it. */
export function lieOf(view: View, { plane, frame }: ShownView, box: Size): Pick<SceneCell, "isTurned" | "filled"> {
  const placeOf = (x: number, y: number) =>
    plane ? view.placeOf(pointAt(plane, x, y)) : view.placeOfImagePoint({ x, y });
  const [right, bottom] = [frame.columns - 0.5, frame.rows - 0.5];
  const corners = [placeOf(-0.5, -0.5), placeOf(right, -0.5), placeOf(right, bottom), placeOf(-0.5, bottom)];
  const [from, to] = corners;
  // A solid thing has none.
  if (!from || !to || !corners.every((corner) => corner !== undefined)) return { isTurned: false, filled: box };
  const reach = (whole: number, places: readonly number[]) =>
    Math.min(whole, 2 * Math.max(1, ...places.map((place) => Math.abs(place - whole / 2))));
  return {
    isTurned: Math.abs(to.y - from.y) > Math.abs(to.x - from.x),
    filled: {
      width: reach(box.width, corners.map(({ x }) => x)),
      height: reach(box.height, corners.map(({ y }) => y)),
    },
  };
}

/** How large one viewport's picture becomes, and whether that is less than what was asked for. */
export function sizeOf(cell: SceneCell, scale: Scale, most = MOST_SIDE): Size & { readonly isReduced: boolean } {
  const wanted = scale === "own" ? own(cell) : scaled(cell.box, scale);
  const size = within(wanted, most);
  return { ...size, isReduced: size.width < wanted.width || size.height < wanted.height };
}

function own({ model, shown: { frame }, isTurned: turned }: SceneCell): Size {
  const volume = model.portrait ? undefined : volumeHere(model.stack);
  if (!volume || !isVolume(volume) || !model.cut || model.cut === "solid")
    return ownSize(frame.rows, frame.columns, frame.spacingMm ?? [frame.pixelAspect, 1], turned);
  const { rows, columns, spacing } = sliceOf(volume, slicing(volume, model.cut), 0);
  return ownSize(rows, columns, [spacing[1], spacing[0]], false);
}

function scaled({ width, height }: Size, scale: "shown" | "double"): Size {
  const by = dotsOf(scale);
  return { width: Math.round(width * by), height: Math.round(height * by) };
}

/** Of the file for each of the page. */
function dotsOf(scale: "shown" | "double"): number {
  return (devicePixelRatio || 1) * (scale === "double" ? 2 : 1);
}

/** A solid thing has no pixels of its own. */
export function scalesOf(cell: SceneCell | undefined, isLayout: boolean): readonly Scale[] {
  return isLayout || !cell || cell.model.cut === "solid" ? ["shown", "double"] : ["shown", "double", "own"];
}

export interface PictureWish {
  readonly of: "cell" | "layout";
  readonly scale: Scale;
  readonly shown: Shown;
}

/** In pixels of the file. */
export function pictureSize(scene: Scene, wish: PictureWish): Size & { readonly isReduced: boolean } {
  if (wish.of === "cell" && scene.active) return sizeOf(scene.active, wish.scale);
  const wanted = scaled(scene.size, wish.scale === "double" ? "double" : "shown");
  const size = within(wanted, MOST_SIDE);
  return { ...size, isReduced: size.width < wanted.width };
}

export async function makePicture(scene: Scene, wish: PictureWish, signal: AbortSignal): Promise<HTMLCanvasElement> {
  const { width, height } = pictureSize(scene, wish);
  const canvas = canvasOf({ width, height });
  const brush = brushOf(canvas);
  if (wish.of === "cell") {
    await paintCell(scene.active!, brush, { at: { x: 0, y: 0 }, size: { width, height } }, wish, signal);
    return canvas;
  }
  const by = width / scene.size.width;
  brush.fillStyle = "#2c2c31";
  brush.fillRect(0, 0, width, height);
  for (const cell of scene.cells) {
    const { x, y, width: wide, height: high } = cell.box;
    const [left, top, right, bottom] = [x, y, x + wide, y + high].map((side) => Math.round(side * by)) as [number, number, number, number];
    const place = { at: { x: left, y: top }, size: { width: right - left, height: bottom - top } };
    await paintCell(cell, brush, place, { ...wish, scale: wish.scale === "double" ? "double" : "shown" }, signal);
  }
  return canvas;
}

async function paintCell(
  cell: SceneCell,
  brush: CanvasRenderingContext2D,
  { at, size }: Pick<Placed, "at" | "size">,
  { scale, shown }: PictureWish,
  signal: AbortSignal,
): Promise<void> {
  const { twin, dots } = await twinAt(cell, size, scale, signal);
  try {
    await paint(brush, twin, { at, size, dots }, shown, cell.around);
  } finally {
    twin.dispose();
  }
}

/** Letters are as large in an image's own pixels as on a page so high. */
const PAGE_PX = 720;

async function twinAt(
  cell: SceneCell,
  size: Size,
  scale: Scale,
  signal: AbortSignal,
): Promise<{ readonly twin: Twin; readonly dots: number }> {
  const own = scale === "own";
  const wanted = own ? size : scaled(cell.box, scale);
  // Sides are whole and even numbers: a pixel more or less leaves the image as large as it is.
  const isWhole = Math.abs(size.width - wanted.width) <= 2 && Math.abs(size.height - wanted.height) <= 2;
  const dots = own
    ? Math.max(1, Math.min(size.width, size.height) / PAGE_PX)
    : dotsOf(scale) * (isWhole ? 1 : size.width / wanted.width);
  const fit = own ? "whole" : { magnified: dots / (devicePixelRatio || 1) };
  return { twin: await createTwin(cell.model, size, fit, signal), dots };
}

export function canvasOf({ width, height }: Size): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

export function brushOf(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const brush = canvas.getContext("2d");
  if (!brush) throw new Error("this browser gives no 2D canvas");
  brush.imageSmoothingQuality = "high";
  return brush;
}

/** JPEG without what the eye would see of it. */
const QUALITY = 0.95;

export function blobOf(canvas: HTMLCanvasElement, type: "image/png" | "image/jpeg"): Promise<Blob> {
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("this browser made no picture of it"))), type, QUALITY),
  );
}

/** What a clip goes through: the images as they were taken, the slices of a plane, or all around. */
export type Way = "images" | Seen;

/** Those that the active viewport's stack has. */
export function waysOf(cell: SceneCell): readonly Way[] {
  const isCut = isVolume(volumeHere(cell.model.stack));
  return [...(cell.model.stack.frames.length > 1 ? (["images"] as const) : []), ...(isCut ? [...CUTS, "solid" as const] : [])];
}

export function wayOf({ model }: SceneCell): Way {
  return model.cut ?? "images";
}

export function lengthOf(scene: Scene, way: Way): number {
  const { model, shown } = inWay(scene, way);
  if (model.portrait) return shown.count;
  if (way === "images") return model.stack.frames.length;
  const volume = volumeHere(model.stack);
  return way === "solid" || !isVolume(volume) ? 0 : slicing(volume, way).count;
}

const CUT_RATE = 10;
const TURN_RATE = 20;

export function usualRate({ model }: SceneCell, way: Way): number {
  if (way === "images") return framesPerSecond(model.stack);
  return way === "solid" ? TURN_RATE : CUT_RATE;
}

export interface ClipWish {
  readonly way: Way;
  readonly range: Range;
  readonly framesPerSecond: number;
  /** Of one turn. */
  readonly seconds: number;
  readonly scale: Scale;
  readonly shown: Shown;
}

/** How many pictures it has. */
export function clipLength(scene: Scene, wish: ClipWish): number {
  if (wish.way === "solid") return Math.max(1, Math.round(wish.seconds * wish.framesPerSecond));
  return indexesOf(wish.range, lengthOf(scene, wish.way)).length;
}

export function clipSize(scene: Scene, { way, scale }: ClipWish): Size {
  return even(sizeOf(inWay(scene, way), scale, MOST_CLIP_SIDE));
}

/** The viewport that shows the same in that way, else the active one as it would begin. */
function inWay(scene: Scene, way: Way): SceneCell {
  const active = scene.active!;
  if (wayOf(active) === way) return active;
  const other = scene.cells.find((cell) => cell.model.stack.id === active.model.stack.id && wayOf(cell) === way);
  if (other) return other;
  const model: Model = {
    ...active.model,
    cut: way === "images" ? null : way,
    portrait: undefined,
    over: way === "images" || way === "solid" ? undefined : active.model.over,
    beginning: { window: active.shown.window ?? undefined },
  };
  return { ...active, model };
}

export async function makeClip(
  scene: Scene,
  wish: ClipWish,
  open: (canvas: HTMLCanvasElement) => Promise<ClipWriter>,
  onProgress: (done: number, total: number) => void,
  signal: AbortSignal,
): Promise<Blob> {
  const cell = inWay(scene, wish.way);
  const size = clipSize(scene, wish);
  const { twin, dots } = await twinAt(cell, size, wish.scale, signal);
  const canvas = canvasOf(size);
  let writer: ClipWriter | undefined;
  const stop = () => writer?.cancel();
  try {
    writer = await open(canvas);
    signal.addEventListener("abort", stop);
    const brush = brushOf(canvas);
    const total = clipLength(scene, wish);
    const indexes = wish.way === "solid" ? Array.from({ length: total }, () => undefined) : indexesOf(wish.range, twin.count);
    for (const [done, index] of indexes.entries()) {
      await twin.draw(index);
      await paint(brush, twin, { at: { x: 0, y: 0 }, size, dots }, wish.shown, cell.around);
      await writer.add();
      signal.throwIfAborted();
      onProgress(done + 1, total);
      if (wish.way === "solid") twin.turn(1 / total);
    }
    return await writer.finish();
  } catch (error) {
    writer?.cancel();
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener("abort", stop);
    twin.dispose();
  }
}

export interface PrintWish {
  readonly of: "layout" | "series";
  readonly range: Range;
  readonly trueSize: boolean;
  readonly shown: Shown;
}

/** Whether each image of what is printed tells how large it is in the patient. */
export function isToScale(scene: Scene, of: PrintWish["of"]): boolean {
  if (of === "layout") return scene.cells.length > 0 && scene.cells.every(({ shown }) => shown.pixelsPerMm !== null);
  const active = scene.active;
  if (!active || active.shown.pixelsPerMm === null) return false;
  if (active.model.cut) return true;
  return active.model.stack.frames.every(({ instance, number }) => {
    const frame = describeFrame(instance, number);
    return frame.spacingMm !== undefined && !frame.spacingAtDetector;
  });
}

export function printedCount(scene: Scene, wish: PrintWish): number {
  if (wish.of === "layout") return scene.cells.length;
  return scene.active ? indexesOf(wish.range, scene.active.shown.count).length : 0;
}

/** A letter of the overlay is as high as on a page of which a pixel has so many mm. */
const PRINTED_PX_MM = 0.21;

/** One picture after the other, each filling a box of a page. */
export async function* printed(scene: Scene, wish: PrintWish, box: Size, signal: AbortSignal): AsyncGenerator<Blob> {
  const size = { width: Math.round(box.width * DOTS_PER_MM), height: Math.round(box.height * DOTS_PER_MM) };
  const dots = DOTS_PER_MM * PRINTED_PX_MM;
  const canvas = canvasOf(size);
  const brush = brushOf(canvas);
  const twinOf = (cell: SceneCell) => {
    const perPage = Math.min(size.width / cell.filled.width, size.height / cell.filled.height);
    const fit = wish.trueSize
      ? { pixelsPerMm: DOTS_PER_MM / (devicePixelRatio || 1) }
      : { magnified: perPage / (devicePixelRatio || 1) };
    return createTwin(cell.model, size, fit, signal);
  };
  const taken = async (cell: SceneCell, twin: Twin) => {
    // The page itself says whose they are.
    await paint(brush, twin, { at: { x: 0, y: 0 }, size, dots }, { ...wish.shown, patient: false }, cell.around);
    return await blobOf(canvas, "image/jpeg");
  };
  const cells = wish.of === "layout" ? scene.cells : scene.active ? [scene.active] : [];
  for (const cell of cells) {
    const twin = await twinOf(cell);
    try {
      const indexes = wish.of === "layout" ? [undefined] : indexesOf(wish.range, twin.count);
      for (const index of indexes) {
        await twin.draw(index);
        yield await taken(cell, twin);
      }
    } finally {
      twin.dispose();
    }
  }
}

/** Words for a file's name; without the patient nothing tells who it is, nor when. */
export function nameParts(scene: Scene, isPatient: boolean, what: readonly (string | undefined)[]): readonly (string | undefined)[] {
  const { identity, active } = scene;
  const patient = isPatient && identity ? [nameInWords(identity.patientName), dateInWords(identity.studyDate)] : [];
  const stack = active?.model.stack;
  return [...patient, stack?.modality, stack?.seriesNumber === undefined ? undefined : t().overlay.series(stack.seriesNumber), ...what];
}

export interface PageWords {
  /** In each of the ways in which it is written. */
  readonly names: readonly string[];
  readonly patient: readonly string[];
  readonly study: string;
  readonly when: readonly string[];
}

const MOST_NAMES = 2;

/** What stands above the pictures of a page. */
export function pageWords({ identity, active }: Scene, isPatient: boolean): PageWords {
  const stack = active?.model.stack;
  const study = (isPatient && identity?.description) || stack?.description || stack?.modality || "";
  if (!isPatient || !identity) return { names: [], patient: [], study, when: [] };
  const words = t().exporting.print;
  // Each group of components is a way of writing the name (PS3.5 6.2.1): read by some, and not by others.
  const names = [...new Set(identity.patientName.split("=").map((group) => group.trim()).filter(Boolean).map(nameInWords))];
  return {
    names: names.slice(0, MOST_NAMES),
    patient: [
      identity.patientId && words.id(identity.patientId),
      identity.birthDate && words.born(dateInWords(identity.birthDate)),
    ].filter(Boolean),
    study,
    when: [dateInWords(identity.studyDate), text(active?.shown.instance, TAG.institutionName) ?? ""].filter(Boolean),
  };
}

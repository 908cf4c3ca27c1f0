/**
 * What a series holds, cut into things that are shown one at a time.
 *
 * Single-frame images of one series make one stack; every multi-frame image is a stack of its
 * own; everything without pixels (report, document, waveform, plan) is a sheet to read.
 */
import { describeFrame, numberOfFrames } from "./frame";
import { MOST_PHASES, framePhases, phasesOf, sizesOf } from "./phases";
import { TAG, number, text, type DicomObject, type Vector3 } from "./model";
import { cross, dot } from "./orientation";

export interface Frame {
  readonly instance: DicomObject;
  /** From 1, as in PS3.18. */
  readonly number: number;
}

interface Common {
  readonly id: string;
  readonly seriesUid: string;
  readonly seriesNumber: number | undefined;
  readonly description: string;
  readonly modality: string;
  /** What tells it from the other sets of its series, as far as something does. */
  readonly part?: string | undefined;
}

export interface Stack extends Common {
  readonly kind: "stack";
  readonly frames: readonly Frame[];
  readonly multiFrame: boolean;
}

/** `undrawn` has pixels that mean little as they are: tiles of a slide, segments, doses. */
export type SheetKind = "report" | "document" | "waveform" | "video" | "undrawn" | "other";

export interface Sheet extends Common {
  readonly kind: "sheet";
  readonly sheet: SheetKind;
  readonly instance: DicomObject;
}

export type DisplaySet = Stack | Sheet;

export function displaySets(instances: readonly DicomObject[]): readonly DisplaySet[] {
  const single: DicomObject[] = [];
  const others: DisplaySet[] = [];
  for (const instance of inInstanceOrder(instances)) {
    const sheet = sheetKind(instance);
    if (sheet) others.push({ ...common(instance), kind: "sheet", sheet, instance });
    else if (numberOfFrames(instance) > 1) others.push(...multiFrameStacks(instance));
    else single.push(instance);
  }
  return [...singleFrameStacks(single), ...others];
}

/** Radiographs are looked at one beside the other, and are no stack to scroll through. */
const ONE_BY_ONE = new Set(["MG", "CR", "DX", "IO", "PX"]);
const MOST_ONE_BY_ONE = 12;

function singleFrameStacks(images: readonly DicomObject[]): readonly Stack[] {
  if (images.length === 0) return [];
  const modality = text(images[0], TAG.modality) ?? "";
  if (ONE_BY_ONE.has(modality) && images.length <= MOST_ONE_BY_ONE)
    return images.map((image) => stackOf([image], viewName(image)));
  const sizes = sizesOf(images);
  if (sizes) return sizes.flatMap((same) => phaseStacks(same, `${number(same[0], TAG.columns)} × ${number(same[0], TAG.rows)}`));
  return phaseStacks(images, undefined);
}

function phaseStacks(images: readonly DicomObject[], size: string | undefined): readonly Stack[] {
  const phases = phasesOf(images, placeOf);
  if (!phases) return [stackOf(inSpatialOrder(images), size)];
  const ordered = phases.map(({ members }) => inSpatialOrder(members));
  if (phases.length > MOST_PHASES) return [stackOf(ordered.flat(), size)];
  return ordered.map((members, at) => stackOf(members, [size, `${at + 1}/${phases.length}`].filter(Boolean).join(" · ")));
}

function stackOf(images: readonly DicomObject[], part: string | undefined): Stack {
  const frames = images.map((instance) => ({ instance, number: 1 }));
  return { ...common(images[0]!), kind: "stack", multiFrame: false, frames, part: part || undefined };
}

/** "R MLO" where the header says so. */
function viewName(image: DicomObject): string {
  return [text(image, TAG.imageLaterality), text(image, TAG.viewPosition)].filter(Boolean).join(" ");
}

/** A name of where an image lies, to a hundredth of a millimetre; undefined where it is not told. */
function placeOf(image: DicomObject): string | undefined {
  const { orientation, positionMm } = describeFrame(image, 1);
  if (!orientation || !positionMm) return undefined;
  return [...positionMm, ...orientation.row, ...orientation.column].map((value) => Math.round(value * 100)).join(",");
}

/** Where a stack is opened: where it is asked for, else slices in the middle, and all others at their beginning. */
export function firstIndex(stack: Stack, asked: number | undefined): number {
  const areSlices = !stack.multiFrame && placeOf(stack.frames[0]!.instance) !== undefined;
  const index = asked ?? (areSlices ? Math.floor(stack.frames.length / 2) : 0);
  return Math.max(0, Math.min(stack.frames.length - 1, index));
}

/** Where among display sets an image is: a frame of it, or, without a number, its first. */
export function placeOfImage(
  sets: readonly DisplaySet[],
  instance: string,
  frame?: number,
): { readonly set: Stack; readonly index: number } | undefined {
  for (const set of sets) {
    if (set.kind !== "stack") continue;
    const index = set.frames.findIndex(
      (one) => (frame === undefined || one.number === frame) && sopInstanceUid(one.instance) === instance,
    );
    if (index >= 0) return { set, index };
  }
  return undefined;
}

export function sopInstanceUid(instance: DicomObject): string {
  return text(instance, TAG.sopInstanceUid) ?? "";
}

function common(instance: DicomObject): Common {
  return {
    id: sopInstanceUid(instance),
    seriesUid: text(instance, TAG.seriesInstanceUid) ?? "",
    seriesNumber: number(instance, TAG.seriesNumber),
    description: text(instance, TAG.seriesDescription) ?? "",
    modality: text(instance, TAG.modality) ?? "",
  };
}

/** All frames, or a stack for each stack, time, echo or weighting that the dimensions tell (PS3.3 C.7.6.17). */
function multiFrameStacks(instance: DicomObject): readonly Stack[] {
  const phases = framePhases(instance);
  const whole = common(instance);
  return phases.map(({ members }, at) => ({
    ...whole,
    // An instance has one UID; the second of its sets needs a name of its own.
    id: at === 0 ? whole.id : `${whole.id}~${at + 1}`,
    kind: "stack",
    multiFrame: true,
    frames: members.map((number) => ({ instance, number })),
    part: phases.length > 1 ? `${at + 1}/${phases.length}` : undefined,
  }));
}

const STORAGE = "1.2.840.10008.5.1.4.1.1.";
/** Segmentation, Label Map Segmentation, Height Map Segmentation, RT Dose. */
const UNDRAWN = ["66.4", "66.7", "66.8", "481.2"];
const VIDEO_SYNTAXES = /^1\.2\.840\.10008\.1\.2\.4\.10[0-8](\.1)?$/;

function sheetKind(instance: DicomObject): SheetKind | undefined {
  const sopClass = text(instance, TAG.sopClassUid) ?? "";
  if (VIDEO_SYNTAXES.test(text(instance, TAG.availableTransferSyntaxUid) ?? "")) return "video";
  if (sopClass.startsWith(`${STORAGE}88.`)) return "report";
  if (sopClass.startsWith(`${STORAGE}104.`)) return "document";
  if (sopClass.startsWith(`${STORAGE}9.`) || instance[TAG.waveformSequence]) return "waveform";
  if (!number(instance, TAG.rows) || !number(instance, TAG.columns)) return "other";
  return UNDRAWN.some((kind) => sopClass === STORAGE + kind) || isTiled(instance) ? "undrawn" : undefined;
}

/** Its frames are pieces of one picture (PS3.3 C.7.6.17.3); a label or an overview is that picture itself. */
function isTiled(instance: DicomObject): boolean {
  const isPart = (whole: string, frame: string) => (number(instance, whole) ?? 0) > (number(instance, frame) ?? 0);
  return isPart(TAG.totalPixelMatrixRows, TAG.rows) || isPart(TAG.totalPixelMatrixColumns, TAG.columns);
}

function inInstanceOrder(instances: readonly DicomObject[]): readonly DicomObject[] {
  const at = (instance: DicomObject) => number(instance, TAG.instanceNumber) ?? Infinity;
  return [...instances].sort(
    (a, b) => at(a) - at(b) || sopInstanceUid(a).localeCompare(sopInstanceUid(b)) || 0,
  );
}

/**
 * Slices of one parallel set in the order of their positions, running the way their instance
 * numbers run; anything else stays in the order of its instance numbers.
 */
function inSpatialOrder(instances: readonly DicomObject[]): readonly DicomObject[] {
  const depths = slicePositions(instances);
  if (!depths) return instances;
  const ordered = instances
    .map((instance, index) => ({ instance, index, depth: depths[index]! }))
    .sort((a, b) => a.depth - b.depth);
  const runsBackwards = ordered[0]!.index > ordered[ordered.length - 1]!.index;
  const result = ordered.map(({ instance }) => instance);
  return runsBackwards ? result.reverse() : result;
}

function slicePositions(instances: readonly DicomObject[]): readonly number[] | undefined {
  const first = describeFrame(instances[0]!, 1).orientation;
  if (!first || instances.length < 2) return undefined;
  const normal: Vector3 = cross(first.row, first.column);
  const depths: number[] = [];
  for (const instance of instances) {
    const { orientation, positionMm } = describeFrame(instance, 1);
    const parallel =
      orientation && Math.abs(dot(cross(orientation.row, orientation.column), normal)) > 0.99;
    if (!parallel || !positionMm) return undefined;
    depths.push(dot(positionMm, normal));
  }
  const distinct = new Set(depths.map((depth) => depth.toFixed(3)));
  return distinct.size === depths.length ? depths : undefined;
}

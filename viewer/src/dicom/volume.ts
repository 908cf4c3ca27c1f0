/**
 * Whether a stack fills a box of the patient evenly, and the planes that such a box is cut into.
 *
 * Frames make a volume where they have one size, one orientation and one Frame of Reference, and
 * follow one another at one distance, straight across their plane (PS3.3 C.7.6.2). Those of a tilted
 * gantry lean evenly, and make one that is resampled upright (`upright.ts`). Anything else is refused
 * with its reason, since a cut through it would show the patient where the patient is not.
 */
import type { Stack } from "./displaysets";
import { describeFrame, type FrameDescription } from "./frame";
import { difference, length, moved, planeOf, unit, type Plane } from "./geometry";
import { TAG, text, type Vector3 } from "./model";
import { cross, dot } from "./orientation";
import { UNREDUCED, halvedPlane, type Reduction } from "./reduction";

export const CUTS = ["axial", "coronal", "sagittal"] as const;

/** A plane that a volume is cut along, by the axis of the patient that it lies most across. */
export type Cut = (typeof CUTS)[number];

/** How a volume is seen: cut along a plane, or as a solid thing. */
export type Seen = Cut | "solid";

/**
 * What makes a solid thing of values: colours for kinds of tissue in CT, the tissue of MR as its window shows it,
 * the greatest value on each line of sight, or the greys that a window gives.
 */
export const RENDERINGS = ["bone", "vessels", "softTissue", "lung", "tissue", "greatest", "window"] as const;

export type Rendering = (typeof RENDERINGS)[number];

/** The ones that are of use for images of a modality, the usual one first. */
export function renderingsFor(modality: string, isHounsfield: boolean): readonly Rendering[] {
  if (isHounsfield) return ["bone", "vessels", "softTissue", "lung", "greatest", "window"];
  if (modality === "PT" || modality === "NM") return ["greatest", "window"];
  return modality === "MR" ? ["tissue", "greatest", "window"] : ["window", "greatest"];
}

export interface Volume {
  /** Frames of the stack (their indexes) in the order of the third axis. */
  readonly order: readonly number[];
  /** Columns, rows, frames. */
  readonly dimensions: Vector3;
  /** In mm, along each axis. */
  readonly spacing: Vector3;
  /** Centre of the first voxel, in mm of the patient. */
  readonly origin: Vector3;
  /** Unit vectors along a row, down a column, and across both; they are at right angles. */
  readonly axes: readonly [Vector3, Vector3, Vector3];
  readonly frameOfReferenceUid: string;
  /** How its frames lean, so that its voxels lie between theirs; null where voxels are those of the frames. */
  readonly tilt: Tilt | null;
  /** By how much it is smaller than the frames are. */
  readonly reduction: Reduction;
}

/**
 * Frames that lean about one of their axes, against the line on which they follow one another.
 *
 * A volume of them stands along that line: its third axis counts layers as far apart as the frames
 * are on it, and each voxel lies between two pixels of one column and row (and nothing else is
 * interpolated).
 */
export interface Tilt {
  readonly degrees: number;
  /** Along the rows of a frame or down its columns. */
  readonly axis: 0 | 1;
  /** By how many layers the frames rise from one pixel to the next along that axis. */
  readonly lean: number;
  /** The place among the frames of the volume at which pixel 0 of layer 0 lies: 0, or before all of them. */
  readonly first: number;
}

/** Why a stack is no volume. Distances are in mm, angles in degrees, images counted from 1. */
export type NoVolume =
  | { readonly why: "few" | "colour" | "unplaced" | "references" | "orientations" | "sizes" | "spacings" | "unscaled" }
  | { readonly why: "repeated"; readonly positions: number }
  | { readonly why: "gap"; readonly after: number; readonly mm: number; readonly usualMm: number }
  | { readonly why: "uneven"; readonly leastMm: number; readonly mostMm: number }
  | { readonly why: "tilted"; readonly degrees: number }
  /** A side in voxels, of which the graphics card takes so many. */
  | { readonly why: "long"; readonly voxels: number; readonly most: number }
  /** More than this device keeps. */
  | { readonly why: "large"; readonly megabytes: number; readonly mostMegabytes: number };

export const FEWEST = 3;
/** Cosine of 0.5 degrees: headers round their cosines, and a series of one scan differs by less. */
const SAME_DIRECTION = Math.cos((0.5 * Math.PI) / 180);
/** Positions are rounded in headers; a distance may differ from the usual one by this share of it. */
const UNEVEN = 0.05;
const ROUNDING_MM = 0.011;
/** Closer than this, two images lie at one place. */
const SAME_PLACE_MM = 0.005;
/** Headers hold no finer distances than this share of a mm, and quotients of them should not either. */
const FINEST = 1e6;
/** A whole missing image at least. */
const GAP = 1.8;

/** Whether a stack is a volume is said of all its frames, however far it is then reduced. */
export function volumeOf(stack: Stack, reduction = UNREDUCED): Volume | NoVolume {
  let found = known.get(stack);
  if (!found) known.set(stack, (found = evenPlanes(stack)));
  return "why" in found ? found : stacked(found.planes, found.frameOfReferenceUid, reduction);
}

interface Even {
  readonly planes: readonly Plane[];
  readonly frameOfReferenceUid: string;
}

/** Found once: it takes long of a series of thousands, and is asked in several forms. */
const known = new WeakMap<Stack, Even | NoVolume>();

function evenPlanes(stack: Stack): Even | NoVolume {
  if (stack.frames.length < FEWEST) return { why: "few" };
  const frames = stack.frames.map(({ instance, number }) => describeFrame(instance, number));
  if (frames.some((frame) => !isGrey(frame))) return { why: "colour" };
  const planes = frames.map((frame) => (frame.spacingAtDetector ? undefined : planeOf(frame)));
  const references = stack.frames.map(({ instance }) => text(instance, TAG.frameOfReferenceUid));
  if (!planes.every((plane) => plane !== undefined) || !references[0]) return { why: "unplaced" };
  if (references.some((uid) => uid !== references[0])) return { why: "references" };
  const first = planes[0]!;
  if (planes.some(({ columns, rows }) => columns !== first.columns || rows !== first.rows)) return { why: "sizes" };
  if (planes.some(({ row, column }) => dot(row, first.row) < SAME_DIRECTION || dot(column, first.column) < SAME_DIRECTION))
    return { why: "orientations" };
  const isSpacedAlike = ({ spacing }: Plane) =>
    spacing.every((mm, axis) => Math.abs(mm - first.spacing[axis]!) <= 0.001 * first.spacing[axis]!);
  if (!planes.every(isSpacedAlike)) return { why: "spacings" };
  return { planes, frameOfReferenceUid: references[0] };
}

function stacked(planes: readonly Plane[], frameOfReferenceUid: string, reduction: Reduction): Volume | NoVolume {
  const { normal, row, column, spacing } = planes[0]!;
  const depths = planes.map(({ origin }) => dot(origin, normal));
  const order = depths.map((_, index) => index).sort((a, b) => depths[a]! - depths[b]!);
  const steps = order.slice(1).map((index, at) => depths[index]! - depths[order[at]!]!);
  const repeated = steps.filter((mm) => mm < SAME_PLACE_MM).length;
  if (repeated > 0) return { why: "repeated", positions: order.length - repeated };
  const usualMm = [...steps].sort((a, b) => a - b)[steps.length >> 1]!;
  const gap = steps.findIndex((mm) => mm > GAP * usualMm);
  if (gap >= 0) {
    const between = [order[gap]! + 1, order[gap + 1]! + 1];
    return { why: "gap", after: Math.min(...between), mm: steps[gap]!, usualMm };
  }
  const [leastMm, mostMm] = [Math.min(...steps), Math.max(...steps)];
  const allowed = UNEVEN * usualMm + ROUNDING_MM;
  if (usualMm - leastMm > allowed || mostMm - usualMm > allowed) return { why: "uneven", leastMm, mostMm };
  const origin = planes[order[0]!]!.origin;
  const ways = planes.map((plane) => difference(plane.origin, origin));
  const aside = Math.max(...ways.map((way) => Math.hypot(dot(way, row), dot(way, column))));
  const across = dot(ways[order[order.length - 1]!]!, normal);
  // Half a pixel between first and last is not seen; gantry tilt shifts each image by more than that.
  const unseen = Math.max(ROUNDING_MM, Math.min(...spacing) / 2);
  const kept = order.filter((_, at) => at % reduction.every === 0);
  const small = halvedPlane({ ...planes[0]!, origin }, reduction.halvings);
  const straight: Volume = {
    order: kept,
    dimensions: [small.columns, small.rows, kept.length],
    spacing: [small.spacing[0], small.spacing[1], rounded((across / (order.length - 1)) * reduction.every)],
    origin: small.origin,
    axes: [row, atRightAngles(row, column), normal],
    frameOfReferenceUid,
    tilt: null,
    reduction,
  };
  if (aside <= unseen) return straight;
  const inOrder = kept.map((index) => ways[index]!);
  return leaning(straight, inOrder, unseen) ?? { why: "tilted", degrees: (Math.atan2(aside, across) * 180) / Math.PI };
}

/** Scanners tilt by up to 30 degrees; far beyond that a series is of something else. */
const STEEPEST = Math.cos((60 * Math.PI) / 180);

/** The upright volume of frames that lean about one axis, all by the same; `ways` lead from the first to each. */
function leaning(frames: Volume, ways: readonly Vector3[], unseenMm: number): Volume | undefined {
  const last = ways[ways.length - 1]!;
  const along = unit(last);
  const step = length(last) / (ways.length - 1);
  const isOnLine = ways.every((way, index) => length(difference(way, moved([0, 0, 0], [along, index * step]))) <= unseenMm);
  const sines = [dot(frames.axes[0], along), dot(frames.axes[1], along)] as const;
  const axis = Math.abs(sines[0]) > Math.abs(sines[1]) ? 0 : 1;
  const leansMm = Math.abs(sines[1 - axis]!) * (ways.length - 1) * step;
  if (!isOnLine || leansMm > unseenMm || dot(frames.axes[2], along) < STEEPEST) return undefined;
  const [sine, count] = [sines[axis], frames.dimensions[axis]];
  const lean = (frames.spacing[axis] * sine) / step;
  const first = Math.floor(Math.min(0, (count - 1) * lean));
  const layers = Math.ceil(ways.length - 1 + Math.max(0, (count - 1) * lean)) - first + 1;
  // At right angles to the line: the axis that leans is seen shortened, the other lies across it already.
  const other = frames.axes[1 - axis]!;
  const across = axis === 0 ? unit(cross(other, along)) : unit(cross(along, other));
  const kept = axis === 0 ? unit(cross(along, across)) : unit(cross(across, along));
  const spacing = [...frames.spacing] as [number, number, number];
  spacing[axis] = rounded(spacing[axis] * Math.sqrt(1 - sine ** 2));
  spacing[2] = rounded(step);
  return {
    ...frames,
    dimensions: [frames.dimensions[0], frames.dimensions[1], layers],
    spacing,
    origin: moved(frames.origin, [along, first * step]),
    axes: axis === 0 ? [across, kept, along] : [kept, across, along],
    tilt: { degrees: (Math.asin(Math.abs(sine)) * 180) / Math.PI, axis, lean, first },
  };
}

function rounded(mm: number): number {
  return Math.round(mm * FINEST) / FINEST;
}

/** One value a pixel, which is decoded as it is stored. */
function isGrey({ samplesPerPixel, photometricInterpretation, bitsAllocated }: FrameDescription): boolean {
  return samplesPerPixel === 1 && photometricInterpretation.startsWith("MONOCHROME") && bitsAllocated > 1;
}

function atRightAngles(row: Vector3, column: Vector3): Vector3 {
  return unit(moved(column, [row, -dot(row, column)]));
}

export function isVolume(found: Volume | NoVolume): found is Volume {
  return !("why" in found);
}

/** Millimetres of the patient from fractions of voxels, and back. */
export function pointOf(volume: Volume, voxel: Vector3): Vector3 {
  const point = [...volume.origin] as [number, number, number];
  for (const axis of [0, 1, 2] as const)
    for (const part of [0, 1, 2] as const) point[part] += volume.axes[axis][part] * voxel[axis] * volume.spacing[axis];
  return point;
}

export function voxelOf(volume: Volume, point: Vector3): Vector3 {
  const way = difference(point, volume.origin);
  const along = (axis: 0 | 1 | 2) => dot(way, volume.axes[axis]) / volume.spacing[axis];
  return [along(0), along(1), along(2)];
}

/** One axis of a volume, walked along or against. */
interface Way {
  readonly axis: 0 | 1 | 2;
  readonly sign: 1 | -1;
}

/** How a volume is cut: what its pictures run along to the right and down, and what is walked through. */
export interface Slicing {
  readonly right: Way;
  readonly down: Way;
  readonly through: Way;
  readonly count: number;
  /** Between two pictures, in mm. */
  readonly stepMm: number;
}

const AXIS_ORDERS = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] as const;

/**
 * Slices along the volume's own axes, so that every slice is one layer of voxels as they were
 * measured. Pictures are turned as is the custom: the patient's left, or back, on the right side and
 * feet, or back, below. Coronal ones run to the back, sagittal ones to the left, axial ones to the
 * head; the ones as they were taken run as their stack does.
 */
export function slicing(volume: Volume, cut: Cut): Slicing {
  const size = (axis: 0 | 1 | 2, part: number) => Math.abs(volume.axes[axis][part]!);
  const fit = (order: (typeof AXIS_ORDERS)[number]) => order.reduce((sum: number, axis, part) => sum + size(axis, part), 0);
  let best: (typeof AXIS_ORDERS)[number] = AXIS_ORDERS[0];
  for (const order of AXIS_ORDERS) if (fit(order) > fit(best)) best = order;
  const [toLeft, toBack, toHead] = best;
  const way = (axis: 0 | 1 | 2, part: number, sign: 1 | -1): Way => ({
    axis,
    sign: volume.axes[axis][part]! * sign >= 0 ? 1 : -1,
  });
  const left = way(toLeft, 0, 1);
  const back = way(toBack, 1, 1);
  const [feet, head] = [way(toHead, 2, -1), way(toHead, 2, 1)];
  const [right, down, wanted] = {
    axial: [left, back, head] as const,
    coronal: [left, feet, back] as const,
    sagittal: [back, feet, left] as const,
  }[cut];
  const runsBack = volume.order[0]! > volume.order[volume.order.length - 1]!;
  const through: Way = wanted.axis === 2 ? { axis: 2, sign: runsBack ? -1 : 1 } : wanted;
  return { right, down, through, count: volume.dimensions[through.axis], stepMm: volume.spacing[through.axis] };
}

/** The cut whose slices are the images as they were taken. */
export function ownCut(volume: Volume): Cut {
  return CUTS.find((cut) => slicing(volume, cut).through.axis === 2)!;
}

/** Where one slice lies. `index` is from 0. */
export function sliceOf(volume: Volume, { right, down, through }: Slicing, index: number): Plane {
  const corner: [number, number, number] = [0, 0, 0];
  const last = (axis: 0 | 1 | 2) => volume.dimensions[axis] - 1;
  for (const { axis, sign } of [right, down]) corner[axis] = sign > 0 ? 0 : last(axis);
  corner[through.axis] = through.sign > 0 ? index : last(through.axis) - index;
  const [row, column] = [directionOf(volume, right), directionOf(volume, down)];
  return {
    origin: pointOf(volume, corner),
    row,
    column,
    normal: cross(row, column),
    spacing: [volume.spacing[right.axis], volume.spacing[down.axis]],
    columns: volume.dimensions[right.axis],
    rows: volume.dimensions[down.axis],
  };
}

/** How the slices of a slab become one picture: the greatest, the least or the mean of their values. */
export const PROJECTIONS = ["greatest", "least", "mean"] as const;

export type Projection = (typeof PROJECTIONS)[number];

export interface Slab {
  readonly projection: Projection;
  readonly mm: number;
}

/** Slabs hold whole slices, as many on one side of the middle one as on the other. */
export function slicesIn(slab: Slab, { stepMm }: Pick<Slicing, "stepMm">): number {
  return 2 * Math.max(0, Math.round((slab.mm / stepMm - 1) / 2)) + 1;
}

/**
 * The values of a slice row by row, or of a slab around it as it is projected; what of a slab is beyond the
 * volume is not counted.
 */
export function sliceValues(
  volume: Volume,
  { right, down, through, count }: Slicing,
  index: number,
  slab: { readonly slices: number; readonly projection: Projection } | null,
  valueAt: (voxel: Vector3) => number,
): Float64Array {
  const last = (axis: 0 | 1 | 2) => volume.dimensions[axis] - 1;
  const at = ({ axis, sign }: Way, place: number) => (sign > 0 ? place : last(axis) - place);
  const [columns, rows] = [volume.dimensions[right.axis], volume.dimensions[down.axis]];
  const half = slab ? slab.slices >> 1 : 0;
  const layers = Array.from({ length: 2 * half + 1 }, (_, n) => index - half + n).filter((layer) => layer >= 0 && layer < count);
  const projection = slab?.projection ?? "mean";
  const values = new Float64Array(columns * rows);
  const voxel: [number, number, number] = [0, 0, 0];
  for (let row = 0; row < rows; row += 1) {
    voxel[down.axis] = at(down, row);
    for (let column = 0; column < columns; column += 1) {
      voxel[right.axis] = at(right, column);
      let [least, most, sum] = [Infinity, -Infinity, 0];
      for (const layer of layers) {
        voxel[through.axis] = at(through, layer);
        const value = valueAt(voxel);
        least = Math.min(least, value);
        most = Math.max(most, value);
        sum += value;
      }
      values[row * columns + column] = projection === "mean" ? sum / layers.length : projection === "least" ? least : most;
    }
  }
  return values;
}

/** The slice nearest to a point, within the volume. */
export function sliceAt(volume: Volume, { through, count }: Slicing, point: Vector3): number {
  const at = Math.round(voxelOf(volume, point)[through.axis]);
  return Math.max(0, Math.min(count - 1, through.sign > 0 ? at : count - 1 - at));
}

function directionOf(volume: Volume, { axis, sign }: Way): Vector3 {
  const [x, y, z] = volume.axes[axis];
  return [x * sign, y * sign, z * sign];
}

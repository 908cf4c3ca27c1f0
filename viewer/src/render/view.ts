/** What every viewport shows, as a value, and what hands and keys do to it, be it a stack, a cut or a solid thing. */
import type { Types } from "@cornerstonejs/core";
import type { Crop } from "../dicom/crop";
import type { FrameDescription, Window } from "../dicom/frame";
import type { Plane } from "../dicom/geometry";
import type { Hung } from "../dicom/hanging";
import type { ImagePoint, Pixels } from "../dicom/measure";
import type { DicomObject, Vector3 } from "../dicom/model";
import type { EdgeLetters } from "../dicom/orientation";
import type { Palette } from "../dicom/palettes";
import type { Mask } from "../dicom/planes";
import type { Reduction } from "../dicom/reduction";
import type { Uptake } from "../dicom/uptake";
import type { NoVolume, Rendering, Seen, Slab } from "../dicom/volume";
import type { Point } from "../tools/gestures";
import type { Progress } from "./prefetch";

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
  /** So often it is halved, until all of it has come; null once it has. Nothing is measured in it before. */
  readonly coming: number | null;
  /** By how much it is smaller than what is stored, since this device cannot hold that; null where it is not. */
  readonly reduced: Reduction | null;
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
  /** Of a volume whose images still come: where one has not, the nearest one is seen. */
  readonly isForming: boolean;
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
  readonly reduced: Reduction | null;
}

/** How an image stands on the screen, in terms of the patient. */
export interface Stance {
  /** In the middle of the element. */
  readonly middle: Vector3;
  readonly right: Vector3;
  readonly down: Vector3;
  readonly pixelsPerMm: number;
}

/** What a stack begins with where somebody has asked for that. */
export interface Beginning {
  readonly index?: number | undefined;
  /** Of the patient; it begins at the image nearest to it, and not at an index. */
  readonly point?: Vector3 | undefined;
  readonly window?: Window | undefined;
  readonly inverted?: boolean | undefined;
  /** As another image of the same plane stood before. */
  readonly stance?: Stance | undefined;
  /** How it hangs, where its reader expects that. */
  readonly hung?: Hung | undefined;
  /** As it was held before; what else is asked for gives way to it. */
  readonly pose?: Pose | undefined;
}

/** What hands have made of a picture: window, size, place, turns. */
export interface Pose {
  readonly kind: "stack" | "volume" | "solid";
  /** In a form that each kind has of its own: plain values, the same wherever it was scrolled to. */
  readonly made: unknown;
  /** Where it was scrolled to: the image or slice, and what of the patient a turned plane held. */
  readonly index: number;
  readonly pivot?: Vector3 | undefined;
}

export function isSamePose(a: Pose | undefined, b: Pose | undefined): boolean {
  return a?.kind === b?.kind && JSON.stringify(a?.made) === JSON.stringify(b?.made);
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
  /** It is the mean of several pixels. */
  readonly isMean: boolean;
  /** What the volume over it holds there. */
  readonly over?: Pick<Probed, "values" | "unit" | "suvFactor" | "isMean"> | undefined;
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
  /** The graphics gave up; the view draws no more. */
  onLost(index?: number): void;
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
  /** Undefined where nothing tells its place and size in the patient. */
  stance?(): Stance | undefined;
  /** Where a point of the patient is seen, in pixels of the element. */
  placeOf(point: Vector3): Point;
  /** The point of the image that is seen there, and where one is seen; undefined while there is no image. */
  imagePointAt(at: Point): ImagePoint | undefined;
  placeOfImagePoint(point: ImagePoint): Point | undefined;
  /** The values of an image while it is shown; undefined for what the server rendered, and before all have come if not `evenEarly`. */
  pixels(index: number, evenEarly?: boolean): Pixels | undefined;
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
  /** What hands have made of it; undefined before anything is shown. */
  pose(): Pose | undefined;
  /** Is held as it was before; which image or slice is seen stays. */
  hold(pose: Pose): void;
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

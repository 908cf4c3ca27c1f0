/**
 * One frame of an image, described from the metadata of its instance.
 *
 * Classic objects keep geometry, window and rescale at the top level; multi-frame objects keep
 * them in functional groups, per frame or shared (PS3.3 C.7.6.16). `describeFrame` looks in that
 * order: per frame, shared, top level.
 */
import { voiFunctionOf, type VoiFunction } from "./voi";
import { reconstructedSlice } from "./nuclear";
import { TAG, items, number, numbers, text, type DicomObject, type Vector3, vector3 } from "./model";

export interface Window {
  readonly center: number;
  readonly width: number;
  readonly explanation?: string | undefined;
  /** How both are meant (PS3.3 C.11.2.1); undefined is as the image that is shown means them. */
  readonly voiFunction?: VoiFunction | undefined;
}

export interface Orientation {
  readonly row: Vector3;
  readonly column: Vector3;
}

/** A part of an ultrasound image with a scale of its own (PS3.3 C.8.5.5); columns and rows from 0. */
export interface UltrasoundRegion {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  /** From row to row and from column to column; undefined for times, velocities and what has no unit. */
  readonly spacingMm: readonly [number, number] | undefined;
}

export interface FrameDescription {
  readonly rows: number;
  readonly columns: number;
  readonly samplesPerPixel: number;
  readonly photometricInterpretation: string;
  readonly planarConfiguration: number;
  readonly bitsAllocated: number;
  readonly bitsStored: number;
  readonly highBit: number;
  readonly pixelRepresentation: number;
  /** Bits of one number of Float or Double Float Pixel Data (PS3.3 C.7.6.24, C.7.6.25); undefined for integers. */
  readonly floatBits: 32 | 64 | undefined;
  /** Between rows and between columns, in mm (PS3.3 10.7.1.3). */
  readonly spacingMm: readonly [number, number] | undefined;
  /** The spacing was measured at the detector, so lengths in the patient are smaller. */
  readonly spacingAtDetector: boolean;
  /** Height of a pixel by its width (PS3.3 C.7.6.3.1.7); 1 where nothing is said. */
  readonly pixelAspect: number;
  readonly regions: readonly UltrasoundRegion[];
  readonly orientation: Orientation | undefined;
  readonly positionMm: Vector3 | undefined;
  readonly sliceThicknessMm: number | undefined;
  readonly sliceLocationMm: number | undefined;
  readonly rescaleSlope: number;
  readonly rescaleIntercept: number;
  readonly rescaleType: string | undefined;
  /** Of PET values (PS3.3 C.8.9.1.1.3), as a defined term. */
  readonly units: string | undefined;
  readonly windows: readonly Window[];
  readonly voiFunction: VoiFunction;
  /** Tables that stand in place of rescale and windows (PS3.3 C.11.1, C.11.2), the Items of their sequences. */
  readonly modalityLut: DicomObject | undefined;
  readonly voiLuts: readonly DicomObject[];
  /** Small values are white: MONOCHROME1 or Presentation LUT Shape INVERSE, which say the same (PS3.3 C.8.11.3.1.2). */
  readonly isInverse: boolean;
  /** First and last stored value that is no value (PS3.3 C.7.5.1.1.2). */
  readonly padding: readonly [number, number] | undefined;
}

export function numberOfFrames(instance: DicomObject): number {
  return Math.max(1, Math.floor(number(instance, TAG.numberOfFrames) ?? 1));
}

/** Images are put in order, in groups and in place by it, each time all of a series. */
const described = new WeakMap<DicomObject, Map<number, FrameDescription>>();

/** Frame numbers start at 1, as in PS3.18. */
export function describeFrame(instance: DicomObject, frame: number): FrameDescription {
  let ofInstance = described.get(instance);
  if (!ofInstance) described.set(instance, (ofInstance = new Map()));
  let found = ofInstance.get(frame);
  if (!found) ofInstance.set(frame, (found = descriptionOf(instance, frame)));
  return found;
}

function descriptionOf(instance: DicomObject, frame: number): FrameDescription {
  const group = describeGroups(instance, frame);
  const measures = group(TAG.pixelMeasuresSequence);
  const transformation = group(TAG.pixelValueTransformationSequence);
  const voi = group(TAG.frameVoiLutSequence);
  const nuclear = reconstructedSlice(instance, frame);
  const bitsAllocated = number(instance, TAG.bitsAllocated) ?? 16;
  const bitsStored = number(instance, TAG.bitsStored) ?? bitsAllocated;
  const patientSpacing = pair(numbers(measures, TAG.pixelSpacing));
  const detectorSpacing = pair(numbers(instance, TAG.imagerPixelSpacing));
  const [vertical, horizontal] = pair(numbers(instance, TAG.pixelAspectRatio)) ?? [1, 1];
  return {
    rows: number(instance, TAG.rows) ?? 0,
    columns: number(instance, TAG.columns) ?? 0,
    samplesPerPixel: number(instance, TAG.samplesPerPixel) ?? 1,
    photometricInterpretation: text(instance, TAG.photometricInterpretation) ?? "MONOCHROME2",
    planarConfiguration: number(instance, TAG.planarConfiguration) ?? 0,
    bitsAllocated,
    bitsStored,
    highBit: number(instance, TAG.highBit) ?? bitsStored - 1,
    pixelRepresentation: number(instance, TAG.pixelRepresentation) ?? 0,
    floatBits: floatBits(instance),
    spacingMm: patientSpacing ?? detectorSpacing,
    spacingAtDetector: patientSpacing
      ? isUncorrected(patientSpacing, detectorSpacing) && !text(instance, TAG.pixelSpacingCalibrationType)
      : detectorSpacing !== undefined,
    pixelAspect: vertical / horizontal,
    regions: items(instance, TAG.sequenceOfUltrasoundRegions).flatMap(region),
    orientation: nuclear?.orientation ?? orientation(group(TAG.planeOrientationSequence)),
    positionMm: nuclear?.positionMm ?? vector3(group(TAG.planePositionSequence), TAG.imagePositionPatient),
    sliceThicknessMm: number(measures, TAG.sliceThickness),
    sliceLocationMm: number(instance, TAG.sliceLocation),
    rescaleSlope: number(transformation, TAG.rescaleSlope) || 1,
    rescaleIntercept: number(transformation, TAG.rescaleIntercept) ?? 0,
    rescaleType: text(transformation, TAG.rescaleType),
    units: text(instance, TAG.units),
    windows: windows(voi),
    voiFunction: voiFunctionOf(text(voi, TAG.voiLutFunction)),
    modalityLut: items(transformation, TAG.modalityLutSequence)[0] ?? items(instance, TAG.modalityLutSequence)[0],
    voiLuts: items(voi, TAG.voiLutSequence),
    isInverse:
      text(instance, TAG.photometricInterpretation) === "MONOCHROME1" ||
      text(instance, TAG.presentationLutShape) === "INVERSE",
    padding: padding(instance, bitsAllocated),
  };
}

/** Where several are there, integers are taken, as the server does. */
function floatBits(instance: DicomObject): 32 | 64 | undefined {
  if (instance[TAG.pixelData] !== undefined) return undefined;
  if (instance[TAG.floatPixelData] !== undefined) return 32;
  return instance[TAG.doubleFloatPixelData] === undefined ? undefined : 64;
}

/** Pixel Spacing that repeats what was measured at the detector is not one of the patient (PS3.3 10.7.1.3). */
function isUncorrected(spacing: readonly [number, number], atDetector: readonly [number, number] | undefined): boolean {
  return atDetector !== undefined && spacing[0] === atDetector[0] && spacing[1] === atDetector[1];
}

/** The item of a functional group for one frame, or the instance itself where it has none. */
export function describeGroups(instance: DicomObject, frame: number): (sequence: string) => DicomObject {
  const own = items(instance, TAG.perFrameFunctionalGroups)[frame - 1];
  const shared = items(instance, TAG.sharedFunctionalGroups)[0];
  return (sequence) => items(own, sequence)[0] ?? items(shared, sequence)[0] ?? instance;
}

function pair(values: readonly number[]): readonly [number, number] | undefined {
  const [row, column] = values;
  if (row === undefined || column === undefined || row <= 0 || column <= 0) return undefined;
  return [row, column];
}

function orientation(object: DicomObject): Orientation | undefined {
  const [a, b, c, d, e, f] = numbers(object, TAG.imageOrientationPatient);
  if (f === undefined) return undefined;
  const row: Vector3 = [a!, b!, c!];
  const column: Vector3 = [d!, e!, f];
  // All zeros occur in the wild and would collapse the picture onto a line.
  return Math.hypot(...row) < 0.5 || Math.hypot(...column) < 0.5 ? undefined : { row, column };
}

const CENTIMETRES = 3;
const MM_PER_CM = 10;

function region(item: DicomObject): readonly UltrasoundRegion[] {
  const [left, top] = [number(item, TAG.regionLocationMinX0), number(item, TAG.regionLocationMinY0)];
  const [right, bottom] = [number(item, TAG.regionLocationMaxX1), number(item, TAG.regionLocationMaxY1)];
  if (left === undefined || top === undefined || right === undefined || bottom === undefined) return [];
  const units = [number(item, TAG.physicalUnitsXDirection), number(item, TAG.physicalUnitsYDirection)];
  const deltas = [number(item, TAG.physicalDeltaY), number(item, TAG.physicalDeltaX)];
  const mm = pair(deltas.map((delta) => Math.abs(delta ?? 0) * MM_PER_CM));
  return [{ left, top, right, bottom, spacingMm: units.every((unit) => unit === CENTIMETRES) ? mm : undefined }];
}

/** Its VR follows Pixel Representation, which writers forget. */
function padding(instance: DicomObject, bits: number): readonly [number, number] | undefined {
  const isSigned = number(instance, TAG.pixelRepresentation) === 1;
  const read = (tag: string): number | undefined => {
    const value = number(instance, tag);
    if (value === undefined || bits > 16) return value;
    const word = value & (2 ** bits - 1);
    return isSigned && word >= 2 ** (bits - 1) ? word - 2 ** bits : word;
  };
  const first = read(TAG.pixelPaddingValue);
  if (first === undefined) return undefined;
  const last = read(TAG.pixelPaddingRangeLimit) ?? first;
  return [Math.min(first, last), Math.max(first, last)];
}

function windows(object: DicomObject): readonly Window[] {
  const widths = numbers(object, TAG.windowWidth);
  const found: Window[] = [];
  numbers(object, TAG.windowCenter).forEach((center, index) => {
    const width = widths[index];
    if (width === undefined || width <= 0) return;
    if (found.some((other) => other.center === center && other.width === width)) return;
    found.push({ center, width, explanation: text(object, TAG.windowExplanation, index) });
  });
  return found;
}

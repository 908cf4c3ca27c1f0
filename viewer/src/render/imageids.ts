/**
 * Image ids: how Cornerstone names one frame, and what is known about each.
 *
 * An id is `wadors:` and the WADO-RS path of the frame (PS3.18 10.4), or `local:` and what no other file of this page
 * has. The description of every frame is registered before its image is asked for, so that no metadata is fetched twice.
 */
import { instancePath } from "../api/dicomweb";
import { describeFrame, type FrameDescription, type Window } from "../dicom/frame";
import { halvedFrame, type Resized } from "../dicom/reduction";
import { sopInstanceUid, type Stack } from "../dicom/displaysets";
import { meantWindow } from "../dicom/voi";
import { TAG, text, type DicomObject } from "../dicom/model";
import { isLocal } from "../api/localfiles";

export const SCHEME = "wadors";
/** Of a frame less its mask. */
export const SUBTRACTED = "subtracted";
/** Of frames of which columns and rows are halved; how often follows. */
export const REDUCED = "reduced";
/** Of frames that are read from files on this device. */
export const LOCAL_SCHEME = "local";

interface Known {
  readonly instance: DicomObject;
  readonly frame: FrameDescription;
  /** From 1, as in PS3.18. */
  readonly number: number;
}

const known = new Map<string, Known>();
const rendered = new Set<string>();

/** The ids of a stack's frames, in order, with their descriptions registered. */
export function imageIdsOf(stack: Stack, study: string): readonly string[] {
  return stack.frames.map(({ instance, number }) => {
    const path = instancePath(study, stack.seriesUid, sopInstanceUid(instance));
    const id = isLocal(instance) ? localId(instance, number) : `${SCHEME}:${path}/frames/${number}`;
    if (!known.has(id)) known.set(id, { instance, number, frame: describeFrame(instance, number) });
    return id;
  });
}

/** The id of the frame that an image is made of. */
export function plainId(imageId: string): string {
  return imageId.replace(MADE_OF, "");
}

const MADE_OF = new RegExp(`^(?:${SUBTRACTED}|${REDUCED}:\\d+):`);

/** Another way to see a known frame: halved so often. */
export function reducedId(imageId: string, halvings: number): string {
  if (halvings === 0) return imageId;
  const id = `${REDUCED}:${halvings}:${imageId}`;
  const found = known.get(imageId)!;
  if (!known.has(id)) known.set(id, { ...found, frame: halvedFrame(found.frame, halvings) });
  return id;
}

/** How often a frame of such an id is halved. */
export const halvingsOfId = (imageId: string): number => Number(imageId.slice(REDUCED.length + 1).split(":", 1)[0]);

export function subtractedId(imageId: string): string {
  return `${SUBTRACTED}:${plainId(imageId)}`;
}

/** Of another frame of the same instance; registered with what is known of that one. */
export function imageIdOfFrame(imageId: string, number: number): string {
  const id = imageId.replace(/\d+$/, String(number));
  const found = known.get(imageId);
  if (found && !known.has(id)) known.set(id, { ...found, number, frame: describeFrame(found.instance, number) });
  return id;
}

const localNames = new WeakMap<DicomObject, number>();
let named = 0;

function localId(instance: DicomObject, number: number): string {
  if (!localNames.has(instance)) localNames.set(instance, (named += 1));
  return `${LOCAL_SCHEME}:${localNames.get(instance)}/${sopInstanceUid(instance)}/frames/${number}`;
}

/** Another way to see a known frame: its stored values as greys, before a palette makes colours of them. */
export function valuesIdOf(imageId: string): string {
  const id = `${imageId}/values`;
  const { instance, number, frame } = known.get(imageId)!;
  known.set(id, { instance, number, frame: { ...frame, photometricInterpretation: "MONOCHROME2", rescaleSlope: 1, rescaleIntercept: 0 } });
  return id;
}

/** Another way to decode a known frame: nothing is cut off what its Bits Stored would not hold. */
export function wideIdOf(imageId: string): string {
  const id = `${imageId}/wide`;
  const found = known.get(imageId)!;
  const { bitsAllocated } = found.frame;
  if (!known.has(id)) known.set(id, { ...found, frame: { ...found.frame, bitsStored: bitsAllocated, highBit: bitsAllocated - 1 } });
  return id;
}

export function framePath(imageId: string): string {
  return imageId.slice(SCHEME.length + 1);
}

export function knownFrame(imageId: string): Known | undefined {
  return known.get(imageId) ?? known.get(plainId(imageId));
}

export function transferSyntaxOf(imageId: string): string | undefined {
  return text(knownFrame(imageId)?.instance, TAG.availableTransferSyntaxUid);
}

/** From now on this frame is a colour picture that the server made. */
export function noteRendered(imageId: string): void {
  rendered.add(imageId);
}

const resized = new Map<string, Resized>();

/** From now on the picture of this frame has another size than the frame. */
export function noteResized(imageId: string, size: { readonly columns: number; readonly rows: number }, by?: Resized["by"]): void {
  const { rows, columns } = known.get(imageId)!.frame;
  if (size.columns === columns && size.rows === rows) return void resized.delete(imageId);
  resized.set(imageId, { ...size, by: by ?? { x: columns / size.columns, y: rows / size.rows } });
}

/** Undefined where it has the size of the frame. */
export function resizedOf(imageId: string | undefined): Resized | undefined {
  return imageId === undefined ? undefined : resized.get(plainId(imageId));
}

const windows = new Map<string, Window>();

/** The window in which the server is to render a frame; undefined for its own. */
export function chooseWindow(imageId: string, window: Window | undefined): void {
  if (window) windows.set(imageId, window);
  else windows.delete(imageId);
}

export const chosenWindow = (imageId: string): Window | undefined => windows.get(imageId);

/**
 * The window of a gray picture that the server made for its size alone, and could make in another; null of all other
 * pictures, and where its first is not known here.
 */
export function pictureWindow(imageId: string): Window | null {
  const frame = known.get(imageId)?.frame;
  const isGrey = frame?.samplesPerPixel === 1 && frame.photometricInterpretation.startsWith("MONOCHROME");
  if (!isGrey || !resized.has(imageId)) return null;
  const [own] = frame.voiLuts.length > 0 ? [] : frame.windows;
  return windows.get(imageId) ?? (own ? meantWindow(own, frame) : null);
}

export function isRendered(imageId: string): boolean {
  return rendered.has(plainId(imageId));
}

/** In which transfer syntax the frames of a series came that were given as they are stored. */
const stored = new Map<string, string>();

const seriesOf = (imageId: string) => imageId.slice(0, imageId.indexOf("/instances/"));

export const storedSyntax = (imageId: string): string | undefined => stored.get(seriesOf(imageId));

/** The first that is told holds. */
export function noteStoredSyntax(imageId: string, syntax: string): void {
  if (!stored.has(seriesOf(imageId))) stored.set(seriesOf(imageId), syntax);
}

/** JPEG Extended, and the retired forms of 12 bits (spectral selection, full progression). */
const JPEG_OF_12_BITS = /^1\.2\.840\.10008\.1\.2\.4\.5[1-6]$/;

/** Whether the server must decode it: JPEG that may have 12 bits, or colours that its header names otherwise. */
export const needsServer = (syntax: string): boolean => JPEG_OF_12_BITS.test(syntax);

/**
 * Images that lie at the same places several times: phases, echoes, diffusion weightings, stacks. Each becomes a set of
 * its own, so that scrolling goes through the body and not through time.
 */
import { numberOfFrames } from "./frame";
import { grouped } from "./grouped";
import { TAG, items, number, numbers, text, type DicomObject } from "./model";

/** More sets than these are no list that anybody looks through; the images then stay together, phase after phase. */
export const MOST_PHASES = 24;

/** What tells the phases of single-frame images apart, the most telling first. */
const TELLING = [
  TAG.temporalPositionIdentifier,
  TAG.diffusionBValue,
  TAG.echoNumbers,
  TAG.triggerTime,
  TAG.acquisitionNumber,
  TAG.echoTime,
  TAG.acquisitionTime,
  TAG.contentTime,
];

export interface Phase<One> {
  /** What it is called after, for example `2`. */
  readonly name: string;
  readonly members: readonly One[];
}

/**
 * The phases of images of which some lie at one place; undefined where nothing tells them apart, or there is one.
 * `place` names where an image lies.
 */
export function phasesOf(
  images: readonly DicomObject[],
  place: (image: DicomObject) => string | undefined,
): readonly Phase<DicomObject>[] | undefined {
  const places = images.map(place);
  if (places.some((one) => one === undefined)) return undefined;
  const distinct = new Set(places).size;
  if (distinct === images.length || distinct < 2) return undefined;
  for (const tag of TELLING) {
    const phases = grouped(images, (image) => text(image, tag));
    if (phases.size < 2 || phases.has(undefined)) continue;
    const isApart = [...phases.values()].every((phase) => new Set(phase.map(place)).size === phase.length);
    if (isApart) return named(phases as ReadonlyMap<string, readonly DicomObject[]>);
  }
  return undefined;
}

/** Names that are numbers in their order, others as they came. */
function named<One>(phases: ReadonlyMap<string, readonly One[]>): readonly Phase<One>[] {
  const found = [...phases].map(([name, members]) => ({ name, members }));
  return found.every(({ name }) => Number.isFinite(Number(name)))
    ? found.sort((a, b) => Number(a.name) - Number(b.name))
    : found;
}

/** Dimensions along which one scrolls: places in the patient or in the stack. */
const SPATIAL = new Set<string>([TAG.inStackPositionNumber, TAG.imagePositionPatient, TAG.imagePositionVolume, TAG.sliceLocation]);

/**
 * The frames of a multi-frame object in the order of its dimensions (PS3.3 C.7.6.17), by what does not lie along the
 * scroll: stacks, times, echoes, b-values. Numbers from 1. One phase with all frames where no dimensions are told.
 */
export function framePhases(instance: DicomObject): readonly Phase<number>[] {
  const count = numberOfFrames(instance);
  const all = Array.from({ length: count }, (_, at) => at + 1);
  const pointers = items(instance, TAG.dimensionIndexSequence).map((item) => text(item, TAG.dimensionIndexPointer) ?? "");
  const perFrame = items(instance, TAG.perFrameFunctionalGroups);
  const indexes = all.map((frame) =>
    numbers(items(perFrame[frame - 1], TAG.frameContentSequence)[0], TAG.dimensionIndexValues),
  );
  if (pointers.length === 0 || indexes.some((one) => one.length !== pointers.length)) return [{ name: "", members: all }];
  const along = pointers.findIndex((pointer) => SPATIAL.has(pointer));
  const others = pointers.map((_, at) => at).filter((at) => at !== along);
  const order = along < 0 ? others : [...others, along];
  const sorted = [...all].sort((a, b) => {
    for (const at of order) {
      const by = indexes[a - 1]![at]! - indexes[b - 1]![at]!;
      if (by !== 0) return by;
    }
    return a - b;
  });
  const together = [{ name: "", members: sorted }];
  if (along < 0) return together;
  const telling = others.filter((at) => varies(indexes, at));
  const phases = grouped(sorted, (frame) => telling.map((at) => indexes[frame - 1]![at]).join("."));
  const isStacked = [...phases.values()].every((members) => members.length > 1);
  return phases.size > 1 && phases.size <= MOST_PHASES && isStacked
    ? [...phases].map(([name, members]) => ({ name, members }))
    : together;
}

function varies(indexes: readonly (readonly number[])[], at: number): boolean {
  return indexes.some((one) => one[at] !== indexes[0]![at]);
}

/** Images of one size each, in the order in which sizes first come; undefined for one size, or too many. */
export function sizesOf(images: readonly DicomObject[]): readonly (readonly DicomObject[])[] | undefined {
  const sizes = grouped(images, (image) => `${number(image, TAG.rows)}×${number(image, TAG.columns)}`);
  return sizes.size > 1 && sizes.size <= MOST_PHASES ? [...sizes.values()] : undefined;
}

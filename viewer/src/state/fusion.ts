/** Which series is laid over which, and how it is looked at. */
import type { DisplaySet, Stack } from "../dicom/displaysets";
import type { Window } from "../dicom/frame";
import { TAG, text } from "../dicom/model";
import type { Palette } from "../dicom/palettes";
import { suvFactor, uptakeOf } from "../dicom/uptake";
import { isVolume, volumeOf } from "../dicom/volume";

/** Two stacks of one Frame of Reference: anatomy, and what is laid over it. */
export interface Pair {
  readonly under: Stack;
  readonly over: Stack;
}

/** How the upper one is seen. */
export interface FusionLook {
  readonly palette: Palette;
  /** From 0, not seen, to 1. */
  readonly opacity: number;
  /** In the unit of its values; null for the one that it begins with. */
  readonly window: Window | null;
}

export const FIRST_LOOK: FusionLook = { palette: "hotIron", opacity: 0.5, window: null };

const ANATOMY = new Set(["CT", "MR"]);
const FUNCTION = new Set(["PT", "NM"]);

/**
 * The pair that the display set in hand is one of, or the first one that there is; undefined where no two
 * volumes of one Frame of Reference are of anatomy and of function. CT is taken before MR, PET of known
 * uptake before other PET, that before NM, and then the longer stack.
 */
export function fusionPair(sets: readonly DisplaySet[], inHand: Stack | undefined): Pair | undefined {
  const volumes = sets.filter((set): set is Stack => set.kind === "stack" && isVolume(volumeOf(set)));
  const best = (modalities: ReadonlySet<string>, reference: string | undefined) =>
    volumes
      .filter((set) => modalities.has(set.modality) && referenceOf(set) === reference)
      .sort((a, b) => rank(a) - rank(b) || b.frames.length - a.frames.length)[0];
  const candidates = inHand && isFusible(inHand.modality) ? [inHand, ...volumes] : volumes;
  for (const one of candidates) {
    if (!volumes.includes(one) || !isFusible(one.modality)) continue;
    const reference = referenceOf(one);
    const under = ANATOMY.has(one.modality) ? one : best(ANATOMY, reference);
    const over = FUNCTION.has(one.modality) ? one : best(FUNCTION, reference);
    if (under && over) return { under, over };
  }
  return undefined;
}

/** Whether a series of this modality may be one of a pair. */
export function isFusible(modality: string): boolean {
  return ANATOMY.has(modality) || FUNCTION.has(modality);
}

function referenceOf(set: Stack): string | undefined {
  return text(set.frames[0]?.instance, TAG.frameOfReferenceUid);
}

function rank(set: Stack): number {
  if (set.modality === "PT") return suvFactor(uptakeOf(set)) === undefined ? 1 : 0;
  return { CT: 0, MR: 1, NM: 2 }[set.modality] ?? 3;
}

/** Stacks whose frames the browser's cache has, as this device remembers them; see `keptseries.ts`. */
import { isUnchanged, metadataTag } from "../api/dicomweb";
import type { Stack } from "../dicom/displaysets";
import { remember, remembered } from "../i18n/kept";
import { createKeptSeries } from "./keptseries";

const KEPT = "gantry.kept-series";
const kept = createKeptSeries({ read: () => remembered(KEPT), write: (text) => remember(KEPT, text) });

/** Whether its frames, and pictures of them, need not be asked about. */
export function isStackKept(stack: Stack, study: string): boolean {
  return kept.isKept(stack.id, metadataTag(study, stack.seriesUid));
}

/** To be called when all frames of a stack have come. */
export async function keepStack(stack: Stack, study: string): Promise<void> {
  const tag = metadataTag(study, stack.seriesUid);
  if (!tag || kept.isKept(stack.id, tag)) return;
  try {
    // Were it another one by now, some of the frames may be of the state before.
    if (await isUnchanged(study, stack.seriesUid)) kept.note(stack.id, tag);
  } catch {
    // Then each frame is asked about again next time.
  }
}

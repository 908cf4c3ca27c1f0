/** What a cell shows, as the measuring hand knows images. */
import { TAG, text } from "../dicom/model";
import { spacingOf } from "../dicom/measure";
import type { Cell } from "../render/cell";
import { lyingOf, planeIn, spacingOn } from "../state/space";
import type { Sight } from "../tools/measuring";

/** Undefined while no image is shown. */
export function sightOf(cell: Pick<Cell, "shown" | "view" | "stack">): Sight | undefined {
  const shown = cell.shown();
  const view = cell.view();
  if (!shown || !view) return undefined;
  const { frame, instance, frameNumber, cut, plane } = shown;
  if (cut === "solid" || (cut && !plane)) return undefined;
  const stack = cell.stack();
  const slice = cut && plane ? { plane, halfMm: (shown.stepMm ?? 0) / 2 } : undefined;
  return {
    image: {
      seriesInstanceUid: text(instance, TAG.seriesInstanceUid) ?? "",
      sopInstanceUid: text(instance, TAG.sopInstanceUid) ?? "",
      sopClassUid: text(instance, TAG.sopClassUid) ?? "",
      frame: Math.max(1, frameNumber),
      frameOfReferenceUid: shown.frameOfReferenceUid ?? null,
    },
    slice,
    lying: stack && !cut ? lyingOf(stack, shown.index) : undefined,
    planeOf: stack && cut ? (image) => planeIn(stack, image) : undefined,
    spacingFor: (points) => (slice ? spacingOn(slice.plane) : spacingOf(frame, points)),
    columns: frame.columns,
    rows: frame.rows,
    toImage: (at) => view.imagePointAt(at),
    toScreen: (point) => view.placeOfImagePoint(point),
    pixels: () => view.pixels(shown.index),
    isComing: shown.coming !== null || shown.isForming,
  };
}

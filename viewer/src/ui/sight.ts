/** What a cell shows, as the measuring hand knows images. */
import { TAG, text } from "../dicom/model";
import { spacingOf } from "../dicom/measure";
import type { Cell } from "../render/cell";
import type { ShownView } from "../render/stackview";
import type { ImageReference } from "../state/measurements";
import type { Sight } from "../tools/measuring";

/** Undefined while no image is shown. */
export function sightOf(cell: Cell): Sight | undefined {
  const shown = cell.shown();
  const view = cell.view();
  if (!shown || !view) return undefined;
  const { frame } = shown;
  return {
    image: imageOf(shown),
    spacingFor: (points) => spacingOf(frame, points),
    columns: frame.columns,
    rows: frame.rows,
    toImage: (at) => view.imagePointAt(at),
    toScreen: (point) => view.placeOfImagePoint(point),
    pixels: () => view.pixels(shown.index),
  };
}

export function imageOf({ instance, frameNumber, frameOfReferenceUid }: ShownView): ImageReference {
  return {
    seriesInstanceUid: text(instance, TAG.seriesInstanceUid) ?? "",
    sopInstanceUid: text(instance, TAG.sopInstanceUid) ?? "",
    sopClassUid: text(instance, TAG.sopClassUid) ?? "",
    frame: frameNumber,
    frameOfReferenceUid: frameOfReferenceUid ?? null,
  };
}

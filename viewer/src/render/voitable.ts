/** Images that are shown through a table instead of a window. */
import { utilities, type Types } from "@cornerstonejs/core";
import type { LookupTable } from "../dicom/lut";
import { tableShown } from "./graded";

/** Steps of a table that the graphics card is given; between them it draws straight lines. */
const TABLE_STEPS = 512;
/** Transfer functions that are a table, and whether upside down. */
const tables = new WeakMap<object, { readonly table: LookupTable; readonly inverted: boolean }>();

/** Shows the image through its VOI LUT (PS3.3 C.11.2.1.1) for as long as nobody has set a window. */
export function dress(viewport: Types.IStackViewport): void {
  const actor = viewport.getDefaultActor()?.actor as Types.ImageActor | undefined;
  if (!actor) return;
  const property = actor.getProperty();
  const now = property.getRGBTransferFunction(0);
  const { voiRange, invert = false } = viewport.getProperties();
  if (!voiRange) return;
  const table = tableShown(viewport.getCornerstoneImage(), voiRange);
  const worn = now ? tables.get(now) : undefined;
  if (table ? worn?.table === table && worn.inverted === invert : worn === undefined) return;
  const shares = table ? sharesOf(table) : [0, 1];
  const { lower, upper } = voiRange;
  const made = utilities.createLinearRGBTransferFunction({ lower, upper });
  made.removeAllPoints();
  shares.forEach((share, at) => {
    const grey = invert ? 1 - share : share;
    made.addRGBPoint(lower + ((upper - lower) * at) / (shares.length - 1), grey, grey, grey);
  });
  if (table) tables.set(made, { table, inverted: invert });
  property.setRGBTransferFunction(0, made);
}

function sharesOf({ entries, top }: LookupTable): readonly number[] {
  const steps = Math.min(TABLE_STEPS, Math.max(2, entries.length));
  return Array.from({ length: steps }, (_, at) => {
    const entry = entries[Math.round((at * (entries.length - 1)) / (steps - 1))]!;
    return Math.min(1, entry / top);
  });
}

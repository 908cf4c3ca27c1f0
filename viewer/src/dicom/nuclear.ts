/** Where the frames of a reconstructed nuclear medicine image lie: one of its detectors tells it for the first (PS3.3 C.8.4.15). */
import type { Orientation } from "./frame";
import { items, number, numbers, text, vector3, type DicomObject, type Vector3 } from "./model";
import { cross } from "./orientation";

const NM = {
  imageType: "00080008",
  sopClassUid: "00080016",
  spacingBetweenSlices: "00180088",
  position: "00200032",
  orientation: "00200037",
  detectorInformation: "00540022",
  sliceVector: "00540080",
} as const;

const NM_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.20";
/** Value 3 of Image Type: slices, and not what a camera saw from one side. */
const RECONSTRUCTED = "RECON TOMO";

export interface SliceGeometry {
  readonly orientation: Orientation;
  readonly positionMm: Vector3;
}

/** Frame numbers start at 1. A positive spacing stacks slices behind the first one, a negative one before it. */
export function reconstructedSlice(instance: DicomObject, frame: number): SliceGeometry | undefined {
  if (text(instance, NM.sopClassUid) !== NM_IMAGE_STORAGE || text(instance, NM.imageType, 2) !== RECONSTRUCTED) return undefined;
  const detector = items(instance, NM.detectorInformation)[0];
  const position = vector3(detector, NM.position);
  const [a, b, c, d, e, f] = numbers(detector, NM.orientation);
  const spacing = number(instance, NM.spacingBetweenSlices);
  if (!position || !spacing || a === undefined || f === undefined) return undefined;
  const [row, column]: [Vector3, Vector3] = [[a, b!, c!], [d!, e!, f]];
  const normal = cross(row, column);
  const slices = (numbers(instance, NM.sliceVector)[frame - 1] ?? frame) - 1;
  const [x, y, z] = [0, 1, 2].map((part) => position[part]! + normal[part]! * spacing * slices) as [number, number, number];
  return { orientation: { row, column }, positionMm: [x, y, z] };
}

/** A box of a volume that is seen alone, cut along the volume's own axes. */
import { difference, moved } from "./geometry";
import type { Vector3 } from "./model";
import { dot } from "./orientation";
import { pointOf, slicing, type Volume } from "./volume";

/** The six faces, named by where in the patient they lie. */
export const FACES = ["right", "left", "front", "back", "feet", "head"] as const;

export type Face = (typeof FACES)[number];

/** Where each face lies: shares of the way from right to left, from front to back and from feet to head. */
export type Crop = Readonly<Record<Face, number>>;

export const WHOLE: Crop = { right: 0, left: 1, front: 0, back: 1, feet: 0, head: 1 };

const OPPOSITE: Readonly<Record<Face, Face>> = {
  right: "left", left: "right", front: "back", back: "front", feet: "head", head: "feet",
};
const STARTS: ReadonlySet<Face> = new Set(["right", "front", "feet"]);
/** Opposite faces stay so far apart at least, as a share of the way between them. */
const THINNEST = 0.01;

/** The same with one face moved, which stops before the opposite one. */
export function withFace(crop: Crop, face: Face, at: number): Crop {
  const other = crop[OPPOSITE[face]];
  const held = STARTS.has(face) ? Math.min(at, other - THINNEST) : Math.max(at, other + THINNEST);
  return { ...crop, [face]: Math.min(1, Math.max(0, held)) };
}

export function isWhole(crop: Crop): boolean {
  return FACES.every((face) => crop[face] === WHOLE[face]);
}

/** The ends of the twelve edges of what is left of a volume. */
export function cropEdges(volume: Volume, crop: Crop): readonly (readonly [Vector3, Vector3])[] {
  const planes = facePlanes(volume, crop);
  // Faces stand at right angles, so that each coordinate of a corner comes from one of them.
  const corner = (...faces: readonly number[]): Vector3 =>
    faces.reduce<Vector3>((point, face) => {
      const { origin, inward } = planes[face]!;
      return moved(point, [inward, dot(difference(origin, point), inward)]);
    }, planes[0]!.origin);
  const ends: (readonly [Vector3, Vector3])[] = [];
  for (const [a, b] of [[0, 1], [2, 3], [4, 5]] as const) {
    const others = [0, 2, 4].filter((face) => face !== a);
    for (const u of [0, 1]) for (const v of [0, 1]) {
      const beside = [others[0]! + u, others[1]! + v];
      ends.push([corner(a, ...beside), corner(b, ...beside)]);
    }
  }
  return ends;
}

/** A point of a face, and the direction from it into the box. */
export interface FacePlane {
  readonly origin: Vector3;
  readonly inward: Vector3;
}

export function facePlanes(volume: Volume, crop: Crop): readonly FacePlane[] {
  // The axes that run most to the left, to the back and to the head, each along or against.
  const { right: toLeft, down: toBack, through } = slicing(volume, "axial");
  const { axis: upAxis } = through;
  const toHead = { axis: upAxis, sign: volume.axes[upAxis][2] >= 0 ? 1 : -1 } as const;
  const ways = [toLeft, toBack, toHead];
  return FACES.map((face, index) => {
    const { axis, sign } = ways[index >> 1]!;
    const count = volume.dimensions[axis];
    // From outer edge to outer edge.
    const share = sign > 0 ? crop[face] : 1 - crop[face];
    const corner: [number, number, number] = [0, 0, 0];
    corner[axis] = share * count - 0.5;
    const inwards = STARTS.has(face) === sign > 0 ? 1 : -1;
    return { origin: pointOf(volume, corner), inward: moved([0, 0, 0], [volume.axes[axis], inwards]) };
  });
}

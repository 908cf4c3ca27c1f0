/** Planes of one volume that hands turn: where they meet, and which way the screen lies in the patient. */
import { meeting } from "../dicom/cutting";
import { difference, unit, type Plane } from "../dicom/geometry";
import type { Vector3 } from "../dicom/model";
import { cross } from "../dicom/orientation";
import type { ShownView, View } from "../render/view";

export interface TurnablePlane {
  /** Of the cells of the stage. */
  readonly cell: number;
  readonly shown: ShownView;
  readonly plane: Plane;
  /** About a line through a point of the patient; radians, as a screw that drives along the axis. */
  readonly turn: (axis: Vector3, pivot: Vector3, angle: number) => void;
}

/** The point that all three have in common. */
export function meetingOf([a, b, c]: readonly TurnablePlane[]): Vector3 | undefined {
  return a && b && c && meeting(a.plane, b.plane, c.plane);
}

/** Directions of the screen in the patient; `away` is from the eye. */
export interface Screen {
  readonly right: Vector3;
  readonly down: Vector3;
  readonly away: Vector3;
}

export function screenOf(view: View): Screen | undefined {
  const [corner, aside, below] = [view.pointAt({ x: 0, y: 0 }), view.pointAt({ x: 100, y: 0 }), view.pointAt({ x: 0, y: 100 })];
  if (!corner || !aside || !below) return undefined;
  const [right, down] = [unit(difference(aside, corner)), unit(difference(below, corner))];
  return { right, down, away: cross(right, down) };
}

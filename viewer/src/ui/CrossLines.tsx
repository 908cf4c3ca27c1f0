/** Drawn over an image: where the images of other cells cut it, and the 3D cursor. */
import { For, Show, createMemo, type JSX } from "solid-js";
import { cut, pixelOf, type Plane } from "../dicom/geometry";
import type { Vector3 } from "../dicom/model";
import type { Cell } from "../render/cell";
import type { ShownView } from "../render/view";
import type { Point } from "../tools/gestures";

export interface CrossLinesProps {
  readonly cell: Cell;
  /** What other cells show; the first is the active one's. */
  readonly others: readonly ShownView[];
  readonly cursor: Vector3 | null;
}

export const CURSOR_PX = 12;
/** A cursor farther away than this from the plane of the image is drawn faintly. */
const NEAR_MM = 2.5;

export function isNear(plane: Plane, cursor: Vector3): boolean {
  return Math.abs(pixelOf(plane, cursor).distance) <= NEAR_MM;
}

/** Where other pictures cut one, as lines on the screen; the first of `others` comes first. */
export function linesOn(
  here: ShownView,
  others: readonly ShownView[],
  placeOf: (point: Vector3) => Point,
): readonly (readonly [Point, Point])[] {
  const found: (readonly [Point, Point])[] = [];
  for (const other of others) {
    const isKin = here.frameOfReferenceUid && here.frameOfReferenceUid === other.frameOfReferenceUid;
    const line = isKin && here.plane && other.plane ? cut(here.plane, other.plane) : undefined;
    if (line) found.push([placeOf(line[0]), placeOf(line[1])]);
  }
  return found;
}

export function CrossLines(props: CrossLinesProps): JSX.Element {
  const lines = createMemo(() => {
    const here = props.cell.shown();
    const view = props.cell.view();
    if (!here?.plane || !view) return [];
    return linesOn(here, props.others, (point) => view.placeOf(point));
  });
  const cursor = createMemo(() => {
    const here = props.cell.shown();
    const view = props.cell.view();
    if (!props.cursor || !here?.plane || !view) return undefined;
    return { at: view.placeOf(props.cursor), isNear: isNear(here.plane, props.cursor) };
  });
  return (
    <svg class="cross-lines" aria-hidden="true">
      <For each={lines()}>
        {([a, b], index) => (
          <line x1={a.x} y1={a.y} x2={b.x} y2={b.y} classList={{ "of-active": index() === 0 }} />
        )}
      </For>
      <Show when={cursor()} keyed>
        {({ at, isNear }) => (
          <g class="cursor-3d" classList={{ far: !isNear }}>
            <line x1={at.x - CURSOR_PX} y1={at.y} x2={at.x + CURSOR_PX} y2={at.y} />
            <line x1={at.x} y1={at.y - CURSOR_PX} x2={at.x} y2={at.y + CURSOR_PX} />
          </g>
        )}
      </Show>
    </svg>
  );
}

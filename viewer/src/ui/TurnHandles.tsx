/** Drawn on the lines where the other planes of a volume cut this one: handles that turn them. */
import { Index, createMemo, type JSX } from "solid-js";
import { length, moved, unit } from "../dicom/geometry";
import type { Vector3 } from "../dicom/model";
import { cross } from "../dicom/orientation";
import type { Cell } from "../render/cell";
import type { Point } from "../tools/gestures";
import { meetingOf, screenOf, type TurnablePlane } from "./turning";

export interface TurnHandlesProps {
  readonly cell: Cell;
  /** Of the cells of the stage. */
  readonly index: number;
  /** All planes of the volume that are seen, this one among them. */
  readonly planes: readonly TurnablePlane[];
}

/** How far from where the planes meet, as a share of the smaller side of the cell. */
const AWAY = 0.34;
const RADIUS_PX = 5;
const REACH_PX = 14;
/** Nearer to where the planes meet, a handle would turn by jumps. */
const NEAREST_PX = 24;
/** From each edge of the cell: what is written there, letters that tell the side of the patient first. */
const WRITTEN_PX = { left: 36, right: 48, top: 44, bottom: 72 };

interface Handle {
  readonly at: Point;
  readonly of: TurnablePlane;
  readonly pivot: Vector3;
  readonly centre: Point;
}

export function TurnHandles(props: TurnHandlesProps): JSX.Element {
  const handles = createMemo<readonly Handle[]>(() => {
    const here = props.planes.find(({ cell }) => cell === props.index);
    const view = props.cell.view();
    const box = props.cell.element();
    const pivot = meetingOf(props.planes);
    if (!here || !view || !box || !pivot) return [];
    const centre = view.placeOf(pivot);
    const away = AWAY * Math.min(box.clientWidth, box.clientHeight);
    return props.planes.flatMap((of) => {
      const along = cross(here.plane.normal, of.plane.normal);
      if (of === here || length(along) < SLIM) return [];
      const to = view.placeOf(moved(pivot, [unit(along), 1]));
      const size = Math.hypot(to.x - centre.x, to.y - centre.y);
      const way: Point = { x: (to.x - centre.x) / size, y: (to.y - centre.y) / size };
      return [way, { x: -way.x, y: -way.y }].map((direction) => {
        const by = Math.min(away, Math.max(NEAREST_PX, wayOut(centre, direction, box)));
        return { at: { x: centre.x + direction.x * by, y: centre.y + direction.y * by }, of, pivot, centre };
      });
    });
  });

  let held: { readonly pointer: number; angle: number } | undefined;
  const angleOf = (event: PointerEvent, { centre }: Handle) => {
    const box = props.cell.element()!.getBoundingClientRect();
    return Math.atan2(event.clientY - box.top - centre.y, event.clientX - box.left - centre.x);
  };
  const down = (event: PointerEvent & { currentTarget: SVGElement }, handle: Handle) => {
    if (event.button !== 0) return;
    event.preventDefault();
    event.currentTarget.setPointerCapture(event.pointerId);
    held = { pointer: event.pointerId, angle: angleOf(event, handle) };
  };
  const move = (event: PointerEvent, { of, pivot, centre }: Handle) => {
    const view = props.cell.view();
    if (held?.pointer !== event.pointerId || !view) return;
    const screen = screenOf(view);
    const angle = angleOf(event, { of, pivot, centre, at: centre });
    if (screen) of.turn(screen.away, pivot, angle - held.angle);
    held.angle = angle;
  };
  const up = (event: PointerEvent) => {
    if (held?.pointer === event.pointerId) held = undefined;
  };

  return (
    <svg class="turn-handles" aria-hidden="true">
      <Index each={handles()}>
        {(handle) => (
          <g
            class="turn-handle"
            data-cut={handle().of.shown.cut}
            onPointerDown={(event) => down(event, handle())}
            onPointerMove={(event) => move(event, handle())}
            onPointerUp={up}
            onPointerCancel={up}
          >
            <circle class="reach" cx={handle().at.x} cy={handle().at.y} r={REACH_PX} />
            <circle cx={handle().at.x} cy={handle().at.y} r={RADIUS_PX} />
          </g>
        )}
      </Index>
    </svg>
  );
}

/** How far it is from a point to what is written at the edge of a cell, in a direction. */
function wayOut(from: Point, { x, y }: Point, box: HTMLElement): number {
  const { left, right, top, bottom } = WRITTEN_PX;
  const across = x === 0 ? Infinity : ((x > 0 ? box.clientWidth - right : left) - from.x) / x;
  const along = y === 0 ? Infinity : ((y > 0 ? box.clientHeight - bottom : top) - from.y) / y;
  return Math.min(across, along);
}

/** Planes that are nearly parallel cut one another nowhere that could be taken hold of. */
const SLIM = 0.05;

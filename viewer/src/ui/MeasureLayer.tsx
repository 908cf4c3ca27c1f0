/** Drawn over an image: its measurements with their values, and the points to take hold of. */
import { Index, Show, createEffect, createMemo, onMount, type JSX } from "solid-js";
import { handlesOf, outlines, type ImagePoint } from "../dicom/measure";
import { toldInWords, valuesInWords, type Activity } from "../dicom/measurewords";
import { suvFactor, unitOf } from "../dicom/uptake";
import { nameInWords } from "../dicom/words";
import { t } from "../i18n/study";
import type { Cell } from "../render/cell";
import type { ShownView } from "../render/view";
import type { Measurement } from "../state/measurements";
import type { Reported, ReportedOnes } from "../state/reported";
import { seenOn } from "../state/space";
import type { Point } from "../tools/gestures";
import type { Measuring, Sight } from "../tools/measuring";
import { sightOf } from "./sight";

export interface MeasureLayerProps {
  readonly cell: Cell;
  readonly measuring: Measuring;
  /** What reports measured: to be seen, and not to be taken hold of. */
  readonly reported: ReportedOnes;
}

/** A measurement as it lies on the screen now. */
export interface Drawn {
  readonly one: Measurement;
  readonly lines: readonly { readonly path: string; readonly faint: boolean }[];
  readonly handles: readonly Point[];
  readonly words: readonly string[];
  readonly wordsAt: Point;
}

const WORDS_AWAY_PX = 10;
export const LINE_PX = 16;
/** About what a letter of the values is wide. */
const LETTER_PX = 6.6;
const ARROW_PX = 12;
const PROBE_PX = 6;
const MARGIN_PX = 6;

export function MeasureLayer(props: MeasureLayerProps): JSX.Element {
  const all = createMemo<DrawnOnes>(() => {
    const sight = sightOf(props.cell);
    const box = props.cell.element();
    if (!sight || !box) return { own: [], reported: [] };
    return drawnIn(sight, props.measuring, props.reported, () => ({ x: box.clientWidth, y: box.clientHeight }), activityOf(props.cell.shown()));
  });
  const drawn = () => all().own;
  const isChosen = (id: string) => props.measuring.selected() === id;
  const showsHandles = (id: string) => isChosen(id) || props.measuring.aimed()?.id === id;
  const named = createMemo(() => drawn().find(({ one }) => one.id === props.measuring.naming()));
  return (
    <>
      <svg class="measure-layer" aria-hidden="true">
        <Index each={all().reported}>
          {(shape) => (
            <g
              class="reported"
              classList={{ chosen: props.reported.selected() === shape().one.id }}
              data-kind={shape().one.kind}
            >
              <ShapeLines shape={shape()} />
            </g>
          )}
        </Index>
        <Index each={drawn()}>
          {(shape) => (
            <g classList={{ chosen: isChosen(shape().one.id) }} data-kind={shape().one.kind}>
              <ShapeLines shape={shape()} />
              <Show when={showsHandles(shape().one.id)}>
                <Index each={shape().handles}>
                  {(handle) => <circle class="handle" cx={handle().x} cy={handle().y} r={4} />}
                </Index>
              </Show>
            </g>
          )}
        </Index>
      </svg>
      <Show when={named()?.one.id} keyed>
        {(id) => (
          <NameField
            at={named()!.wordsAt}
            text={named()!.one.label}
            onDone={(label) => {
              props.measuring.setNaming(null);
              if (label !== undefined) props.measuring.label(id, label);
            }}
          />
        )}
      </Show>
    </>
  );
}

export interface DrawnOnes {
  readonly own: readonly Drawn[];
  readonly reported: readonly Drawn[];
}

/** What is measured on what is seen, the person's own and what reports say, as it lies in a picture of a size. */
export function drawnIn(
  sight: Sight,
  measuring: Pick<Measuring, "seenIn">,
  reported: Pick<ReportedOnes, "visible">,
  /** Asked where there is something to be drawn: the page must be laid out to know it. */
  sizeOf: () => Point,
  activity?: Activity,
): DrawnOnes {
  const [mine, theirs] = [measuring.seenIn(sight), reported.visible()];
  if (mine.length + theirs.length === 0) return { own: [], reported: [] };
  const size = sizeOf();
  const taken = edgesOf(size);
  const toScreen = (point: ImagePoint) => sight.toScreen(point);
  return {
    own: mine.map((one) => drawnOf(one, wordsOf(one, activity), toScreen, size, taken)),
    reported: theirs.flatMap((one) => {
      const shape = seenOn(one.shape, sight);
      return shape ? drawnOf(shape, wordsOfReported(one), toScreen, size, taken) : [];
    }),
  };
}

/** The lines of a shape, and its words. */
function ShapeLines(props: { readonly shape: Drawn }): JSX.Element {
  return (
    <>
      <Index each={props.shape.lines}>
        {(line) => (
          <>
            <path class="halo" classList={{ faint: line().faint }} d={line().path} />
            <path classList={{ faint: line().faint }} d={line().path} />
          </>
        )}
      </Index>
      <text x={props.shape.wordsAt.x} y={props.shape.wordsAt.y}>
        <Index each={props.shape.words}>
          {(line, index) => (
            <tspan x={props.shape.wordsAt.x} dy={index === 0 ? 0 : LINE_PX}>
              {line()}
            </tspan>
          )}
        </Index>
      </text>
    </>
  );
}

const wordsOf = (one: Measurement, activity: Activity | undefined): readonly string[] => [
  ...(one.label ? [one.label] : []),
  ...valuesInWords(one, activity),
];

/** With who says so: a person, or else the report. */
function wordsOfReported({ shape, told, report }: Reported): readonly string[] {
  const source = report.observer ? nameInWords(report.observer) : report.title;
  return [...(shape.label ? [shape.label] : []), ...toldInWords(told), ...(source ? [`[${source}]`] : [])];
}

function drawnOf(
  one: Measurement,
  words: readonly string[],
  toScreen: (point: ImagePoint) => Point | undefined,
  size: Point,
  taken: Box[],
): Drawn {
  const shapes = outlines(one.kind, one.points, one.spacing).map(({ points, closed, faint }) => ({
    points: points.flatMap((point) => toScreen(point) ?? []),
    closed,
    faint: faint === true,
  }));
  const corners = shapes.flatMap(({ points }) => points);
  const lines = shapes.map(({ points, closed, faint }) => ({ path: pathOf(points, closed), faint }));
  if (one.kind === "arrow" && corners.length === 2) lines.push({ path: arrowHead(corners[0]!, corners[1]!), faint: false });
  if (one.kind === "probe" && corners[0]) lines.push({ path: crossAt(corners[0]), faint: false });
  return {
    one,
    lines,
    handles: handlesOf(one.kind, one.points).flatMap((index) => toScreen(one.points[index]!) ?? []),
    words,
    wordsAt: placeOfWords(one.kind === "arrow" ? corners.slice(1) : corners, words, size, taken),
  };
}

/** Where the values are uptake, what that is in the unit of the image. */
export function activityOf(shown: ShownView | null): Activity | undefined {
  const factor = suvFactor(shown?.uptake);
  return shown && factor && factor !== 1 ? { perSuv: 1 / factor, unit: unitOf(shown.frame) } : undefined;
}

interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/**
 * Beside the shape, where it covers no other words: right, left, below or above, inside of the
 * picture. What is placed is added to `taken`.
 */
function placeOfWords(corners: readonly Point[], words: readonly string[], size: Point, taken: Box[]): Point {
  const first = corners[0] ?? { x: 0, y: 0 };
  const farthest = (isFarther: (a: Point, b: Point) => boolean) =>
    corners.reduce((far, corner) => (isFarther(corner, far) ? corner : far), first);
  const [right, left] = [farthest((a, b) => a.x > b.x), farthest((a, b) => a.x < b.x)];
  const [low, high] = [farthest((a, b) => a.y > b.y), farthest((a, b) => a.y < b.y)];
  const width = Math.max(0, ...words.map((line) => line.length)) * LETTER_PX;
  const height = LINE_PX * Math.max(1, words.length);
  const boxAt = (x: number, y: number): Box => ({ left: x, top: y, right: x + width, bottom: y + height });
  const places = [
    boxAt(right.x + WORDS_AWAY_PX, right.y - LINE_PX / 2),
    boxAt(left.x - WORDS_AWAY_PX - width, left.y - LINE_PX / 2),
    boxAt(low.x - width / 2, low.y + WORDS_AWAY_PX),
    boxAt(high.x - width / 2, high.y - WORDS_AWAY_PX - height),
  ];
  const isInside = (box: Box) =>
    box.left >= MARGIN_PX && box.top >= MARGIN_PX && box.right <= size.x - MARGIN_PX && box.bottom <= size.y - MARGIN_PX;
  const isFree = (box: Box) => !taken.some((other) => doMeet(box, other));
  const box = places.find((place) => isInside(place) && isFree(place)) ?? places.find(isInside) ?? held(places[0]!, size);
  if (words.length > 0) taken.push(box);
  return { x: box.left, y: box.top + LINE_PX * BASELINE };
}

const EDGE_PX = 44;
const LETTER_BOX_PX = 24;

/** Where the letters at the edges are: a value there would take one of them away. */
function edgesOf({ x, y }: Point): Box[] {
  const [column, row] = [(x - LETTER_BOX_PX) / 2, (y - LETTER_BOX_PX) / 2];
  return [
    { left: 0, top: row, right: EDGE_PX, bottom: row + LETTER_BOX_PX },
    { left: x - EDGE_PX, top: row, right: x, bottom: row + LETTER_BOX_PX },
    { left: column, top: 0, right: column + LETTER_BOX_PX, bottom: EDGE_PX },
    { left: column, top: y - EDGE_PX, right: column + LETTER_BOX_PX, bottom: y },
  ];
}

/** Where in a line its letters stand. */
const BASELINE = 0.76;

function doMeet(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

function held(box: Box, size: Point): Box {
  const x = Math.max(MARGIN_PX, Math.min(size.x - MARGIN_PX - (box.right - box.left), box.left)) - box.left;
  const y = Math.max(MARGIN_PX, Math.min(size.y - MARGIN_PX - (box.bottom - box.top), box.top)) - box.top;
  return { left: box.left + x, top: box.top + y, right: box.right + x, bottom: box.bottom + y };
}

function pathOf(points: readonly Point[], closed: boolean): string {
  const line = points.map(({ x, y }, index) => `${index === 0 ? "M" : "L"}${x.toFixed(2)} ${y.toFixed(2)}`).join("");
  return closed && points.length > 0 ? `${line}Z` : line;
}

function arrowHead(tip: Point, tail: Point): string {
  const turn = Math.atan2(tail.y - tip.y, tail.x - tip.x);
  const side = (by: number): Point => ({ x: tip.x + ARROW_PX * Math.cos(turn + by), y: tip.y + ARROW_PX * Math.sin(turn + by) });
  return pathOf([side(0.42), tip, side(-0.42)], false);
}

function crossAt({ x, y }: Point): string {
  const arm = (dx: number, dy: number) => pathOf([{ x: x + dx * 2, y: y + dy * 2 }, { x: x + dx * PROBE_PX, y: y + dy * PROBE_PX }], false);
  return [arm(1, 0), arm(-1, 0), arm(0, 1), arm(0, -1)].join("");
}

interface NameFieldProps {
  readonly at: Point;
  readonly text: string;
  /** With the text, or without one where it was put away. */
  readonly onDone: (label: string | undefined) => void;
}

function NameField(props: NameFieldProps): JSX.Element {
  let field!: HTMLInputElement;
  let isDone = false;
  const done = (label?: string) => {
    if (isDone) return;
    isDone = true;
    props.onDone(label?.trim());
  };
  onMount(() => field.focus());
  createEffect(() => {
    field.style.left = `${props.at.x}px`;
    field.style.top = `${props.at.y - LINE_PX}px`;
  });
  return (
    <input
      ref={field}
      class="measure-name"
      value={props.text}
      aria-label={t().measure.label}
      placeholder={t().measure.label}
      maxLength={64}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Enter") done(field.value);
        if (event.key === "Escape") done();
      }}
      onBlur={() => done(field.value)}
    />
  );
}

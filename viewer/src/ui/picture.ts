/** One picture as a canvas: the pixels of a twin, and over them what is drawn over them on the page. */
import type { Stack } from "../dicom/displaysets";
import type { ImagePoint } from "../dicom/measure";
import type { Vector3 } from "../dicom/model";
import { PALETTES } from "../dicom/palettes";
import type { Twin } from "../render/twin";
import type { ShownOver, ShownView } from "../render/view";
import type { Shown, Size } from "../state/exporting";
import type { ReportedOnes } from "../state/reported";
import type { Identity } from "../state/study";
import type { Point } from "../tools/gestures";
import type { Measuring } from "../tools/measuring";
import { CURSOR_PX, isNear, linesOn } from "./CrossLines";
import { LINE_PX, activityOf, drawnIn, type Drawn } from "./MeasureLayer";
import { overEnds, overlayCorners, scaleBar, type OverlayLine } from "./overlaylines";
import { lieOfPixels, planesOf } from "./PlaneLayer";
import { sightOf } from "./sight";

/** What is known of a picture besides its pixels. */
export interface Around {
  readonly stack: Stack;
  readonly identity: Identity | null;
  readonly measuring: Pick<Measuring, "seenIn">;
  readonly reported: Pick<ReportedOnes, "visible">;
  readonly others: readonly ShownView[];
  readonly cursor: Vector3 | null;
  /** What files draw over their pixels is seen. */
  readonly overlays: boolean;
}

/** Where in a canvas, and how many of its pixels one of the page's takes, by which letters and lines are drawn. */
export interface Placed {
  readonly at: Point;
  readonly size: Size;
  readonly dots: number;
}

export type Brush = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

const FONT = '"Inter Variable", system-ui, sans-serif';
const WORDS_PX = 12;
const SMALLEST_PX = 8;
const SCALE_WORDS_PX = 11;
const LINE_HEIGHT = 1.4;
const MARGIN_PX = 12;
const CORNER_SHARE = 0.44;
/** In narrower pictures each corner has one line. */
const SMALL_PX = 300;

export async function paint(brush: Brush, twin: Twin, { at, size, dots }: Placed, shown: Shown, around: Around): Promise<void> {
  const view = twin.shown();
  const planes = around.overlays ? await planesOf(view, twin.view) : null;
  brush.save();
  brush.beginPath();
  brush.rect(at.x, at.y, size.width, size.height);
  brush.clip();
  brush.fillStyle = "#000";
  brush.fillRect(at.x, at.y, size.width, size.height);
  brush.drawImage(twin.canvas, at.x, at.y, size.width, size.height);
  brush.translate(at.x, at.y);
  brush.scale(dots, dots);
  const page = { x: size.width / dots, y: size.height / dots };
  // The twin tells places in pixels of its own element.
  const toPage = ({ x, y }: Point): Point => ({ x: (x * twin.dots) / dots, y: (y * twin.dots) / dots });
  const lie = planes && lieOfPixels(view, twin.view);
  if (planes && lie) {
    brush.save();
    brush.scale(twin.dots / dots, twin.dots / dots);
    brush.transform(...lie);
    brush.imageSmoothingEnabled = false;
    brush.drawImage(planes, 0, 0);
    brush.restore();
  }
  if (shown.drawings) {
    paintLines(brush, view, twin, toPage, around);
    const sight = sightOf({ shown: twin.shown, view: () => twin.view, stack: () => around.stack });
    if (sight) {
      const toScreen = (point: ImagePoint) => {
        const place = sight.toScreen(point);
        return place && toPage(place);
      };
      const { own, reported } = drawnIn({ ...sight, toScreen }, around.measuring, around.reported, () => page, activityOf(view));
      for (const one of reported) paintMeasurement(brush, one, REPORTED);
      for (const one of own) paintMeasurement(brush, one, OWN);
    }
  }
  if (shown.text) paintText(brush, view, around.stack, shown.patient ? around.identity : null, page, twin.dots / dots);
  brush.restore();
}

function paintLines(brush: Brush, view: ShownView, twin: Twin, toPage: (at: Point) => Point, around: Around): void {
  linesOn(view, around.others, (point) => toPage(twin.view.placeOf(point))).forEach(([a, b], index) => {
    brush.strokeStyle = index === 0 ? "#4cb7d9" : "rgb(236 236 238 / 45%)";
    brush.lineWidth = 1;
    brush.setLineDash(index === 0 ? [] : [5, 4]);
    line(brush, a, b);
  });
  brush.setLineDash([]);
  if (!around.cursor || !view.plane) return;
  const { x, y } = toPage(twin.view.placeOf(around.cursor));
  brush.strokeStyle = isNear(view.plane, around.cursor) ? "#f0b429" : "rgb(240 180 41 / 35%)";
  brush.lineWidth = 1.5;
  line(brush, { x: x - CURSOR_PX, y }, { x: x + CURSOR_PX, y });
  line(brush, { x, y: y - CURSOR_PX }, { x, y: y + CURSOR_PX });
}

function line(brush: Brush, a: Point, b: Point): void {
  brush.beginPath();
  brush.moveTo(a.x, a.y);
  brush.lineTo(b.x, b.y);
  brush.stroke();
}

/** How measurements look, as on the page. */
interface Ink {
  readonly line: string;
  readonly words: string;
  readonly dash: readonly number[];
}

const OWN: Ink = { line: "#f0b429", words: "#f0b429", dash: [] };
const REPORTED: Ink = { line: "#c7a6f2", words: "#d9c4f7", dash: [6, 3] };
const FAINT = 0.6;

function paintMeasurement(brush: Brush, { lines, words, wordsAt }: Drawn, ink: Ink): void {
  brush.lineJoin = "round";
  brush.lineCap = "round";
  for (const { path, faint } of lines) {
    const shape = new Path2D(path);
    brush.setLineDash([]);
    brush.strokeStyle = "rgb(0 0 0 / 55%)";
    brush.lineWidth = 3;
    brush.stroke(shape);
    brush.setLineDash(faint ? [3, 4] : [...ink.dash]);
    brush.strokeStyle = ink.line;
    brush.globalAlpha = faint ? FAINT : 1;
    brush.lineWidth = 1.25;
    brush.stroke(shape);
    brush.globalAlpha = 1;
  }
  brush.setLineDash([]);
  brush.font = `400 ${WORDS_PX}px ${FONT}`;
  brush.textAlign = "left";
  brush.textBaseline = "alphabetic";
  words.forEach((text, index) => write(brush, text, wordsAt.x, wordsAt.y + index * LINE_PX, ink.words));
}

function write(brush: Brush, words: string, x: number, y: number, colour: string, size = WORDS_PX): void {
  brush.lineJoin = "round";
  brush.strokeStyle = "rgb(0 0 0 / 88%)";
  brush.lineWidth = size / 5;
  brush.strokeText(words, x, y);
  brush.fillStyle = colour;
  brush.fillText(words, x, y);
}

/** `dots` are the page's pixels for one of the view's. */
function paintText(brush: Brush, view: ShownView, stack: Stack, identity: Identity | null, page: Point, dots: number): void {
  const { topLeft, topRight, bottomLeft, bottomRight } = overlayCorners(view, stack, identity);
  const size = lettersFor(page);
  const height = size * LINE_HEIGHT;
  const corner = (lines: readonly OverlayLine[], isRight: boolean, isBottom: boolean) => {
    // How large it is on a screen is of no use elsewhere.
    const kept = lines.filter(({ words, kind }) => words !== "" && kind !== "magnification");
    const seen = kept.slice(0, page.x < SMALL_PX ? 1 : kept.length);
    const top = isBottom ? page.y - MARGIN_PX - seen.length * height : MARGIN_PX;
    brush.textAlign = isRight ? "right" : "left";
    brush.textBaseline = "middle";
    seen.forEach(({ words, strong }, index) => {
      brush.font = `${strong ? 500 : 400} ${size}px ${FONT}`;
      const x = isRight ? page.x - MARGIN_PX : MARGIN_PX;
      write(brush, shortened(brush, words, page.x * CORNER_SHARE), x, top + (index + 0.5) * height, strong ? "#ececee" : "#c9c9cf", size);
    });
  };
  corner(topLeft, false, false);
  corner(topRight, true, false);
  corner(bottomLeft, false, true);
  const room = view.pixelsPerMm ? paintScale(brush, view.pixelsPerMm * dots, page) : 0;
  corner(bottomRight, true, true);
  if (view.over) paintColours(brush, view.over, page, size);
  if (!view.edges) return;
  brush.font = `550 ${size}px ${FONT}`;
  brush.textBaseline = "middle";
  brush.textAlign = "center";
  write(brush, view.edges.top, page.x / 2, MARGIN_PX + height / 2, "#b4b4bc", size);
  write(brush, view.edges.bottom, page.x / 2, page.y - MARGIN_PX - room - height / 2, "#b4b4bc", size);
  brush.textAlign = "left";
  write(brush, view.edges.left, MARGIN_PX, page.y / 2, "#b4b4bc", size);
  brush.textAlign = "right";
  write(brush, view.edges.right, page.x - MARGIN_PX, page.y / 2, "#b4b4bc", size);
}

/** In a small picture letters are smaller, so that the corners do not meet. */
function lettersFor(page: Point): number {
  return Math.max(SMALLEST_PX, Math.min(WORDS_PX, page.x / 26, page.y / 22));
}

const BAR_LEFT_PX = 34;
const BAR_PX = 8;
/** Above and below it, by the height of the picture. */
const BAR_SHARE = 0.26;

/** What the colours of the upper volume stand for. */
function paintColours(brush: Brush, over: ShownOver, page: Point, size: number): void {
  const [top, bottom] = [page.y * BAR_SHARE, page.y * (1 - BAR_SHARE)];
  const gradient = brush.createLinearGradient(0, bottom, 0, top);
  for (const [at, red, green, blue] of PALETTES[over.palette]) gradient.addColorStop(at / 255, `rgb(${red} ${green} ${blue})`);
  brush.fillStyle = "rgb(0 0 0 / 60%)";
  brush.fillRect(BAR_LEFT_PX - 1, top - 1, BAR_PX + 2, bottom - top + 2);
  brush.fillStyle = gradient;
  brush.fillRect(BAR_LEFT_PX, top, BAR_PX, bottom - top);
  const [low, high] = overEnds(over);
  brush.font = `400 ${Math.min(SCALE_WORDS_PX, size)}px ${FONT}`;
  brush.textAlign = "left";
  brush.textBaseline = "middle";
  write(brush, high, BAR_LEFT_PX, top - size, "#c9c9cf", size);
  write(brush, low, BAR_LEFT_PX, bottom + size, "#c9c9cf", size);
}

const SCALE_TICK_PX = 5;

/** Gives the height that it takes; none where no length is short enough. */
function paintScale(brush: Brush, pixelsPerMm: number, page: Point): number {
  const bar = scaleBar(pixelsPerMm, Math.min(160, page.x * 0.22));
  if (!bar) return 0;
  const { mm, words } = bar;
  const width = mm * pixelsPerMm;
  const [left, bottom] = [(page.x - width) / 2, page.y - MARGIN_PX - 2];
  const path = new Path2D();
  path.moveTo(left, bottom - SCALE_TICK_PX);
  path.lineTo(left, bottom);
  path.lineTo(left + width, bottom);
  path.lineTo(left + width, bottom - SCALE_TICK_PX);
  for (const [colour, thick] of [["rgb(0 0 0 / 80%)", 3], ["#c9c9cf", 1]] as const) {
    brush.strokeStyle = colour;
    brush.lineWidth = thick;
    brush.stroke(path);
  }
  brush.font = `400 ${Math.min(SCALE_WORDS_PX, lettersFor(page))}px ${FONT}`;
  brush.textAlign = "left";
  brush.textBaseline = "middle";
  write(brush, words, left + width + 8, bottom - SCALE_TICK_PX / 2, "#c9c9cf");
  return SCALE_TICK_PX + 4;
}

/** What does not fit ends in dots, as on the page. */
function shortened(brush: Brush, words: string, most: number): string {
  if (brush.measureText(words).width <= most) return words;
  let letters = [...words];
  while (letters.length > 1 && brush.measureText(`${letters.join("")}…`).width > most) letters = letters.slice(0, -1);
  return `${letters.join("")}…`;
}

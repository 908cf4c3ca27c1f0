/**
 * Shapes that measure an image, and what they measure.
 *
 * A point is a column and a row of the image as continuous numbers of pixels: 0, 0 is the centre of
 * the first pixel, so a picture reaches from -0.5 to its columns less 0.5. `state/draftform.ts` alone turns
 * this into the coordinates of PS3.3 C.18.6. Nothing here knows a screen.
 */
import type { FrameDescription, UltrasoundRegion } from "./frame";

export interface ImagePoint {
  readonly x: number;
  readonly y: number;
}

/**
 * What the points of each are:
 * length, arrow (tip first): two ends; bidirectional: ends of the long axis, then of the short one;
 * angle: an end, the vertex, an end; cobb: the ends of two lines; ellipse: the ends of one axis, then
 * of the other; rectangle: four corners around; circle: centre and a point of its edge; freehand: the
 * corners of a polygon; spline: what a smooth closed curve goes through; probe: one point.
 */
export const KINDS = [
  "length",
  "bidirectional",
  "angle",
  "cobb",
  "ellipse",
  "rectangle",
  "circle",
  "freehand",
  "spline",
  "arrow",
  "probe",
] as const;

export type Kind = (typeof KINDS)[number];

export const isKind = (name: unknown): name is Kind => (KINDS as readonly unknown[]).includes(name);

export const hasArea = (kind: Kind): boolean =>
  kind === "ellipse" || kind === "rectangle" || kind === "circle" || kind === "freehand" || kind === "spline";

/** How many points a shape is stored with; undefined for a polygon and a curve, which have three or more. */
export const POINT_COUNT: Readonly<Record<Kind, number | undefined>> = {
  length: 2,
  bidirectional: 4,
  angle: 3,
  cobb: 4,
  ellipse: 4,
  rectangle: 4,
  circle: 2,
  freehand: undefined,
  spline: undefined,
  arrow: 2,
  probe: 1,
};

/** The size of a pixel: from column to column, and from row to row. */
export interface Spacing {
  readonly x: number;
  readonly y: number;
  /** Pixels where the image tells no size; `y` is then the aspect ratio. */
  readonly unit: "mm" | "px";
  /** Measured at the detector: what lies before it is smaller (PS3.3 10.7.1.3). */
  readonly atDetector: boolean;
}

/** What holds where these points lie: of the smallest region of ultrasound around all of them, else of the frame. */
export function spacingOf(frame: FrameDescription, points: readonly ImagePoint[] = []): Spacing {
  const regions = frame.regions.filter((one) => points.length > 0 && points.every((point) => isIn(point, one)));
  const size = (one: UltrasoundRegion) => (one.right - one.left) * (one.bottom - one.top);
  const [region] = regions.sort((a, b) => size(a) - size(b));
  const spacingMm = region ? region.spacingMm : frame.spacingMm;
  if (!spacingMm) return { x: 1, y: frame.pixelAspect, unit: "px", atDetector: false };
  const [y, x] = spacingMm;
  return { x, y, unit: "mm", atDetector: !region && frame.spacingAtDetector };
}

function isIn({ x, y }: ImagePoint, { left, top, right, bottom }: UltrasoundRegion): boolean {
  return x >= left - 0.5 && x <= right + 0.5 && y >= top - 0.5 && y <= bottom + 0.5;
}

// --- What the hand gives, made into a shape --------------------------------------------------

/** The shape that is seen while and after so many points were placed. */
export function shapeOf(kind: Kind, placed: readonly ImagePoint[], spacing: Spacing): readonly ImagePoint[] {
  const [p, q] = placed;
  if (!p || !q) return placed;
  if (kind === "rectangle") return [p, { x: q.x, y: p.y }, q, { x: p.x, y: q.y }];
  if (kind === "ellipse") {
    const centre = middle(p, q);
    return [{ x: p.x, y: centre.y }, { x: q.x, y: centre.y }, { x: centre.x, y: p.y }, { x: centre.x, y: q.y }];
  }
  if (kind === "bidirectional") return [p, q, ...across(p, q, { share: 0.5, one: 0.25, other: 0.25 }, spacing)];
  return placed;
}

/** The short axis, as shares of the long one: where it cuts it, and how far it reaches on each side. */
interface ShortAxis {
  readonly share: number;
  readonly one: number;
  readonly other: number;
}

function across(a: ImagePoint, b: ImagePoint, axis: ShortAxis, spacing: Spacing): readonly [ImagePoint, ImagePoint] {
  const foot = { x: a.x + (b.x - a.x) * axis.share, y: a.y + (b.y - a.y) * axis.share };
  // At a right angle where the pixels are not square, too.
  const normal = { x: (-(b.y - a.y) * spacing.y) / spacing.x, y: ((b.x - a.x) * spacing.x) / spacing.y };
  return [
    { x: foot.x + normal.x * axis.one, y: foot.y + normal.y * axis.one },
    { x: foot.x - normal.x * axis.other, y: foot.y - normal.y * axis.other },
  ];
}

function shortAxisOf([a, b, c, d]: readonly ImagePoint[], spacing: Spacing): ShortAxis {
  const [along, aside] = alongAndAside(a!, b!, c!, spacing);
  return { share: along, one: aside, other: -alongAndAside(a!, b!, d!, spacing)[1] };
}

/** A point by the line from `a` to `b`: the share along it, and the share of its length beside it. */
function alongAndAside(a: ImagePoint, b: ImagePoint, p: ImagePoint, spacing: Spacing): readonly [number, number] {
  const line = { x: (b.x - a.x) * spacing.x, y: (b.y - a.y) * spacing.y };
  const way = { x: (p.x - a.x) * spacing.x, y: (p.y - a.y) * spacing.y };
  const square = line.x ** 2 + line.y ** 2 || 1;
  return [(way.x * line.x + way.y * line.y) / square, (way.y * line.x - way.x * line.y) / square];
}

/** The points that can be taken hold of, as indexes. */
export function handlesOf(kind: Kind, points: readonly ImagePoint[]): readonly number[] {
  if (kind !== "freehand") return points.map((_, index) => index);
  const step = handleStep(points.length);
  return points.map((_, index) => index).filter((index) => index % step === 0);
}

const FREEHAND_HANDLES = 12;

function handleStep(count: number): number {
  return Math.max(1, Math.round(count / FREEHAND_HANDLES));
}

/** The shape with one of its points moved; what belongs to the point goes along. */
export function withHandle(
  kind: Kind,
  points: readonly ImagePoint[],
  index: number,
  to: ImagePoint,
  spacing: Spacing,
): readonly ImagePoint[] {
  const replaced = points.map((point, at) => (at === index ? to : point));
  switch (kind) {
    case "rectangle": {
      const opposite = points[(index + 2) % 4]!;
      const next = index % 2 === 0 ? { x: opposite.x, y: to.y } : { x: to.x, y: opposite.y };
      const before = index % 2 === 0 ? { x: to.x, y: opposite.y } : { x: opposite.x, y: to.y };
      return replaced.map((point, at) =>
        at === (index + 1) % 4 ? next : at === (index + 3) % 4 ? before : point,
      );
    }
    case "ellipse":
      return withAxisEnd(points, index, to);
    case "circle":
      return index === 0 ? shifted(points, minus(to, points[0]!)) : replaced;
    case "bidirectional": {
      const [a, b] = replaced as [ImagePoint, ImagePoint];
      const axis = shortAxisOf(points, spacing);
      if (index < 2) return [a, b, ...across(a, b, axis, spacing)];
      const [along, aside] = alongAndAside(a, b, to, spacing);
      const share = Math.min(1, Math.max(0, along));
      return [a, b, ...across(a, b, index === 2 ? { ...axis, share, one: aside } : { ...axis, share, other: -aside }, spacing)];
    }
    case "freehand":
      return pulled(points, index, to);
    default:
      return replaced;
  }
}

/** An ellipse keeps its directions: an end is moved along its axis, the opposite end stays. */
function withAxisEnd(points: readonly ImagePoint[], index: number, to: ImagePoint): readonly ImagePoint[] {
  const other = index % 2 === 0 ? index + 1 : index - 1;
  const fixed = points[other]!;
  const axis = minus(points[index]!, fixed);
  const square = axis.x ** 2 + axis.y ** 2 || 1;
  const way = minus(to, fixed);
  const share = (way.x * axis.x + way.y * axis.y) / square;
  const end = { x: fixed.x + axis.x * share, y: fixed.y + axis.y * share };
  const by = minus(middle(fixed, end), middle(fixed, points[index]!));
  return points.map((point, at) =>
    at === index ? end : at === other ? point : { x: point.x + by.x, y: point.y + by.y },
  );
}

/** A free line gives way around a point that is pulled, less the farther away. */
function pulled(points: readonly ImagePoint[], index: number, to: ImagePoint): readonly ImagePoint[] {
  const reach = handleStep(points.length);
  const by = minus(to, points[index]!);
  return points.map((point, at) => {
    const direct = Math.abs(at - index);
    const away = Math.min(direct, points.length - direct);
    if (away >= reach) return point;
    const share = (1 + Math.cos((Math.PI * away) / reach)) / 2;
    return { x: point.x + by.x * share, y: point.y + by.y * share };
  });
}

export function shifted(points: readonly ImagePoint[], by: ImagePoint): readonly ImagePoint[] {
  return points.map((point) => ({ x: point.x + by.x, y: point.y + by.y }));
}

// --- How it looks ----------------------------------------------------------------------------

export interface Outline {
  readonly points: readonly ImagePoint[];
  readonly closed: boolean;
  /** Drawn as a help for the eye, and not itself measured. */
  readonly faint?: boolean;
}

const CURVE_POINTS = 72;

/** The lines of a shape. Curves come as polygons of many corners. */
export function outlines(kind: Kind, points: readonly ImagePoint[], spacing: Spacing): readonly Outline[] {
  const line = (...ends: readonly ImagePoint[]): Outline => ({ points: ends, closed: false });
  const [a, b, c, d] = points;
  if ((kind === "cobb" || kind === "bidirectional") && a && b && c) {
    const lines = [line(a, b), line(c, d ?? c)];
    if (kind === "bidirectional" || !d) return lines;
    return [...lines, { ...line(middle(a, b), middle(c, d)), faint: true }];
  }
  if (kind === "rectangle" || kind === "freehand") return [{ points, closed: true }];
  if (kind === "spline") return [{ points: splineOf(points), closed: true }];
  const curve = ellipseOf(kind, points, spacing);
  if (!curve) return [line(...points)];
  const { centre, u, v } = curve;
  const corners = Array.from({ length: CURVE_POINTS }, (_, index) => {
    const turn = (2 * Math.PI * index) / CURVE_POINTS;
    const [cosine, sine] = [Math.cos(turn), Math.sin(turn)];
    return { x: centre.x + u.x * cosine + v.x * sine, y: centre.y + u.y * cosine + v.y * sine };
  });
  return [{ points: corners, closed: true }];
}

/** As many as a report writes (PS3.16 TID 1410), so that what is measured is what others will see. */
const SPLINE_STEPS = 8;

/** The corners of the closed uniform Catmull-Rom curve through points; fewer than three make no curve. */
export function splineOf(points: readonly ImagePoint[]): readonly ImagePoint[] {
  const count = points.length;
  if (count < 3) return points;
  return points.flatMap((start, at) => {
    const [before, end, after] = [points[(at + count - 1) % count]!, points[(at + 1) % count]!, points[(at + 2) % count]!];
    return Array.from({ length: SPLINE_STEPS }, (_, step) => {
      const s = step / SPLINE_STEPS;
      const weights = [(-s + 2 * s ** 2 - s ** 3) / 2, (2 - 5 * s ** 2 + 3 * s ** 3) / 2, (s + 4 * s ** 2 - 3 * s ** 3) / 2, (s ** 3 - s ** 2) / 2];
      const along = (axis: "x" | "y") => [before, start, end, after].reduce((sum, point, n) => sum + weights[n]! * point[axis], 0);
      return { x: along("x"), y: along("y") };
    });
  });
}

/** Centre and half axes, in pixels. A circle of the patient is none where pixels are not square. */
interface Ellipse {
  readonly centre: ImagePoint;
  readonly u: ImagePoint;
  readonly v: ImagePoint;
}

function ellipseOf(kind: Kind, points: readonly ImagePoint[], spacing: Spacing): Ellipse | undefined {
  const [a, b, c, d] = points;
  if (kind === "circle" && a && b) {
    const radius = distance(a, b, spacing);
    return { centre: a, u: { x: radius / spacing.x, y: 0 }, v: { x: 0, y: radius / spacing.y } };
  }
  if (kind !== "ellipse" || !a || !b || !c || !d) return undefined;
  const half = (from: ImagePoint, to: ImagePoint) => ({ x: (to.x - from.x) / 2, y: (to.y - from.y) / 2 });
  return { centre: middle(a, b), u: half(a, b), v: half(c, d) };
}

/** The ends of the axes of a circle as it lies on pixels that are not square. */
export function circleAxes(points: readonly ImagePoint[], spacing: Spacing): readonly ImagePoint[] {
  const { centre, u, v } = ellipseOf("circle", points, spacing)!;
  return [
    { x: centre.x - u.x, y: centre.y },
    { x: centre.x + u.x, y: centre.y },
    { x: centre.x, y: centre.y - v.y },
    { x: centre.x, y: centre.y + v.y },
  ];
}

// --- What it measures ------------------------------------------------------------------------

export type FigureName = "length" | "longAxis" | "shortAxis" | "angle" | "area" | "diameter";

export interface Figure {
  readonly name: FigureName;
  readonly value: number;
  readonly unit: "mm" | "px" | "mm²" | "px²" | "°";
}

/** What follows from the shape alone. */
export function figures(kind: Kind, points: readonly ImagePoint[], spacing: Spacing): readonly Figure[] {
  const [a, b, c, d] = points;
  const long = (name: FigureName, value: number): Figure => ({ name, value, unit: spacing.unit });
  const turned = (value: number): Figure => ({ name: "angle", value, unit: "°" });
  switch (kind) {
    case "length":
      return a && b ? [long("length", distance(a, b, spacing))] : [];
    case "bidirectional": {
      if (!a || !b || !c || !d) return [];
      const axes = [distance(a, b, spacing), distance(c, d, spacing)].sort((one, other) => other - one);
      return [long("longAxis", axes[0]!), long("shortAxis", axes[1]!)];
    }
    case "angle":
      return a && b && c ? [turned(angleBetween(minus(a, b), minus(c, b), spacing))] : [];
    case "cobb":
      return a && b && c && d ? [turned(cobbAngle([a, b], [c, d], spacing))] : [];
    case "circle":
      if (!a || !b) return [];
      return [long("diameter", 2 * distance(a, b, spacing)), area(kind, points, spacing)];
    case "ellipse":
    case "rectangle":
    case "freehand":
    case "spline":
      return points.length >= 3 ? [area(kind, points, spacing)] : [];
    default:
      return [];
  }
}

function area(kind: Kind, points: readonly ImagePoint[], spacing: Spacing): Figure {
  const curve = ellipseOf(kind, points, spacing);
  const corners = kind === "spline" ? splineOf(points) : points;
  const pixels = curve ? Math.PI * Math.abs(cross(curve.u, curve.v)) : polygonArea(corners);
  return { name: "area", value: pixels * spacing.x * spacing.y, unit: `${spacing.unit}²` };
}

function polygonArea(points: readonly ImagePoint[]): number {
  return Math.abs(points.reduce((sum, point, at) => sum + cross(point, points[(at + 1) % points.length]!), 0)) / 2;
}

export function distance(a: ImagePoint, b: ImagePoint, spacing: Spacing): number {
  return Math.hypot((b.x - a.x) * spacing.x, (b.y - a.y) * spacing.y);
}

/** From 0 to 180 degrees. */
function angleBetween(a: ImagePoint, b: ImagePoint, spacing: Spacing): number {
  const scaled = ({ x, y }: ImagePoint) => ({ x: x * spacing.x, y: y * spacing.y });
  const [p, q] = [scaled(a), scaled(b)];
  return (Math.atan2(Math.abs(cross(p, q)), p.x * q.x + p.y * q.y) * 180) / Math.PI;
}

/** Lines across vertebrae are not steeper; steeper ones lie along bones. */
const STEEPEST_ACROSS = 60;

/**
 * The angle of two lines without direction. Across vertebrae both are read from left to right, so that more
 * than 90° can be told; of lines along bones the acute angle is meant.
 */
function cobbAngle(first: readonly [ImagePoint, ImagePoint], second: readonly [ImagePoint, ImagePoint], spacing: Spacing): number {
  const ways = [rightward(...first), rightward(...second)] as const;
  const angle = angleBetween(...ways, spacing);
  const isSteep = ways.some((way) => Math.abs(Math.atan2(way.y * spacing.y, way.x * spacing.x)) > (STEEPEST_ACROSS * Math.PI) / 180);
  return isSteep ? Math.min(angle, 180 - angle) : angle;
}

function rightward(a: ImagePoint, b: ImagePoint): ImagePoint {
  return b.x > a.x || (b.x === a.x && b.y > a.y) ? minus(b, a) : minus(a, b);
}

// --- The pixels inside -----------------------------------------------------------------------

/** Stored values of one frame, row by row; the value in `unit` is `slope` × stored + `intercept`. */
export interface Pixels {
  readonly columns: number;
  readonly rows: number;
  readonly values: ArrayLike<number>;
  /** Values of one pixel: one of grey, or red, green and blue, and what else there may be. */
  readonly samples?: number;
  readonly slope: number;
  readonly intercept: number;
  readonly unit: string;
}

/** How values are spread. */
export interface Spread {
  readonly mean: number;
  /** Of these pixels themselves: the root of the mean square of what they differ from the mean by. */
  readonly sd: number;
  readonly min: number;
  readonly max: number;
}

/** Of colour, the values are those of the luminance. */
export interface Statistics extends Spread {
  readonly count: number;
  readonly unit: string;
  /** Of colour alone: red, green, blue. */
  readonly channels?: readonly Spread[] | undefined;
}

/** Luminance of red, green and blue, as PS3.3 C.7.6.3.1.2 has it for YBR_FULL. */
const LUMINANCE = [0.299, 0.587, 0.114] as const;

/** Of the pixels whose centre lies inside the shape or on its edge; undefined where there is none. */
export function statistics(
  kind: Kind,
  points: readonly ImagePoint[],
  spacing: Spacing,
  pixels: Pixels,
): Statistics | undefined {
  if (kind === "spline") return statistics("freehand", splineOf(points), spacing, pixels);
  const { columns, rows, values, samples = 1, slope, intercept, unit } = pixels;
  const [first, last] = kind === "probe" ? probed(points[0]!) : rowsOf(kind, points, spacing);
  const whole = gathered();
  const channels = samples < 3 ? [] : LUMINANCE.map(gathered);
  for (let row = Math.max(0, first); row <= Math.min(rows - 1, last); row += 1) {
    for (const [from, to] of spansOf(kind, points, spacing, row)) {
      const end = Math.min(columns - 1, Math.floor(to + ON_EDGE));
      for (let column = Math.max(0, Math.ceil(from - ON_EDGE)); column <= end; column += 1) {
        const at = (row * columns + column) * samples;
        let value = channels.length > 0 ? 0 : values[at]! * slope + intercept;
        channels.forEach((channel, index) => {
          channel.add(values[at + index]!);
          value += LUMINANCE[index]! * values[at + index]!;
        });
        // Of a plane that reaches beyond its volume there are no values.
        if (!Number.isNaN(value)) whole.add(value);
      }
    }
  }
  if (whole.count() === 0) return undefined;
  const found = { count: whole.count(), ...whole.spread(), unit };
  return channels.length > 0 ? { ...found, channels: channels.map((channel) => channel.spread()) } : found;
}

/** Takes values one by one. */
function gathered() {
  let [count, mean, squares, min, max] = [0, 0, 0, Infinity, -Infinity];
  return {
    add(value: number): void {
      // Welford's way: sums of squares of large values would lose the small differences.
      count += 1;
      const off = value - mean;
      mean += off / count;
      squares += off * (value - mean);
      if (value < min) min = value;
      if (value > max) max = value;
    },
    count: () => count,
    spread: (): Spread => ({ mean, sd: Math.sqrt(squares / count), min, max }),
  };
}

/** How much a centre may lie outside and still be on the edge, in pixels: the error of the arithmetic. */
const ON_EDGE = 1e-9;

function probed({ y }: ImagePoint): readonly [number, number] {
  return [Math.round(y), Math.round(y)];
}

function rowsOf(kind: Kind, points: readonly ImagePoint[], spacing: Spacing): readonly [number, number] {
  const curve = ellipseOf(kind, points, spacing);
  const half = curve && Math.hypot(curve.u.y, curve.v.y);
  const least = curve ? curve.centre.y - half! : Math.min(...points.map(({ y }) => y));
  const most = curve ? curve.centre.y + half! : Math.max(...points.map(({ y }) => y));
  return [Math.ceil(least - ON_EDGE), Math.floor(most + ON_EDGE)];
}

type Span = readonly [from: number, to: number];

/** The stretches of a row that lie inside. */
function spansOf(kind: Kind, points: readonly ImagePoint[], spacing: Spacing, row: number): readonly Span[] {
  if (kind === "probe") return [[Math.round(points[0]!.x), Math.round(points[0]!.x)]];
  if (kind === "rectangle") {
    const columns = points.map(({ x }) => x);
    return [[Math.min(...columns), Math.max(...columns)]];
  }
  const curve = ellipseOf(kind, points, spacing);
  return curve ? ellipseSpan(curve, row) : kind === "freehand" ? polygonSpans(points, row) : [];
}

/** Where (s, t), the point in units of both half axes, has s² + t² ≤ 1. */
function ellipseSpan({ centre, u, v }: Ellipse, row: number): readonly Span[] {
  const size = cross(u, v);
  if (size === 0) return [];
  const y = row - centre.y;
  // s = (x v.y - y v.x) / size, t = (y u.x - x u.y) / size: a square equation in x.
  const a = v.y ** 2 + u.y ** 2;
  const b = -2 * y * (v.x * v.y + u.x * u.y);
  const c = y ** 2 * (v.x ** 2 + u.x ** 2) - size ** 2;
  const root = b ** 2 - 4 * a * c;
  if (root < -ON_EDGE * size ** 2 * a) return [];
  const half = Math.sqrt(Math.max(0, root));
  return [[centre.x + (-b - half) / (2 * a), centre.x + (-b + half) / (2 * a)]];
}

/** Inside is what is reached over an odd number of edges. */
function polygonSpans(points: readonly ImagePoint[], row: number): readonly Span[] {
  const crossings: number[] = [];
  points.forEach((a, index) => {
    const b = points[(index + 1) % points.length]!;
    if (a.y <= row !== b.y <= row) crossings.push(a.x + ((row - a.y) * (b.x - a.x)) / (b.y - a.y));
  });
  crossings.sort((one, other) => one - other);
  return Array.from({ length: crossings.length / 2 }, (_, at) => [crossings[2 * at]!, crossings[2 * at + 1]!] as const);
}

// --- Small things ----------------------------------------------------------------------------

export function within(point: ImagePoint, columns: number, rows: number): ImagePoint {
  const held = (value: number, size: number) => Math.min(size - 0.5, Math.max(-0.5, value));
  return { x: held(point.x, columns), y: held(point.y, rows) };
}

function middle(a: ImagePoint, b: ImagePoint): ImagePoint {
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
}

export function minus(a: ImagePoint, b: ImagePoint): ImagePoint {
  return { x: a.x - b.x, y: a.y - b.y };
}

function cross(a: ImagePoint, b: ImagePoint): number {
  return a.x * b.y - a.y * b.x;
}

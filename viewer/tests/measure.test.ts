import assert from "node:assert/strict";
import { test } from "node:test";
import { describeFrame } from "../src/dicom/frame";
import {
  figures,
  handlesOf,
  shapeOf,
  spacingOf,
  splineOf,
  statistics,
  withHandle,
  type ImagePoint,
  type Kind,
  type Pixels,
  type Spacing,
} from "../src/dicom/measure";
import { valuesInWords } from "../src/dicom/measurewords";
import { newUid } from "../src/dicom/uid";

const SQUARE: Spacing = { x: 0.5, y: 0.5, unit: "mm", atDetector: false };
/** Rows are two millimetres apart, columns a half. */
const FLAT: Spacing = { x: 0.5, y: 2, unit: "mm", atDetector: false };

const at = (x: number, y: number): ImagePoint => ({ x, y });

function near(value: number | undefined, wanted: number, most = 1e-9): void {
  assert.ok(value !== undefined && Math.abs(value - wanted) <= most, `${value} is not ${wanted}`);
}

function valueOf(kind: Kind, points: readonly ImagePoint[], spacing: Spacing, index = 0): number | undefined {
  return figures(kind, points, spacing)[index]?.value;
}

test("a line between pixels of known size", () => {
  near(valueOf("length", [at(10, 20), at(210, 20)], SQUARE), 100);
  near(valueOf("length", [at(0, 0), at(6, 8)], FLAT), Math.hypot(3, 16));
  const words = (spacing: Spacing) =>
    valuesInWords({ kind: "length", points: [at(10, 20), at(210, 20)], spacing, statistics: null });
  assert.deepEqual(words(SQUARE), ["100.0 mm"]);
  assert.deepEqual(words({ ...SQUARE, atDetector: true }), ["100.0 mm at the detector"]);
  assert.deepEqual(words({ x: 1, y: 1, unit: "px", atDetector: false }), ["200.0 px"]);
});

test("the size of a pixel, as far as an image tells it", () => {
  const spacing = (elements: Readonly<Record<string, readonly (number | string)[]>>) =>
    spacingOf(describeFrame(Object.fromEntries(Object.entries(elements).map(([tag, Value]) => [tag, { vr: "DS", Value }])), 1));
  assert.deepEqual(spacing({ "00280030": [2, 0.5] }), FLAT);
  assert.deepEqual(spacing({ "00181164": [0.1, 0.2] }), { x: 0.2, y: 0.1, unit: "mm", atDetector: true });
  const same = { "00280030": [0.1, 0.1], "00181164": [0.1, 0.1] };
  assert.equal(spacing(same).atDetector, true);
  assert.equal(spacing({ ...same, "00280A02": ["FIDUCIAL"] }).atDetector, false);
  assert.equal(spacing({ "00280030": [0.09, 0.09], "00181164": [0.1, 0.1] }).atDetector, false);
  assert.deepEqual(spacing({}), { x: 1, y: 1, unit: "px", atDetector: false });
  assert.deepEqual(spacing({ "00280034": ["3", "2"] }), { x: 1, y: 1.5, unit: "px", atDetector: false });
});

test("a region of ultrasound has its own scale", () => {
  const region = (box: readonly number[], unit: number, delta: readonly number[]) => ({
    "00186018": { vr: "UL", Value: [box[0]] },
    "0018601A": { vr: "UL", Value: [box[1]] },
    "0018601C": { vr: "UL", Value: [box[2]] },
    "0018601E": { vr: "UL", Value: [box[3]] },
    "00186024": { vr: "US", Value: [unit] },
    "00186026": { vr: "US", Value: [3] },
    "0018602C": { vr: "FD", Value: [delta[0]] },
    "0018602E": { vr: "FD", Value: [delta[1]] },
  });
  const regions = [region([0, 0, 400, 300], 3, [0.02, 0.03]), region([0, 301, 400, 500], 4, [0.01, 0.03]), region([50, 50, 99, 99], 3, [0.01, -0.01]), {}];
  const frame = describeFrame({ "00186011": { vr: "SQ", Value: regions } }, 1);
  const near = ({ x, y, unit }: Spacing) => [Math.round(x * 1e9) / 1e9, Math.round(y * 1e9) / 1e9, unit];
  assert.deepEqual(near(spacingOf(frame, [at(10, 10), at(390, 290)])), [0.2, 0.3, "mm"]);
  assert.deepEqual(near(spacingOf(frame, [at(60, 60), at(70, 80)])), [0.1, 0.1, "mm"]);
  assert.deepEqual(near(spacingOf(frame, [at(60, 60), at(120, 80)])), [0.2, 0.3, "mm"]);
  assert.equal(spacingOf(frame, [at(10, 400), at(20, 400)]).unit, "px", "seconds along one side");
  assert.equal(spacingOf(frame, [at(10, 10), at(20, 400)]).unit, "px", "from one region to another");
  assert.equal(spacingOf(frame).unit, "px");
});

test("angles are those of the patient, not those of the pixels", () => {
  near(valueOf("angle", [at(10, 0), at(0, 0), at(0, 10)], FLAT), 90);
  near(valueOf("angle", [at(4, 0), at(0, 0), at(4, 1)], FLAT), 45);
  near(valueOf("angle", [at(-4, 0), at(0, 0), at(4, 0)], SQUARE), 180);
});

test("lines of a Cobb angle may be drawn in any direction, and be more than 90 degrees apart", () => {
  const [upper, lower] = [[at(0, 0), at(10, 10 * Math.tan(0.9))], [at(0, 50), at(10, 50 - 10 * Math.tan(0.9))]] as const;
  const wanted = (1.8 * 180) / Math.PI;
  assert.ok(wanted > 90);
  near(valueOf("cobb", [...upper, ...lower], SQUARE), wanted);
  near(valueOf("cobb", [upper[1], upper[0], ...lower], SQUARE), wanted);
  near(valueOf("cobb", [upper[1], upper[0], lower[1], lower[0]], SQUARE), wanted);
});

test("lines along bones, almost upright, differ by the acute angle", () => {
  const upright = (degrees: number, x: number) => {
    const [cosine, sine] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
    return [at(x, 0), at(x + 50 * cosine, 50 * sine)] as const;
  };
  near(valueOf("cobb", [...upright(89, 0), ...upright(91, 30)], SQUARE), 2);
  near(valueOf("cobb", [...upright(10, 0), ...upright(-10, 30)], SQUARE), 20);
});

test("areas", () => {
  const placed = [at(2, 2), at(12, 7)];
  near(valueOf("rectangle", shapeOf("rectangle", placed, FLAT), FLAT), 10 * 0.5 * 5 * 2);
  near(valueOf("ellipse", shapeOf("ellipse", placed, FLAT), FLAT), Math.PI * 2.5 * 5);
  near(valueOf("circle", [at(5, 5), at(5, 8)], FLAT), 12);
  near(valueOf("circle", [at(5, 5), at(5, 8)], FLAT, 1), Math.PI * 36);
  near(valueOf("freehand", [at(0, 0), at(4, 0), at(0, 4)], SQUARE), 2);
});

test("the axes of a bidirectional measurement stay at right angles", () => {
  const drawn = shapeOf("bidirectional", [at(10, 10), at(50, 30)], FLAT);
  const isSquare = (points: readonly ImagePoint[]) => near(valueOf("cobb", points, FLAT), 90);
  isSquare(drawn);
  near(valueOf("bidirectional", drawn, FLAT, 1), valueOf("length", drawn, FLAT)! / 2);
  isSquare(withHandle("bidirectional", drawn, 0, at(3, 40), FLAT));
  const pulled = withHandle("bidirectional", drawn, 2, at(20, 30), FLAT);
  isSquare(pulled);
  near(pulled[2]!.x, 20);
  near(pulled[2]!.y, 30);
  const other = withHandle("bidirectional", drawn, 3, at(45, 15), FLAT);
  isSquare(other);
  near(other[3]!.y, 15);
});

test("points that are moved take along what belongs to them", () => {
  const box = shapeOf("rectangle", [at(0, 0), at(10, 6)], SQUARE);
  for (const index of [0, 1, 2, 3]) {
    const moved = withHandle("rectangle", box, index, at(20, 30), SQUARE);
    assert.deepEqual(moved[index], at(20, 30));
    assert.deepEqual(moved[(index + 2) % 4], box[(index + 2) % 4]);
    near(valueOf("rectangle", moved, SQUARE), Math.abs((20 - box[(index + 2) % 4]!.x) * (30 - box[(index + 2) % 4]!.y)) / 4);
  }
  const oval = withHandle("ellipse", shapeOf("ellipse", [at(0, 0), at(10, 6)], SQUARE), 1, at(14, 5), SQUARE);
  assert.deepEqual(oval, [at(0, 3), at(14, 3), at(7, 0), at(7, 6)]);
  assert.deepEqual(withHandle("circle", [at(5, 5), at(8, 5)], 0, at(6, 6), SQUARE), [at(6, 6), at(9, 6)]);
  const free = Array.from({ length: 48 }, (_, index) => at(10 * Math.cos(index / 7.64), 10 * Math.sin(index / 7.64)));
  assert.equal(handlesOf("freehand", free).length, 12);
  const dented = withHandle("freehand", free, 4, at(0, 0), SQUARE);
  assert.deepEqual(dented[4], at(0, 0));
  assert.deepEqual(dented[20], free[20]);
  assert.ok(dented[5]!.x !== free[5]!.x);
});

const COLUMNS = 40;
const ROWS = 30;
const PIXELS: Pixels = {
  columns: COLUMNS,
  rows: ROWS,
  values: Int16Array.from({ length: COLUMNS * ROWS }, (_, index) => (index * 7919) % 1013),
  slope: 2,
  intercept: -1000,
  unit: "HU",
};

/** The same by asking every pixel. */
function counted(isInside: (x: number, y: number) => boolean): readonly number[] {
  const found: number[] = [];
  for (let y = 0; y < ROWS; y += 1)
    for (let x = 0; x < COLUMNS; x += 1) if (isInside(x, y)) found.push(PIXELS.values[y * COLUMNS + x]! * 2 - 1000);
  return found;
}

function agree(kind: Kind, points: readonly ImagePoint[], spacing: Spacing, isInside: (x: number, y: number) => boolean): void {
  const found = statistics(kind, points, spacing, PIXELS);
  const values = counted(isInside);
  assert.ok(found && values.length > 5);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  assert.equal(found.count, values.length);
  near(found.mean, mean, 1e-7);
  near(found.sd, Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length), 1e-7);
  assert.deepEqual([found.min, found.max, found.unit], [Math.min(...values), Math.max(...values), "HU"]);
}

test("statistics are of the pixels whose centre lies inside", () => {
  const rectangle = shapeOf("rectangle", [at(3, 4), at(9.4, 12)], SQUARE);
  agree("rectangle", rectangle, SQUARE, (x, y) => x >= 3 && x <= 9 && y >= 4 && y <= 12);
  const ellipse = shapeOf("ellipse", [at(5.2, 3.1), at(30.9, 20.3)], SQUARE);
  agree("ellipse", ellipse, SQUARE, (x, y) => ((x - 18.05) / 12.85) ** 2 + ((y - 11.7) / 8.6) ** 2 <= 1);
  const exact = shapeOf("ellipse", [at(5, 5), at(15, 11)], SQUARE);
  agree("ellipse", exact, SQUARE, (x, y) => ((x - 10) / 5) ** 2 + ((y - 8) / 3) ** 2 <= 1 + 1e-12);
  agree("circle", [at(20, 15), at(26.3, 15)], FLAT, (x, y) => Math.hypot((x - 20) * 0.5, (y - 15) * 2) <= 3.15);
  const turned = [at(10, 10), at(20, 16), at(12.6, 17), at(17.4, 9)];
  agree("ellipse", turned, SQUARE, (x, y) => {
    const [s, t] = [((x - 15) * 5 + (y - 13) * 3) / 34, ((x - 15) * 2.4 - (y - 13) * 4) / (2.4 ** 2 + 16)];
    return s ** 2 + t ** 2 <= 1;
  });
  agree("freehand", [at(2.5, 2.5), at(20.5, 2.5), at(2.5, 20.5)], SQUARE, (x, y) => x > 2.5 && y > 2.5 && x + y <= 23);
  assert.equal(statistics("rectangle", shapeOf("rectangle", [at(3.2, 3.2), at(3.8, 3.8)], SQUARE), SQUARE, PIXELS), undefined);
  assert.equal(statistics("probe", [at(3.4, 1.6)], SQUARE, PIXELS)?.mean, PIXELS.values[2 * COLUMNS + 3]! * 2 - 1000);
  const outside = shapeOf("rectangle", [at(-0.5, -0.5), at(COLUMNS - 0.5, ROWS - 0.5)], SQUARE);
  agree("rectangle", outside, SQUARE, () => true);
});

test("a spline goes through its points, and is measured as the curve that is drawn", () => {
  const ring = Array.from({ length: 12 }, (_, n) => at(20 + 8 * Math.cos((n * Math.PI) / 6), 15 + 8 * Math.sin((n * Math.PI) / 6)));
  const curve = splineOf(ring);
  assert.deepEqual(curve.filter((_, n) => n % 8 === 0), ring);
  // Through points of a circle it is one, within half a hundredth.
  assert.ok(Math.abs(valueOf("spline", ring, SQUARE)! / (Math.PI * 64 * SQUARE.x * SQUARE.y) - 1) < 0.01);
  near(valueOf("spline", ring, FLAT), valueOf("freehand", curve, FLAT)!);
  assert.deepEqual(statistics("spline", ring, SQUARE, PIXELS), statistics("freehand", curve, SQUARE, PIXELS));
  assert.deepEqual(splineOf([at(0, 0), at(10, 0), at(10, 10), at(0, 10)])[4], at(5, -1.25), "the same as in a report");
  assert.deepEqual(splineOf(ring.slice(0, 2)), ring.slice(0, 2));
  assert.deepEqual(handlesOf("spline", ring).length, 12);
});

test("of colour there is the luminance, and each of red, green and blue", () => {
  const values = Uint8Array.from([...[255, 0, 0], ...[0, 255, 0], ...[0, 0, 255], ...[10, 20, 30]]);
  const pixels: Pixels = { columns: 2, rows: 2, values, samples: 3, slope: 1, intercept: 0, unit: "" };
  const found = statistics("rectangle", [at(0, 0), at(1, 0), at(1, 1), at(0, 1)], SQUARE, pixels)!;
  const luminances = [0.299 * 255, 0.587 * 255, 0.114 * 255, 2.99 + 11.74 + 3.42];
  near(found.mean, luminances.reduce((sum, one) => sum + one, 0) / 4);
  near(found.max, luminances[1]!);
  near(found.min, luminances[3]!);
  assert.deepEqual(found.channels!.map(({ mean }) => mean), [66.25, 68.75, 71.25]);
  assert.deepEqual(found.channels!.map(({ min, max }) => [min, max]), [[0, 255], [0, 255], [0, 255]]);
  assert.deepEqual(valuesInWords({ kind: "probe", points: [at(1, 1)], spacing: SQUARE, statistics: statistics("probe", [at(1, 1)], SQUARE, pixels)! }), ["R 10, G 20, B 30"]);
  const words = valuesInWords({ kind: "rectangle", points: [at(0, 0), at(1, 0), at(1, 1), at(0, 1)], spacing: SQUARE, statistics: found });
  assert.ok(words[1]!.startsWith("Luminance: Mean 68.3, SD"), words[1]);
  assert.ok(words[3]!.startsWith("R 66.3 ± "), words[3]);
  // A fourth value, as pictures for the screen have it, is not one of colour.
  const more = Uint8Array.from([1, 2, 3, 255, 5, 6, 7, 255]);
  const two = statistics("rectangle", [at(0, 0), at(1, 0), at(1, 0.4), at(0, 0.4)], SQUARE, { ...pixels, rows: 1, values: more, samples: 4 })!;
  assert.deepEqual(two.channels!.map(({ mean }) => mean), [3, 4, 5]);
});

test("a new UID is one, and another each time", () => {
  const [one, other] = [newUid(), newUid()];
  assert.ok(/^2\.25\.[1-9]\d{30,38}$/.test(one), one);
  assert.ok(one !== other);
});

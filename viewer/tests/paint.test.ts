import assert from "node:assert/strict";
import { test } from "node:test";
import { isUpright, paintGray, type Placing } from "../src/dicom/paint";

const GREYS = { lower: 0, upper: 255, invert: false };
const SOURCE = { columns: 3, rows: 2, values: [0, 100, 200, 50, 150, 250] };

function painted(width: number, height: number, placing: Placing, smooth = true, greys = GREYS): number[] {
  const words = new Uint32Array(width * height);
  paintGray(words, { width, height }, SOURCE, placing, greys, smooth);
  for (const word of words) assert.equal(word >>> 24, 255);
  return [...words].map((word) => word & 255);
}

/** The first pixel of the image fills a square of this side at the top left. */
function filling(side: number): Placing {
  return { origin: [side / 2, side / 2], column: [side, 0], row: [0, side] };
}

test("pixel by pixel the values are their own greys", () => {
  assert.deepEqual(painted(3, 2, filling(1)), [0, 100, 200, 50, 150, 250]);
});

test("beside the image it is black", () => {
  const placing = { origin: [1.5, 0.5], column: [1, 0], row: [0, 1] } as const;
  assert.deepEqual(painted(5, 2, placing), [0, 0, 100, 200, 0, 0, 50, 150, 250, 0]);
  assert.deepEqual(painted(1, 1, { ...placing, origin: [9, 9] }), [0]);
});

test("between two pixels lies what is between their values", () => {
  const row = painted(6, 4, filling(2)).slice(0, 6);
  assert.deepEqual(row, [0, 25, 75, 125, 175, 200]);
  assert.deepEqual(painted(6, 4, filling(2), false).slice(0, 6), [0, 0, 100, 100, 200, 200]);
});

test("values are windowed after they were interpolated", () => {
  const narrow = { lower: 60, upper: 70, invert: false };
  // Were the grays interpolated, none of the places between 0 and 100 would be black or white.
  const wanted = Array.from({ length: 6 }, (_, at) => {
    const value = Math.min(100, Math.max(0, 25 * (at - 1.5)));
    return Math.floor(Math.min(255, Math.max(0, (value - 60) * 25.5)) + 0.5);
  });
  assert.deepEqual(painted(12, 8, filling(4), true, narrow).slice(0, 6), wanted);
});

test("turned, flipped and inverted", () => {
  const quarter = { origin: [1.5, 0.5], column: [0, 1], row: [-1, 0] } as const;
  assert.deepEqual(painted(2, 3, quarter), [50, 0, 150, 100, 250, 200]);
  const mirrored = { origin: [2.5, 0.5], column: [-1, 0], row: [0, 1] } as const;
  assert.deepEqual(painted(3, 2, mirrored), [200, 100, 0, 250, 150, 50]);
  assert.deepEqual(painted(3, 2, filling(1), true, { ...GREYS, invert: true }), [255, 155, 55, 205, 105, 5]);
});

test("what lies askew is left to others", () => {
  assert.equal(isUpright(filling(2)), true);
  assert.equal(isUpright({ origin: [0, 0], column: [0, 2], row: [-2, 0] }), true);
  assert.equal(isUpright({ origin: [0, 0], column: [1, 1], row: [-1, 1] }), false);
  assert.equal(isUpright({ origin: [0, 0], column: [0, 0], row: [0, 0] }), false);
});

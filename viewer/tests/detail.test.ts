import assert from "node:assert/strict";
import { test } from "node:test";
import { covers, pieceFor } from "../src/dicom/detail";
import { halvingsFor } from "../src/dicom/fitting";
import { halvingsOf, inFrame, inPicture } from "../src/dicom/reduction";

const IMAGE = { columns: 5000, rows: 6000 };
const corners = (left: number, top: number, right: number, bottom: number) =>
  [[left, top], [right, top], [left, bottom], [right, bottom]].map(([x, y]) => ({ x: x!, y: y! }));

test("the piece that is seen is asked for as sharp as the screen shows it", () => {
  const whole = corners(-0.5, -0.5, 4999.5, 5999.5);
  assert.equal(pieceFor(whole, IMAGE, 0.14, 2), undefined, "what is known is as sharp");
  assert.deepEqual(pieceFor(whole, IMAGE, 0.3, 2), { left: 0, top: 0, ...IMAGE, halvings: 1 });
  const close = pieceFor(corners(999.5, 1999.5, 1999.5, 2499.5), IMAGE, 1, 2);
  assert.deepEqual(close, { left: 900, top: 1950, columns: 1200, rows: 600, halvings: 0 });
  assert.deepEqual(pieceFor(corners(-500, -500, 499.5, 499.5), IMAGE, 3, 1), { left: 0, top: 0, columns: 600, rows: 600, halvings: 0 });
  assert.equal(pieceFor(corners(-900, 0, -300, 400), IMAGE, 1, 2), undefined, "nothing of the image is seen");
});

test("a piece serves as long as what is seen lies in it", () => {
  const piece = { left: 100, top: 100, columns: 200, rows: 200, halvings: 1 };
  assert.ok(covers(piece, { left: 100, top: 150, columns: 200, rows: 100, halvings: 1 }));
  assert.ok(covers(piece, { ...piece, halvings: 2 }));
  assert.ok(!covers(piece, { ...piece, halvings: 0 }));
  assert.ok(!covers(piece, { ...piece, left: 101 }));
});

test("a frame is halved until it fits memory, canvas and graphics", () => {
  const room = { bytes: 1 << 24, pixels: Infinity, side: 8192 };
  assert.equal(halvingsFor({ rows: 2048, columns: 2048 }, room), 0);
  assert.equal(halvingsFor({ rows: 2048, columns: 2049 }, room), 1);
  assert.equal(halvingsFor({ rows: 6000, columns: 5000 }, room), 2);
  assert.equal(halvingsFor({ rows: 10, columns: 10_000 }, room), 1);
  assert.equal(halvingsFor({ rows: 2048, columns: 2048 }, { ...room, pixels: 1 << 20 }), 1);
});

test("places in a picture and in its frame are the same points", () => {
  const resized = { columns: 1250, rows: 1500, by: { x: 4, y: 4 } };
  assert.deepEqual(inFrame({ x: -0.5, y: 0 }, resized), { x: -0.5, y: 1.5 });
  assert.deepEqual(inPicture(inFrame({ x: 12.25, y: 99 }, resized), resized), { x: 12.25, y: 99 });
  assert.deepEqual([halvingsOf(resized), halvingsOf({ ...resized, by: { x: 1, y: 0.5 } })], [2, 0]);
});

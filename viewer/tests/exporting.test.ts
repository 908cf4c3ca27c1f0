import assert from "node:assert/strict";
import { test } from "node:test";
import { even, fileName, hundredths, indexesOf, ownSize, within } from "../src/state/exporting";
import { indexed, type Colour } from "../src/state/palette";
import { DOTS_PER_MM, paged, pageLayout, rulerOf } from "../src/state/printing";

test("an image's own size keeps its shape, and loses no pixel", () => {
  assert.deepEqual(ownSize(256, 256, [2, 0.5], false), { width: 256, height: 1024 });
  assert.deepEqual(ownSize(256, 256, [2, 0.5], true), { width: 1024, height: 256 });
  assert.deepEqual(ownSize(40, 48, [1, 1], false), { width: 48, height: 40 });
});

test("sizes are made smaller in their shape, and even", () => {
  assert.deepEqual(within({ width: 8192, height: 4096 }, 4096), { width: 4096, height: 2048 });
  assert.deepEqual(within({ width: 640, height: 480 }, 4096), { width: 640, height: 480 });
  assert.deepEqual(even({ width: 641, height: 1 }), { width: 640, height: 2 });
});

test("ranges run either way, and stay within the stack", () => {
  assert.deepEqual(indexesOf({ from: 2, to: 6, every: 2 }, 10), [1, 3, 5]);
  assert.deepEqual(indexesOf({ from: 3, to: 1, every: 1 }, 10), [2, 1, 0]);
  assert.deepEqual(indexesOf({ from: 0, to: 99, every: 0 }, 3), [0, 1, 2]);
});

test("pictures of a GIF together last as long as they should", () => {
  for (const rate of [7, 24, 30, 50]) {
    const delays = Array.from({ length: rate * 4 }, (_, index) => hundredths(index, rate));
    assert.ok(delays.every((delay) => delay >= 2));
    assert.equal(delays.reduce((sum, delay) => sum + delay, 0), 400);
  }
  assert.equal(hundredths(0, 60), 2);
});

test("names of files hold nothing that file systems refuse", () => {
  assert.equal(fileName(["Doe, Jane", undefined, 'a/b\\c:"d"', ""], "png"), "Doe, Jane a b c d.png");
  assert.equal(fileName(["../.."], "pdf"), "image.pdf");
  assert.equal([...fileName(["山".repeat(400)], "mp4")].length, 124);
});

test("greys of a grey picture are kept", () => {
  const rgba = Uint8Array.from({ length: 256 * 4 }, (_, at) => (at % 4 === 3 ? 255 : at >> 2));
  const none = {
    quantize(): never {
      throw new Error("nothing is coloured");
    },
    applyPalette(): never {
      throw new Error("nothing is coloured");
    },
  };
  const { palette, indexes } = indexed(rgba, none);
  assert.deepEqual([...indexes].map((index) => palette[index]![0]), Array.from({ length: 256 }, (_, grey) => grey));
});

test("colours over greys leave the greys a step apart at most", () => {
  const rgba = new Uint8Array(1000 * 4).fill(255);
  for (let pixel = 0; pixel < 1000; pixel += 1) rgba.fill(pixel % 256, pixel * 4, pixel * 4 + 3);
  rgba.set([240, 180, 41], 4 * 500);
  const amber: Colour = [240, 180, 41];
  const { palette, indexes } = indexed(rgba, { quantize: () => [amber], applyPalette: (only) => new Uint8Array(only.length / 4) });
  assert.ok(palette.length <= 256);
  assert.deepEqual(palette[indexes[500]!], amber);
  indexes.forEach((index, pixel) => pixel === 500 || assert.ok(Math.abs(palette[index]![0] - (pixel % 256)) <= 1));
});

test("boxes of a page lie within it, side by side, and hold whole pixels of the print", () => {
  for (const paper of ["a4", "letter"] as const)
    for (const landscape of [false, true]) {
      const { width, height, boxes, header, footer } = pageLayout({ paper, landscape, rows: 5, columns: 4 });
      assert.equal(boxes.length, 20);
      assert.equal(width > height, landscape);
      const last = boxes[19]!;
      assert.ok(Math.abs(last.x + last.width - (width - 10)) < 1e-9);
      assert.ok(boxes[0]!.y >= header.y + header.height && last.y + last.height <= footer.y);
      assert.ok(boxes[1]!.x > boxes[0]!.x + boxes[0]!.width);
      // A picture is stretched by less than an eye sees where its box is no whole number of pixels.
      const pixels = boxes[0]!.width * DOTS_PER_MM;
      assert.ok(Math.abs(Math.round(pixels) / pixels - 1) < 0.005);
    }
});

test("pages take so many pictures each, and a ruler fits", () => {
  assert.deepEqual(paged([1, 2, 3, 4, 5], 2), [[1, 2], [3, 4], [5]]);
  assert.equal(rulerOf(190), 100);
  assert.equal(rulerOf(100), 50);
});

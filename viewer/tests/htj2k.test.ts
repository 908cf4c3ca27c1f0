import assert from "node:assert/strict";
import { test } from "node:test";
import { enlarged } from "../src/dicom/enlarge";
import { halvingsWithin, isHtj2k, isWhole } from "../src/dicom/htj2k";
import { firstBytes } from "../src/state/beginnings";

interface Told {
  readonly order?: number;
  readonly layers?: number;
  readonly decompositions?: number;
  readonly parts?: readonly number[];
  readonly tlm?: boolean;
  readonly tile?: number;
  readonly steps?: number;
}

/** The head of a stream of 1024 by 512 pixels, and tile-parts of these lengths behind it. */
function stream({ order = 2, layers = 1, decompositions = 5, parts = [], tlm = true, tile = 1024, steps = 1 }: Told = {}): Uint8Array {
  const out: number[] = [];
  const word = (value: number) => out.push((value >> 8) & 255, value & 255);
  const long = (value: number) => (word(value >>> 16), word(value & 0xffff));
  word(0xff4f);
  word(0xff51), word(41), word(0x4000);
  for (const value of [1024, 512, 0, 0, tile, 512, 0, 0]) long(value);
  word(1), out.push(15, steps, 1);
  word(0xff52), word(12), out.push(0, order), word(layers), out.push(0, decompositions, 4, 4, 0x40, 1);
  if (tlm && parts.length > 0) {
    word(0xff55), word(4 + 6 * parts.length), out.push(0, 0x60);
    for (const length of parts) word(0), long(length);
  }
  const whole = parts.length > 0 ? parts : [10_000];
  for (const [index, length] of whole.entries()) {
    const at = out.length;
    word(0xff90), word(10), word(0), long(length), out.push(index, whole.length);
    while (out.length < at + length) out.push(0);
  }
  word(0xffd9);
  return Uint8Array.from(out);
}

const PARTS = [100, 200, 400, 800, 1600, 3200];
const total = stream({ parts: PARTS }).length;
const head = total - 2 - PARTS.reduce((sum, part) => sum + part);

test("tile-parts tell which resolutions have come", () => {
  for (const tlm of [true, false]) {
    const whole = stream({ parts: PARTS, tlm });
    const begins = whole.length - 2 - PARTS.reduce((sum, part) => sum + part);
    let at = begins;
    PARTS.forEach((part, index) => {
      at += part;
      const now = halvingsWithin(whole.subarray(0, at), whole.length);
      // The last is all of it.
      assert.equal(now, index === PARTS.length - 1 ? undefined : 5 - index, `${tlm} ${index}`);
      if (tlm) assert.equal(halvingsWithin(whole.subarray(0, at - 1), whole.length), index === 0 ? undefined : 6 - index);
    });
  }
  assert.equal(halvingsWithin(stream({ parts: PARTS }).subarray(0, head), total), undefined);
});

test("of a stream in one piece, the share that has come tells it", () => {
  const one = stream();
  assert.equal(halvingsWithin(one.subarray(0, one.length >> 1), one.length), 1);
  assert.equal(halvingsWithin(one.subarray(0, Math.ceil(one.length * 0.15)), one.length), 2);
  assert.equal(halvingsWithin(one.subarray(0, one.length - 10_000), one.length), undefined);
});

test("orders, tiles and components that do not begin with the whole in small", () => {
  const held = (told: Told) => halvingsWithin(stream({ parts: PARTS, ...told }).subarray(0, head + 800), total);
  assert.equal(held({}), 3);
  assert.equal(held({ order: 1 }), 3);
  assert.equal(held({ order: 0 }), 3);
  for (const told of [{ order: 3 }, { order: 4 }, { order: 0, layers: 2 }, { tile: 512 }, { steps: 2 }, { decompositions: 4 }, { decompositions: 33 }]) {
    assert.equal(held(told), undefined, JSON.stringify(told));
  }
});

test("anything cut, or no stream at all, is no picture and no error", () => {
  const whole = stream({ parts: PARTS });
  for (let length = 0; length < head; length += 1) assert.equal(halvingsWithin(whole.subarray(0, length), total), undefined);
  let seed = 1;
  for (let round = 0; round < 2000; round += 1) {
    const spoiled = whole.slice(0, head + 900);
    for (let change = 0; change < 4; change += 1) {
      seed = (seed * 48271) % 2147483647;
      spoiled[2 + (seed % (head + 20))] = seed >> 8;
    }
    const halvings = halvingsWithin(spoiled, total);
    assert.ok(halvings === undefined || (halvings >= 1 && halvings <= 32));
  }
});

test("a stream is whole where each tile-part reaches its end", () => {
  const whole = stream({ parts: PARTS });
  assert.equal(isWhole(whole), true);
  assert.equal(isWhole(Uint8Array.from([...whole, 0])), true);
  assert.equal(isWhole(whole.subarray(0, whole.length - 2)), true);
  assert.equal(isWhole(stream()), true);
  for (const length of [0, 3, 50, head, head + 5, head + 100, head + 1000, whole.length - 3]) {
    assert.equal(isWhole(whole.subarray(0, length)), false, String(length));
  }
  const spoiled = whole.slice();
  spoiled.fill(255, head + 500);
  assert.equal(isWhole(spoiled), false);
  const open = whole.slice();
  new DataView(open.buffer).setUint32(head + 6, 0);
  assert.equal(isWhole(open), true);
  new DataView(open.buffer).setUint32(head + 6, 3);
  assert.equal(isWhole(open), false);
});

test("which streams are HTJ2K", () => {
  assert.deepEqual([201, 202, 203, 90, 204].map((end) => isHtj2k(`1.2.840.10008.1.2.4.${end}`)), [true, true, true, false, false]);
});

test("a picture in small becomes as large as the whole, each value where it lies", () => {
  const small = Int16Array.from([0, 40, 80, 120, 160, 200]);
  const full = enlarged(small, { columns: 3, rows: 2 }, 2, { columns: 11, rows: 7 }, 1, [-1000, 1000]);
  assert.equal(full.length, 77);
  assert.deepEqual([full[0], full[4], full[8], full[4 * 11], full[4 * 11 + 8]], [0, 40, 80, 120, 200]);
  assert.deepEqual([full[1], full[2], full[10], full[2 * 11], full[6 * 11]], [10, 20, 80, 60, 120]);
  assert.ok(full instanceof Int16Array);
});

test("colours are enlarged one by one, and nothing goes beyond its range", () => {
  const full = enlarged(Uint8Array.from([0, 100, 200, 200, 0, 100]), { columns: 2, rows: 1 }, 1, { columns: 3, rows: 2 }, 3, [10, 150]);
  assert.deepEqual([...full.subarray(0, 9)], [10, 100, 150, 80, 55, 125, 150, 10, 100]);
});

test("first bytes are asked for where a frame takes long, and for a picture that is seen", () => {
  const ct = { rows: 512, columns: 512, samplesPerPixel: 1, bitsAllocated: 16 };
  const mammogram = { rows: 4096, columns: 3328, samplesPerPixel: 1, bitsAllocated: 16 };
  assert.equal(firstBytes(ct, undefined), undefined);
  assert.equal(firstBytes(ct, 8e6), undefined);
  assert.equal(firstBytes(ct, 4e5), 512 * 512 * 2 * 0.25 * 0.75 + 2048);
  assert.equal(firstBytes(mammogram, 1e8), undefined);
  for (const speed of [undefined, 1e6, 2e7]) assert.ok(firstBytes(mammogram, speed)! < 120_000, String(speed));
  assert.equal(firstBytes({ ...ct, rows: 128, columns: 128 }, 1000), undefined);
});

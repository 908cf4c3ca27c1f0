import assert from "node:assert/strict";
import { test } from "node:test";
import { isStreamOf } from "../src/dicom/stream";

const J2K = "1.2.840.10008.1.2.4.90";
const SIZE = { rows: 16, columns: 24 };

function stream(rows: number, columns: number, tile = true): Uint8Array {
  const bytes = new Uint8Array(43 + (tile ? 12 : 0) + 2);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xff4f);
  view.setUint16(2, 0xff51);
  view.setUint16(4, 39);
  view.setUint32(8, columns + 3);
  view.setUint32(12, rows + 5);
  view.setUint32(16, 3);
  view.setUint32(20, 5);
  if (tile) view.setUint16(43, 0xff90);
  return bytes;
}

test("a stream of the image", () => {
  assert.equal(isStreamOf(J2K, stream(16, 24), SIZE), true);
  assert.equal(isStreamOf("1.2.840.10008.1.2.4.202", stream(16, 24), SIZE), true);
});

test("one of another size, cut, without tiles, or none at all", () => {
  for (const bytes of [stream(16, 23), stream(24, 16), stream(16, 24, false), stream(16, 24).slice(0, 30), new Uint8Array(0)]) {
    assert.equal(isStreamOf(J2K, bytes, SIZE), false);
  }
  assert.equal(isStreamOf(J2K, new Uint8Array(64).fill(0xff), SIZE), false);
});

test("other transfer syntaxes are for their own decoders to judge", () => {
  assert.equal(isStreamOf("1.2.840.10008.1.2.1", new Uint8Array(4), SIZE), true);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { describeFrame, type FrameDescription } from "../src/dicom/frame";
import { plainValues } from "../src/dicom/plainpixels";

const CT = { rows: 1, columns: 4, bitsAllocated: 16, bitsStored: 12, highBit: 11, rescaleSlope: 1, rescaleIntercept: -1024 };

function frame(more: Partial<FrameDescription> = {}): FrameDescription {
  return { ...describeFrame({}, 1), ...CT, ...more };
}

function bytesOf(words: Uint16Array | Int16Array, before = 0): Uint8Array {
  const bytes = new Uint8Array(before + words.byteLength);
  bytes.set(new Uint8Array(words.buffer), before);
  return bytes.subarray(before);
}

test("values are those after the rescale, in the memory in which the frame came", () => {
  const bytes = bytesOf(Uint16Array.of(0, 1024, 2000, 4095));
  const plain = plainValues(bytes, frame());
  assert.deepEqual(plain, { values: Int16Array.of(-1024, 0, 976, 3071), least: -1024, greatest: 3071 });
  assert.equal(plain?.values.buffer, bytes.buffer);
});

test("all images of a series are of one type, whatever the values of one of them are", () => {
  assert.deepEqual(plainValues(bytesOf(Uint16Array.of(1024, 1024, 1025, 1026)), frame())?.values, Int16Array.of(0, 0, 1, 2));
  const unscaled = frame({ rescaleIntercept: 0 });
  assert.deepEqual(plainValues(bytesOf(Uint16Array.of(0, 1, 2, 65535)), unscaled)?.values, Uint16Array.of(0, 1, 2, 65535));
});

test("the sign is that of Bits Stored", () => {
  const signed = frame({ pixelRepresentation: 1, rescaleIntercept: 0 });
  const words = Uint16Array.of(0x0fff, 0x0800, 0x07ff, 0xffff);
  assert.deepEqual(plainValues(bytesOf(words), signed), { values: Int16Array.of(-1, -2048, 2047, -1), least: -2048, greatest: 2047 });
});

test("a slope below zero turns the ends round", () => {
  const plain = plainValues(bytesOf(Uint16Array.of(0, 1, 2, 100)), frame({ rescaleSlope: -2, rescaleIntercept: 0 }));
  assert.deepEqual(plain, { values: Int16Array.of(-0, -2, -4, -200), least: -200, greatest: 0 });
});

test("bytes are taken as they are, and words at odd places", () => {
  const small = frame({ bitsAllocated: 8, bitsStored: 8, highBit: 7, rescaleIntercept: 0 });
  assert.deepEqual(plainValues(Uint8Array.of(1, 2, 3, 255), small), { values: Uint8Array.of(1, 2, 3, 255), least: 1, greatest: 255 });
  assert.deepEqual(plainValues(bytesOf(Uint16Array.of(1024, 1025, 1026, 1027), 3), frame())?.values, Int16Array.of(0, 1, 2, 3));
});

test("what needs other numbers, or is cut, is left to others", () => {
  const words = Uint16Array.of(0, 1, 2, 65535);
  assert.equal(plainValues(bytesOf(words), frame({ bitsStored: 16 })), undefined); // -1024 and 64511
  assert.equal(plainValues(bytesOf(words), frame({ rescaleSlope: 0.5 })), undefined);
  assert.equal(plainValues(bytesOf(words), frame({ rescaleSlope: 2, rescaleIntercept: 0 })), undefined);
  assert.equal(plainValues(bytesOf(words), frame({ bitsAllocated: 32 })), undefined);
  assert.equal(plainValues(bytesOf(words), frame({ columns: 3 })), undefined);
  assert.equal(plainValues(bytesOf(words).subarray(0, 7), frame()), undefined);
  const signedBytes = frame({ bitsAllocated: 8, bitsStored: 8, pixelRepresentation: 1 });
  assert.equal(plainValues(Uint8Array.of(1, 2, 3, 4), signedBytes), undefined);
});

test("what is left to others is as it came, but for the sign", () => {
  const bytes = bytesOf(Uint16Array.of(0, 1, 2, 65535));
  plainValues(bytes, frame({ bitsStored: 16 }));
  assert.deepEqual([...bytes], [0, 0, 1, 0, 2, 0, 255, 255]);
});

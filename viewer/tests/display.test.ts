import assert from "node:assert/strict";
import { test } from "node:test";
import { cielabToRgb } from "../src/dicom/cielab";
import { describeFrame } from "../src/dicom/frame";
import { lookUp, lookupTable } from "../src/dicom/lut";
import type { DicomObject } from "../src/dicom/model";
import { coveredBy, overlayMask, overlaysOf, paint, shutterOf, type Shutter } from "../src/dicom/planes";
import { storedRange, storedValue } from "../src/dicom/storedbits";
import { defaultVoi, functionFor, percentile, rangeOf, thinned, voiFunctionOf, windowOfRange } from "../src/dicom/voi";

const us = (...values: readonly number[]) => ({ vr: "US", Value: values });
const cs = (...values: readonly string[]) => ({ vr: "CS", Value: values });

test("a lookup table begins at its first mapped value and holds its ends beyond them", () => {
  const item: DicomObject = { "00283002": us(3, 10, 16), "00283003": { vr: "LO", Value: ["Soft"] } };
  const table = lookupTable(item, Uint8Array.of(1, 0, 2, 1, 255, 255), false)!;
  assert.deepEqual([...table.entries], [1, 258, 65535]);
  assert.deepEqual([9, 10, 11.9, 12, 99].map((value) => lookUp(table, value)), [1, 1, 258, 65535, 65535]);
  assert.equal(table.explanation, "Soft");
  assert.equal(table.top, 65535);
});

test("tables of 8 bits, two in a word or one, and first values below zero", () => {
  const item: DicomObject = { "00283002": us(4, 65534, 8) };
  assert.deepEqual([...lookupTable(item, Uint8Array.of(1, 2, 3, 4), true)!.entries], [1, 2, 3, 4]);
  assert.deepEqual([...lookupTable(item, Uint8Array.of(1, 0, 2, 0, 3, 0, 4, 0), true)!.entries], [1, 2, 3, 4]);
  assert.equal(lookupTable(item, Uint8Array.of(1, 2, 3, 4), true)!.first, -2);
  assert.equal(lookupTable(item, Uint8Array.of(1, 2, 3, 4), false)!.first, 65534);
});

test("a descriptor that says fewer bits than its entries have is not believed, and one of nothing is no table", () => {
  assert.equal(lookupTable({ "00283002": us(2, 0, 8) }, Uint8Array.of(0, 1, 0, 15), false)!.top, 4095);
  assert.equal(lookupTable({ "00283002": us(2, 0, 8) }, new Uint8Array(), false), undefined);
  assert.equal(lookupTable({}, Uint8Array.of(1), false), undefined);
});

test("values stand in Bits Stored below High Bit, other bits are left out", () => {
  const twelve = { bitsAllocated: 16, bitsStored: 12, highBit: 11, pixelRepresentation: 0 };
  assert.equal(storedValue(twelve, 0xf123), 0x123);
  assert.equal(storedValue({ ...twelve, pixelRepresentation: 1 }, 0x0fff), -1);
  assert.equal(storedValue({ ...twelve, pixelRepresentation: 1 }, -1), -1);
  assert.equal(storedValue({ ...twelve, highBit: 15 }, 0xabcd), 0xabc);
  assert.equal(storedValue({ bitsAllocated: 16, bitsStored: 16, highBit: 15, pixelRepresentation: 1 }, 0x8000), -32768);
  assert.deepEqual(storedRange({ ...twelve, pixelRepresentation: 1 }), [-2048, 2047]);
  assert.deepEqual(storedRange(twelve), [0, 4095]);
});

test("windows by each function, there and back", () => {
  assert.deepEqual(rangeOf(40, 400, "LINEAR"), { lower: -160, upper: 239 });
  assert.deepEqual(rangeOf(40, 400, "LINEAR_EXACT"), { lower: -160, upper: 240 });
  for (const name of ["LINEAR", "LINEAR_EXACT", "SIGMOID"] as const) {
    const { lower, upper } = rangeOf(50, 350, name);
    assert.deepEqual(windowOfRange(lower, upper, name), { center: 50, width: 350 });
  }
  assert.ok(rangeOf(5, 1, "LINEAR").upper > rangeOf(5, 1, "LINEAR").lower);
  assert.deepEqual([undefined, "sigmoid", "LINEAR_EXACT", "ODD"].map(voiFunctionOf), ["LINEAR", "SIGMOID", "LINEAR_EXACT", "LINEAR"]);
  assert.equal(functionFor(1, "LINEAR", false), "LINEAR_EXACT");
  assert.equal(functionFor(1, "LINEAR", true), "LINEAR");
});

test("an image without a window gets the server's", () => {
  const values = Float64Array.from({ length: 1001 }, (_, at) => at);
  const of = (modality: string, more = {}) => defaultVoi(values, { modality, isHounsfield: false, bitsStored: undefined, ...more });
  assert.deepEqual(of("OT", { bitsStored: 8 }), { center: 128, width: 256, voiFunction: "LINEAR" });
  assert.deepEqual(of("CT", { isHounsfield: true }), { center: 40, width: 400, voiFunction: "LINEAR" });
  assert.deepEqual(of("MR"), { center: 500, width: 990, voiFunction: "LINEAR_EXACT" });
  assert.deepEqual(of("PT"), { center: 499.5, width: 999, voiFunction: "LINEAR_EXACT" });
  assert.deepEqual(of("SEG"), { center: 500, width: 1000, voiFunction: "LINEAR_EXACT" });
  assert.deepEqual(defaultVoi(Float64Array.of(7, 7), { modality: "MR", isHounsfield: false, bitsStored: undefined }), {
    center: 7.5,
    width: 1,
    voiFunction: "LINEAR_EXACT",
  });
  assert.equal(defaultVoi(Float64Array.of(NaN), { modality: "MR", isHounsfield: false, bitsStored: undefined }).width, 1);
});

test("percentiles fall between values, and large frames are thinned without their padding", () => {
  assert.equal(percentile(Float64Array.of(0, 10), 25), 2.5);
  assert.deepEqual([...thinned([1, 2, 3, 4], 2, 2, (value) => value === 3)], [1, 2, 4]);
  assert.equal(thinned(new Uint8Array(1024 * 512), 1024, 512, () => false).length, 256 * 256);
});

const overlay: DicomObject = {
  "60000010": us(2),
  "60000011": us(3),
  "60000050": { vr: "SS", Value: [2, 0] },
  "60003000": { vr: "OW", InlineBinary: "" },
};
const bits = { bitsStored: 12, highBit: 11 };

test("an overlay plane lies at its origin, cut off at the image's edges", () => {
  const [plane] = overlaysOf(overlay, 1, bits);
  // 1 1 0 / 0 1 1, the lowest bit first; its first column is left of the image.
  assert.deepEqual([...overlayMask(plane!, Uint8Array.of(0b110011), 3, 3)], [0, 0, 0, 1, 0, 0, 1, 1, 0]);
});

test("the frames of an overlay follow one another without a gap", () => {
  const several: DicomObject = { ...overlay, "60000015": { vr: "IS", Value: [2] }, "60000051": us(3), "60000050": { vr: "SS", Value: [1, 1] } };
  assert.deepEqual(overlaysOf(several, 2, bits), []);
  assert.deepEqual(overlaysOf(several, 5, bits), []);
  const [second] = overlaysOf(several, 4, bits);
  assert.deepEqual([...overlayMask(second!, Uint8Array.of(0b01000000, 0b1001), 2, 3)], [1, 0, 1, 0, 0, 1]);
});

test("an overlay in bits of the pixels is one only where these are no values", () => {
  const embedded: DicomObject = { "60020010": us(2), "60020011": us(2), "60020100": us(16), "60020102": us(12) };
  assert.equal(overlaysOf(embedded, 1, bits)[0]?.bit, 12);
  assert.deepEqual(overlaysOf({ ...embedded, "60020102": us(11) }, 1, bits), []);
  assert.deepEqual(overlaysOf({ ...embedded, "60020100": us(1) }, 1, bits), []);
  assert.deepEqual(overlaysOf({ "60020100": us(16), "60020102": us(12) }, 1, bits), []);
});

const shutter = (object: DicomObject): Shutter => shutterOf(object, 1)!;
const seen = (mask: Uint8Array, columns: number): string[] =>
  Array.from({ length: mask.length / columns }, (_, row) =>
    [...mask.subarray(row * columns, (row + 1) * columns)].map((one) => (one ? "#" : ".")).join(""),
  );

test("a rectangular shutter shows its edges", () => {
  const rectangle = shutter({ "00181600": cs("RECTANGULAR"), "00181602": us(2), "00181604": us(3), "00181606": us(2), "00181608": us(3) });
  assert.deepEqual(seen(coveredBy(rectangle, 4, 4, 1), 4), ["####", "#..#", "#..#", "####"]);
});

test("a circular shutter counts its radius in columns", () => {
  const circle = shutter({ "00181600": cs("CIRCULAR"), "00181610": us(3, 3), "00181612": us(2) });
  assert.deepEqual(seen(coveredBy(circle, 5, 5, 1), 5), ["##.##", "#...#", ".....", "#...#", "##.##"]);
  assert.deepEqual(seen(coveredBy(circle, 5, 5, 2), 5), ["#####", "##.##", ".....", "##.##", "#####"]);
});

test("a polygonal shutter shows its edge, and shapes together show what all let through", () => {
  const triangle: DicomObject = { "00181600": cs("POLYGONAL"), "00181620": us(1, 1, 1, 5, 5, 1) };
  assert.deepEqual(seen(coveredBy(shutter(triangle), 5, 5, 1), 5), [".....", "....#", "...##", "..###", ".####"]);
  const both = shutter({ ...triangle, "00181600": cs("POLYGONAL", "RECTANGULAR"), "00181602": us(2), "00181604": us(9), "00181606": us(1), "00181608": us(9) });
  assert.deepEqual(seen(coveredBy(both, 5, 5, 1), 5), ["#....", "#...#", "#..##", "#.###", "#####"]);
});

test("a shutter covers in its colour; one of no known shape is none", () => {
  assert.equal(shutterOf({ "00181600": cs("OVAL") }, 1), undefined);
  assert.equal(shutterOf({}, 1), undefined);
  const grey = shutter({ "00181600": cs("BITMAP"), "00181623": us(0x6000), "00181622": us(65535) });
  assert.deepEqual([grey.group, ...grey.color], [0x6000, 255, 255, 255]);
  const pixels = new Uint8ClampedArray(8);
  paint(pixels, Uint8Array.of(0, 1), [1, 2, 3]);
  assert.deepEqual([...pixels], [0, 0, 0, 0, 1, 2, 3, 255]);
});

test("colours of the standard are those of sRGB", () => {
  assert.deepEqual(cielabToRgb([65535, 32896, 32896]), [255, 255, 255]);
  assert.deepEqual(cielabToRgb([0, 32896, 32896]), [0, 0, 0]);
});

test("small values are white by either of two words, and padding is read as the pixels are", () => {
  const of = (object: DicomObject) => describeFrame(object, 1);
  assert.equal(of({ "00280004": cs("MONOCHROME1") }).isInverse, true);
  assert.equal(of({ "00280004": cs("MONOCHROME2"), "20500020": cs("INVERSE") }).isInverse, true);
  assert.equal(of({ "00280004": cs("MONOCHROME2") }).isInverse, false);
  assert.deepEqual(of({ "00280103": us(1), "00280120": us(63536) }).padding, [-2000, -2000]);
  assert.deepEqual(of({ "00280120": us(9), "00280121": us(5) }).padding, [5, 9]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { DicomError } from "../src/dicom/bytes";
import { codeStream, frameSpans, offsetsOf } from "../src/dicom/fragments";
import { describeFrame } from "../src/dicom/frame";
import type { DicomObject } from "../src/dicom/model";
import { presentedGreys, supplemented } from "../src/dicom/presented";
import { smallPicture } from "../src/dicom/smallpicture";
import {
  coloured,
  expandedSegments,
  floatValues,
  paletteOf,
  placeOfFrame,
  rgbOfDeep,
  rgbOfHalvedColour,
  swappedPairs,
  unpackedBits,
  windowed,
} from "../src/dicom/storedpixels";
import { SEQUENCE_END, item, le32, type Bytes } from "./bytes";

const blob = (bytes: Bytes) => new Blob([Uint8Array.from(bytes)]);
const FRAME_A = [0xff, 0xd8, 1, 2];
const FRAME_B = [0xff, 0xd8, 3, 4];

async function frames(content: Blob, count: number, extended: readonly number[] = [], from = 0): Promise<Bytes[]> {
  const spans = await frameSpans(content, from, count, extended);
  return await Promise.all(spans.map(async (span) => [...(await codeStream(content, span))]));
}

test("frames are found by an empty table, by offsets, by fragments and by an extended table", async () => {
  const tail = [...item(FRAME_A), ...item(FRAME_B), ...SEQUENCE_END];
  assert.deepEqual(await frames(blob([...item([]), ...tail]), 2), [FRAME_A, FRAME_B]);
  assert.deepEqual(await frames(blob([...item([...le32(0), ...le32(12)]), ...tail]), 2), [FRAME_A, FRAME_B]);
  assert.deepEqual(await frames(blob([...item([]), ...tail]), 2, offsetsOf(Uint8Array.from([...le32(0), ...le32(0), ...le32(12), ...le32(0)]))), [FRAME_A, FRAME_B]);
  assert.deepEqual(await frames(blob([9, 9, ...item([]), ...tail]), 2, [], 2), [FRAME_A, FRAME_B]);
});

test("fragments of one frame are joined, whether a table, the count or the code streams tell", async () => {
  const pieces = [...item(FRAME_A), ...item([5, 6]), ...item(FRAME_B), ...SEQUENCE_END];
  const joined = [[...FRAME_A, 5, 6], FRAME_B];
  assert.deepEqual(await frames(blob([...item([...le32(0), ...le32(22)]), ...pieces]), 2), joined);
  assert.deepEqual(await frames(blob([...item([]), ...pieces]), 2), joined);
  assert.deepEqual(await frames(blob([...item([]), ...item([1, 2]), ...item([3, 4]), ...SEQUENCE_END]), 1), [[1, 2, 3, 4]]);
});

test("a table that is not to be believed is not followed", async () => {
  const tail = [...item(FRAME_A), ...item(FRAME_B), ...SEQUENCE_END];
  for (const wrong of [[4, 12], [0, 11], [0, 0], [0, 9999]])
    assert.deepEqual(await frames(blob([...item(wrong.flatMap((offset) => [...le32(offset)])), ...tail]), 2), [FRAME_A, FRAME_B]);
});

test("cut and contradicting fragments are refused with the one error", async () => {
  const whole = [...item([]), ...item(FRAME_A), ...item(FRAME_B), ...SEQUENCE_END];
  for (const cut of [3, 8, 14]) await refuses(blob(whole.slice(0, cut)), 2);
  await refuses(blob(whole.slice(0, 25)), 1);
  await refuses(blob(whole), 3);
  await refuses(blob([...item([]), ...le32(7), ...le32(4), 1, 2, 3, 4]), 1);
  assert.deepEqual(await frames(blob(whole.slice(0, -8)), 2), [FRAME_A, FRAME_B]); // only the delimiter is gone
});

test("of a file that is cut, the frames before are whole", async () => {
  const tail = [...item(FRAME_A), ...item(FRAME_B), ...item(FRAME_A)];
  assert.deepEqual(await frames(blob([...item([]), ...tail].slice(0, -2)), 3), [FRAME_A, FRAME_B]);
  const pieces = [...item([]), ...item(FRAME_A), ...item([5, 6]), ...item(FRAME_B), ...item([7, 8])].slice(0, -1);
  assert.deepEqual(await frames(blob(pieces), 3), [[...FRAME_A, 5, 6]]);
  const told = [...item([...le32(0), ...le32(12), ...le32(24)]), ...tail].slice(0, -2);
  const spans = await frameSpans(blob(told), 0, 3, []);
  assert.deepEqual([...(await codeStream(blob(told), spans[1]!))], FRAME_B);
  await assert.rejects(codeStream(blob(told), spans[2]!));
});

async function refuses(content: Blob, count: number): Promise<void> {
  try {
    await frames(content, count);
  } catch (error) {
    assert.ok(error instanceof DicomError, String(error));
    return;
  }
  assert.ok(false, "it was not refused");
}

const object = (values: Readonly<Record<string, unknown>>): DicomObject =>
  Object.fromEntries(Object.entries(values).map(([tag, value]) => [tag, { vr: "UN", Value: [value] }]));

test("native frames lie one behind the other, single bits without a gap", () => {
  const grey = describeFrame(object({ "00280010": 4, "00280011": 6, "00280100": 16 }), 1);
  assert.deepEqual(placeOfFrame(grey, 3, 1000), { offset: 96, length: 48, skippedBits: 0 });
  const bits = describeFrame(object({ "00280010": 3, "00280011": 3, "00280100": 1 }), 1);
  assert.deepEqual(placeOfFrame(bits, 2, 10), { offset: 1, length: 2, skippedBits: 1 });
  assert.throws(() => placeOfFrame(grey, 3, 100), DicomError);
  assert.throws(() => placeOfFrame(describeFrame({}, 1), 1, 100), DicomError);
});

test("bits, words and colours are unpacked", () => {
  assert.deepEqual([...unpackedBits(Uint8Array.of(0b1000_0110, 0b1), 5, 1)], [255, 255, 0, 0, 0]);
  assert.deepEqual([...swappedPairs(Uint8Array.of(1, 2, 3, 4, 5))], [2, 1, 4, 3, 5]);
  assert.deepEqual([...windowed([0, 51, 255], undefined)], [0, 51, 255]);
  assert.deepEqual([...windowed([0, 50, 100, NaN], { center: 50, width: 20 })], [0, 128, 255, 0]);
  assert.deepEqual([...windowed([7, 7], undefined)], [0, 0]);
  assert.deepEqual([...rgbOfDeep(Uint8Array.of(0, 0x10, 0, 0x20, 0, 0x30), 16, false, true)], [0x10, 0x20, 0x30]);
  assert.deepEqual([...rgbOfDeep(Uint8Array.of(0x0f, 0xf0, 0, 0, 0x01, 0), 12, true, false)], [0xff, 0, 0x10]);
  assert.deepEqual([...rgbOfHalvedColour(Uint8Array.of(10, 200, 128, 128))], [10, 10, 10, 200, 200, 200]);
});

test("palettes of bytes, of words and of segments give the same colours", () => {
  const words = Uint8Array.of(0, 0x11, 0, 0x22, 0, 0x33);
  const palette = paletteOf([3, 10, 16], words, true);
  assert.deepEqual([...palette.entries], [0x11, 0x22, 0x33]);
  assert.deepEqual([...paletteOf([3, 10, 8], Uint8Array.of(0x11, 0x22, 0x33, 0), true).entries], [0x11, 0x22, 0x33]);
  assert.deepEqual([...coloured([9, 10, 11, 99], [palette, palette, palette])].filter((_, at) => at % 3 === 0), [0x11, 0x11, 0x22, 0x33]);
  assert.throws(() => paletteOf([256, 0, 16], words, true), DicomError);
  const segments = Uint16Array.of(0, 2, 0, 100, 1, 4, 500);
  assert.deepEqual([...expandedSegments(segments)], [0, 100, 200, 300, 400, 500]);
  assert.deepEqual([...expandedSegments(Uint16Array.of(0, 1, 7, 2, 1, 0, 0))], [7, 7]);
  assert.throws(() => expandedSegments(Uint16Array.of(9, 1, 0)), DicomError);
  assert.throws(() => expandedSegments(Uint16Array.of(0, 1, 0, 1, 65535, 9, 1, 65535, 9)), DicomError);
});

test("a small picture takes the nearest pixels by the window, in the shape of the pixels", () => {
  const values = Int16Array.of(0, 100, 200, 300);
  const image = { columns: 2, rows: 2, values, components: 1, slope: 1, intercept: 0, window: { center: 150, width: 300 }, inverted: false, aspect: 1 };
  const { width, height, rgba } = smallPicture(image, 2);
  assert.deepEqual([width, height], [2, 2]);
  assert.deepEqual([...rgba].filter((_, at) => at % 4 === 0), [0, 85, 170, 255]);
  assert.deepEqual([...smallPicture({ ...image, inverted: true, window: undefined }, 2).rgba].filter((_, at) => at % 4 === 0), [255, 170, 85, 0]);
  const flat = smallPicture({ ...image, columns: 100, rows: 50, values: new Uint8Array(5000), aspect: 0.5 }, 20);
  assert.deepEqual([flat.width, flat.height], [20, 5]);
  const colour = smallPicture({ ...image, values: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), components: 3 }, 1);
  assert.deepEqual([...colour.rgba], [10, 11, 12, 255]);
});

test("numbers of 32 and 64 bits are read in both orders of bytes, rescaled, and refused where they do not fit", () => {
  const frame = (tag: string, rescale: Record<string, number> = {}) =>
    describeFrame(
      {
        [tag]: { vr: "OF", BulkDataURI: "x" },
        "00280010": { vr: "US", Value: [1] },
        "00280011": { vr: "US", Value: [2] },
        ...Object.fromEntries(Object.entries(rescale).map(([at, value]) => [at, { vr: "DS", Value: [value] }])),
      } as DicomObject,
      1,
    );
  const bytes = (size: 4 | 8, littleEndian: boolean, ...values: readonly number[]) => {
    const view = new DataView(new ArrayBuffer(size * values.length));
    values.forEach((value, at) => (size === 4 ? view.setFloat32(at * 4, value, littleEndian) : view.setFloat64(at * 8, value, littleEndian)));
    return new Uint8Array(view.buffer);
  };
  const [singles, doubles] = [frame("7FE00008"), frame("7FE00009", { "00281053": 2, "00281052": -1 })];
  assert.deepEqual([singles.floatBits, doubles.floatBits], [32, 64]);
  assert.deepEqual([...floatValues(bytes(4, true, 0.5, NaN), singles, true)!], [0.5, NaN]);
  assert.deepEqual([...floatValues(bytes(8, false, 0.25, -Infinity), doubles, false)!], [-0.5, -Infinity]);
  assert.equal(floatValues(bytes(8, true, 1e200, 0), doubles, true), undefined);
  assert.throws(() => floatValues(bytes(4, true, 1), singles, true), DicomError);
  // Of integers beside them, the integers are taken.
  assert.equal(describeFrame({ "7FE00010": { vr: "OW" }, "7FE00008": { vr: "OF" } } as DicomObject, 1).floatBits, undefined);
});

test("grey goes through the window, the Presentation LUT or polarity, and is coloured from the palette's first value on", () => {
  const voi = { center: 50, width: 100, voiFunction: "LINEAR_EXACT" } as const;
  const table = { first: 0, entries: Uint16Array.of(65535, 0, 65535), top: 65535 };
  assert.deepEqual([...presentedGreys([-5, 50, 100, NaN], { voi, table: undefined, inverted: false })], [0, 128, 255, 0]);
  assert.deepEqual([...presentedGreys([-5, 50, 100, NaN], { voi, table: undefined, inverted: true })], [255, 128, 0, 255]);
  assert.deepEqual([...presentedGreys([0, 50, 100], { voi, table, inverted: true })], [255, 0, 255]);
  assert.deepEqual([...presentedGreys([49, 50], { voi: { center: 50, width: 1, voiFunction: "LINEAR" }, table: undefined, inverted: false })], [0, 255]);
  const palette = (value: number) => ({ first: 10, entries: Uint8Array.of(value, value + 1) });
  assert.deepEqual([...supplemented(Uint8Array.of(7, 7), [9, 11], [palette(1), palette(3), palette(5)])], [7, 7, 7, 2, 4, 6]);
});

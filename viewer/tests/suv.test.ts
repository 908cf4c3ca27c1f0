import assert from "node:assert/strict";
import { test } from "node:test";
import type { DicomElement, DicomObject } from "../src/dicom/model";
import { isSuv, suvByBodyWeight } from "../src/dicom/suv";

const HALF_LIFE = 6586.2;

type Values = Readonly<Record<string, readonly unknown[] | undefined>>;

function object(values: Values): DicomObject {
  const given = Object.entries(values).filter((entry): entry is [string, readonly unknown[]] => entry[1] !== undefined);
  return Object.fromEntries(given.map(([tag, Value]): [string, DicomElement] => [tag, { vr: "UN", Value }]));
}

const INJECTION: Values = { "00181072": ["100000"], "00181074": [400_000_000], "00181075": [HALF_LIFE] };

/** 80 kg, 400 MBq at 10:00:00, corrected to one half-life later: 11:49:46.2. */
const IMAGE: Values = {
  "00080016": ["1.2.840.10008.5.1.4.1.1.128"],
  "00080021": ["20260301"],
  "00080022": ["20260301"],
  "00080031": ["114946.2"],
  "00080032": ["114946.2"],
  "00101030": [80],
  "00280051": ["NORM", "ATTN", "DECY"],
  "00541001": ["BQML"],
  "00541102": ["START"],
};

function image(values: Values = {}, injection: Values = {}): DicomObject {
  return object({ ...IMAGE, "00540016": [object({ ...INJECTION, ...injection })], ...values });
}

function factor(...images: readonly DicomObject[]): number {
  const found = suvByBodyWeight(images);
  assert.ok(isSuv(found), JSON.stringify(found));
  return found.factor;
}

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual / expected - 1) < 1e-9, `${actual} is not ${expected}`);
}

test("activity becomes uptake by weight and by the dose left after one half-life", () => {
  near(factor(image()), 80_000 / 200_000_000);
  near(5000 * factor(image()), 2);
});

test("values corrected to the injection take the whole dose and need no times", () => {
  near(factor(image({ "00541102": ["ADMIN"], "00080031": undefined, "00080032": undefined })), 80_000 / 400_000_000);
});

test("values that are uptake already stay as they are, by body weight only", () => {
  assert.equal(factor(image({ "00541001": ["GML"], "00101030": undefined })), 1);
  assert.equal(factor(image({ "00541001": ["GML"], "00541006": ["BW"] })), 1);
  const lean = suvByBodyWeight([image({ "00541001": ["GML"], "00541006": ["LBM"] })]);
  assert.deepEqual(lean, { why: "units", units: "GML LBM" });
});

test("an injection before midnight belongs to the day before", () => {
  const scan = { "00080031": ["003000"], "00080032": ["003000"] };
  near(factor(image(scan, { "00181072": ["233000"] })), 2e-4 * 2 ** (3600 / HALF_LIFE));
});

test("dates before 1970, as removed identities leave them, count alike", () => {
  near(factor(image({ "00080021": ["19600614"], "00080022": ["19600614"] })), 4e-4);
});

test("the date of the injection counts where there is one", () => {
  near(factor(image({}, { "00181078": ["20260301094946.2"] })), 2e-4 * 2 ** (7200 / HALF_LIFE));
  assert.deepEqual(suvByBodyWeight([image({}, { "00181078": ["20260228100000"] })]), { why: "times" });
  assert.deepEqual(suvByBodyWeight([image({}, { "00181078": ["20260301120000"] })]), { why: "times" });
});

test("offsets from UTC are compared, and only where both are known", () => {
  const injected = { "00181078": ["20260301094946.2+0000"] };
  near(factor(image({}, injected)), 2e-4 * 2 ** (7200 / HALF_LIFE));
  near(factor(image({ "00080201": ["+0100"] }, injected)), 2e-4 * 2 ** (3600 / HALF_LIFE));
});

test("a time without a date is not enough for a nuclide that lives for days", () => {
  assert.deepEqual(suvByBodyWeight([image({}, { "00181075": [282_000] })]), { why: "times" });
  near(factor(image({}, { "00181075": [282_000], "00181078": ["20260227114946.2"] })), 2e-4 * 2 ** (172_800 / 282_000));
});

/** Decay Factor of a frame of five minutes that begins so many seconds after the time it is corrected to. */
function decayed(seconds: number): Values {
  const decays = (Math.LN2 * 300) / HALF_LIFE;
  const factorOfFrame = (2 ** (seconds / HALF_LIFE) * decays) / (1 - Math.exp(-decays));
  return { "00181242": [300_000], "00541321": [factorOfFrame] };
}

test("a series made later takes its start from the acquisition and the decay factors", () => {
  const derived = { "00080031": ["150000"] };
  const beds = [image({ ...derived, ...decayed(0) }), image({ ...derived, "00080032": ["115446.2"], ...decayed(300) })];
  near(factor(...beds), 4e-4);
  assert.deepEqual(suvByBodyWeight([image(derived)]), { why: "times" });
});

test("decay factors that contradict Series Time, or one another, are refused", () => {
  assert.deepEqual(suvByBodyWeight([image(decayed(600))]), { why: "times" });
  const ownStart = [image(decayed(0)), image({ "00080032": ["115946.2"], ...decayed(0) })];
  assert.deepEqual(suvByBodyWeight(ownStart), { why: "times" });
});

test("what the formula needs is named when it is absent or not above zero", () => {
  const missing = (tag: string) => ({ why: "missing", tag });
  assert.deepEqual(suvByBodyWeight([image({ "00101030": undefined })]), missing("00101030"));
  assert.deepEqual(suvByBodyWeight([image({ "00101030": [0] })]), missing("00101030"));
  assert.deepEqual(suvByBodyWeight([image({ "00540016": undefined })]), missing("00181074"));
  assert.deepEqual(suvByBodyWeight([image({}, { "00181074": ["much"] })]), missing("00181074"));
  assert.deepEqual(suvByBodyWeight([image({}, { "00181075": undefined })]), missing("00181075"));
  assert.deepEqual(suvByBodyWeight([image({}, { "00181072": ["2560"] })]), missing("00181072"));
  assert.deepEqual(suvByBodyWeight([image({}, { "00181078": ["soon"] })]), missing("00181078"));
  assert.deepEqual(suvByBodyWeight([image({ "00541001": undefined })]), missing("00541001"));
  assert.deepEqual(suvByBodyWeight([image({ "00541102": undefined })]), missing("00541102"));
  assert.deepEqual(suvByBodyWeight([image({ "00080031": undefined })]), missing("00080031"));
  assert.deepEqual(suvByBodyWeight([image({ "00080021": ["20260231"] })]), missing("00080021"));
  assert.deepEqual(suvByBodyWeight([image({ "00080032": undefined })]), missing("00080032"));
});

test("other images, units and corrections are refused", () => {
  assert.deepEqual(suvByBodyWeight([]), { why: "kind" });
  assert.deepEqual(suvByBodyWeight([image({ "00080016": ["1.2.840.10008.5.1.4.1.1.2"] })]), { why: "kind" });
  assert.deepEqual(suvByBodyWeight([image({ "00541001": ["CNTS"] })]), { why: "units", units: "CNTS" });
  assert.deepEqual(suvByBodyWeight([image({ "00541102": ["NONE"] })]), { why: "decay", correctedTo: "NONE" });
  assert.deepEqual(suvByBodyWeight([image(), image({ "00280051": ["DECY"] })]), { why: "uncorrected", lacks: ["ATTN"] });
  assert.deepEqual(suvByBodyWeight([image({ "00280051": undefined })]), { why: "uncorrected", lacks: ["ATTN", "DECY"] });
  assert.deepEqual(suvByBodyWeight([image({ "00540016": [object(INJECTION), object(INJECTION)] })]), { why: "pharmaceuticals" });
  assert.deepEqual(suvByBodyWeight([image(), image({ "00101030": [81] })]), { why: "differs", tag: "00101030" });
});

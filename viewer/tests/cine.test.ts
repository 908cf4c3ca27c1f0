import assert from "node:assert/strict";
import { test } from "node:test";
import { framesPerSecond } from "../src/dicom/cine";
import { displaySets, type Stack } from "../src/dicom/displaysets";
import { playsByItself } from "../src/dicom/hanging";
import type { DicomElement, DicomObject } from "../src/dicom/model";

const of = (vr: string, ...values: readonly unknown[]): DicomElement => ({ vr, Value: values });

function clip(more: DicomObject, modality = "XA", frames = 8): Stack {
  const instance: DicomObject = {
    "00080018": of("UI", "1.2.3"),
    "00080060": of("CS", modality),
    "00280008": of("IS", frames),
    "00280010": of("US", 8),
    "00280011": of("US", 8),
    ...more,
  };
  return displaySets([instance])[0] as Stack;
}

const TOLD: readonly (readonly [string, DicomObject, number])[] = [
  ["Recommended Display Frame Rate", { "00082144": of("IS", 12) }, 12],
  ["Cine Rate", { "00180040": of("IS", "15") }, 15],
  ["Frame Time", { "00181063": of("DS", 50) }, 20],
  ["Frame Time Vector", { "00181065": of("DS", 0, 250, 250, 250, 250, 250, 250, 250) }, 4],
  ["Frame Time Vector, uneven", { "00181065": of("DS", 0, 100, 300, 100, 300) }, 5],
];

for (const [name, told, rate] of TOLD) {
  test(`${name} alone tells the rate, and that it plays by itself`, () => {
    assert.equal(framesPerSecond(clip(told)), rate);
    assert.equal(playsByItself(clip(told)), rate);
    assert.equal(playsByItself(clip(told, "CT")), undefined);
  });
}

test("what is recommended counts before what was recorded", () => {
  assert.equal(framesPerSecond(clip({ ...TOLD[0]![1], ...TOLD[1]![1], ...TOLD[2]![1] })), 12);
  assert.equal(framesPerSecond(clip({ ...TOLD[1]![1], ...TOLD[2]![1] })), 15);
});

test("of Frame Time and Frame Time Vector the one that the pointer names is meant", () => {
  const both = { ...TOLD[2]![1], ...TOLD[3]![1] };
  assert.equal(framesPerSecond(clip({ ...both, "00280009": of("AT", "00181065") })), 4);
  assert.equal(framesPerSecond(clip({ ...both, "00280009": of("AT", "00181063") })), 20);
});

test("what tells no rate, or none that can be, does not play by itself", () => {
  for (const told of [{}, { "00181063": of("DS", 0) }, { "00181065": of("DS", 0, 0, 0) }, { "00181065": of("DS", 40) }, { "00180040": of("IS", -3) }]) {
    assert.equal(playsByItself(clip(told)), undefined);
    assert.equal(framesPerSecond(clip(told)), 25);
  }
});

test("rates stay between one and sixty a second", () => {
  assert.equal(framesPerSecond(clip({ "00181063": of("DS", 5000) })), 1);
  assert.equal(framesPerSecond(clip({ "00181063": of("DS", 2) })), 60);
});

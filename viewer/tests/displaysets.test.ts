import assert from "node:assert/strict";
import { test } from "node:test";
import { displaySets, firstIndex, type Stack } from "../src/dicom/displaysets";
import type { DicomElement, DicomObject } from "../src/dicom/model";

const of = (vr: string, ...values: readonly unknown[]): DicomElement => ({ vr, Value: values });
const STORAGE = "1.2.840.10008.5.1.4.1.1.";

let made = 0;
function object(sopClass: string, more: DicomObject = {}): DicomObject {
  made += 1;
  return {
    "00080016": of("UI", STORAGE + sopClass),
    "00080018": of("UI", `1.2.${made}`),
    "00280010": of("US", 240),
    "00280011": of("US", 240),
    ...more,
  };
}

const kindOf = (instance: DicomObject) => {
  const [set] = displaySets([instance]);
  return set!.kind === "sheet" ? set!.sheet : set!.kind;
};

test("what has pixels that mean little as they are is no stack", () => {
  for (const sopClass of ["66.4", "66.7", "66.8", "481.2"]) assert.equal(kindOf(object(sopClass, { "00280008": of("IS", 4) })), "undrawn");
  const matrix = { "00480006": of("UL", 4800), "00480007": of("UL", 2400), "00280008": of("IS", 200) };
  assert.equal(kindOf(object("77.1.6", matrix)), "undrawn");
});

test("a slide's label and overview are pictures", () => {
  assert.equal(kindOf(object("77.1.6", { "00480006": of("UL", 240), "00480007": of("UL", 240) })), "stack");
  assert.equal(kindOf(object("77.1.6")), "stack");
});

test("images of radiotherapy and parametric maps are images", () => {
  for (const sopClass of ["481.1", "30", "2", "7"]) assert.equal(kindOf(object(sopClass)), "stack");
});

test("slices open in the middle, and pictures that lie nowhere at the first", () => {
  const lying = (z: number) => ({
    "00200032": of("DS", 0, 0, z),
    "00200037": of("DS", 1, 0, 0, 0, 1, 0),
    "00200013": of("IS", z),
  });
  const opened = (instances: readonly DicomObject[]) => firstIndex(displaySets(instances)[0] as Stack, undefined);
  assert.equal(opened([1, 2, 3, 4, 5].map((z) => object("2", lying(z)))), 2);
  assert.equal(opened([1, 2, 3, 4, 5].map((n) => object("6.1", { "00200013": of("IS", n) }))), 0);
  assert.equal(opened([object("3.1", { "00280008": of("IS", 30) })]), 0);
});

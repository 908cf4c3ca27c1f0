import assert from "node:assert/strict";
import { test } from "node:test";
import { encodingOf, fileHead } from "../src/dicom/filehead";

const codes = (text: string): number[] => [...text].map((letter) => letter.charCodeAt(0));

/** Elements as they stand in a file. */
function part10(...elements: readonly (readonly [element: number, vr: string, value: string])[]): Uint8Array<ArrayBuffer> {
  const bytes = [...new Array<number>(128).fill(0), ...codes("DICM")];
  for (const [element, vr, value] of elements) {
    const isLong = vr === "OB";
    bytes.push(2, 0, element & 255, element >> 8, ...codes(vr));
    bytes.push(...(isLong ? [0, 0, value.length, 0, 0, 0] : [value.length, 0]), ...codes(value));
  }
  return new Uint8Array([...bytes, 8, 0, 5, 0, 0x43, 0x53, 0, 0]);
}

test("the head of a file is read, and nothing after it", () => {
  const head = fileHead(part10([0, "UL", "\x10\0\0\0"], [1, "OB", "\0\x01"], [0x10, "UI", "1.2.840.10008.1.2.1\0"], [0x16, "AE", "HERE  "]));
  assert.deepEqual(head, {
    "00020000": { vr: "UL", Value: [16] },
    "00020001": { vr: "OB", InlineBinary: "AAE=" },
    "00020010": { vr: "UI", Value: ["1.2.840.10008.1.2.1"] },
    "00020016": { vr: "AE", Value: ["HERE"] },
  });
});

test("what is cut, empty or no DICOM file gives what can be read", () => {
  const whole = part10([0x10, "UI", "1.2\0"], [0x16, "AE", "HERE"]);
  for (let length = 0; length < whole.length; length += 1) fileHead(whole.slice(0, length));
  assert.deepEqual(fileHead(whole.slice(0, 146)), { "00020010": { vr: "UI", Value: ["1.2"] } });
  assert.deepEqual(fileHead(new Uint8Array()), {});
  assert.deepEqual(fileHead(new Uint8Array(400).fill(255)), {});
  assert.deepEqual(fileHead(part10([0x16, "AE", ""])), { "00020016": { vr: "AE", Value: [] } });
});

test("character sets by the names that browsers give them", () => {
  for (const [dicom, web] of [["ISO_IR 192", "utf-8"], ["ISO_IR 100", "iso-8859-1"], [undefined, "utf-8"], ["ISO 2022 IR 126", "iso-8859-7"]])
    assert.equal(encodingOf(dicom), web);
});

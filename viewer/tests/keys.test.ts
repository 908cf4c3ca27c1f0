import assert from "node:assert/strict";
import { test } from "node:test";
import { ALL_PRESETS } from "../src/dicom/presets";
import { COMMANDS } from "../src/tools/keys";

test("no key is given twice", () => {
  for (const presets of ALL_PRESETS) {
    const keys = [...Object.values(COMMANDS).flatMap((command) => [...command.keys] as string[]), ...presets.map(({ key }) => key)];
    assert.deepEqual(keys.filter((key, at) => keys.indexOf(key) !== at), []);
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { CT_PRESETS } from "../src/dicom/presets";
import { COMMANDS } from "../src/tools/keys";

test("no key is given twice", () => {
  const keys = [...Object.values(COMMANDS).flatMap((command) => [...command.keys] as string[]), ...CT_PRESETS.map(({ key }) => key)];
  assert.deepEqual(keys.filter((key, at) => keys.indexOf(key) !== at), []);
});

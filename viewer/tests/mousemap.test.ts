import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMANDS, GROUPS, GROUP_OF } from "../src/tools/keys";
import { USUAL_MOUSE, readMouseMap } from "../src/tools/mousemap";

test("what was kept of the mouse is read as far as it names tools", () => {
  assert.deepEqual(readMouseMap("window,scroll,zoom"), { middle: "window", right: "scroll", wheel: "zoom" });
  assert.deepEqual(readMouseMap("nothing,scroll"), { middle: "pan", right: "scroll", wheel: "scroll" });
  for (const kept of [null, "", "constructor,__proto__,pan"]) assert.deepEqual(readMouseMap(kept), USUAL_MOUSE);
});

test("every command stands under a heading", () => {
  for (const id of Object.keys(COMMANDS) as (keyof typeof COMMANDS)[]) assert.ok(GROUPS.includes(GROUP_OF[id]), id);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { createKeyHold } from "../src/tools/keyhold";
import type { DragTool } from "../src/tools/mouse";

function hands(tool: DragTool, can = true) {
  const hold = createKeyHold();
  const drags: unknown[] = [];
  const press = (key: string, shift = false) =>
    hold.press({ key, shift, tool, can: () => can, drag: (held, { x, y }) => drags.push([held, x, y]) });
  return { hold, drags, press };
}

test("Enter takes hold, arrows drag, Enter or Escape lets go", () => {
  for (const end of ["Enter", "Escape"]) {
    const { hold, drags, press } = hands("pan");
    assert.equal(press("ArrowLeft"), false, "before, arrows are for the images");
    assert.ok(press("Enter"));
    assert.equal(hold.held(), "pan");
    for (const key of ["ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"]) assert.ok(press(key));
    assert.ok(press("ArrowRight", true));
    assert.deepEqual(drags, [["pan", -10, 0], ["pan", 0, -10], ["pan", 10, 0], ["pan", 0, 10], ["pan", 50, 0]]);
    assert.equal(press("PageDown"), false, "other keys do what they always do");
    assert.ok(press(end));
    assert.equal(hold.held(), null);
    assert.equal(press("ArrowLeft"), false);
  }
});

test("only tools that move something are taken hold of, and only where there is something to move", () => {
  for (const tool of ["scroll", "zoom", "cursor", "length"] as const) assert.equal(hands(tool).press("Enter"), false);
  assert.equal(hands("window", false).press("Enter"), false);
  assert.ok(hands("window").press("Enter"));
});

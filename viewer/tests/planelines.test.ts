import assert from "node:assert/strict";
import { test } from "node:test";
import { linesInTurns } from "../src/dicom/planelines";

test("lines that came component by component go to their pixels", () => {
  const [columns, rows, components] = [2, 3, 3];
  const value = (row: number, column: number, component: number) => 100 * component + 10 * row + column;
  // As the decoder puts them: line after line into components in turn.
  const lines = new Uint16Array(columns * rows * components);
  for (let came = 0; came < rows * components; came += 1)
    for (let column = 0; column < columns; column += 1) {
      const place = Math.floor(came / components) * columns * components + column * components + (came % components);
      lines[place] = value(came % rows, column, Math.floor(came / rows));
    }
  const pixels = linesInTurns(lines, columns, rows, components);
  const wanted: number[] = [];
  for (let row = 0; row < rows; row += 1)
    for (let column = 0; column < columns; column += 1)
      for (let component = 0; component < components; component += 1) wanted.push(value(row, column, component));
  assert.deepEqual(pixels, Uint16Array.from(wanted));
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { BURST_MS, MOST_STEPS, createHistory, type Part } from "../src/state/history";

/** Two parts of a page, each a word, and a clock that stands still. */
function page() {
  let now = 0;
  const history = createHistory(() => now);
  const words = { drawn: "", seen: "" };
  const part = (name: keyof typeof words): Part<string> => ({
    read: () => words[name],
    restore: (was) => void (words[name] = was),
    isSame: Object.is,
  });
  const [drawn, seen] = [part("drawn"), part("seen")];
  return {
    history,
    drawn,
    seen,
    words,
    shown: () => `${words.drawn}|${words.seen}`,
    wait: (ms: number) => void (now += ms),
    draw: (word: string) => history.act(drawn, () => void (words.drawn = word)),
    look: (word: string, burst?: string) => history.act(seen, () => void (words.seen = word), burst),
  };
}

test("what was done to both parts is taken back in its order, and done again", () => {
  const { history, draw, look, shown } = page();
  assert.deepEqual([history.canUndo(), history.canRedo()], [false, false]);
  look("near");
  draw("line");
  look("far");
  const back: string[] = [];
  for (; history.canUndo(); back.push(shown())) history.undo();
  assert.deepEqual(back, ["line|near", "|near", "|"]);
  history.undo();
  assert.equal(shown(), "|");
  const again: string[] = [];
  for (; history.canRedo(); again.push(shown())) history.redo();
  assert.deepEqual(again, ["|near", "line|near", "line|far"]);
  history.redo();
  assert.equal(shown(), "line|far");
});

test("something new leaves nothing to be done again", () => {
  const { history, draw, look, shown } = page();
  look("near");
  draw("line");
  history.undo();
  look("far");
  assert.equal(history.canRedo(), false);
  history.undo();
  assert.equal(shown(), "|near");
});

test("what changes nothing is no step", () => {
  const { history, look, shown } = page();
  look("");
  assert.equal(history.canUndo(), false);
  look("near", "zoom");
  look("", "zoom");
  assert.equal(history.canUndo(), true);
  // The burst led back to where it began: it takes no press of the key of its own.
  history.undo();
  assert.deepEqual([shown(), history.canUndo(), history.canRedo()], ["|", false, false]);
});

test("a burst of one kind is one step; a pause, another kind and another part end it", () => {
  const { history, draw, look, shown, wait } = page();
  const steps = () => {
    const found: string[] = [];
    for (; history.canUndo(); found.push(shown())) history.undo();
    while (history.canRedo()) history.redo();
    return found;
  };
  look("1", "zoom");
  wait(BURST_MS - 1);
  look("2", "zoom");
  wait(BURST_MS - 1);
  look("3", "zoom");
  assert.deepEqual(steps(), ["|"]);
  // Taken back and done again it does not go on.
  look("4", "zoom");
  assert.deepEqual(steps(), ["|3", "|"]);
  look("5", "pan");
  look("6", "pan");
  look("7");
  look("8");
  assert.deepEqual(steps().slice(0, 3), ["|7", "|6", "|4"]);
  wait(BURST_MS);
  look("9", "pan");
  draw("line");
  look("10", "pan");
  wait(BURST_MS);
  look("11", "pan");
  assert.deepEqual(steps().slice(0, 4), ["line|10", "line|9", "|9", "|8"]);
});

test("a drag is one step however long it takes, and whatever it does; two drags are two", () => {
  const { history, look, shown, wait } = page();
  history.hold();
  look("1", "pan");
  wait(10 * BURST_MS);
  look("2", "zoom");
  look("3");
  history.letGo();
  look("4", "zoom");
  history.hold();
  look("5", "zoom");
  history.letGo();
  history.hold();
  look("6", "zoom");
  history.letGo();
  const found: string[] = [];
  for (; history.canUndo(); found.push(shown())) history.undo();
  assert.deepEqual(found, ["|5", "|4", "|3", "|"]);
});

test("what follows from something that is done, or taken back, is part of it", () => {
  const { history, drawn, seen, words, look, shown } = page();
  history.act(seen, () => {
    words.seen = "near";
    look("nearer");
  });
  history.quietly(() => look("nearest"));
  history.undo();
  assert.deepEqual([shown(), history.canUndo()], ["|", false]);
  const follower: Part<string> = { ...drawn, restore: (was) => look(`for ${was}`) };
  history.act(follower, () => void (words.drawn = "line"));
  history.undo();
  assert.deepEqual([words.seen, history.canUndo()], ["for ", false]);
});

test("what came by itself stays; what is dropped can be taken back no more", () => {
  const { history, drawn, draw, look, shown } = page();
  draw("a");
  look("near");
  draw("ab");
  history.undo();
  history.revise(drawn, (was) => `${was}!`);
  history.redo();
  assert.equal(shown(), "ab!|near");
  history.undo();
  history.undo();
  history.undo();
  assert.equal(shown(), "!|");
  history.redo();
  history.redo();
  history.drop(drawn);
  assert.deepEqual([history.canUndo(), history.canRedo()], [true, false]);
  history.undo();
  assert.deepEqual([shown(), history.canUndo()], ["a|", false]);
});

test("only so many steps are kept, the oldest go", () => {
  const { history, draw, shown } = page();
  for (let n = 0; n < MOST_STEPS + 50; n += 1) draw(String(n));
  let count = 0;
  for (; history.canUndo(); count += 1) history.undo();
  assert.deepEqual([count, shown()], [MOST_STEPS, "49|"]);
});

test("a step that fails leaves the history ready for the next", () => {
  const { history, drawn, draw, shown } = page();
  assert.throws(() => history.act(drawn, () => { throw new TypeError(); }), TypeError);
  draw("line");
  history.undo();
  assert.equal(shown(), "|");
});

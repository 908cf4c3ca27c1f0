import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { followTouches, type GestureHandlers, type Point } from "../src/tools/gestures";

/** Where the element stands on the page: what comes out is counted from its corner. */
const CORNER = { x: 100, y: 40 };

type Said = readonly [name: keyof GestureHandlers, ...values: unknown[]];

/** Fingers on an element, told where they are on it and when; `said` is all that came out. */
function fingers(isTaken: (at: Point) => boolean = () => false) {
  const element = new EventTarget() as HTMLElement;
  element.getBoundingClientRect = () => ({ left: CORNER.x, top: CORNER.y }) as DOMRect;
  const said: Said[] = [];
  const say =
    (name: keyof GestureHandlers) =>
    (...values: unknown[]) =>
      void said.push([name, ...values]);
  const stop = followTouches(element, {
    take: (at) => isTaken(at),
    carry: say("carry"),
    letGo: say("letGo"),
    drop: say("drop"),
    tap: say("tap"),
    drag: say("drag"),
    scroll: say("scroll"),
    pinch: say("pinch"),
    swipe: say("swipe"),
    longPress: say("longPress"),
    doubleTap: say("doubleTap"),
  });
  const send = (type: string, at: number, ...points: readonly (readonly [number, number])[]) => {
    const event = new Event(type, { cancelable: true });
    Object.defineProperty(event, "timeStamp", { value: at });
    Object.defineProperty(event, "touches", {
      value: points.map(([x, y]) => ({ clientX: x + CORNER.x, clientY: y + CORNER.y })),
    });
    element.dispatchEvent(event);
    return event;
  };
  const tap = (at: number) => {
    send("touchstart", at, [20, 30]);
    send("touchend", at + 40);
  };
  return { send, tap, stop, said, names: () => said.map(([name]) => name) };
}

const sum = (said: readonly Said[], name: keyof GestureHandlers) =>
  said
    .filter(([one]) => one === name)
    .map((one) => one[1] as Point)
    .reduce((all, { x, y }) => ({ x: all.x + x, y: all.y + y }), { x: 0, y: 0 });

test("one finger drags once it has moved, by all that it moved", () => {
  const hand = fingers();
  hand.send("touchstart", 0, [10, 10]);
  hand.send("touchmove", 20, [16, 10]);
  assert.deepEqual(hand.said, []);
  hand.send("touchmove", 40, [30, 12]);
  hand.send("touchmove", 60, [30, 50]);
  hand.send("touchend", 900);
  assert.deepEqual(hand.names(), ["drag", "drag"]);
  assert.deepEqual(sum(hand.said, "drag"), { x: 20, y: 40 });
  assert.deepEqual(hand.said[1]![2], { x: 30, y: 50 });
  hand.stop();
});

test("what the page would do with fingers is kept from it", () => {
  const hand = fingers();
  assert.ok(hand.send("touchstart", 0, [10, 10]).defaultPrevented);
  assert.ok(hand.send("touchmove", 10, [40, 10]).defaultPrevented);
  hand.send("touchend", 20);
  hand.stop();
});

test("a stroke to the side is a swipe where it is quick, long and level", () => {
  const swiped = (x: number, y: number, takesMs: number) => {
    const hand = fingers();
    hand.send("touchstart", 0, [200, 200]);
    hand.send("touchmove", takesMs / 2, [200 + x / 2, 200 + y / 2]);
    hand.send("touchmove", takesMs, [200 + x, 200 + y]);
    hand.send("touchend", takesMs);
    hand.stop();
    return hand.said.filter(([name]) => name === "swipe").map(([, direction]) => direction);
  };
  assert.deepEqual(swiped(-90, 5, 150), [1]);
  assert.deepEqual(swiped(90, 5, 150), [-1]);
  assert.deepEqual(swiped(-90, 5, 600), []);
  assert.deepEqual(swiped(-60, 5, 150), []);
  assert.deepEqual(swiped(-90, 60, 150), []);
});

test("two quick touches are two taps and a double one, a third is the first of others", () => {
  const hand = fingers();
  hand.tap(1000);
  hand.tap(1200);
  assert.deepEqual(hand.names(), ["tap", "tap", "doubleTap"]);
  hand.tap(1400);
  assert.deepEqual(hand.names().slice(3), ["tap"]);
  hand.tap(1600);
  assert.deepEqual(hand.names().slice(4), ["tap", "doubleTap"]);
  hand.stop();
});

test("touches that are far apart, and the first soon after the page began, are no double tap", () => {
  const hand = fingers();
  hand.tap(50);
  hand.tap(900);
  assert.deepEqual(hand.names(), ["tap", "tap"]);
  hand.stop();
});

test("a finger that rests is a long press, and nothing else when it leaves", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const hand = fingers();
    hand.send("touchstart", 0, [10, 10]);
    mock.timers.tick(549);
    assert.deepEqual(hand.said, []);
    mock.timers.tick(1);
    assert.deepEqual(hand.names(), ["longPress"]);
    hand.send("touchmove", 600, [80, 10]);
    hand.send("touchend", 620);
    assert.deepEqual(hand.names(), ["longPress"]);
    hand.stop();
  } finally {
    mock.timers.reset();
  }
});

test("a finger that moved, left or was joined does not rest", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const ended = (then: (hand: ReturnType<typeof fingers>) => void) => {
      const hand = fingers();
      hand.send("touchstart", 0, [10, 10]);
      then(hand);
      mock.timers.tick(2000);
      hand.stop();
      return hand.names().includes("longPress");
    };
    assert.equal(ended((hand) => hand.send("touchmove", 10, [40, 10])), false);
    assert.equal(ended((hand) => hand.send("touchend", 10)), false);
    assert.equal(ended((hand) => hand.send("touchstart", 10, [10, 10], [90, 10])), false);
    assert.equal(ended((hand) => hand.send("touchcancel", 10)), false);
    assert.equal(ended((hand) => hand.stop()), false);
  } finally {
    mock.timers.reset();
  }
});

test("two fingers side by side scroll, and what they became they stay", () => {
  const hand = fingers();
  hand.send("touchstart", 0, [10, 10]);
  hand.send("touchstart", 5, [10, 10], [60, 10]);
  hand.send("touchmove", 30, [10, 40], [60, 40]);
  hand.send("touchmove", 60, [0, 60], [90, 60]);
  assert.deepEqual(hand.names(), ["scroll", "scroll"]);
  assert.equal(sum(hand.said, "scroll").y, 50);
  // One that leaves first leaves the other idle.
  hand.send("touchend", 80, [0, 60]);
  hand.send("touchmove", 90, [90, 90]);
  hand.send("touchend", 100);
  assert.deepEqual(hand.names(), ["scroll", "scroll"]);
  hand.stop();
});

test("fingers that spread enlarge around their middle", () => {
  const hand = fingers();
  hand.send("touchstart", 0, [50, 50], [100, 50]);
  hand.send("touchmove", 30, [30, 50], [130, 50]);
  hand.send("touchmove", 60, [5, 50], [205, 50]);
  const pinched = hand.said.map(([name, factor, centre]) => [name, factor, centre]);
  assert.deepEqual(pinched, [
    ["pinch", 2, { x: 80, y: 50 }],
    ["pinch", 2, { x: 105, y: 50 }],
  ]);
  assert.deepEqual(
    hand.said.map((one) => one[3]),
    [{ x: 5, y: 0 }, { x: 25, y: 0 }],
  );
  hand.stop();
});

test("two fingers that rest and leave together do nothing", () => {
  const hand = fingers();
  hand.send("touchstart", 0, [50, 50]);
  hand.send("touchstart", 5, [50, 50], [100, 50]);
  hand.send("touchend", 60);
  assert.deepEqual(hand.said, []);
  hand.stop();
});

test("what is taken hold of is carried until it is let go, and dropped when a second finger comes", () => {
  const taken = fingers(({ x, y }) => x === 10 && y === 20);
  taken.send("touchstart", 0, [10, 20]);
  taken.send("touchmove", 10, [14, 22]);
  taken.send("touchend", 20);
  assert.deepEqual(taken.said, [
    ["carry", { x: 14, y: 22 }],
    ["letGo", { x: 14, y: 22 }],
  ]);
  taken.send("touchstart", 1000, [10, 20]);
  taken.send("touchmove", 1010, [18, 22]);
  taken.send("touchstart", 1020, [18, 22], [70, 22]);
  taken.send("touchend", 1040);
  assert.deepEqual(taken.names().slice(2), ["carry", "drop"]);
  taken.send("touchstart", 2000, [10, 20]);
  taken.send("touchcancel", 2010);
  assert.deepEqual(taken.names().slice(4), ["drop"]);
  taken.stop();
});

test("once stopped it follows nothing", () => {
  const hand = fingers();
  hand.stop();
  hand.tap(0);
  assert.deepEqual(hand.said, []);
});

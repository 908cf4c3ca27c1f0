/**
 * Fingers on an image. Values go out, no picture is touched here.
 *
 * One finger drags with the tool in hand; a quick sideways stroke is a swipe. Two fingers either
 * pinch (zoom and pan together) or, moving side by side, scroll: the first few millimetres decide
 * and the gesture keeps what it became. A finger that rests is a long press; two quick taps are
 * a double tap.
 */

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface GestureHandlers {
  /** Whether a finger takes hold of something drawn, which it then carries until it is let go. */
  take(at: Point): boolean;
  carry(at: Point): void;
  letGo(at: Point): void;
  /** A second finger came: what was begun is forgotten. */
  drop(): void;
  /** One quick touch that moved nothing. */
  tap(at: Point): void;
  /** One finger moved by so many pixels, and is now at a point of the element. */
  drag(delta: Point, at: Point): void;
  /** Two fingers moved side by side. */
  scroll(delta: Point): void;
  /** Fingers spread by `factor` around `centre`, which moved by `delta`. */
  pinch(factor: number, centre: Point, delta: Point): void;
  swipe(direction: 1 | -1): void;
  longPress(): void;
  doubleTap(): void;
}

const DECIDE_PX = 12;
const SWIPE_PX = 70;
const SWIPE_MS = 350;
const LONG_PRESS_MS = 550;
const DOUBLE_TAP_MS = 300;

type Mode = "taken" | "undecided" | "drag" | "pinch" | "scroll" | "spent";

interface Hand {
  readonly centre: Point;
  readonly spread: number;
}

export function followTouches(element: HTMLElement, handlers: GestureHandlers): () => void {
  let mode: Mode = "undecided";
  let start: Hand = { centre: { x: 0, y: 0 }, spread: 0 };
  let last = start;
  let startedAt = 0;
  let tappedAt = -Infinity;
  let resting: ReturnType<typeof setTimeout> | undefined;

  function begin(event: TouchEvent): void {
    event.preventDefault();
    const continues = event.touches.length > 1;
    start = last = hand(event.touches);
    clearTimeout(resting);
    if (mode === "taken") handlers.drop();
    mode = "undecided";
    // Two fingers that leave together have touched nothing.
    startedAt = continues ? -Infinity : event.timeStamp;
    if (continues) return;
    if (handlers.take(start.centre)) {
      mode = "taken";
      return;
    }
    resting = setTimeout(() => {
      mode = "spent";
      handlers.longPress();
    }, LONG_PRESS_MS);
  }

  function move(event: TouchEvent): void {
    event.preventDefault();
    const now = hand(event.touches);
    if (mode === "undecided") mode = decide(event.touches.length, now);
    if (mode === "undecided" || mode === "spent") return;
    if (mode === "taken") {
      last = now;
      return handlers.carry(now.centre);
    }
    clearTimeout(resting);
    const delta = minus(now.centre, last.centre);
    if (mode === "drag") handlers.drag(delta, now.centre);
    else if (mode === "scroll") handlers.scroll(delta);
    else handlers.pinch(now.spread / Math.max(1, last.spread), now.centre, delta);
    last = now;
  }

  function decide(fingers: number, now: Hand): Mode {
    const moved = length(minus(now.centre, start.centre));
    const spread = Math.abs(now.spread - start.spread);
    if (Math.max(moved, spread) < DECIDE_PX) return "undecided";
    if (fingers === 1) return "drag";
    return spread > moved ? "pinch" : "scroll";
  }

  function end(event: TouchEvent): void {
    clearTimeout(resting);
    if (event.touches.length > 0) {
      // One of two fingers left first: what remains must not jump.
      mode = "spent";
      return;
    }
    if (mode === "taken") {
      mode = "undecided";
      return handlers.letGo(last.centre);
    }
    const moved = minus(last.centre, start.centre);
    const quick = event.timeStamp - startedAt < SWIPE_MS;
    if (mode === "drag" && quick && isSwipe(moved)) handlers.swipe(moved.x < 0 ? 1 : -1);
    if (mode === "undecided" && quick) tap(event.timeStamp);
    mode = "undecided";
  }

  function tap(at: number): void {
    handlers.tap(start.centre);
    const isSecond = at - tappedAt < DOUBLE_TAP_MS;
    if (isSecond) handlers.doubleTap();
    // A third is the first of others.
    tappedAt = isSecond ? -Infinity : at;
  }

  const cancel = () => {
    clearTimeout(resting);
    if (mode === "taken") handlers.drop();
    mode = "undecided";
  };

  function hand(touches: TouchList): Hand {
    const box = element.getBoundingClientRect();
    const [a, b] = [touches[0], touches[1]];
    if (!a) return last;
    const at = (touch: Touch): Point => ({ x: touch.clientX - box.left, y: touch.clientY - box.top });
    if (!b) return { centre: at(a), spread: 0 };
    const [p, q] = [at(a), at(b)];
    return { centre: { x: (p.x + q.x) / 2, y: (p.y + q.y) / 2 }, spread: length(minus(p, q)) };
  }

  element.addEventListener("touchstart", begin, { passive: false });
  element.addEventListener("touchmove", move, { passive: false });
  element.addEventListener("touchend", end);
  element.addEventListener("touchcancel", cancel);
  return () => {
    clearTimeout(resting);
    element.removeEventListener("touchstart", begin);
    element.removeEventListener("touchmove", move);
    element.removeEventListener("touchend", end);
    element.removeEventListener("touchcancel", cancel);
  };
}

function isSwipe(moved: Point): boolean {
  return Math.abs(moved.x) > SWIPE_PX && Math.abs(moved.x) > 2 * Math.abs(moved.y);
}

function minus(a: Point, b: Point): Point {
  return { x: a.x - b.x, y: a.y - b.y };
}

function length(p: Point): number {
  return Math.hypot(p.x, p.y);
}

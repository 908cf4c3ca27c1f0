/**
 * What a reader did to a study, one thing after another, so that it can be taken back and done again.
 *
 * A step holds what a part of the page was before it. Nothing is done backwards: the part is made again what it was.
 */
import { createSignal } from "solid-js";

/** Something that is a value at every moment, and can be made again what it was. */
export interface Part<Value> {
  read(): Value;
  restore(value: Value): void;
  /** Whether nobody would tell the one from the other. */
  isSame(a: Value, b: Value): boolean;
}

interface Step {
  readonly part: Part<unknown>;
  readonly was: unknown;
}

/** Enough for a long session; values share what they have in common. */
export const MOST_STEPS = 200;
/** Turns of the wheel and repeats of a key that come so soon after one another are one step. */
export const BURST_MS = 1000;

export type History = ReturnType<typeof createHistory>;

export function createHistory(clock: () => number = () => performance.now()) {
  const [past, setPast] = createSignal<readonly Step[]>([]);
  const [future, setFuture] = createSignal<readonly Step[]>([]);
  /** Something is being done, or taken back; what follows from it belongs to it. */
  let isUnderWay = false;
  /** Number of the drag that is going on. */
  let grip: number | undefined;
  let grips = 0;
  /** What made the last step, as long as more of the same makes it longer. */
  let growing: { readonly burst: string | undefined; readonly grip: number | undefined; readonly at: number } | undefined;

  function quietly(change: () => void): void {
    const before = isUnderWay;
    isUnderWay = true;
    try {
      change();
    } finally {
      isUnderWay = before;
    }
  }

  function goesOn(part: Part<unknown>, burst: string | undefined): boolean {
    if (!growing || past().at(-1)?.part !== part) return false;
    if (grip !== undefined || growing.grip !== undefined) return growing.grip === grip;
    return burst !== undefined && growing.burst === burst && clock() - growing.at < BURST_MS;
  }

  function move(from: readonly Step[], setFrom: typeof setPast, setTo: typeof setPast): void {
    growing = undefined;
    // What led back to where it came from would take a press of the key for nothing.
    const at = from.findLastIndex(({ part, was }) => !part.isSame(was, part.read()));
    setFrom(from.slice(0, Math.max(0, at)));
    const step = from[at];
    if (!step) return;
    const { part, was } = step;
    const now = part.read();
    setTo((to) => [...to, { part, was: now }]);
    quietly(() => part.restore(was));
  }

  function everywhere(change: (steps: readonly Step[]) => readonly Step[]): void {
    setPast(change);
    setFuture(change);
  }

  return {
    canUndo: () => past().length > 0,
    canRedo: () => future().length > 0,
    undo: () => move(past(), setPast, setFuture),
    redo: () => move(future(), setFuture, setPast),
    /**
     * Does something to a part of the page as a step of its own, where it changes anything. All that one drag does
     * is one step, and so is what follows soon after something else of the same `burst`.
     */
    act<Value>(part: Part<Value>, change: () => void, burst?: string): void {
      if (isUnderWay) return change();
      const at = { burst, grip, at: clock() };
      if (goesOn(part, burst)) {
        growing = at;
        return quietly(change);
      }
      const was = part.read();
      quietly(change);
      if (part.isSame(was, part.read())) return;
      setPast((steps) => [...steps, { part, was }].slice(-MOST_STEPS));
      setFuture([]);
      growing = at;
    },
    /** Does something that nobody takes back by itself. */
    quietly,
    /** A drag begins, or ends. */
    hold: () => void (grip = grips += 1),
    letGo: () => void (grip = undefined),
    /** Something came that is no step: it is made to have been there before, too. */
    revise<Value>(part: Part<Value>, change: (was: Value) => Value): void {
      everywhere((steps) => steps.map((step) => (step.part === part ? { part, was: change(step.was as Value) } : step)));
    },
    /** No step of this part can be taken back any more. */
    drop<Value>(part: Part<Value>): void {
      growing = undefined;
      everywhere((steps) => steps.filter((step) => step.part !== part));
    },
  };
}

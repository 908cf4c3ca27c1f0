/** A magnifying glass over the image: it follows the pointer, stays above a finger, and moves with Shift and arrows. */
import { createEffect, createSignal, onCleanup, onMount, type JSX } from "solid-js";
import type { Cell } from "../render/cell";
import type { Point } from "../tools/gestures";

const FACTOR = 2.5;
const KEY_STEP_PX = 12;
/** How far above a finger its middle lies. */
const ABOVE_FINGER_PX = 120;

const STEPS: Readonly<Record<string, Point>> = {
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
};

export function Lens(props: { readonly cell: Cell; readonly box: HTMLElement; readonly onClose: () => void }): JSX.Element {
  let glass!: HTMLDivElement;
  const middle = () => ({ x: props.box.clientWidth / 2, y: props.box.clientHeight / 2 });
  const [at, setAt] = createSignal<Point>(middle());
  const [raised, setRaised] = createSignal(false);

  const follow = (event: PointerEvent) => {
    const { left, top } = props.box.getBoundingClientRect();
    setRaised(event.pointerType === "touch");
    setAt({ x: event.clientX - left, y: event.clientY - top });
  };
  const onKey = (event: KeyboardEvent) => {
    const step = event.shiftKey && !event.ctrlKey && !event.metaKey ? STEPS[event.key] : undefined;
    if (!step && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    if (!step) return props.onClose();
    setRaised(false);
    setAt(({ x, y }) => ({
      x: Math.min(props.box.clientWidth, Math.max(0, x + step.x * KEY_STEP_PX)),
      y: Math.min(props.box.clientHeight, Math.max(0, y + step.y * KEY_STEP_PX)),
    }));
  };

  onMount(() => {
    const magnifier = props.cell.view()?.magnifier?.(glass);
    // Whatever changes in the picture changes in the glass.
    createEffect(() => props.cell.shown() && magnifier?.show(at(), FACTOR));
    props.box.addEventListener("pointermove", follow);
    props.box.addEventListener("pointerdown", follow);
    addEventListener("keydown", onKey, { capture: true });
    onCleanup(() => {
      magnifier?.dispose();
      props.box.removeEventListener("pointermove", follow);
      props.box.removeEventListener("pointerdown", follow);
      removeEventListener("keydown", onKey, { capture: true });
    });
  });
  return (
    <div
      class="lens"
      aria-hidden="true"
      style={{ left: `${at().x}px`, top: `${at().y - (raised() ? ABOVE_FINGER_PX : 0)}px` }}
    >
      <div class="lens-glass" ref={glass} />
    </div>
  );
}

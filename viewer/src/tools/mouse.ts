/**
 * Mouse and pen on an image. The left button drags with the tool in hand; the others and the wheel do what
 * `mousemap.ts` says.
 */
import type { Kind } from "../dicom/measure";
import type { Point } from "./gestures";
import { mouseMap } from "./mousemap";

export type HandTool = "window" | "scroll" | "zoom" | "pan" | "cursor";
/** What the left button or one finger does. */
export type DragTool = HandTool | Kind;

export interface MouseHandlers {
  /** Asked where nothing is taken hold of. */
  tool(): HandTool;
  /** A button went down; `at` is in pixels of the element, as everywhere here. */
  press(tool: HandTool, at: Point): void;
  drag(tool: HandTool, delta: Point, at: Point): void;
  /** Whether the left button takes hold of something drawn; what it does then is carried until it is let go. */
  take(at: Point): boolean;
  carry(at: Point): void;
  letGo(at: Point): void;
  /** Where the pointer is while no button is held; null when it has left. */
  hover(at: Point | null): void;
  scroll(images: number): void;
  zoom(factor: number, around: Point): void;
  doubleClick(): void;
}

/** A notch of most wheels is 100 to 120 px, a touchpad sends a few px at a time. */
const WHEEL_PX_PER_IMAGE = 50;
const LINE_PX = 40;
const WHEEL_ZOOM_PX = 400;

const MIDDLE = 1;
const RIGHT = 2;

function toolOfButton(button: number): HandTool | undefined {
  return button === MIDDLE ? mouseMap().middle : button === RIGHT ? mouseMap().right : undefined;
}

export function followMouse(element: HTMLElement, handlers: MouseHandlers): () => void {
  let held: { readonly pointer: number; readonly tool: HandTool | "taken"; x: number; y: number } | undefined;
  let wheeled = 0;

  const place = (event: MouseEvent): Point => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const down = (event: PointerEvent) => {
    if (event.pointerType === "touch" || held) return;
    if (event.button === MIDDLE) event.preventDefault();
    element.setPointerCapture(event.pointerId);
    const at = place(event);
    const start = { pointer: event.pointerId, x: event.clientX, y: event.clientY };
    const byButton = toolOfButton(event.button);
    if (!byButton && handlers.take(at)) {
      held = { ...start, tool: "taken" };
      return;
    }
    const tool = byButton ?? handlers.tool();
    held = { ...start, tool };
    handlers.press(tool, at);
  };
  const move = (event: PointerEvent) => {
    if (event.pointerType !== "touch" && !held) return handlers.hover(place(event));
    if (!held || event.pointerId !== held.pointer) return;
    const delta = { x: event.clientX - held.x, y: event.clientY - held.y };
    held.x = event.clientX;
    held.y = event.clientY;
    if (delta.x === 0 && delta.y === 0) return;
    if (held.tool === "taken") handlers.carry(place(event));
    else handlers.drag(held.tool, delta, place(event));
  };
  const up = (event: PointerEvent) => {
    if (held?.pointer !== event.pointerId) return;
    const { tool } = held;
    held = undefined;
    if (tool === "taken") handlers.letGo(place(event));
  };
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    const y = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * LINE_PX;
    if (event.ctrlKey !== (mouseMap().wheel === "zoom")) {
      return handlers.zoom(Math.exp(-y / WHEEL_ZOOM_PX), place(event));
    }
    // A notch is one image however far its driver says it went.
    if (Math.abs(y) >= WHEEL_PX_PER_IMAGE) {
      wheeled = 0;
      return handlers.scroll(Math.sign(y));
    }
    wheeled += y;
    const images = Math.trunc(wheeled / WHEEL_PX_PER_IMAGE);
    wheeled -= images * WHEEL_PX_PER_IMAGE;
    if (images !== 0) handlers.scroll(images);
  };
  const doubleClick = (event: MouseEvent) => {
    if (event.button === 0) handlers.doubleClick();
  };

  const leave = () => handlers.hover(null);

  element.addEventListener("pointerdown", down);
  element.addEventListener("pointerleave", leave);
  element.addEventListener("pointermove", move);
  element.addEventListener("pointerup", up);
  element.addEventListener("pointercancel", up);
  element.addEventListener("wheel", wheel, { passive: false });
  element.addEventListener("dblclick", doubleClick);
  return () => {
    element.removeEventListener("pointerdown", down);
    element.removeEventListener("pointerleave", leave);
    element.removeEventListener("pointermove", move);
    element.removeEventListener("pointerup", up);
    element.removeEventListener("pointercancel", up);
    element.removeEventListener("wheel", wheel);
    element.removeEventListener("dblclick", doubleClick);
  };
}

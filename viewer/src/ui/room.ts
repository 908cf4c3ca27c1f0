/** How much room the page has and what it is used with, as styles ask, too. */
import { createSignal, type Accessor } from "solid-js";

/** A phone, upright or held sideways: fewer tools stand in the bar, each large enough for a finger. */
export const isNarrow = following("(width <= 760px), (height <= 480px) and (width <= 1000px)");

/** The bar has room for more than what is needed first: it has all of the page's width, or the page is wide. */
export const isRoomy = following("(width > 1000px), (width > 760px) and (orientation: portrait)");

/** A phone held sideways: tools and series stand at the sides of the image. */
export const isLow = following("(height <= 480px) and (width <= 1000px) and (orientation: landscape)");

/** Fingers are what is mostly used here. */
export const isTouched = following("(pointer: coarse)");

const isAimed = following("(any-pointer: fine)");

/** There may be a mouse, a pen or a touchpad, be it beside fingers. */
export function mayHaveMouse(): boolean {
  return !isTouched() || isAimed();
}

/** Where menus of the tool bar open: away from the edge at which it stands. */
export function menuPlacement(): "bottom-end" | "left-end" {
  return isLow() ? "left-end" : "bottom-end";
}

function following(condition: string): Accessor<boolean> {
  const query = matchMedia(condition);
  const [matches, setMatches] = createSignal(query.matches);
  query.addEventListener("change", () => setMatches(query.matches));
  return matches;
}

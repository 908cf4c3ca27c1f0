/** From a button or finger that goes down until it is let go: what is done meanwhile is one step that can be taken back. */
import type { History } from "../state/history";

const ENDS = ["pointerup", "pointercancel", "dragstart"] as const;

/** Follows the whole page, menus and sliders as well; the result ends it. */
export function followGrip(history: Pick<History, "hold" | "letGo">): () => void {
  // Other fingers join the first.
  const down = (event: PointerEvent) => event.isPrimary && history.hold();
  const up = (event: PointerEvent | DragEvent) => (!("isPrimary" in event) || event.isPrimary) && history.letGo();
  addEventListener("pointerdown", down, true);
  for (const end of ENDS) addEventListener(end, up, true);
  return () => {
    removeEventListener("pointerdown", down, true);
    for (const end of ENDS) removeEventListener(end, up, true);
  };
}

/** What the buttons and the wheel of a mouse do, as the person chose it; kept on this device. */
import { createSignal } from "solid-js";
import { remember, remembered } from "../i18n/kept";

/** What drags a picture without a measuring tool. */
export const BUTTON_TOOLS = ["zoom", "pan", "window", "scroll"] as const;
export type ButtonTool = (typeof BUTTON_TOOLS)[number];

export const WHEEL_TOOLS = ["scroll", "zoom"] as const;
export type WheelTool = (typeof WHEEL_TOOLS)[number];

export interface MouseMap {
  readonly middle: ButtonTool;
  readonly right: ButtonTool;
  /** With Ctrl it does the other. */
  readonly wheel: WheelTool;
}

export const USUAL_MOUSE: MouseMap = { middle: "pan", right: "zoom", wheel: "scroll" };

/** What was kept, as far as it names tools. */
export function readMouseMap(kept: string | null): MouseMap {
  const [middle, right, wheel] = (kept ?? "").split(",");
  return {
    middle: BUTTON_TOOLS.find((tool) => tool === middle) ?? USUAL_MOUSE.middle,
    right: BUTTON_TOOLS.find((tool) => tool === right) ?? USUAL_MOUSE.right,
    wheel: WHEEL_TOOLS.find((tool) => tool === wheel) ?? USUAL_MOUSE.wheel,
  };
}

const KEY = "gantry.mouse";

const [mouseMap, setMouseMap] = createSignal<MouseMap>(readMouseMap(remembered(KEY)));
export { mouseMap };

export function chooseMouse(part: Partial<MouseMap>): void {
  const now = setMouseMap({ ...mouseMap(), ...part });
  remember(KEY, [now.middle, now.right, now.wheel].join(","));
}

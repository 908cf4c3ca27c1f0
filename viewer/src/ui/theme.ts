/** Dark or light, kept on this device. Dark first: most of the reading is done in the dark. */
import { createSignal } from "solid-js";
import { remember, remembered } from "../i18n/kept";

export type Theme = "dark" | "light";

const KEY = "gantry.theme";
const PAGE_COLOUR: Readonly<Record<Theme, string>> = { dark: "#0c0c0d", light: "#f5f5f6" };

const [theme, setSignal] = createSignal<Theme>(remembered(KEY) === "light" ? "light" : "dark");
export { theme };

export function applyTheme(next: Theme = theme()): void {
  setSignal(next);
  document.documentElement.dataset["theme"] = next;
  document.querySelector('meta[name="theme-color"]')?.setAttribute("content", PAGE_COLOUR[next]);
  remember(KEY, next);
}

export function toggleTheme(): void {
  applyTheme(theme() === "dark" ? "light" : "dark");
}

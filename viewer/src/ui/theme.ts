/** Dark or light, kept on this device. Dark first: most of the reading is done in the dark. */
import { createSignal } from "solid-js";

export type Theme = "dark" | "light";

const KEY = "gantry.theme";
const PAGE_COLOUR: Readonly<Record<Theme, string>> = { dark: "#0c0c0d", light: "#f5f5f6" };

function stored(): Theme {
  try {
    return localStorage.getItem(KEY) === "light" ? "light" : "dark";
  } catch {
    return "dark"; // Storage may be forbidden; the default still stands.
  }
}

const [theme, setSignal] = createSignal<Theme>(stored());
export { theme };

export function applyTheme(next: Theme = theme()): void {
  setSignal(next);
  document.documentElement.dataset["theme"] = next;
  document.querySelector('meta[name="theme-color"]')?.setAttribute("content", PAGE_COLOUR[next]);
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Not kept, still applied.
  }
}

export function toggleTheme(): void {
  applyTheme(theme() === "dark" ? "light" : "dark");
}

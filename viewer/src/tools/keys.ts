/** Keys of the viewer: one table that the handler, the tooltips and the help all read. */
import { t, type StudyMessages } from "../i18n/study";
import { isSlider, isTyping } from "./typing";

/** Keys that keyboards of each language name in their own way. */
type KeyWord = "pageUp" | "pageDown" | "home" | "end" | "space" | "delete" | "escape" | "undo" | "redo" | "print";

export interface Command {
  readonly id: keyof StudyMessages["commands"];
  /**
   * `KeyboardEvent.key`, lower case for letters; "Ctrl+" before it means the Command key of a Mac, too. A letter
   * that has no command of its own with "Shift+" is the same with it and without.
   */
  readonly keys: readonly string[];
  /** As it is shown: a sign, or the name of a key that has a word on it. */
  readonly shown: string | { readonly word: KeyWord };
}

export const COMMANDS = {
  previous: { id: "previous", keys: ["ArrowUp"], shown: "↑" },
  next: { id: "next", keys: ["ArrowDown"], shown: "↓" },
  back10: { id: "back10", keys: ["PageUp"], shown: { word: "pageUp" } },
  forward10: { id: "forward10", keys: ["PageDown"], shown: { word: "pageDown" } },
  first: { id: "first", keys: ["Home"], shown: { word: "home" } },
  last: { id: "last", keys: ["End"], shown: { word: "end" } },
  previousSeries: { id: "previousSeries", keys: ["ArrowLeft"], shown: "←" },
  nextSeries: { id: "nextSeries", keys: ["ArrowRight"], shown: "→" },
  window: { id: "window", keys: ["w"], shown: "W" },
  scroll: { id: "scroll", keys: ["s"], shown: "S" },
  zoom: { id: "zoom", keys: ["z"], shown: "Z" },
  pan: { id: "pan", keys: ["p"], shown: "P" },
  cursor: { id: "cursor", keys: ["c"], shown: "C" },
  length: { id: "length", keys: ["d"], shown: "D" },
  bidirectional: { id: "bidirectional", keys: ["b"], shown: "B" },
  angle: { id: "angle", keys: ["a"], shown: "A" },
  cobb: { id: "cobb", keys: ["k"], shown: "K" },
  ellipse: { id: "ellipse", keys: ["e"], shown: "E" },
  rectangle: { id: "rectangle", keys: ["q"], shown: "Q" },
  circle: { id: "circle", keys: ["o"], shown: "O" },
  freehand: { id: "freehand", keys: ["j"], shown: "J" },
  spline: { id: "spline", keys: ["Shift+j"], shown: "⇧J" },
  arrow: { id: "arrow", keys: ["t"], shown: "T" },
  probe: { id: "probe", keys: ["v"], shown: "V" },
  panel: { id: "panel", keys: ["u"], shown: "U" },
  remove: { id: "remove", keys: ["Delete"], shown: { word: "delete" } },
  undo: { id: "undo", keys: ["Ctrl+z"], shown: { word: "undo" } },
  redo: { id: "redo", keys: ["Ctrl+Shift+z", "Ctrl+y"], shown: { word: "redo" } },
  putAway: { id: "putAway", keys: ["Escape"], shown: { word: "escape" } },
  zoomIn: { id: "zoomIn", keys: ["+", "="], shown: "+" },
  zoomOut: { id: "zoomOut", keys: ["-"], shown: "−" },
  invert: { id: "invert", keys: ["i"], shown: "I" },
  rotate: { id: "rotate", keys: ["r"], shown: "R" },
  flip: { id: "flip", keys: ["h"], shown: "H" },
  reset: { id: "reset", keys: ["0"], shown: "0" },
  play: { id: "play", keys: [" "], shown: { word: "space" } },
  nextCell: { id: "nextCell", keys: ["n"], shown: "N" },
  alone: { id: "alone", keys: ["m"], shown: "M" },
  grid: { id: "grid", keys: ["g"], shown: "G" },
  planes: { id: "planes", keys: ["7"], shown: "7" },
  solid: { id: "solid", keys: ["8"], shown: "8" },
  fusion: { id: "fusion", keys: ["9"], shown: "9" },
  crop: { id: "crop", keys: ["Shift+b"], shown: "⇧B" },
  turnLeft: { id: "turnLeft", keys: ["Shift+ArrowLeft"], shown: "⇧←" },
  turnRight: { id: "turnRight", keys: ["Shift+ArrowRight"], shown: "⇧→" },
  turnUp: { id: "turnUp", keys: ["Shift+ArrowUp"], shown: "⇧↑" },
  turnDown: { id: "turnDown", keys: ["Shift+ArrowDown"], shown: "⇧↓" },
  link: { id: "link", keys: ["l"], shown: "L" },
  lines: { id: "lines", keys: ["x"], shown: "X" },
  copyLink: { id: "copyLink", keys: ["y"], shown: "Y" },
  exportSeen: { id: "exportSeen", keys: ["Shift+e"], shown: "⇧E" },
  print: { id: "print", keys: ["Ctrl+p"], shown: { word: "print" } },
  full: { id: "full", keys: ["f"], shown: "F" },
  help: { id: "help", keys: ["?"], shown: "?" },
  info: { id: "info", keys: ["Shift+i"], shown: "⇧I" },
  history: { id: "history", keys: ["Shift+h"], shown: "⇧H" },
  overlays: { id: "overlays", keys: ["Shift+o"], shown: "⇧O" },
  subtract: { id: "subtract", keys: ["Shift+d"], shown: "⇧D" },
  lens: { id: "lens", keys: ["Shift+m"], shown: "⇧M" },
  fit: { id: "fit", keys: ["Shift+f"], shown: "⇧F" },
  trueSize: { id: "trueSize", keys: ["Shift+z"], shown: "⇧Z" },
  onePixel: { id: "onePixel", keys: ["Shift+1"], shown: "⇧1" },
  list: { id: "list", keys: ["Backspace"], shown: "⌫" },
} as const satisfies Record<string, Command>;

export type CommandId = keyof typeof COMMANDS;

/** Under which heading the help lists a command, in the order of the headings. */
export const GROUPS = ["images", "hand", "look", "measure", "layout", "page"] as const;
export type Group = (typeof GROUPS)[number];

export const GROUP_OF: Readonly<Record<CommandId, Group>> = {
  previous: "images",
  next: "images",
  back10: "images",
  forward10: "images",
  first: "images",
  last: "images",
  previousSeries: "images",
  nextSeries: "images",
  play: "images",
  window: "hand",
  scroll: "hand",
  zoom: "hand",
  pan: "hand",
  cursor: "hand",
  length: "measure",
  bidirectional: "measure",
  angle: "measure",
  cobb: "measure",
  ellipse: "measure",
  rectangle: "measure",
  circle: "measure",
  freehand: "measure",
  spline: "measure",
  arrow: "measure",
  probe: "measure",
  panel: "measure",
  remove: "measure",
  putAway: "measure",
  zoomIn: "look",
  zoomOut: "look",
  invert: "look",
  rotate: "look",
  flip: "look",
  reset: "look",
  fit: "look",
  trueSize: "look",
  onePixel: "look",
  lens: "look",
  overlays: "look",
  subtract: "look",
  nextCell: "layout",
  alone: "layout",
  grid: "layout",
  planes: "layout",
  solid: "layout",
  fusion: "layout",
  crop: "layout",
  turnLeft: "look",
  turnRight: "look",
  turnUp: "look",
  turnDown: "look",
  link: "layout",
  lines: "layout",
  undo: "page",
  redo: "page",
  history: "page",
  info: "page",
  copyLink: "page",
  exportSeen: "page",
  print: "page",
  full: "page",
  help: "page",
  list: "page",
};

export const commandWords = (id: CommandId): string => t().commands[id];

export function keyShown(id: CommandId): string {
  const { shown }: Command = COMMANDS[id];
  return typeof shown === "string" ? shown : t().keys[shown.word];
}

/** As `aria-keyshortcuts` names it. */
export function keyNamed(id: CommandId): string {
  const [key]: readonly string[] = COMMANDS[id].keys;
  return key === " " ? "Space" : key!.replace("Ctrl", "Control");
}

const BY_KEY = new Map<string, CommandId>(
  Object.values(COMMANDS).flatMap((command) =>
    command.keys.map((key) => [key, command.id as CommandId] as const),
  ),
);

export function commandFor(event: KeyboardEvent): CommandId | undefined {
  const isControl = event.ctrlKey || event.metaKey;
  if (event.altKey || (isTyping(event.target) && !(isControl && isSlider(event.target)))) return undefined;
  const key = keyOf(event);
  const shift = event.shiftKey ? "Shift+" : "";
  if (isControl) return BY_KEY.get(`Ctrl+${shift}${key}`);
  return BY_KEY.get(shift + key) ?? BY_KEY.get(key);
}

/** A digit under Shift writes a sign that each keyboard has elsewhere; where it writes the digit itself it is that. */
function keyOf({ key, code, shiftKey }: KeyboardEvent): string {
  const digit = shiftKey && key.length === 1 && !/[0-9?+]/.test(key) ? /^Digit([0-9])$/.exec(code)?.[1] : undefined;
  return digit ?? (key.length === 1 ? key.toLowerCase() : key);
}

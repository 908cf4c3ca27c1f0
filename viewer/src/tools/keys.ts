/** Keys of the viewer: one table that the handler, the tooltips and the help all read. */

export interface Command {
  readonly id: string;
  readonly words: string;
  /** `KeyboardEvent.key`, lower case for letters. */
  readonly keys: readonly string[];
  /** As it is shown. */
  readonly shown: string;
}

export const COMMANDS = {
  previous: { id: "previous", words: "Previous image", keys: ["ArrowUp"], shown: "↑" },
  next: { id: "next", words: "Next image", keys: ["ArrowDown"], shown: "↓" },
  back10: { id: "back10", words: "Ten images back", keys: ["PageUp"], shown: "PgUp" },
  forward10: { id: "forward10", words: "Ten images on", keys: ["PageDown"], shown: "PgDn" },
  first: { id: "first", words: "First image", keys: ["Home"], shown: "Home" },
  last: { id: "last", words: "Last image", keys: ["End"], shown: "End" },
  previousSeries: { id: "previousSeries", words: "Previous series", keys: ["ArrowLeft"], shown: "←" },
  nextSeries: { id: "nextSeries", words: "Next series", keys: ["ArrowRight"], shown: "→" },
  window: { id: "window", words: "Brightness and contrast", keys: ["w"], shown: "W" },
  scroll: { id: "scroll", words: "Scroll", keys: ["s"], shown: "S" },
  zoom: { id: "zoom", words: "Zoom", keys: ["z"], shown: "Z" },
  pan: { id: "pan", words: "Move", keys: ["p"], shown: "P" },
  cursor: { id: "cursor", words: "3D cursor", keys: ["c"], shown: "C" },
  zoomIn: { id: "zoomIn", words: "Larger", keys: ["+", "="], shown: "+" },
  zoomOut: { id: "zoomOut", words: "Smaller", keys: ["-"], shown: "−" },
  invert: { id: "invert", words: "Invert", keys: ["i"], shown: "I" },
  rotate: { id: "rotate", words: "Rotate right", keys: ["r"], shown: "R" },
  flip: { id: "flip", words: "Flip left and right", keys: ["h"], shown: "H" },
  reset: { id: "reset", words: "Reset", keys: ["0"], shown: "0" },
  play: { id: "play", words: "Play", keys: [" "], shown: "Space" },
  nextCell: { id: "nextCell", words: "Next viewport", keys: ["n"], shown: "N" },
  alone: { id: "alone", words: "This viewport alone", keys: ["m"], shown: "M" },
  grid: { id: "grid", words: "One or several viewports", keys: ["g"], shown: "G" },
  link: { id: "link", words: "Scroll together", keys: ["l"], shown: "L" },
  lines: { id: "lines", words: "Reference lines", keys: ["x"], shown: "X" },
  copyLink: { id: "copyLink", words: "Copy link", keys: ["y"], shown: "Y" },
  full: { id: "full", words: "Image only", keys: ["f"], shown: "F" },
  help: { id: "help", words: "Keys", keys: ["?"], shown: "?" },
  list: { id: "list", words: "Studies", keys: ["Backspace"], shown: "⌫" },
} as const satisfies Record<string, Command>;

export type CommandId = keyof typeof COMMANDS;

const BY_KEY = new Map<string, CommandId>(
  Object.values(COMMANDS).flatMap((command) =>
    command.keys.map((key) => [key, command.id as CommandId] as const),
  ),
);

export function commandFor(event: KeyboardEvent): CommandId | undefined {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return undefined;
  return BY_KEY.get(event.key.length === 1 ? event.key.toLowerCase() : event.key);
}

/** In a field, keys belong to the field. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

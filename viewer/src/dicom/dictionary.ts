/** The VR of an attribute where the bytes do not say (PS3.6 6; PS3.5 6.2.2 and A.1). */
import { VRS } from "./vrs";

let table: ReadonlyMap<string, string> | undefined;

function read(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const line of VRS.trim().split("\n")) {
    const group = line.slice(0, 4);
    for (let at = 4; at < line.length; at += 6) found.set(group + line.slice(at, at + 4), line.slice(at + 4, at + 6));
  }
  return found;
}

export function isPrivate(tag: string): boolean {
  return (parseInt(tag.slice(0, 4), 16) & 1) === 1;
}

/** Of an attribute by its eight digits; `xs` for US or SS, `xw` for US or OW, which others decide; UN if unknown. */
export function vrOf(tag: string): string {
  table ??= read();
  if (tag.endsWith("0000")) return isPrivate(tag) ? "UN" : "UL";
  // (gggg,0010-00FF) of an odd group names its creator (PS3.5 7.8.1).
  if (isPrivate(tag)) return /^....00[1-9A-F].$/.test(tag) ? "LO" : "UN";
  return table.get(tag) ?? table.get(repeating(tag)) ?? "UN";
}

function repeating(tag: string): string {
  const first = tag.slice(0, 2);
  return first === "60" || first === "50" ? `${first}00${tag.slice(4)}` : tag;
}

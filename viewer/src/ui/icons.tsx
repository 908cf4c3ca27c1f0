/** The icons in use, from one open set (Lucide, ISC licence), as parts of the page's own code. */
import type { JSX } from "solid-js";
import type { ToolIconName } from "./toolicons";
import activity from "lucide-static/icons/activity.svg?raw";
import arrow from "lucide-static/icons/move-up-left.svg?raw";
import arrowLeft from "lucide-static/icons/arrow-left.svg?raw";
import box from "lucide-static/icons/box.svg?raw";
import bookmark from "lucide-static/icons/bookmark.svg?raw";
import down from "lucide-static/icons/chevron-down.svg?raw";
import up from "lucide-static/icons/chevron-up.svg?raw";
import columns from "lucide-static/icons/columns-3.svg?raw";
import history from "lucide-static/icons/history.svg?raw";
import check from "lucide-static/icons/check.svg?raw";
import chevronDown from "lucide-static/icons/chevron-down.svg?raw";
import circle from "lucide-static/icons/circle.svg?raw";
import copy from "lucide-static/icons/copy.svg?raw";
import download from "lucide-static/icons/download.svg?raw";
import ellipsis from "lucide-static/icons/ellipsis.svg?raw";
import eye from "lucide-static/icons/eye.svg?raw";
import eyeOff from "lucide-static/icons/eye-off.svg?raw";
import file from "lucide-static/icons/file.svg?raw";
import fileText from "lucide-static/icons/file-text.svg?raw";
import film from "lucide-static/icons/film.svg?raw";
import flip from "lucide-static/icons/flip-horizontal-2.svg?raw";
import folder from "lucide-static/icons/folder-open.svg?raw";
import grid from "lucide-static/icons/layout-grid.svg?raw";
import inbox from "lucide-static/icons/inbox.svg?raw";
import keyboard from "lucide-static/icons/keyboard.svg?raw";
import laptop from "lucide-static/icons/laptop.svg?raw";
import languages from "lucide-static/icons/languages.svg?raw";
import layers from "lucide-static/icons/layers.svg?raw";
import list from "lucide-static/icons/list.svg?raw";
import maximize from "lucide-static/icons/maximize.svg?raw";
import moon from "lucide-static/icons/moon.svg?raw";
import move from "lucide-static/icons/move.svg?raw";
import pause from "lucide-static/icons/pause.svg?raw";
import play from "lucide-static/icons/play.svg?raw";
import link from "lucide-static/icons/link.svg?raw";
import invert from "lucide-static/icons/sun-moon.svg?raw";
import printer from "lucide-static/icons/printer.svg?raw";
import plus from "lucide-static/icons/plus.svg?raw";
import redo from "lucide-static/icons/redo.svg?raw";
import refresh from "lucide-static/icons/refresh-cw.svg?raw";
import reset from "lucide-static/icons/rotate-ccw.svg?raw";
import rotate from "lucide-static/icons/rotate-cw.svg?raw";
import ruler from "lucide-static/icons/ruler.svg?raw";
import search from "lucide-static/icons/search.svg?raw";
import sun from "lucide-static/icons/sun.svg?raw";
import trash from "lucide-static/icons/trash-2.svg?raw";
import triangle from "lucide-static/icons/triangle-alert.svg?raw";
import undo from "lucide-static/icons/undo.svg?raw";
import upload from "lucide-static/icons/upload.svg?raw";
import close from "lucide-static/icons/x.svg?raw";
import info from "lucide-static/icons/info.svg?raw";
import zoom from "lucide-static/icons/zoom-in.svg?raw";

const ICONS = {
  activity, arrow, arrowLeft, bookmark, box, check, chevronDown, circle, close, columns, copy, down, download,
  ellipsis, eye, eyeOff, file, fileText, film, flip, folder, grid, history, inbox, info, invert, keyboard, languages,
  laptop, layers, link, list, maximize, moon, move, pause, play, plus, printer, redo, refresh, reset, rotate, ruler,
  search, sun, trash, triangle, undo, up, upload, zoom,
} as const;

export type IconName = keyof typeof ICONS | ToolIconName;

const known: Partial<Record<IconName, string>> = { ...ICONS };

/** Those that come with the tools: the list does without them. */
export function addIcons(icons: Readonly<Record<ToolIconName, string>>): void {
  Object.assign(known, icons);
}

/** What the build takes off each of them. */
const FRAME =
  '<svg width="24" height="24" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">';

export function Icon(props: { readonly name: IconName }): JSX.Element {
  return <span class="icon" aria-hidden="true" innerHTML={`${FRAME}${known[props.name] ?? ""}</svg>`} />;
}

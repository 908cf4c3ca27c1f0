/** The icons in use, from one open set (Lucide, ISC licence), as parts of the page's own code. */
import type { JSX } from "solid-js";
import activity from "lucide-static/icons/activity.svg?raw";
import angle from "lucide-static/icons/angle.svg?raw";
import arrow from "lucide-static/icons/move-up-left.svg?raw";
import arrowLeft from "lucide-static/icons/arrow-left.svg?raw";
import blend from "lucide-static/icons/blend.svg?raw";
import crop from "lucide-static/icons/crop.svg?raw";
import box from "lucide-static/icons/box.svg?raw";
import bookmark from "lucide-static/icons/bookmark.svg?raw";
import down from "lucide-static/icons/chevron-down.svg?raw";
import up from "lucide-static/icons/chevron-up.svg?raw";
import columns from "lucide-static/icons/columns-3.svg?raw";
import history from "lucide-static/icons/history.svg?raw";
import check from "lucide-static/icons/check.svg?raw";
import chevronDown from "lucide-static/icons/chevron-down.svg?raw";
import circle from "lucide-static/icons/circle.svg?raw";
import cobb from "lucide-static/icons/drafting-compass.svg?raw";
import contrast from "lucide-static/icons/contrast.svg?raw";
import copy from "lucide-static/icons/copy.svg?raw";
import download from "lucide-static/icons/download.svg?raw";
import ellipsis from "lucide-static/icons/ellipsis.svg?raw";
import ellipse from "lucide-static/icons/egg.svg?raw";
import eye from "lucide-static/icons/eye.svg?raw";
import eyeOff from "lucide-static/icons/eye-off.svg?raw";
import file from "lucide-static/icons/file.svg?raw";
import fileText from "lucide-static/icons/file-text.svg?raw";
import film from "lucide-static/icons/film.svg?raw";
import flip from "lucide-static/icons/flip-horizontal-2.svg?raw";
import folder from "lucide-static/icons/folder-open.svg?raw";
import freehand from "lucide-static/icons/lasso.svg?raw";
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
import pipette from "lucide-static/icons/pipette.svg?raw";
import play from "lucide-static/icons/play.svg?raw";
import link from "lucide-static/icons/link.svg?raw";
import crosshair from "lucide-static/icons/crosshair.svg?raw";
import invert from "lucide-static/icons/sun-moon.svg?raw";
import printer from "lucide-static/icons/printer.svg?raw";
import plus from "lucide-static/icons/plus.svg?raw";
import rectangle from "lucide-static/icons/rectangle-horizontal.svg?raw";
import redo from "lucide-static/icons/redo.svg?raw";
import refresh from "lucide-static/icons/refresh-cw.svg?raw";
import reset from "lucide-static/icons/undo-2.svg?raw";
import slab from "lucide-static/icons/layers-2.svg?raw";
import rotate3d from "lucide-static/icons/rotate-3d.svg?raw";
import rotate from "lucide-static/icons/rotate-cw.svg?raw";
import ruler from "lucide-static/icons/ruler.svg?raw";
import search from "lucide-static/icons/search.svg?raw";
import spline from "lucide-static/icons/spline.svg?raw";
import sun from "lucide-static/icons/sun.svg?raw";
import trash from "lucide-static/icons/trash-2.svg?raw";
import triangle from "lucide-static/icons/triangle-alert.svg?raw";
import undo from "lucide-static/icons/undo.svg?raw";
import upload from "lucide-static/icons/upload.svg?raw";
import close from "lucide-static/icons/x.svg?raw";
import info from "lucide-static/icons/info.svg?raw";
import fit from "lucide-static/icons/scan.svg?raw";
import overlays from "lucide-static/icons/square-dashed-bottom-code.svg?raw";
import subtract from "lucide-static/icons/layers-minus.svg?raw";
import lens from "lucide-static/icons/scan-search.svg?raw";
import trueSize from "lucide-static/icons/ruler-dimension-line.svg?raw";
import onePixel from "lucide-static/icons/grid-2x2.svg?raw";
import zoom from "lucide-static/icons/zoom-in.svg?raw";

const ICONS = {
  activity, angle, arrow, arrowLeft, bookmark, box, check, chevronDown, circle, close, cobb, columns, contrast, copy, crosshair, down, download, ellipse,
  ellipsis, eye, eyeOff, file, fileText, film, flip, folder, freehand, grid, history, inbox, invert, keyboard, languages, laptop, layers, link, list, maximize,
  moon, move, pause, pipette, play, plus, printer, rectangle, redo, refresh, reset, rotate, rotate3d, ruler, search, slab, spline, sun, trash, triangle,
  undo, up, upload, zoom,
  blend, crop, fit, info, lens, onePixel, overlays, subtract, trueSize,
} as const;

export type IconName = keyof typeof ICONS;

/** What the build takes off each of them. */
const FRAME =
  '<svg width="24" height="24" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">';

export function Icon(props: { readonly name: IconName }): JSX.Element {
  return <span class="icon" aria-hidden="true" innerHTML={`${FRAME}${ICONS[props.name]}</svg>`} />;
}

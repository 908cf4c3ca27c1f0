/** Icons of the viewer's tools, which come with their code: the list does without. */
import { addIcons } from "./icons";
import angle from "lucide-static/icons/angle.svg?raw";
import blend from "lucide-static/icons/blend.svg?raw";
import cobb from "lucide-static/icons/drafting-compass.svg?raw";
import contrast from "lucide-static/icons/contrast.svg?raw";
import crop from "lucide-static/icons/crop.svg?raw";
import crosshair from "lucide-static/icons/crosshair.svg?raw";
import ellipse from "lucide-static/icons/egg.svg?raw";
import fit from "lucide-static/icons/scan.svg?raw";
import freehand from "lucide-static/icons/lasso.svg?raw";
import lens from "lucide-static/icons/scan-search.svg?raw";
import onePixel from "lucide-static/icons/grid-2x2.svg?raw";
import overlays from "lucide-static/icons/square-dashed-bottom-code.svg?raw";
import pipette from "lucide-static/icons/pipette.svg?raw";
import rectangle from "lucide-static/icons/rectangle-horizontal.svg?raw";
import rotate3d from "lucide-static/icons/rotate-3d.svg?raw";
import slab from "lucide-static/icons/layers-2.svg?raw";
import spline from "lucide-static/icons/spline.svg?raw";
import subtract from "lucide-static/icons/layers-minus.svg?raw";
import trueSize from "lucide-static/icons/ruler-dimension-line.svg?raw";

const ICONS = {
  angle, blend, cobb, contrast, crop, crosshair, ellipse, fit, freehand, lens,
  onePixel, overlays, pipette, rectangle, rotate3d, slab, spline, subtract, trueSize,
} as const;

export type ToolIconName = keyof typeof ICONS;

addIcons(ICONS);

/**
 * What a file draws over its pixels: overlay planes (PS3.3 C.9.2) and display shutters (C.7.6.11), as the server
 * draws them.
 *
 * A mask has one byte for each pixel of the image, row after row, 0 or 1.
 */
import { cielabToRgb, type Rgb } from "./cielab";
import { describeGroups } from "./frame";
import { TAG, number, numbers, text, texts, type DicomElement, type DicomObject } from "./model";

export type Mask = Uint8Array<ArrayBuffer>;

export interface OverlayPlane {
  /** 0x6000 to 0x601E. */
  readonly group: number;
  readonly rows: number;
  readonly columns: number;
  /** Row and column, from 1, of its first pixel in the image. */
  readonly origin: readonly [row: number, column: number];
  /** Which frame of the plane lies over the image's, from 0. */
  readonly index: number;
  /** One bit a pixel; undefined for a plane in bits of the image. */
  readonly data: DicomElement | undefined;
  /** The bit of the stored pixels. */
  readonly bit: number;
}

const GROUPS = Array.from({ length: 16 }, (_, index) => 0x6000 + 2 * index);

const tagIn = (group: number, element: string) => `${group.toString(16).toUpperCase()}${element}`;

/** The planes over one frame, from 1. `stored` are the bits of pixel values: a plane in one of them is none. */
export function overlaysOf(
  instance: DicomObject,
  frame: number,
  stored: { readonly bitsStored: number; readonly highBit: number },
): readonly OverlayPlane[] {
  return GROUPS.flatMap((group) => overlayOf(instance, group, frame, stored) ?? []);
}

function overlayOf(
  instance: DicomObject,
  group: number,
  frame: number,
  { bitsStored, highBit }: { readonly bitsStored: number; readonly highBit: number },
): OverlayPlane | undefined {
  const rows = number(instance, tagIn(group, "0010")) ?? 0;
  const columns = number(instance, tagIn(group, "0011")) ?? 0;
  if (rows < 1 || columns < 1) return undefined;
  const at = numbers(instance, tagIn(group, "0050"));
  const origin = at.length === 2 ? ([at[0]!, at[1]!] as const) : ([1, 1] as const);
  const data = instance[tagIn(group, "3000")];
  if (data) {
    const frames = number(instance, tagIn(group, "0015"));
    // Without a number of frames the plane lies over all of them.
    const index = frames ? frame - (number(instance, tagIn(group, "0051")) ?? 1) : 0;
    if (index < 0 || index >= Math.max(1, frames ?? 1)) return undefined;
    return { group, rows, columns, origin, index, data, bit: 0 };
  }
  const bit = number(instance, tagIn(group, "0102")) ?? 0;
  const isValue = bit > highBit - bitsStored && bit <= highBit;
  if ((number(instance, tagIn(group, "0100")) ?? 1) === 1 || isValue || bit < 0 || bit > 15) return undefined;
  return { group, rows, columns, origin, index: 0, data: undefined, bit };
}

/** The plane's bits (PS3.5 8.1.2) laid over an image; what lies outside of it is cut off. */
export function overlayMask(plane: OverlayPlane, bytes: Uint8Array, rows: number, columns: number): Mask {
  const mask = new Uint8Array(rows * columns);
  const first = plane.rows * plane.columns * plane.index;
  const [top, left] = [plane.origin[0] - 1, plane.origin[1] - 1];
  for (let row = Math.max(0, -top); row < Math.min(plane.rows, rows - top); row += 1) {
    for (let column = Math.max(0, -left); column < Math.min(plane.columns, columns - left); column += 1) {
      const bit = first + row * plane.columns + column;
      mask[(row + top) * columns + column + left] = ((bytes[bit >> 3] ?? 0) >> (bit & 7)) & 1;
    }
  }
  return mask;
}

export interface Shutter {
  /** Left, right, upper and lower edge; rows and columns from 1, edges are seen. */
  readonly edges: readonly [number, number, number, number] | undefined;
  /** Row, column and radius in columns. */
  readonly circle: readonly [number, number, number] | undefined;
  /** Row and column of each corner. */
  readonly corners: readonly (readonly [number, number])[];
  /** The overlay whose set bits cover. */
  readonly group: number | undefined;
  readonly color: Rgb;
}

/** Far more corners than a hand draws. */
const MOST_CORNERS = 10_000;

/** The shutter over one frame, from 1; undefined where there is none of a known shape. */
export function shutterOf(instance: DicomObject, frame: number): Shutter | undefined {
  const object = describeGroups(instance, frame)(TAG.frameDisplayShutterSequence);
  const shapes = new Set(texts(object, TAG.shutterShape).map((shape) => shape.trim().toUpperCase()));
  const edges = EDGES.flatMap((tag) => number(object, tag) ?? []);
  const center = numbers(object, TAG.centerOfCircularShutter);
  const radius = number(object, TAG.radiusOfCircularShutter);
  const places = numbers(object, TAG.verticesOfPolygonalShutter);
  const isDrawn = shapes.has("POLYGONAL") && places.length % 2 === 0 && places.length <= 2 * MOST_CORNERS;
  const shutter: Shutter = {
    edges: shapes.has("RECTANGULAR") && edges.length === 4 ? [edges[0]!, edges[1]!, edges[2]!, edges[3]!] : undefined,
    circle: shapes.has("CIRCULAR") && center.length === 2 && radius !== undefined ? [center[0]!, center[1]!, radius] : undefined,
    corners: isDrawn ? Array.from({ length: places.length / 2 }, (_, at) => [places[2 * at]!, places[2 * at + 1]!]) : [],
    group: shapes.has("BITMAP") ? number(object, TAG.shutterOverlayGroup) : undefined,
    color: shutterColor(object),
  };
  const hasShape = shutter.edges || shutter.circle || shutter.corners.length >= 3 || shutter.group !== undefined;
  return hasShape ? shutter : undefined;
}

const EDGES = [TAG.shutterLeftVerticalEdge, TAG.shutterRightVerticalEdge, TAG.shutterUpperHorizontalEdge, TAG.shutterLowerHorizontalEdge];

/** What covers: the colour, else the gray, else black. */
function shutterColor(object: DicomObject): Rgb {
  const lab = numbers(object, TAG.shutterPresentationColorCielabValue);
  if (lab.length === 3) return cielabToRgb([lab[0]!, lab[1]!, lab[2]!]);
  const gray = Math.min(255, Math.round(((number(object, TAG.shutterPresentationValue) ?? 0) * 255) / 65535));
  return [gray, gray, gray];
}

/** Which pixels the shapes cover; all must let a pixel through. The bitmap is not among them. */
export function coveredBy(shutter: Shutter, rows: number, columns: number, aspect: number): Mask {
  const mask = new Uint8Array(rows * columns);
  const cover = (row: number, from: number, to: number) => {
    const [start, end] = [Math.max(1, from), Math.min(columns, to)];
    if (end >= start) mask.fill(1, (row - 1) * columns + start - 1, (row - 1) * columns + end);
  };
  for (let row = 1; row <= rows; row += 1) {
    if (shutter.edges) {
      const [left, right, upper, lower] = shutter.edges;
      if (row < upper || row > lower) cover(row, 1, columns);
      cover(row, 1, Math.min(columns, left - 1));
      cover(row, Math.max(1, right + 1), columns);
    }
    if (shutter.circle) {
      const [y, x, radius] = shutter.circle;
      const reach = radius ** 2 - ((row - y) * aspect) ** 2; // the radius counts columns
      const half = Math.sqrt(Math.max(0, reach));
      if (reach < 0) cover(row, 1, columns);
      else {
        cover(row, 1, Math.ceil(x - half) - 1);
        cover(row, Math.floor(x + half) + 1, columns);
      }
    }
  }
  if (shutter.corners.length >= 3) coverOutside(mask, shutter.corners, rows, columns);
  return mask;
}

/** Covers what lies outside of a polygon; its edge is seen. */
function coverOutside(mask: Mask, corners: Shutter["corners"], rows: number, columns: number): void {
  for (let row = 1; row <= rows; row += 1) {
    const inside = new Uint8Array(columns);
    const show = (from: number, to: number) => {
      const [start, end] = [Math.max(1, Math.ceil(from - 0.5)), Math.min(columns, Math.floor(to + 0.5))];
      if (end >= start) inside.fill(1, start - 1, end);
    };
    const crossings: number[] = [];
    corners.forEach(([y0, x0], at) => {
      const [y1, x1] = corners[(at + 1) % corners.length]!;
      if (y0 === y1) return y0 === row ? show(Math.min(x0, x1), Math.max(x0, x1)) : undefined;
      if (row < Math.min(y0, y1) || row > Math.max(y0, y1)) return undefined;
      const x = x0 + ((row - y0) / (y1 - y0)) * (x1 - x0);
      show(x, x);
      // The lower end of a side belongs to the next one.
      return row < Math.max(y0, y1) ? crossings.push(x) : undefined;
    });
    crossings.sort((a, b) => a - b);
    for (let at = 0; at + 1 < crossings.length; at += 2) show(crossings[at]!, crossings[at + 1]!);
    for (let column = 0; column < columns; column += 1) if (!inside[column]) mask[(row - 1) * columns + column] = 1;
  }
}

/** Pixels (RGBA) of one colour where a mask is set, over what is there. */
export function paint(pixels: Uint8ClampedArray, mask: Mask, [red, green, blue]: Rgb): void {
  for (let at = 0; at < mask.length; at += 1) {
    if (!mask[at]) continue;
    pixels[4 * at] = red;
    pixels[4 * at + 1] = green;
    pixels[4 * at + 2] = blue;
    pixels[4 * at + 3] = 255;
  }
}

/** Whether a file may draw anything over its pixels, so that those without pay nothing. */
export function drawsOver(instance: DicomObject, frame: number, stored: { bitsStored: number; highBit: number }): boolean {
  return shutterOf(instance, frame) !== undefined || overlaysOf(instance, frame, stored).length > 0;
}

export const overlayName = (instance: DicomObject, group: number): string | undefined => text(instance, tagIn(group, "1500"));

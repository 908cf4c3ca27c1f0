/** Where things lie on a printed page, as values. Lengths are in mm. */

export const PAPERS = ["a4", "letter"] as const;

export type Paper = (typeof PAPERS)[number];

/** Upright; ISO 216, and ANSI/ASME Y14.1. */
const SIZES: Readonly<Record<Paper, readonly [number, number]>> = { a4: [210, 297], letter: [215.9, 279.4] };

export const MOST_COLUMNS = 4;
export const MOST_ROWS = 5;
/** Twenty full pages: each picture is held until all of them are printed. */
export const MOST_PICTURES = 400;

export interface Sheet {
  readonly paper: Paper;
  readonly landscape: boolean;
  readonly rows: number;
  readonly columns: number;
}

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface PageLayout {
  readonly width: number;
  readonly height: number;
  readonly header: Box;
  readonly footer: Box;
  /** Row by row. */
  readonly boxes: readonly Box[];
}

/** Printers leave a rim of up to 6 mm white. */
const MARGIN = 10;
const HEADER = 13;
const FOOTER = 7;
const GAP = 2;
/** Between header or footer and the pictures. */
const AIR = 3;

export function pageLayout({ paper, landscape, rows, columns }: Sheet): PageLayout {
  const [short, long] = SIZES[paper];
  const [width, height] = landscape ? [long, short] : [short, long];
  const inner = width - 2 * MARGIN;
  const top = MARGIN + HEADER + AIR;
  const area = height - MARGIN - FOOTER - AIR - top;
  const side = (whole: number, count: number) => (whole - GAP * (count - 1)) / count;
  const [boxWidth, boxHeight] = [side(inner, columns), side(area, rows)];
  return {
    width,
    height,
    header: { x: MARGIN, y: MARGIN, width: inner, height: HEADER },
    footer: { x: MARGIN, y: height - MARGIN - FOOTER, width: inner, height: FOOTER },
    boxes: Array.from({ length: rows * columns }, (_, index) => ({
      x: MARGIN + (index % columns) * (boxWidth + GAP),
      y: top + Math.floor(index / columns) * (boxHeight + GAP),
      width: boxWidth,
      height: boxHeight,
    })),
  };
}

/** Pictures of so many pages, in order. */
export function paged<Picture>(pictures: readonly Picture[], perPage: number): readonly (readonly Picture[])[] {
  const pages: Picture[][] = [];
  for (let at = 0; at < pictures.length; at += perPage) pages.push(pictures.slice(at, at + perPage));
  return pages;
}

export const MM_PER_INCH = 25.4;
/** What the eye tells apart at arm's length, and printers of an office draw in greys. */
export const DOTS_PER_INCH = 200;
export const DOTS_PER_MM = DOTS_PER_INCH / MM_PER_INCH;

const RULERS = [100, 50, 20, 10];

/** The length of a ruler to check the print with: the longest that leaves room for words. */
export function rulerOf(width: number): number {
  return RULERS.find((mm) => mm <= width * 0.6) ?? RULERS[RULERS.length - 1]!;
}

/**
 * Printed pages as PDF, with the same measures as on the screen. Words in letters that PDF's own fonts
 * have are text; others are drawn by the browser, which has letters for every script, and can still
 * be searched and read aloud (ISO 32000-1 14.9.4, ActualText).
 */
import {
  PDFDict,
  PDFDocument,
  PDFHexString,
  PDFName,
  PDFOperator,
  PDFOperatorNames,
  PrintScaling,
  StandardFonts,
  TextRenderingMode,
  popGraphicsState,
  pushGraphicsState,
  rgb,
  setTextRenderingMode,
  type PDFFont,
  type PDFPage,
} from "@cantoo/pdf-lib";
import { MM_PER_INCH, rulerOf, type PageLayout } from "../state/printing";
import type { PageWords } from "./exportscene";
import { canvasOf, brushOf, blobOf } from "./exportscene";

const POINTS_PER_MM = 72 / MM_PER_INCH;
const INK = rgb(0.09, 0.09, 0.1);
const PALE = rgb(0.36, 0.36, 0.4);
/** Codes of WinAnsi that are those of Unicode. */
const LATIN = /^[\x20-\x7e\xa0-\xff]*$/;

/** Heights of letters in mm, and where lines stand below the top of the header. */
export const HEADER_LINES = { first: { mm: 4.2, base: 4.6 }, second: { mm: 3, base: 9.6 } } as const;
export const FOOTER_MM = 2.8;

export interface Print {
  readonly layout: PageLayout;
  readonly words: PageWords;
  /** JPEG, page by page, each filling its box. */
  readonly pages: readonly (readonly Blob[])[];
  readonly pageWords: (page: number, of: number) => string;
  /** Beside the ruler of a page at true size; null for pages that are not. */
  readonly rulerWords: ((mm: number) => string) | null;
  readonly title: string;
}

export async function pdfOf(print: Print, signal: AbortSignal): Promise<Blob> {
  const pdf = await PDFDocument.create();
  pdf.setTitle(print.title);
  pdf.setCreator("Gantry");
  // Else programs make it smaller to fit the rim of the printer.
  pdf.catalog.getOrCreateViewerPreferences().setPrintScaling(PrintScaling.None);
  const fonts = {
    plain: await pdf.embedFont(StandardFonts.Helvetica),
    strong: await pdf.embedFont(StandardFonts.HelveticaBold),
  };
  const { layout, words } = print;
  for (const [index, pictures] of print.pages.entries()) {
    signal.throwIfAborted();
    const page = pdf.addPage([layout.width * POINTS_PER_MM, layout.height * POINTS_PER_MM]);
    const write = (text: string, at: Omit<Writing, "page" | "text" | "font"> & { strong?: boolean }) =>
      writeOn(pdf, { ...at, page, text, font: at.strong ? fonts.strong : fonts.plain });
    for (const [place, picture] of pictures.entries()) {
      const box = layout.boxes[place]!;
      const image = await pdf.embedJpg(await picture.arrayBuffer());
      page.drawImage(image, {
        x: box.x * POINTS_PER_MM,
        y: (layout.height - box.y - box.height) * POINTS_PER_MM,
        width: box.width * POINTS_PER_MM,
        height: box.height * POINTS_PER_MM,
      });
    }
    const { header, footer } = layout;
    const right = header.x + header.width;
    const half = header.width * 0.58;
    const { first, second } = HEADER_LINES;
    let x = header.x;
    for (const name of words.names)
      x += 2 + (await write(name, { x, base: header.y + first.base, mm: first.mm, most: header.x + half - x, strong: true }));
    await write(words.patient.join("  ·  "), { x: header.x, base: header.y + second.base, mm: second.mm, most: half });
    const rest = header.width - half - 4;
    await write(words.study, { x: right, base: header.y + first.base, mm: second.mm, most: rest, isRight: true });
    await write(words.when.join("  ·  "), { x: right, base: header.y + second.base, mm: second.mm, most: rest, isRight: true });
    rule(page, layout, header.y + header.height);
    const base = footer.y + footer.height - 1.5;
    await write(print.pageWords(index + 1, print.pages.length), { x: right, base, mm: FOOTER_MM, most: header.width / 3, isRight: true });
    if (print.rulerWords) {
      const mm = rulerOf(footer.width);
      ruler(page, layout, footer.x, base - 0.5, mm);
      await write(print.rulerWords(mm), { x: footer.x + mm + 3, base, mm: FOOTER_MM, most: footer.width / 3 });
    }
  }
  return new Blob([(await pdf.save()) as Uint8Array<ArrayBuffer>], { type: "application/pdf" });
}

function rule(page: PDFPage, { header, height }: PageLayout, y: number): void {
  const at = (x: number) => ({ x: x * POINTS_PER_MM, y: (height - y) * POINTS_PER_MM });
  page.drawLine({ start: at(header.x), end: at(header.x + header.width), thickness: 0.4, color: PALE });
}

/** How high the ends of a ruler stand, in mm. */
export const RULER_END_MM = 1.5;

function ruler(page: PDFPage, { height }: PageLayout, x: number, y: number, mm: number): void {
  const at = (across: number, up: number) => ({ x: (x + across) * POINTS_PER_MM, y: (height - y + up) * POINTS_PER_MM });
  const line = (from: readonly [number, number], to: readonly [number, number]) =>
    page.drawLine({ start: at(...from), end: at(...to), thickness: 0.7, color: INK });
  line([0, 0], [mm, 0]);
  line([0, 0], [0, RULER_END_MM]);
  line([mm, 0], [mm, RULER_END_MM]);
}

interface Writing {
  readonly page: PDFPage;
  readonly text: string;
  readonly font: PDFFont;
  /** In mm from the left edge of the page, of the text's left end, or of its right one. */
  readonly x: number;
  readonly isRight?: boolean;
  /** Where letters stand, in mm from the upper edge. */
  readonly base: number;
  readonly mm: number;
  /** The width that there is, in mm: longer text is made smaller. */
  readonly most: number;
  readonly strong?: boolean;
}

/** Gives the width that it takes, in mm. */
async function writeOn(pdf: PDFDocument, writing: Writing): Promise<number> {
  const { page, text, font, x, isRight, base, mm, most } = writing;
  if (text === "" || most <= 0) return 0;
  if (!LATIN.test(text)) return await drawOn(pdf, writing);
  const full = mm * POINTS_PER_MM;
  const size = Math.min(full, (full * most * POINTS_PER_MM) / font.widthOfTextAtSize(text, full));
  const width = font.widthOfTextAtSize(text, size);
  page.drawText(text, {
    x: x * POINTS_PER_MM - (isRight ? width : 0),
    y: page.getHeight() - base * POINTS_PER_MM,
    size,
    font,
    color: INK,
  });
  return width / POINTS_PER_MM;
}

const LETTER_DOTS = 96;
/** Above and below the line that letters stand on, by the size of the font. */
const [ABOVE, BELOW] = [1.1, 0.4];

/** As a picture; what it says stands behind it, unseen. */
async function drawOn(pdf: PDFDocument, { page, text, font: plain, x, isRight, base, mm, most, strong }: Writing): Promise<number> {
  const font = `${strong ? 700 : 400} ${LETTER_DOTS}px "Inter Variable", system-ui, sans-serif`;
  await document.fonts.load(font, text);
  const measure = brushOf(canvasOf({ width: 1, height: 1 }));
  measure.font = font;
  const dots = Math.ceil(measure.measureText(text).width);
  const canvas = canvasOf({ width: Math.max(1, dots), height: Math.ceil(LETTER_DOTS * (ABOVE + BELOW)) });
  const brush = brushOf(canvas);
  brush.font = font;
  brush.fillStyle = "#17171a";
  brush.fillText(text, 0, LETTER_DOTS * ABOVE);
  const image = await pdf.embedPng(await (await blobOf(canvas, "image/png")).arrayBuffer());
  const by = Math.min((mm * POINTS_PER_MM) / LETTER_DOTS, (most * POINTS_PER_MM) / canvas.width);
  const [left, width] = [x * POINTS_PER_MM - (isRight ? canvas.width * by : 0), canvas.width * by];
  const y = page.getHeight() - base * POINTS_PER_MM;
  page.drawImage(image, { x: left, y: y - LETTER_DOTS * BELOW * by, width, height: canvas.height * by });
  // Programs that search or read aloud take what it says in the place of this letter.
  page.pushOperators(pushGraphicsState(), setTextRenderingMode(TextRenderingMode.Invisible), spanOf(pdf, text));
  page.drawText("x", { x: left, y, size: mm * POINTS_PER_MM, font: plain });
  page.pushOperators(PDFOperator.of(PDFOperatorNames.EndMarkedContent), popGraphicsState());
  return width / POINTS_PER_MM;
}

function spanOf(pdf: PDFDocument, text: string): PDFOperator {
  const says = PDFDict.withContext(pdf.context);
  says.set(PDFName.of("ActualText"), PDFHexString.fromText(text));
  return PDFOperator.of(PDFOperatorNames.BeginMarkedContentSequence, [PDFName.of("Span"), says as never]);
}

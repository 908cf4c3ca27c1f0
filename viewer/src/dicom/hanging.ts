/**
 * How a study opens where no link asks otherwise: what its reader expects of its modality. A value from display sets;
 * whoever shows them follows it.
 */
import { framesPerSecond, toldRate } from "./cine";
import { type DisplaySet, type Stack } from "./displaysets";
import { describeFrame } from "./frame";
import { TAG, items, text, type DicomObject } from "./model";

export interface Hung {
  /** The display set. */
  readonly set: string;
  /** From 0; undefined for where it opens by itself. */
  readonly index?: number | undefined;
  /** Left and right are exchanged. */
  readonly flip?: boolean | undefined;
  /** The edge of the cell that the picture touches. */
  readonly side?: "left" | "right" | undefined;
  /** All are as large as one of this size, in mm, would be when it fits. */
  readonly fitMm?: readonly [width: number, height: number] | undefined;
  readonly inverted?: boolean | undefined;
}

export interface Hanging {
  readonly rows: number;
  readonly columns: number;
  /** Row by row; null for a cell that stays empty. */
  readonly cells: readonly (Hung | null)[];
}

/** Undefined where there is nothing better than the first display set alone. */
export function hangingOf(sets: readonly DisplaySet[]): Hanging | undefined {
  const stacks = sets.filter((set): set is Stack => set.kind === "stack");
  return mammograms(stacks) ?? frontalAndLateral(stacks) ?? scintigram(stacks);
}

/** Whether the rest of a study must be known before it hangs. */
export function needsAllSeries(first: DisplaySet): boolean {
  return ["MG", "CR", "DX"].includes(first.modality);
}

const image = (stack: Stack): DicomObject => stack.frames[0]!.instance;

type Side = "R" | "L";
type View = "CC" | "MLO";

function lateralityOf(instance: DicomObject): Side | undefined {
  const told = text(instance, TAG.imageLaterality) ?? text(instance, TAG.laterality);
  if (told === "R" || told === "L") return told;
  const anatomy = items(items(instance, TAG.sharedFunctionalGroups)[0], TAG.frameAnatomySequence)[0];
  const ofFrame = text(anatomy, TAG.frameLaterality);
  return ofFrame === "R" || ofFrame === "L" ? ofFrame : undefined;
}

/** View Code Sequence (CID 4014: SNOMED RT, CT), else View Position (PS3.3 C.8.11.7). */
const VIEW_CODES: Readonly<Record<string, View>> = {
  "R-10242": "CC",
  "399162004": "CC",
  "R-10226": "MLO",
  "399368009": "MLO",
};

export function mammographyView(instance: DicomObject): View | undefined {
  const code = items(instance, TAG.viewCodeSequence)[0];
  const coded = VIEW_CODES[text(code, TAG.codeValue) ?? ""];
  const named = text(instance, TAG.viewPosition);
  return coded ?? (named === "CC" || named === "MLO" ? named : undefined);
}

const MAMMOGRAMS: readonly (readonly [Side, View])[] = [
  ["R", "CC"],
  ["L", "CC"],
  ["R", "MLO"],
  ["L", "MLO"],
];

/** Right breasts left, left ones right, chest walls towards each other, all in one scale. */
function mammograms(stacks: readonly Stack[]): Hanging | undefined {
  const ofBreast = stacks.filter(({ modality, frames }) => modality === "MG" && frames.length === 1);
  const hung = MAMMOGRAMS.map(([side, view]) =>
    ofBreast.find((stack) => lateralityOf(image(stack)) === side && mammographyView(image(stack)) === view),
  );
  const there = hung.flatMap((stack) => stack ?? []);
  if (there.length < 2) return undefined;
  const fitMm = largestMm(there);
  const cells = hung.map((stack, at): Hung | null => {
    if (!stack) return null;
    const side = MAMMOGRAMS[at]![0] === "R" ? "right" : "left";
    return { set: stack.id, side, fitMm, flip: isChestAway(image(stack), side) };
  });
  const rows = [cells.slice(0, 2), cells.slice(2)].filter((row) => row.some((cell) => cell !== null));
  return { rows: rows.length, columns: 2, cells: rows.flat() };
}

/** Whether the chest wall is not at this side: rows run to the front (A) or to the back (P). */
function isChestAway(instance: DicomObject, side: "left" | "right"): boolean {
  const along = text(instance, TAG.patientOrientation, 0)?.[0];
  return along === (side === "right" ? "A" : "P");
}

function largestMm(stacks: readonly Stack[]): readonly [number, number] | undefined {
  const sizes = stacks.flatMap((stack) => {
    const { rows, columns, spacingMm } = describeFrame(image(stack), 1);
    return spacingMm ? [[columns * spacingMm[1], rows * spacingMm[0]] as const] : [];
  });
  if (sizes.length < stacks.length) return undefined;
  return [Math.max(...sizes.map(([width]) => width)), Math.max(...sizes.map(([, height]) => height))];
}

const FRONTAL = new Set(["PA", "AP", "DP", "PD"]);
const LATERAL = new Set(["LL", "RL", "LAT", "LLAT", "RLAT", "LATERAL"]);

/** A frontal radiograph at the left, the lateral one beside it. */
function frontalAndLateral(stacks: readonly Stack[]): Hanging | undefined {
  const single = stacks.filter(({ modality, frames }) => ["CR", "DX"].includes(modality) && frames.length === 1);
  const of = (views: ReadonlySet<string>) => single.find((stack) => views.has((text(image(stack), TAG.viewPosition) ?? "").toUpperCase()));
  const [frontal, lateral] = [of(FRONTAL), of(LATERAL)];
  return frontal && lateral ? { rows: 1, columns: 2, cells: [{ set: frontal.id }, { set: lateral.id }] } : undefined;
}

const MOST_SIDE_BY_SIDE = 4;

/** Counts are black on white; the few frames of a static study lie side by side. */
function scintigram(stacks: readonly Stack[]): Hanging | undefined {
  const [first] = stacks;
  if (first?.modality !== "NM" || describeFrame(image(first), 1).samplesPerPixel !== 1) return undefined;
  const inverted = !describeFrame(image(first), 1).isInverse;
  const isStatic = !/TOMO|DYNAMIC|GATED/.test(text(image(first), TAG.imageType, 2) ?? "");
  const count = first.multiFrame && isStatic && first.frames.length <= MOST_SIDE_BY_SIDE ? first.frames.length : 1;
  const cells = Array.from({ length: count }, (_, index): Hung => ({ set: first.id, index, inverted }));
  if (count === 1) return { rows: 1, columns: 1, cells: [{ set: first.id, inverted }] };
  const columns = count === 4 ? 2 : count;
  return { rows: count / columns, columns, cells };
}

/**
 * How a picture is placed in a cell, both in one unit each: how many times larger than it fits, and how far to the
 * right of the middle, in the cell's unit.
 */
export function placing(
  cell: readonly [width: number, height: number],
  picture: readonly [width: number, height: number],
  { side, fitMm }: Pick<Hung, "side" | "fitMm">,
): { readonly zoom: number; readonly right: number } {
  const fitting = Math.min(cell[0] / picture[0], cell[1] / picture[1]);
  const scale = fitMm ? Math.min(cell[0] / fitMm[0], cell[1] / fitMm[1]) : fitting;
  const room = (cell[0] - picture[0] * scale) / 2;
  return { zoom: scale / fitting, right: side === "right" ? room : side === "left" ? -room : 0 };
}

/** Modalities whose clips are moving pictures. */
const MOVING = new Set(["US", "IVUS", "XA", "RF", "ES"]);

/** The rate at which a stack begins to play by itself; undefined for what stands still. */
export function playsByItself(stack: Stack): number | undefined {
  return stack.multiFrame && stack.frames.length > 1 && MOVING.has(stack.modality) && toldRate(image(stack)) !== undefined ? framesPerSecond(stack) : undefined;
}


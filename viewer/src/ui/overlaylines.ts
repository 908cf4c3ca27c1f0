/** What the text on an image says, line by line. */
import type { Stack } from "../dicom/displaysets";
import type { Window } from "../dicom/frame";
import { endsOf } from "../dicom/presets";
import type { Reduction } from "../dicom/reduction";
import { isSuv } from "../dicom/suv";
import { suvFactor, whyNoSuv } from "../dicom/uptake";
import { ageInWords, dateInWords, listed, nameInWords, sexInWords, timeInWords } from "../dicom/words";
import { numberInWords, significantInWords } from "../i18n/language";
import { t } from "../i18n/study";
import type { ShownOver, ShownView } from "../render/view";
import type { Identity } from "../state/study";

export interface OverlayLine {
  readonly words: string;
  readonly strong?: boolean;
  /** Names the line for styles and tests. */
  readonly kind?: string;
}

export interface OverlayCorners {
  readonly topLeft: readonly OverlayLine[];
  readonly topRight: readonly OverlayLine[];
  readonly bottomLeft: readonly OverlayLine[];
  readonly bottomRight: readonly OverlayLine[];
}

/** Without an identity nothing tells the patient or the day. `room` is how many images are kept together, where not all are. */
export function overlayCorners(view: ShownView, stack: Stack, identity: Identity | null, room?: number): OverlayCorners {
  const { frame, cut, slab, window, uptake, turned, over, straightened, isForming, coming, reduced } = view;
  const factor = suvFactor(uptake);
  const patient: readonly OverlayLine[] = identity
    ? [
        { words: nameInWords(identity.patientName), strong: true },
        {
          words: listed([
            identity.patientId,
            sexInWords(identity.sex),
            ageInWords(identity.birthDate, identity.studyDate),
          ]),
        },
      ]
    : [];
  const count: OverlayLine = {
    words: view.count > 1 ? `${view.index + 1} / ${view.count}` : t().counts.images(1),
    strong: true,
  };
  return {
    topLeft: patient,
    topRight: [
      { words: listed([stack.description || stack.modality, stack.part]), strong: true },
      {
        words: listed([
          stack.seriesNumber === undefined ? undefined : t().overlay.series(stack.seriesNumber),
          dateInWords(identity?.studyDate),
          timeInWords(identity?.studyTime),
        ]),
      },
      ...(cut
        ? [
            {
              words: listed([
                t().volume.cuts[cut],
                turned ? t().volume.turned : undefined,
                slab && t().volume.slab[slab.projection],
              ]),
              kind: "cut",
            },
          ]
        : []),
      ...(coming ? [{ words: t().overlay.coming(2 ** coming), strong: true, kind: "coming" }] : []),
      ...(reduced ? [{ words: reducedInWords(reduced), strong: true, kind: "reduced" }] : []),
      ...(over?.reduced ? [{ words: `${over.modality}: ${reducedInWords(over.reduced)}`, strong: true, kind: "reduced" }] : []),
      ...(room && !cut ? [{ words: t().overlay.room(room, view.count), kind: "room" }] : []),
      ...(isForming ? [{ words: t().volume.forming, kind: "forming" }] : []),
      ...(straightened ? [{ words: t().volume.straightened(numberInWords(straightened, 1)), kind: "straightened" }] : []),
    ],
    bottomLeft: [
      ...(cut === "solid" ? [] : [count]),
      {
        words: listed([
          said(t().overlay.thickness, frame.sliceThicknessMm, 2),
          said(t().overlay.location, frame.sliceLocationMm, 1, 1),
        ]),
      },
    ],
    bottomRight: [
      ...(window && factor !== undefined ? [{ words: suvRange(window, factor), strong: true, kind: "suv-window" }] : []),
      ...(window
        ? [{ words: t().overlay.window(...windowInWords(window)), strong: true, kind: "window" }]
        : []),
      ...(uptake && !isSuv(uptake) ? [{ words: `${t().uptake.none} ${whyNoSuv(uptake)}`, kind: "no-suv" }] : []),
      ...(over ? [{ words: overInWords(over), strong: true, kind: "over-window" }] : []),
      { words: `${Math.round(view.magnification * 100)} %`, kind: "magnification" },
    ],
  };
}

function suvRange(window: Window, factor: number): string {
  const [low, high] = endsOf(window).map((value) => numberInWords(value * factor, 1));
  return t().uptake.range(low!, high!);
}

function reducedInWords({ halvings, every }: Reduction): string {
  const { reduced, detail, images } = t().overlay;
  return reduced(listed([halvings > 0 ? detail(2 ** halvings) : undefined, every > 1 ? images(every) : undefined]));
}

function overInWords({ modality, window, uptake, unit }: ShownOver): string {
  const factor = suvFactor(uptake);
  if (factor !== undefined) return `${modality} ${suvRange(window, factor)}`;
  const [low, high] = endsOf(window).map((value) => numberInWords(value, 0));
  return `${modality} ${low}–${high} ${unit}`.trim();
}

/** What the least and the greatest colour stand for. */
export function overEnds({ window, uptake }: ShownOver): readonly [string, string] {
  const [low, high] = endsOf(window).map((value) => numberInWords(value * (suvFactor(uptake) ?? 1), 1));
  return [low!, high!];
}

/** Down to a tenth of a micrometre: beyond that, nothing that light shows is larger than the bar. */
const STEPS_MM = [3, 2, 1, 0, -1, -2, -3, -4].flatMap((power) => [5, 2, 1].map((step) => step * 10 ** power)).filter((mm) => mm <= 200);
const LONGEST_PX = 160;

/** The longest round length that is short enough to be drawn; undefined where none is. */
export function scaleBar(pixelsPerMm: number, longestPx = LONGEST_PX): { readonly mm: number; readonly words: string } | undefined {
  const mm = STEPS_MM.find((step) => step * pixelsPerMm <= longestPx);
  if (mm === undefined) return undefined;
  const words = mm >= 10 ? `${numberInWords(mm / 10)} cm` : mm >= 0.1 ? `${numberInWords(mm)} mm` : `${numberInWords(mm * 1000)} µm`;
  return { mm, words };
}

function said(words: (mm: string) => string, mm: number | undefined, most: number, least = 0): string | undefined {
  return mm === undefined ? undefined : words(numberInWords(mm, most, least));
}

/** Small numbers keep a digit: windows of normalised images are often below ten. Of fractions, three digits are kept. */
export function windowInWords({ width, center, voiFunction }: Window): readonly [width: string, center: string] {
  if (width < 1 || (width < 10 && voiFunction === "LINEAR_EXACT")) {
    const step = 10 ** (Math.floor(Math.log10(width)) - 2);
    return [significantInWords(width, 3), significantInWords(Math.round(center / step) * step, 6)];
  }
  const rounded = (value: number) => {
    const digits = Math.abs(value) < 10 && !Number.isInteger(value) ? 1 : 0;
    return numberInWords(value, digits, digits);
  };
  return [rounded(width), rounded(center)];
}

/** What helps in reading an image: its attributes, what its file draws over it, the lens, and its size on the screen. */
import { createSignal } from "solid-js";
import { instancePath } from "../api/dicomweb";
import { TAG, text, type DicomObject } from "../dicom/model";
import { t } from "../i18n/study";
import { pixelsPerMm } from "../state/screen";
import type { Stage } from "./stage";

export type Aids = ReturnType<typeof createAids>;

/** An object whose attributes are read, and the frame of it that is seen. */
export interface Described {
  readonly object: DicomObject;
  /** From 1; 0 for none. */
  readonly frame: number;
  /** Where it is had from; undefined where it is only on this device. */
  readonly path: string | undefined;
}

/** By what share two sizes may differ that nobody can tell apart. */
const SAME = 0.005;

/** `say` tells the person something in passing. */
export function createAids(uid: string, stage: Stage, isLocal: boolean, say: (words: string) => void) {
  const [info, setInfo] = createSignal(false);
  const [overlays, setOverlays] = createSignal(true);
  const [lens, setLens] = createSignal(false);
  const [screenShown, setScreenShown] = createSignal(false);

  /** So many pixels of the page for each millimetre of the image. */
  function showAt(wanted: number): void {
    const view = stage.view();
    const spacing = view?.frame.spacingMm;
    if (!view || !spacing) return;
    stage.viewport()?.zoom((wanted * spacing[1]) / view.magnification);
    say(view.frame.spacingAtDetector ? t().sizes.atDetector : t().sizes.true);
  }

  function isShownAt(wanted: number): boolean {
    const view = stage.view();
    const spacing = view?.frame.spacingMm;
    return spacing !== undefined && Math.abs(view!.magnification / (wanted * spacing[1]) - 1) < SAME;
  }

  return {
    lens,
    toggleLens: () => setLens((value) => !value && stage.view() !== null),
    closeLens: () => setLens(false),
    screenShown,
    closeScreen: () => setScreenShown(false),
    /** One millimetre is one millimetre; the screen is measured first where nobody did, and again for who asks twice. */
    trueSize(): void {
      if (!stage.view()) return;
      if (!stage.view()?.frame.spacingMm) return say(t().sizes.unknown);
      const known = pixelsPerMm(devicePixelRatio);
      if (known === undefined || isShownAt(known)) setScreenShown(true);
      else showAt(known);
    },
    /** The screen is measured now. */
    screenKnown: () => showAt(pixelsPerMm(devicePixelRatio)!),
    /** Each pixel of the image is one of the screen. */
    onePixel(): void {
      const view = stage.view();
      if (view) stage.viewport()?.zoom(1 / devicePixelRatio / view.magnification);
    },
    overlays,
    toggleOverlays: () => setOverlays((value) => !value),
    info,
    toggleInfo: () => setInfo((value) => !value),
    described(): Described | undefined {
      const view = stage.view();
      const set = stage.displaySet();
      const object = set?.kind === "sheet" ? set.instance : view?.instance;
      if (!object) return undefined;
      const [series, instance] = [text(object, TAG.seriesInstanceUid), text(object, TAG.sopInstanceUid)];
      const path = isLocal ? undefined : instancePath(uid, series ?? "", instance ?? "");
      return { object, frame: view?.frameNumber ?? 0, path };
    },
  };
}

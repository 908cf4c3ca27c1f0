/** What was measured in a study: on its images, in the panel, and kept on the server. */
import { createEffect, createMemo, on } from "solid-js";
import { readDraft, reportDraft, writeDraft } from "../api/drafts";
import { readReports } from "../api/reports";
import { placeOfImage, type Stack } from "../dicom/displaysets";
import { describeFrame } from "../dicom/frame";
import { spacingOf, type ImagePoint, type Spacing } from "../dicom/measure";
import { newUid } from "../dicom/uid";
import { t } from "../i18n/study";
import type { ImageReference, Measurement } from "../state/measurements";
import { createReported } from "../state/reported";
import { createSaving } from "../state/saving";
import { imageWith } from "../state/space";
import type { OpenStudy } from "../state/study";
import { createKeyHand } from "../tools/keyhand";
import { measuringOf } from "../tools/measuring";

export type Notes = ReturnType<typeof createNotes>;

export interface Place {
  readonly set: Stack;
  readonly index: number;
}

/** With `isLocal` nothing is asked of the server or saved there: the study is only on this device. */
export function createNotes(uid: string, study: OpenStudy, isLocal: boolean) {
  const measuring = measuringOf(isLocal ? `local ${uid}` : uid);
  const saving = createSaving(
    {
      read: () => readDraft(uid),
      write: (version, measurements) => writeDraft(uid, version, measurements),
      report: (key) => reportDraft(uid, key),
    },
    {
      list: () => measuring.list(),
      receive: measuring.receive,
      forget: measuring.forget,
      spacingOf: pixelSizeOf,
    },
    newUid,
  );
  const drafted = createMemo(() => new Set(measuring.list().map(({ id }) => id)));
  const reported = createReported({ read: (signal) => readReports(uid, signal), spacingOf: pixelSizeOf, drafted });

  async function pixelSizeOf(image: ImageReference, points: readonly ImagePoint[]): Promise<Spacing | undefined> {
    await study.openSeries(image.seriesInstanceUid);
    const place = placeOf({ image });
    const frame = place?.set.frames[place.index];
    return frame && spacingOf(describeFrame(frame.instance, frame.number), points);
  }
  if (!isLocal) createEffect(on(() => measuring.list(), () => saving.changed()));

  /** Where the image of a measurement is, as far as its series is read. */
  function placeOf({ image }: Pick<Measurement, "image">): Place | undefined {
    return placeOfImage(study.sets(), image.sopInstanceUid, image.frame);
  }

  /** The image as it was taken that a measurement is seen on; undefined for one that lies across all of them. */
  function imageOf(one: Measurement): Place | undefined {
    const place = placeOf(one);
    if (!place || !one.plane) return place;
    const index = imageWith(one, place.set);
    return index === undefined ? undefined : { set: place.set, index };
  }

  return {
    measuring,
    saving,
    reported,
    keyHand: createKeyHand(measuring),
    placeOf,
    imageOf,
    placeInWords(one: Measurement): string {
      const [place, image] = [placeOf(one), imageOf(one)];
      if (place && !image) return t().measure.onCut(place.set.description || place.set.modality);
      return image ? t().measure.place(image.set.description || image.set.modality, image.index + 1) : "";
    },
  };
}

/** What helps in reading an image: its attributes, what its file draws over it, the lens, and its size on the screen. */
import { createSignal } from "solid-js";
import { instancePath } from "../api/dicomweb";
import { TAG, text, type DicomObject } from "../dicom/model";
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

export function createAids(uid: string, stage: Stage, isLocal: boolean) {
  const [info, setInfo] = createSignal(false);
  return {
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

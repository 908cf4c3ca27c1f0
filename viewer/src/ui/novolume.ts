/** Why a series is no volume, in words. */
import type { NoVolume } from "../dicom/volume";
import { numberInWords } from "../i18n/language";
import { t } from "../i18n/study";

export function whyNoVolume(reason: NoVolume): string {
  const words = t().volume.why;
  const mm = (value: number) => numberInWords(value, 2);
  switch (reason.why) {
    case "repeated":
      return words.repeated(reason.positions);
    case "gap":
      return words.gap(reason.after, mm(reason.mm), mm(reason.usualMm));
    case "uneven":
      return words.uneven(mm(reason.leastMm), mm(reason.mostMm));
    case "tilted":
      return words.tilted(numberInWords(reason.degrees, 1));
    case "long":
      return words.long(reason.voxels, reason.most);
    case "large":
      return words.large(reason.megabytes, reason.mostMegabytes);
    default:
      return words[reason.why];
  }
}

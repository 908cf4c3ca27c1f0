/** Pictures of frames that the server makes (PS3.18 8.3.5). Apart from the rest, since the list needs none. */
import type { Window } from "../dicom/frame";
import { begunPicture, decodedPicture, noteFirstPicture, PICTURES } from "./firstpicture";
import { fetched, getBlob } from "./http";

/** In pixels that a picture is to fit into. */
export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/** A picture of one frame, made by the server: for what this device cannot decode, or not keep in its own size. */
export async function renderedFrame(framePath: string, wish?: PictureWish, signal?: AbortSignal): Promise<Blob> {
  return await getBlob(renderedPicture(framePath, wish), "image/png, image/jpeg;q=0.8", signal);
}

/** A picture at an address of `renderedPicture`; of what is `unchanged` the browser's cache may give it unasked. */
export async function pictureAt(address: string, unchanged: boolean, signal: AbortSignal): Promise<HTMLImageElement> {
  const begun = await begunPicture(address);
  if (begun && unchanged) return begun;
  const response = await fetched(address, {
    headers: { Accept: PICTURES },
    cache: unchanged ? "force-cache" : "default",
    priority: "high",
    signal,
  });
  const picture = await decodedPicture(await response.blob());
  noteFirstPicture(address);
  return picture;
}

export interface PictureWish {
  readonly window?: Pick<Window, "center" | "width" | "voiFunction"> | undefined;
  readonly size?: PictureSize | undefined;
  /** What of the image is shown, in its pixels; only with a size. */
  readonly region?: { readonly left: number; readonly top: number; readonly columns: number; readonly rows: number } | undefined;
}

/** PS3.18 8.3.5.1.4. */
const FUNCTIONS = { LINEAR: "linear", LINEAR_EXACT: "linear-exact", SIGMOID: "sigmoid" } as const;

/** The address of such a picture for an <img>, by the object's own window or another. */
export function renderedPicture(framePath: string, { window, size, region }: PictureWish = {}): string {
  const part = region ? [region.left, region.top, region.columns, region.rows] : [];
  const asked = [
    ...(window ? [`window=${window.center},${window.width},${FUNCTIONS[window.voiFunction ?? "LINEAR"]}`] : []),
    ...(size ? [`viewport=${[size.width, size.height, ...part].join(",")}`] : []),
  ];
  return `${framePath}/rendered${asked.length > 0 ? `?${asked.join("&")}` : ""}`;
}

/** DICOMweb as the viewer uses it (PS3.18 10). Paths begin at the server that served this page. */
import { readLocalReference } from "../dicom/localref";
import type { Window } from "../dicom/frame";
import type { DicomObject } from "../dicom/model";
import { fileHead, HEAD_BYTES } from "../dicom/filehead";
import { localBytes } from "./localfiles";
import { currentTag, getBeginning, getBlob, getDicomJson, getSize, getTagged, type Piece } from "./http";

const ROOT = "/dicom-web";

export const studyPath = (study: string) => `${ROOT}/studies/${study}`;
export const seriesPath = (study: string, series: string) => `${studyPath(study)}/series/${series}`;
export const instancePath = (study: string, series: string, instance: string) =>
  `${seriesPath(study, series)}/instances/${instance}`;

/** All series of a study, with what a list of them shows. */
export async function findSeries(study: string, signal?: AbortSignal): Promise<readonly DicomObject[]> {
  const fields = "includefield=0008103E,00080021,00081030,00080020,00080030,00100010,00100020,00100030,00100040";
  return objects(await getDicomJson(`${studyPath(study)}/series?limit=1000&${fields}`, signal));
}

const OF_A_STUDY = "includefield=00080020,00080030,00080061,00081030,00100020,00100021";

/** A study with what tells its patient; undefined where the archive has none. */
export async function findStudy(study: string, signal?: AbortSignal): Promise<DicomObject | undefined> {
  return objects(await getDicomJson(`${ROOT}/studies?StudyInstanceUID=${study}&${OF_A_STUDY}`, signal))[0];
}

/** Studies whose Patient ID matches, newest first; `*` and `?` in it match more than themselves. */
export async function findStudiesOfPatient(patientId: string, signal?: AbortSignal): Promise<readonly DicomObject[]> {
  const asked = `PatientID=${encodeURIComponent(patientId)}&limit=1000&${OF_A_STUDY}`;
  return objects(await getDicomJson(`${ROOT}/studies?${asked}`, signal));
}

export async function seriesMetadata(
  study: string,
  series: string,
  signal?: AbortSignal,
): Promise<readonly DicomObject[]> {
  const path = `${seriesPath(study, series)}/metadata`;
  const { json, tag } = await getTagged(path, signal);
  if (tag) tags.set(path, tag);
  return objects(json);
}

const tags = new Map<string, string>();

/** Names the state of the series that its metadata told of; undefined where they have not come. */
export function metadataTag(study: string, series: string): string | undefined {
  return tags.get(`${seriesPath(study, series)}/metadata`);
}

/** Whether the series is still as its metadata said. */
export async function isUnchanged(study: string, series: string): Promise<boolean> {
  const tag = metadataTag(study, series);
  return tag !== undefined && (await currentTag(`${seriesPath(study, series)}/metadata`)) === tag;
}

export function seriesThumbnail(study: string, series: string, pixels: number): string {
  return `${seriesPath(study, series)}/thumbnail?viewport=${pixels},${pixels}`;
}

export function instanceThumbnail(path: string, pixels: number): string {
  return `${path}/thumbnail?viewport=${pixels},${pixels}`;
}

/** In pixels that a picture is to fit into. */
export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/** A picture of one frame, made by the server: for what this device cannot decode, or not keep in its own size. */
export async function renderedFrame(framePath: string, wish?: PictureWish, signal?: AbortSignal): Promise<Blob> {
  return await getBlob(renderedPicture(framePath, wish), "image/png, image/jpeg;q=0.8", signal);
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

/** Bulk data, of the archive or of a file on this device. */
export async function bulkData(uri: string): Promise<Blob> {
  const local = readLocalReference(uri);
  if (local) return new Blob([await localBytes(local)]);
  return await getBlob(sameOrigin(uri), "application/octet-stream, */*;q=0.5");
}

/** The beginning of a value that is kept apart, and its size. */
export async function bulkBeginning(uri: string, length: number, signal?: AbortSignal): Promise<Piece> {
  const local = readLocalReference(uri);
  if (!local) return await getBeginning(sameOrigin(uri), "application/octet-stream", length, signal);
  const total = local.length ?? 0;
  return { bytes: await localBytes({ ...local, length: Math.min(length, total) }), total };
}

/** Bytes of a value that is kept apart. */
export async function bulkSize(uri: string): Promise<number | undefined> {
  const local = readLocalReference(uri);
  return local ? local.length : await getSize(sameOrigin(uri), "application/octet-stream");
}

/** The File Meta Information of an object as it is stored, which its metadata leave out (PS3.18 F.2.2). */
export async function storedHead(path: string, signal?: AbortSignal): Promise<DicomObject> {
  const { bytes } = await getBeginning(path, "application/dicom; transfer-syntax=*", HEAD_BYTES, signal);
  return fileHead(bytes);
}

/** A bulk data address may be absolute and name a host that only the server knows itself by. */
function sameOrigin(uri: string): string {
  const url = new URL(uri, globalThis.location.href);
  return url.pathname + url.search;
}

function objects(answer: unknown): readonly DicomObject[] {
  return Array.isArray(answer) ? (answer as DicomObject[]) : [];
}

/**
 * Addresses that open exactly what is seen: `/view/{StudyInstanceUID}?series=…&frame=…&window=…`.
 *
 * `frame` counts from 1 in the order in which the viewer shows a series; `window` is center and width.
 */
import type { Window } from "./frame";

export interface Link {
  readonly study: string;
  readonly series?: string | undefined;
  /** An instance of the series: the thing to show that is made of it, or the image of a stack that it is. */
  readonly instance?: string | undefined;
  readonly frame?: number | undefined;
  readonly window?: Window | undefined;
}

const UID = /^[0-9.]{1,64}$/;
const PATH = /^\/(?:studies|view)\/([0-9.]{1,64})\/?$/;

const LOCAL_PATH = /^\/local(?:\/([0-9.]{1,64}))?\/?$/;

/** The study that an address of files on this device names, null for all of them; undefined for other addresses. */
export function readLocalPath(path: string): string | null | undefined {
  const found = LOCAL_PATH.exec(path);
  return found ? (found[1] ?? null) : undefined;
}

/** What an address asks for; undefined for one that names no study. What cannot be meant is left out. */
export function readLink(path: string, query: string): Link | undefined {
  const study = PATH.exec(path)?.[1];
  if (!study) return undefined;
  const asked = new URLSearchParams(query);
  const frame = Number(asked.get("frame"));
  return {
    study,
    series: uid(asked.get("series")),
    instance: set(asked.get("instance")),
    frame: Number.isInteger(frame) && frame > 0 ? frame : undefined,
    window: window(asked.get("window")),
  };
}

export function linkPath(link: Link): string {
  const asked = new URLSearchParams();
  if (link.series) asked.set("series", link.series);
  if (link.instance) asked.set("instance", link.instance);
  if (link.frame) asked.set("frame", String(link.frame));
  const { center, width } = link.window ?? {};
  if (center !== undefined && width !== undefined) asked.set("window", `${plain(center)},${plain(width)}`);
  const query = asked.toString().replaceAll("%2C", ",");
  return `/view/${link.study}${query ? `?${query}` : ""}`;
}

function uid(text: string | null): string | undefined {
  return text !== null && UID.test(text) ? text : undefined;
}

/** A UID, or one with the number of a set that is a part of the instance. */
function set(text: string | null): string | undefined {
  const [instance = "", part] = (text ?? "").split("~");
  return UID.test(instance) && (part === undefined || /^[0-9]{1,2}$/.test(part)) ? text! : undefined;
}

function window(text: string | null): Window | undefined {
  const numbers = (text ?? "").split(",").map((part) => (part.trim() === "" ? NaN : Number(part)));
  const [center, width] = numbers;
  if (numbers.length !== 2 || !Number.isFinite(center) || !Number.isFinite(width) || width! <= 0) return undefined;
  return { center: center!, width: width! };
}

function plain(value: number): string {
  return String(Number(value.toPrecision(6)));
}

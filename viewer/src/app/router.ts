/**
 * `/` lists studies, `/studies/{uid}` opens one, `/view/{uid}?…` opens it at something; `/local` lists those that were
 * read from files on this device, `/local/{uid}` opens one of them.
 */
import { createSignal } from "solid-js";
import { readLink, readLocalPath, type Link } from "../dicom/link";

export type Place =
  | { readonly page: "list" | "local" }
  | { readonly page: "study"; readonly link: Link; readonly isLocal: boolean };

function placeNow(): Place {
  const local = readLocalPath(location.pathname);
  if (local === null) return { page: "local" };
  if (local !== undefined) return { page: "study", link: { study: local }, isLocal: true };
  const link = readLink(location.pathname, location.search);
  return link ? { page: "study", link, isLocal: false } : { page: "list" };
}

const [place, setPlace] = createSignal<Place>(placeNow());
export { place };

/** Whether the list that a study was opened from is one step back in this tab's history. */
let cameFromList = false;

export function studyAddress(uid: string): string {
  return `/studies/${encodeURIComponent(uid)}`;
}

export function localAddress(uid?: string): string {
  return uid === undefined ? "/local" : `/local/${encodeURIComponent(uid)}`;
}

function goTo(address: string, next: Place): void {
  history.pushState(null, "", address);
  setPlace(next);
}

export function openStudyPage(uid: string): void {
  cameFromList = place().page === "list";
  goTo(studyAddress(uid), { page: "study", link: { study: uid }, isLocal: false });
}

export function openLocalStudy(uid: string): void {
  cameFromList = place().page === "local";
  goTo(localAddress(uid), { page: "study", link: { study: uid }, isLocal: true });
}

/** All that was read from files on this device. */
export function openLocalPage(): void {
  if (place().page !== "local") goTo(localAddress(), { page: "local" });
}

/** From a study to the list it belongs to, as it was left; from files on this device to the archive. */
export function backToList(): void {
  const now = place();
  if (now.page === "study" && cameFromList) return history.back();
  cameFromList = false;
  if (now.page === "study" && now.isLocal) return goTo(localAddress(), { page: "local" });
  goTo("/", { page: "list" });
}

export function followHistory(): void {
  addEventListener("popstate", () => {
    cameFromList = false;
    setPlace(placeNow());
  });
}

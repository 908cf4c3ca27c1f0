/** `/` lists studies, `/studies/{uid}` opens one, `/view/{uid}?…` opens it at something. */
import { createSignal } from "solid-js";
import { readLink, type Link } from "../dicom/link";

export type Place = { readonly page: "list" } | { readonly page: "study"; readonly link: Link };

function placeNow(): Place {
  const link = readLink(location.pathname, location.search);
  return link ? { page: "study", link } : { page: "list" };
}

const [place, setPlace] = createSignal<Place>(placeNow());
export { place };

/** Whether the list is one step back in this tab's history. */
let cameFromList = false;

export function studyAddress(uid: string): string {
  return `/studies/${encodeURIComponent(uid)}`;
}

export function openStudyPage(uid: string): void {
  cameFromList = place().page === "list";
  history.pushState(null, "", studyAddress(uid));
  setPlace({ page: "study", link: { study: uid } });
}

/** Back to the list as it was left, with its search and its place. */
export function backToList(): void {
  if (cameFromList) return history.back();
  history.pushState(null, "", "/");
  setPlace({ page: "list" });
}

export function followHistory(): void {
  addEventListener("popstate", () => {
    cameFromList = false;
    setPlace(placeNow());
  });
}

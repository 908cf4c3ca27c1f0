/** Two addresses: `/` lists studies, `/studies/{uid}` opens one. */
import { createSignal } from "solid-js";

export type Place = { readonly page: "list" } | { readonly page: "study"; readonly uid: string };

function placeOf(path: string): Place {
  const match = /^\/studies\/([0-9.]+)\/?$/.exec(path);
  return match ? { page: "study", uid: match[1]! } : { page: "list" };
}

const [place, setPlace] = createSignal<Place>(placeOf(location.pathname));
export { place };

/** Whether the list is one step back in this tab's history. */
let cameFromList = false;

export function studyAddress(uid: string): string {
  return `/studies/${encodeURIComponent(uid)}`;
}

export function openStudyPage(uid: string): void {
  cameFromList = place().page === "list";
  history.pushState(null, "", studyAddress(uid));
  setPlace({ page: "study", uid });
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
    setPlace(placeOf(location.pathname));
  });
}

/** The address of a small picture of a stack on this device, for a thumbnail; null until there is one. */
import { createEffect, createSignal, onCleanup, type Accessor } from "solid-js";
import type { Stack } from "../dicom/displaysets";

const THUMBNAIL_PX = 128;

export function localThumbnail(stack: Accessor<Stack | undefined>, study: string): Accessor<string | null> {
  const [address, setAddress] = createSignal<string | null>(null);
  let made: string | undefined;
  let isOver = false;
  createEffect(() => {
    const shown = stack();
    if (shown && made === undefined) void make(shown);
  });
  async function make(shown: Stack): Promise<void> {
    made = "";
    try {
      const { localPicture } = await import("../render/localpicture");
      made = await localPicture(shown, study, THUMBNAIL_PX);
    } catch {
      return; // The icon stays; what is wrong with the image is said where it is opened.
    }
    if (isOver) URL.revokeObjectURL(made);
    else setAddress(made);
  }
  onCleanup(() => {
    isOver = true;
    if (made) URL.revokeObjectURL(made);
  });
  return address;
}

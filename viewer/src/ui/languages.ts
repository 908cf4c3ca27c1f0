/** Asks for the dialog of languages, from the list and from the viewer; its code comes then. */
import { createSignal } from "solid-js";

const [asked, setAsked] = createSignal(false);

export { asked as languagesAsked };

export const showLanguages = (): void => void setAsked(true);

export const hideLanguages = (): void => void setAsked(false);

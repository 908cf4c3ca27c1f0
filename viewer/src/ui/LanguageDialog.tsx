/** The languages by their own names; the one chosen is spoken at once. Opened from the list and from the viewer. */
import { For, createEffect, createSignal, on, type JSX } from "solid-js";
import { LANGUAGES, choose, language, languageName, languageTag, t } from "../i18n/language";
import { Icon } from "./icons";

const [shown, setShown] = createSignal(false);

export const showLanguages = (): void => void setShown(true);

export function LanguageDialog(): JSX.Element {
  let dialog!: HTMLDialogElement;
  // Of `shown` alone: moving the focus calls handlers at once, and what they read would count as read here.
  createEffect(
    on(shown, (now) => {
      if (!now || dialog.open) return;
      dialog.showModal();
      dialog.querySelector<HTMLElement>("[aria-current='true']")?.focus();
    }),
  );
  /** Up and down among the languages; no key goes on to the page below. */
  const onKey = (event: KeyboardEvent) => {
    event.stopPropagation();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = [...dialog.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    buttons[(at + step + buttons.length) % buttons.length]?.focus();
  };
  return (
    <dialog
      ref={dialog}
      class="languages"
      aria-label={t().language.title}
      onClose={() => setShown(false)}
      onClick={(event) => event.target === dialog && dialog.close()}
      on:keydown={onKey}
    >
      <ul>
        <For each={LANGUAGES}>
          {(code) => (
            <li>
              <button
                type="button"
                class="menu-item"
                lang={languageTag(code)}
                aria-current={language() === code}
                onClick={() => {
                  void choose(code);
                  dialog.close();
                }}
              >
                <span class="grow">{languageName(code)}</span>
                {language() === code && <Icon name="check" />}
              </button>
            </li>
          )}
        </For>
      </ul>
    </dialog>
  );
}

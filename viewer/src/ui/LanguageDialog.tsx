/** The languages by their own names; the one chosen is spoken at once. Opened from the list and from the viewer. */
import { For, Show, createEffect, createSignal, on, type JSX } from "solid-js";
import { LANGUAGES, choose, language, languageName, languageTag, t, type Language } from "../i18n/language";
import { Icon } from "./icons";

const [shown, setShown] = createSignal(false);

export const showLanguages = (): void => void setShown(true);

export function LanguageDialog(): JSX.Element {
  let dialog!: HTMLDialogElement;
  const [isFailed, setFailed] = createSignal(false);
  const use = async (code: Language) => {
    try {
      await choose(code);
      dialog.close();
    } catch {
      setFailed(true); // The messages could not be fetched; what is spoken stays.
    }
  };
  // Of `shown` alone: moving the focus calls handlers at once, and what they read would count as read here.
  createEffect(
    on(shown, (now) => {
      if (!now || dialog.open) return;
      setFailed(false);
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
                onClick={() => void use(code)}
              >
                <span class="grow">{languageName(code)}</span>
                {language() === code && <Icon name="check" />}
              </button>
            </li>
          )}
        </For>
      </ul>
      <Show when={isFailed()}>
        <p class="languages-failed" role="alert">
          {t().errors.unreachable.message}
        </p>
      </Show>
    </dialog>
  );
}

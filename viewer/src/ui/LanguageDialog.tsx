/** The languages by their own names; the one chosen is spoken at once. */
import { For, Show, createSignal, onMount, type JSX } from "solid-js";
import { LANGUAGES, choose, language, languageName, languageTag, t, type Language } from "../i18n/language";
import { Icon } from "./icons";
import { hideLanguages } from "./languages";

export default function LanguageDialog(): JSX.Element {
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
  onMount(() => {
    dialog.showModal();
    dialog.querySelector<HTMLElement>("[aria-current='true']")?.focus();
  });
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
      onClose={hideLanguages}
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

/** Searches that were saved: chosen, made and removed at the search field. */
import { Popover } from "@kobalte/core/popover";
import { For, Show, createSignal, type JSX } from "solid-js";
import type { StudyFilter } from "../api/studies";
import { t } from "../i18n/language";
import { isSame, keepSearches, searches, withSaved, type SavedSearch } from "../state/searches";
import { EVERYTHING } from "../state/studies";
import { Icon } from "./icons";

export interface SearchesMenuProps {
  readonly filter: StudyFilter;
  /** The filter in a few words. */
  readonly inWords: (filter: StudyFilter) => string;
  readonly onChoose: (filter: StudyFilter) => void;
}

const LONGEST_NAME = 60;

export function SearchesMenu(props: SearchesMenuProps): JSX.Element {
  const [open, setOpen] = createSignal(false);
  const [removed, setRemoved] = createSignal<SavedSearch | null>(null);
  let name!: HTMLInputElement;
  const canSave = () => !isSame(props.filter, EVERYTHING);
  const change = (isOpen: boolean) => {
    setOpen(isOpen);
    setRemoved(null);
  };
  const save = (event: SubmitEvent) => {
    event.preventDefault();
    const { words, modalities, days } = props.filter;
    const called = name.value.trim() || props.inWords(props.filter);
    keepSearches(withSaved(searches(), { name: called, filter: { words: words.trim(), modalities: [...modalities], days } }));
    change(false);
  };
  const choose = (filter: StudyFilter) => {
    change(false);
    props.onChoose(filter);
  };
  const remove = (search: SavedSearch) => {
    keepSearches(searches().filter((one) => one !== search));
    setRemoved(search);
  };
  const putBack = (search: SavedSearch) => {
    keepSearches(withSaved(searches(), search));
    setRemoved(null);
  };
  return (
    <Popover open={open()} onOpenChange={change} gutter={8} placement="bottom-end">
      <Popover.Trigger class="tool small saved-button" aria-label={t().searches.title} title={t().searches.title}>
        <Icon name="bookmark" />
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content class="menu searches-menu" aria-label={t().searches.title}>
          <p class="menu-title">{t().searches.title}</p>
          <Show when={searches().length === 0 && !removed()}>
            <p class="menu-words">{t().searches.none}</p>
          </Show>
          <ul>
            <For each={searches()}>
              {(search) => (
                <li class="saved-search">
                  <button
                    type="button"
                    class="menu-item grow"
                    aria-current={isSame(search.filter, props.filter)}
                    onClick={() => choose(search.filter)}
                  >
                    <span class="grow">{search.name}</span>
                    <Show when={props.inWords(search.filter) !== search.name}>
                      <span class="aside">{props.inWords(search.filter)}</span>
                    </Show>
                  </button>
                  <button
                    type="button"
                    class="tool small"
                    aria-label={`${t().searches.remove}: ${search.name}`}
                    title={t().searches.remove}
                    onClick={() => remove(search)}
                  >
                    <Icon name="close" />
                  </button>
                </li>
              )}
            </For>
          </ul>
          <Show when={removed()}>
            {(search) => (
              <button type="button" class="menu-item put-back" onClick={() => putBack(search())}>
                <Icon name="undo" /> {t().searches.putBack(search().name)}
              </button>
            )}
          </Show>
          <Show when={canSave()}>
            <hr class="menu-line" />
            <form class="save-search" onSubmit={save}>
              <input
                ref={name}
                type="text"
                aria-label={t().searches.name}
                placeholder={props.inWords(props.filter)}
                maxLength={LONGEST_NAME}
                autocomplete="off"
              />
              <button type="submit" class="button">
                {t().searches.save}
              </button>
            </form>
          </Show>
        </Popover.Content>
      </Popover.Portal>
    </Popover>
  );
}

/** Other studies of the patient, one step from the head of the viewer. */
import { Popover } from "@kobalte/core/popover";
import { For, Show, createSignal, type JSX } from "solid-js";
import { dateInWords, listed, modalityInWords } from "../dicom/words";
import { t } from "../i18n/study";
import type { Prior, Priors } from "../state/priors";
import { ErrorNote } from "./controls";
import { Kinds } from "./Kinds";
import { Icon } from "./icons";

export interface PriorsMenuProps {
  readonly priors: Priors;
  readonly address: (study: string) => string;
  readonly onOpen: (study: string) => void;
  /** What is said where there is none. */
  readonly none: string;
}

export function PriorsMenu(props: PriorsMenuProps): JSX.Element {
  const [open, setOpen] = createSignal(false);
  const studies = () => props.priors.studies();
  const change = (isOpen: boolean) => {
    setOpen(isOpen);
    if (isOpen) props.priors.load();
  };
  /** Up and down among the studies; no key goes on to the images below. */
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Escape" || event.key === "Tab") return;
    event.stopPropagation();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const links = [...(event.currentTarget as HTMLElement).querySelectorAll("a")];
    const at = links.indexOf(document.activeElement as HTMLAnchorElement);
    links[at === -1 ? 0 : (at + step + links.length) % links.length]?.focus();
  };
  return (
    <Popover open={open()} onOpenChange={change} gutter={6} placement="bottom-start">
      <Popover.Trigger
        class="priors-button"
        classList={{ none: studies()?.length === 0 }}
        title={t().priors.title}
      >
        <Icon name="history" />
        <span>{t().priors.short}</span>
        <span class="priors-count">{studies()?.length ?? ""}</span>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content class="menu priors-menu" aria-label={t().priors.title} on:keydown={onKey}>
          <p class="menu-title">{t().priors.title}</p>
          <Show when={studies()} fallback={<NotYet priors={props.priors} />}>
            {(found) => (
              <>
                <Show when={found().length === 0}>
                  <p class="menu-words">{props.none}</p>
                </Show>
                <ul>
                  <For each={found()}>
                    {(prior) => <PriorLink prior={prior} address={props.address} onOpen={props.onOpen} />}
                  </For>
                </ul>
              </>
            )}
          </Show>
        </Popover.Content>
      </Popover.Portal>
    </Popover>
  );
}

function NotYet(props: { readonly priors: Priors }): JSX.Element {
  return (
    <Show when={props.priors.error()} keyed fallback={<p class="menu-words">{t().priors.opening}</p>}>
      {(error) => <ErrorNote error={error} onRetry={() => props.priors.load()} />}
    </Show>
  );
}

interface PriorLinkProps extends Omit<PriorsMenuProps, "priors" | "none"> {
  readonly prior: Prior;
}

function PriorLink(props: PriorLinkProps): JSX.Element {
  const open = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    props.onOpen(props.prior.uid);
  };
  return (
    <li>
      <a class="menu-item prior" href={props.address(props.prior.uid)} onClick={open} draggable={false}>
        <span>{dateInWords(props.prior.date) || t().list.noDate}</span>
        <Kinds codes={props.prior.modalities} />
        <span class="grow">
          {props.prior.description || listed(props.prior.modalities.map(modalityInWords), ", ")}
        </span>
      </a>
    </li>
  );
}

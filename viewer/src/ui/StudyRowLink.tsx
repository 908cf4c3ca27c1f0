/** One study: a row on a desk, a card on a phone. A link, so that it opens in a new tab as well. */
import { For, Show, type JSX } from "solid-js";
import type { StudyRow } from "../api/studies";
import {
  ageInWords,
  dateInWords,
  listed,
  modalityInWords,
  nameInWords,
  sexInWords,
  timeInWords,
} from "../dicom/words";
import { t } from "../i18n/language";
import { Thumbnail } from "./Thumbnail";

export interface StudyRowLinkProps {
  /** Undefined while it has not come: its place is kept, and can have the focus. */
  readonly study: StudyRow | undefined;
  readonly address: (study: string) => string;
  readonly onOpen: (study: string) => void;
  /** Whether the tabulator key stops here; within the list the arrow keys move. */
  readonly reached: boolean;
  readonly onFocus: () => void;
}

export function StudyRowLink(props: StudyRowLinkProps): JSX.Element {
  const open = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0 || !props.study) return;
    event.preventDefault();
    props.onOpen(props.study.studyUid);
  };
  return (
    <a
      class="study"
      classList={{ ghost: !props.study }}
      href={props.study && props.address(props.study.studyUid)}
      tabIndex={props.reached ? 0 : -1}
      aria-busy={!props.study}
      onClick={open}
      onFocus={() => props.onFocus()}
      draggable={false}
    >
      <Show when={props.study} fallback={<span class="seen-by-readers">{t().list.coming}</span>}>
        {(study) => <Cells study={study()} />}
      </Show>
    </a>
  );
}

function Cells(props: { readonly study: StudyRow }): JSX.Element {
  const study = () => props.study;
  return (
    <>
      <Thumbnail address={study().thumbnail} />
      <span class="who">
        <strong>{nameInWords(study().patientName)}</strong>
        <small>
          {listed([
            study().patientId,
            sexInWords(study().patientSex),
            ageInWords(study().patientBirthDate, study().studyDate),
          ])}
        </small>
      </span>
      <span class="what">
        <span classList={{ unsaid: !study().description }}>
          {study().description || listed(study().modalities.map(modalityInWords), ", ") || t().list.noDescription}
        </span>
        <small>{study().accession}</small>
      </span>
      <span class="kinds">
        <For each={study().modalities}>
          {(code) => (
            <span class="chip" title={modalityInWords(code)}>
              {code}
            </span>
          )}
        </For>
      </span>
      <span class="when">
        <span>{dateInWords(study().studyDate) || t().list.noDate}</span>
        <small>{timeInWords(study().studyTime)}</small>
      </span>
      <span class="size">
        <span>{t().counts.objects(study().instances)}</span>
        <Show when={study().series > 0}>
          <small>{t().counts.series(study().series)}</small>
        </Show>
      </span>
    </>
  );
}

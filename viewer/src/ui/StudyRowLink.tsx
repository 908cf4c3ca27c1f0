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
  readonly study: StudyRow;
  readonly address: string;
  readonly onOpen: () => void;
}

export function StudyRowLink(props: StudyRowLinkProps): JSX.Element {
  const study = () => props.study;
  const open = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    props.onOpen();
  };
  return (
    <a class="study" href={props.address} onClick={open} draggable={false}>
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
    </a>
  );
}

/** One study: a row on a desk, a card on a phone. A link, so that it opens in a new tab as well. */
import { Kinds } from "./Kinds";
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
import type { ColumnId } from "../state/columns";
import { Thumbnail } from "./Thumbnail";

export interface StudyRowLinkProps {
  /** Undefined while it has not come: its place is kept, and can have the focus. */
  readonly study: StudyRow | undefined;
  readonly columns: readonly ColumnId[];
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
        {(study) => <Cells study={study()} columns={props.columns} />}
      </Show>
    </a>
  );
}

interface CellProps {
  readonly study: StudyRow;
  readonly columns: readonly ColumnId[];
}

/** The columns of a row. What a chosen column says is not said again below another one. */
const CELLS: Readonly<Record<ColumnId, (props: CellProps) => JSX.Element>> = {
  name: (props) => {
    const age = () => ageInWords(props.study.patientBirthDate, props.study.studyDate);
    return (
      <span class="who">
        <strong>{nameInWords(props.study.patientName)}</strong>
        <Show when={unless("id", props) || unless("sex", props) || unless("born", props)}>
          <small>
            {listed([
              unless("id", props) && props.study.patientId,
              unless("sex", props) && sexInWords(props.study.patientSex),
              unless("born", props) && age(),
            ])}
          </small>
        </Show>
      </span>
    );
  },
  id: (props) => <span class="one">{props.study.patientId}</span>,
  born: (props) => (
    <span class="one">
      {dateInWords(props.study.patientBirthDate)}
      <small>{ageInWords(props.study.patientBirthDate, props.study.studyDate)}</small>
    </span>
  ),
  sex: (props) => <span class="one">{sexInWords(props.study.patientSex)}</span>,
  description: (props) => (
    <span class="what">
      <span classList={{ unsaid: !props.study.description }}>
        {props.study.description || listed(props.study.modalities.map(modalityInWords), ", ") || t().list.noDescription}
      </span>
      <Show when={unless("accession", props)}>
        <small>{props.study.accession}</small>
      </Show>
    </span>
  ),
  accession: (props) => <span class="one">{props.study.accession}</span>,
  modality: (props) => (
    <Kinds codes={props.study.modalities} />
  ),
  referring: (props) => (
    <span class="one">{props.study.referringPhysician && nameInWords(props.study.referringPhysician)}</span>
  ),
  when: (props) => (
    <span class="when">
      <span>{dateInWords(props.study.studyDate) || t().list.noDate}</span>
      <small>{timeInWords(props.study.studyTime)}</small>
    </span>
  ),
  series: (props) => <span class="one">{t().counts.series(props.study.series)}</span>,
  images: (props) => (
    <span class="size">
      <span>{t().counts.objects(props.study.instances)}</span>
      <Show when={unless("series", props) && props.study.series > 0}>
        <small>{t().counts.series(props.study.series)}</small>
      </Show>
    </span>
  ),
};

function unless(id: ColumnId, { columns }: CellProps): true | undefined {
  return columns.includes(id) ? undefined : true;
}

function Cells(props: CellProps): JSX.Element {
  return (
    <>
      <Thumbnail address={props.study.thumbnail} />
      <For each={props.columns}>{(id) => CELLS[id](props)}</For>
    </>
  );
}

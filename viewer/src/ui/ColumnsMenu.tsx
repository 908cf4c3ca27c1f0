/** Which columns the study list has, and in which order. */
import { Popover } from "@kobalte/core/popover";
import { For, type JSX } from "solid-js";
import { t } from "../i18n/language";
import {
  ALWAYS,
  COLUMNS,
  USUAL_COLUMNS,
  chooseColumns,
  columns,
  withMoved,
  withToggled,
  type ColumnId,
} from "../state/columns";
import { Icon } from "./icons";

export function ColumnsMenu(): JSX.Element {
  const offered = () => [...columns(), ...COLUMNS.filter((id) => !columns().includes(id))];
  return (
    <Popover gutter={6} placement="bottom-end">
      <Popover.Trigger class="tool columns-button" aria-label={t().columns.title} title={t().columns.title}>
        <Icon name="columns" />
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content class="menu columns-menu" aria-label={t().columns.title}>
          <p class="menu-title">{t().columns.title}</p>
          <ul>
            <For each={offered()}>{(id) => <Column id={id} />}</For>
          </ul>
          <hr class="menu-line" />
          <button type="button" class="menu-item" onClick={() => chooseColumns(USUAL_COLUMNS)}>
            {t().columns.usual}
          </button>
        </Popover.Content>
      </Popover.Portal>
    </Popover>
  );
}

function Column(props: { readonly id: ColumnId }): JSX.Element {
  const place = () => columns().indexOf(props.id);
  /** The focus stays with the column that is moved, so that it can be moved on. */
  const move = (event: MouseEvent, by: 1 | -1) => {
    const button = event.currentTarget as HTMLElement;
    chooseColumns(withMoved(columns(), props.id, by));
    button.focus();
  };
  return (
    <li class="column-choice">
      <label class="menu-item grow">
        <input
          type="checkbox"
          checked={place() !== -1}
          disabled={props.id === ALWAYS}
          onChange={() => chooseColumns(withToggled(columns(), props.id))}
        />
        {t().columns.names[props.id]}
      </label>
      <button
        type="button"
        class="tool small"
        aria-label={`${t().columns.up}: ${t().columns.names[props.id]}`}
        title={t().columns.up}
        disabled={place() < 1}
        onClick={(event) => move(event, -1)}
      >
        <Icon name="up" />
      </button>
      <button
        type="button"
        class="tool small"
        aria-label={`${t().columns.down}: ${t().columns.names[props.id]}`}
        title={t().columns.down}
        disabled={place() === -1 || place() === columns().length - 1}
        onClick={(event) => move(event, 1)}
      >
        <Icon name="down" />
      </button>
    </li>
  );
}

/** How thick a slice of a volume is, and what is seen of so many layers. */
import { Popover } from "@kobalte/core/popover";
import { createSignal, type JSX } from "solid-js";
import { PROJECTIONS, type Slab } from "../dicom/volume";
import { numberInWords } from "../i18n/language";
import { t } from "../i18n/study";
import { OneOf } from "./controls";
import { Icon } from "./icons";
import { menuPlacement } from "./room";

export interface SlabMenuProps {
  readonly slab: Slab | null;
  readonly onChoose: (slab: Slab | null) => void;
}

const THICKNESSES_MM = [5, 10, 20, 40, 80] as const;
const USUAL_MM = 10;

export function SlabMenu(props: SlabMenuProps): JSX.Element {
  // What was chosen, which is not quite what is shown: a slab holds whole slices.
  const [mm, setMm] = createSignal<number>(USUAL_MM);
  const words = () => t().volume.slab;
  const projections = () => [
    { value: null, words: words().slice },
    ...PROJECTIONS.map((value) => ({ value, words: words()[value], title: words()[`${value}Title`] })),
  ];
  const thicknesses = () => THICKNESSES_MM.map((value) => ({ value, words: words().mm(numberInWords(value, 0)) }));
  const thicken = (value: number) => {
    setMm(value);
    props.onChoose({ projection: props.slab?.projection ?? "greatest", mm: value });
  };
  return (
    <Popover gutter={6} placement={menuPlacement()}>
      <Popover.Trigger class="tool" aria-label={words().title} title={words().title} aria-pressed={props.slab !== null}>
        <Icon name="slab" />
        <span class="tool-words">{words().title}</span>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content class="menu slab-menu" aria-label={words().title}>
          <OneOf
            label={words().projection}
            choices={projections()}
            value={props.slab?.projection ?? null}
            onChoose={(projection) => props.onChoose(projection && { projection, mm: mm() })}
          />
          <OneOf
            label={words().thickness}
            choices={thicknesses()}
            value={props.slab ? mm() : null}
            onChoose={(value) => value !== null && thicken(value)}
          />
        </Popover.Content>
      </Popover.Portal>
    </Popover>
  );
}

/** Which modalities a study has, as quiet marks. */
import { For, type JSX } from "solid-js";
import { modalityInWords } from "../dicom/words";

export function Kinds(props: { readonly codes: readonly string[] }): JSX.Element {
  return (
    <span class="kinds">
      <For each={props.codes}>
        {(code) => (
          <span class="chip" title={modalityInWords(code)}>
            {code}
          </span>
        )}
      </For>
    </span>
  );
}

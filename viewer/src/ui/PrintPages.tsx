/** Pages as they are printed. A millimetre of them is as long as `--mm` says. */
import { For, Show, type JSX } from "solid-js";
import { rulerOf, type Box, type PageLayout } from "../state/printing";
import type { PageWords } from "./exportscene";

export interface PrintPagesProps {
  readonly layout: PageLayout;
  readonly words: PageWords;
  /** Addresses of pictures, page by page; null for one that is not made yet. */
  readonly pages: readonly (readonly (string | null)[])[];
  readonly pageWords: (page: number, of: number) => string;
  readonly rulerWords: ((mm: number) => string) | null;
}

function placed({ x, y, width, height }: Box): JSX.CSSProperties {
  const mm = (value: number) => `calc(var(--mm) * ${value})`;
  return { left: mm(x), top: mm(y), width: mm(width), height: mm(height) };
}

export function PrintPages(props: PrintPagesProps): JSX.Element {
  const ruler = () => rulerOf(props.layout.footer.width);
  return (
    <For each={props.pages}>
      {(pictures, index) => (
        <article
          class="print-page"
          aria-label={props.pageWords(index() + 1, props.pages.length)}
          style={{ "--wide": props.layout.width, "--high": props.layout.height }}
        >
          <header class="print-header" style={placed(props.layout.header)}>
            <strong>{props.words.names.join("  ")}</strong>
            <span class="print-study">{props.words.study}</span>
            <span>{props.words.patient.join("  ·  ")}</span>
            <span class="print-study">{props.words.when.join("  ·  ")}</span>
          </header>
          <For each={pictures}>
            {(address, place) => (
              <div class="print-box" style={placed(props.layout.boxes[place()]!)}>
                <Show when={address}>{(source) => <img src={source()} alt="" />}</Show>
              </div>
            )}
          </For>
          <footer class="print-footer" style={placed(props.layout.footer)}>
            <Show when={props.rulerWords}>
              {(words) => (
                <>
                  <i class="print-ruler" style={{ width: `calc(var(--mm) * ${ruler()})` }} />
                  <span>{words()(ruler())}</span>
                </>
              )}
            </Show>
            <span class="print-number">{props.pageWords(index() + 1, props.pages.length)}</span>
          </footer>
        </article>
      )}
    </For>
  );
}

/** Where in the stack the image is; drag to go elsewhere. */
import type { JSX } from "solid-js";
import { t } from "../i18n/study";

export interface ScrubberProps {
  readonly index: number;
  readonly count: number;
  readonly onGo: (index: number) => void;
}

export function Scrubber(props: ScrubberProps): JSX.Element {
  let track!: HTMLDivElement;
  const go = (event: PointerEvent) => {
    const box = track.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientY - box.top) / box.height));
    props.onGo(Math.round(share * (props.count - 1)));
  };
  const start = (event: PointerEvent) => {
    track.setPointerCapture(event.pointerId);
    go(event);
  };
  const share = () => (props.count > 1 ? props.index / (props.count - 1) : 0);
  return (
    <div
      ref={track}
      class="scrubber"
      role="slider"
      aria-orientation="vertical"
      aria-label={t().scrubber}
      aria-valuemin={1}
      aria-valuemax={props.count}
      aria-valuenow={props.index + 1}
      onPointerDown={start}
      onPointerMove={(event) => track.hasPointerCapture(event.pointerId) && go(event)}
    >
      <div class="scrubber-thumb" style={{ "--share": share().toFixed(4) }} />
    </div>
  );
}

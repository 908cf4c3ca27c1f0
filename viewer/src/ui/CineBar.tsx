/** While a stack plays: how fast, faster, slower, stop. */
import type { JSX } from "solid-js";
import { t } from "../i18n/study";

export interface CineBarProps {
  readonly rate: number;
  readonly onRate: (rate: number) => void;
  readonly onStop: () => void;
}

/** Steps that feel even at every speed. */
function step(rate: number): number {
  return rate < 10 ? 1 : 5;
}

export function CineBar(props: CineBarProps): JSX.Element {
  return (
    <div class="cine" role="group" aria-label={t().cine.title}>
      <button type="button" class="tool" aria-label={t().cine.slower} onClick={() => props.onRate(props.rate - step(props.rate - 1))}>
        −
      </button>
      <span>{t().cine.rate(props.rate)}</span>
      <button type="button" class="tool" aria-label={t().cine.faster} onClick={() => props.onRate(props.rate + step(props.rate))}>
        +
      </button>
      <button type="button" class="button plain" onClick={() => props.onStop()}>
        {t().cine.stop}
      </button>
    </div>
  );
}

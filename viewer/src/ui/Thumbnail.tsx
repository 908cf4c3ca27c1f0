/** A small picture in a place that is kept for it, in which it fades in if it comes late; its absence moves nothing. */
import { Show, createEffect, createMemo, createSignal, on, type JSX } from "solid-js";
import { Icon, type IconName } from "./icons";

const LATE_MS = 400;

export interface ThumbnailProps {
  readonly address: string | null;
  readonly icon?: IconName;
}

export function Thumbnail(props: ThumbnailProps): JSX.Element {
  const [shown, setShown] = createSignal(false);
  const [broken, setBroken] = createSignal(false);
  const [late, setLate] = createSignal(false);
  let askedAt = 0;
  // A memo, so that a new reason for the same address does not hide the picture again.
  const address = createMemo(() => props.address);
  createEffect(
    on(address, () => {
      setShown(false);
      setBroken(false);
      askedAt = performance.now();
    }),
  );
  return (
    <span class="thumbnail">
      <Show when={address() && !broken()} fallback={<Icon name={props.icon ?? "file"} />}>
        <img
          src={address()!}
          alt=""
          loading="lazy"
          decoding="async"
          draggable={false}
          classList={{ shown: shown(), late: late() }}
          onLoad={() => {
            setLate(performance.now() - askedAt > LATE_MS);
            setShown(true);
          }}
          onError={() => setBroken(true)}
        />
      </Show>
    </span>
  );
}

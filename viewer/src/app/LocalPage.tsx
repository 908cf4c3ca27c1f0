/** The studies that were read from files on this device, as a list of their own. */
import { Show, createEffect, type JSX } from "solid-js";
import { t } from "../i18n/study";
import { ToolButton } from "../ui/controls";
import { DropZone } from "../ui/DropZone";
import { Icon } from "../ui/icons";
import { LocalMark, LocalStudies, NothingHere } from "../ui/LocalStudies";
import { OpenFiles } from "../ui/OpenFiles";
import { localFiles, readHere, store } from "./localfiles";
import { backToList, localAddress, openLocalStudy } from "./router";

export default function LocalPage(): JSX.Element {
  createEffect(() => {
    document.title = `${t().local.title} · Gantry`;
  });
  return (
    <div class="page">
      <DropZone onRead={(files) => void readHere(files)} onStore={(files) => void store(files)}>
        <header class="local-head">
          <button type="button" class="tool" aria-label={t().viewer.back} title={t().viewer.back} onClick={backToList}>
            <Icon name="arrowLeft" />
          </button>
          <h1>{t().local.title}</h1>
          <LocalMark />
          <div class="head-end">
            <OpenFiles onRead={(files) => void readHere(files)} onStore={(files) => void store(files)} />
            <Show when={localFiles()?.state().total}>
              <ToolButton icon="trash" words={t().local.forget} onUse={() => localFiles()?.forget()} />
            </Show>
          </div>
        </header>
        <main class="local-body">
          <p class="local-words">{t().local.markWords}</p>
          <Show when={localFiles()?.state().total || localFiles()?.state().busy} fallback={<NothingHere />}>
            <LocalStudies local={localFiles()!} address={localAddress} onOpen={openLocalStudy} />
          </Show>
        </main>
      </DropZone>
    </div>
  );
}

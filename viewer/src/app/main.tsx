/** Starts the page. The viewer is a part of its own, fetched when a study is opened. */
import { Show, Suspense, createMemo, lazy } from "solid-js";
import { render } from "solid-js/web";
import "@fontsource-variable/inter/wght.css";
import "../ui/styles/tokens.css";
import "../ui/styles/base.css";
import "../ui/styles/list.css";
import "../ui/styles/local.css";
// The viewer's stand here as well: were they its own, it would wait for them once more.
// What a narrow screen changes stands in the last of them.
import "../ui/styles/keys.css";
import "../ui/styles/lens.css";
import "../ui/styles/measure.css";
import "../ui/styles/priors.css";
import "../ui/styles/sheet.css";
import "../ui/styles/volume.css";
import "../ui/styles/viewer.css";
import { speakChosen } from "../i18n/language";
import { languagesAsked } from "../ui/languages";
import { beginWithPicture } from "../api/firstpicture";
import { keepShell } from "../api/shell";
import { applyTheme } from "../ui/theme";
import { StudiesPage } from "./StudiesPage";
import { localFiles } from "./localfiles";
import { followHistory, place } from "./router";
import { uploads } from "./uploads";

/** A page that says what is said of studies, once it can say it. */
async function spoken<Page>(page: Promise<Page>): Promise<Page> {
  const [made, { studySpoken }] = await Promise.all([page, import("../i18n/study")]);
  await studySpoken;
  return made;
}

const fetchStudyPage = () => spoken(import("./StudyPage"));
const StudyPage = lazy(fetchStudyPage);
const UploadPanel = lazy(() => import("../ui/UploadPanel"));
const LanguageDialog = lazy(() => import("../ui/LanguageDialog"));
const LocalPage = lazy(() => spoken(import("./LocalPage")));

function App() {
  /** The study that is open; none where it was only on this device and is gone. */
  const opened = () => {
    const now = place();
    return now.page === "study" && !(now.isLocal && !localFiles()?.has(now.link.study)) ? now : undefined;
  };
  /** A study that a link opens waits for nothing of the list. */
  const wasListed = createMemo<boolean>((before) => before || place().page === "list", false);
  return (
    <>
      {/* The list stays as it was left while a study is open: search, rows and scroll position. */}
      <Show when={wasListed()}>
        <div class="page" hidden={place().page !== "list"}>
          <StudiesPage active={place().page === "list"} />
        </div>
      </Show>
      <Show when={place().page !== "list" && !opened()}>
        <Suspense fallback={<div class="page" aria-busy="true" />}>
          <LocalPage />
        </Suspense>
      </Show>
      <Show when={opened()} keyed>
        {(asked) => (
          <Suspense fallback={<div class="page black" aria-busy="true" />}>
            <StudyPage link={asked.link} local={(asked.isLocal && localFiles()) || undefined} />
          </Suspense>
        )}
      </Show>
      <Show when={(uploads()?.state.total ?? 0) > 0 && uploads()}>
        {(queue) => (
          <Suspense>
            <UploadPanel uploads={queue()} />
          </Suspense>
        )}
      </Show>
      <Show when={languagesAsked()}>
        <Suspense>
          <LanguageDialog />
        </Suspense>
      </Show>
    </>
  );
}

/** The viewer's code comes while a list is looked at, so that opening a study waits for images only. */
function fetchViewerWhenIdle(): void {
  const idle = globalThis.requestIdleCallback ?? ((work: () => void) => setTimeout(work, 1500));
  idle(() => void fetchStudyPage());
}

applyTheme();
followHistory();
if (place().page === "study") {
  beginWithPicture();
  void fetchStudyPage();
}
void speakChosen().then(() => render(() => <App />, document.getElementById("app")!));
if (place().page !== "study") fetchViewerWhenIdle();
keepShell();

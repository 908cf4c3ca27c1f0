/** Starts the page. The viewer is a part of its own, fetched when a study is opened. */
import { Show, Suspense, lazy } from "solid-js";
import { render } from "solid-js/web";
import "@fontsource-variable/inter/wght.css";
import "../ui/styles/tokens.css";
import "../ui/styles/base.css";
import "../ui/styles/list.css";
import { speakChosen } from "../i18n/language";
import { LanguageDialog } from "../ui/LanguageDialog";
import { keepShell } from "../api/shell";
import { applyTheme } from "../ui/theme";
import { StudiesPage } from "./StudiesPage";
import { followHistory, place } from "./router";

const StudyPage = lazy(() => import("./StudyPage"));

function App() {
  const link = () => {
    const now = place();
    return now.page === "study" ? now.link : undefined;
  };
  return (
    <>
      {/* The list stays as it was left while a study is open: search, rows and scroll position. */}
      <div class="page" hidden={place().page !== "list"}>
        <StudiesPage active={place().page === "list"} />
      </div>
      <Show when={link()} keyed>
        {(asked) => (
          <Suspense fallback={<div class="page black" aria-busy="true" />}>
            <StudyPage link={asked} />
          </Suspense>
        )}
      </Show>
      <LanguageDialog />
    </>
  );
}

/** The viewer's code comes while the list is looked at, so that opening a study waits for images only. */
function fetchViewerWhenIdle(): void {
  const idle = globalThis.requestIdleCallback ?? ((work: () => void) => setTimeout(work, 1500));
  idle(() => void import("./StudyPage"));
}

applyTheme();
followHistory();
void speakChosen().then(() => render(() => <App />, document.getElementById("app")!));
if (place().page === "list") fetchViewerWhenIdle();
keepShell();

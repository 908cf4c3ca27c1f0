/** Hears of what the archive commits: `GET /api/changes` as server-sent events, from now on. */

/** A burst of commits is one change to a reader. */
const QUIET_MS = 700;

/**
 * Calls `onChange` after commits, and after coming back to the page. Listens only while the page
 * can be seen: every listener holds one of the six connections a browser opens to a server.
 */
export function followChanges(onChange: () => void): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const changed = () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      onChange();
    }, QUIET_MS);
  };
  const follow = () => {
    source?.close();
    source = undefined;
    if (document.visibilityState === "hidden") return;
    source = new EventSource("/api/changes?after=now");
    source.addEventListener("change", changed);
  };
  const comeOrGo = () => {
    if (document.visibilityState !== "hidden") changed();
    follow();
  };

  document.addEventListener("visibilitychange", comeOrGo);
  follow();
  return () => {
    document.removeEventListener("visibilitychange", comeOrGo);
    clearTimeout(timer);
    source?.close();
  };
}

/** Hears of what the archive commits: `GET /api/changes` as server-sent events. */

/**
 * Calls `onChange` after changes, at most once per `quietMs`. Listens only while the page can be
 * seen: every listener holds one of the six connections a browser opens to a server.
 */
export function followChanges(onChange: () => void, quietMs = 800): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const changed = () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      onChange();
    }, quietMs);
  };
  const open = () => {
    source ??= new EventSource("/api/changes?after=now");
    for (const kind of ["message", "change"]) source.addEventListener(kind, changed);
  };
  const close = () => {
    source?.close();
    source = undefined;
  };
  const follow = () => {
    if (document.visibilityState === "hidden") return close();
    if (!source) changed();
    open();
  };

  document.addEventListener("visibilitychange", follow);
  if (document.visibilityState !== "hidden") open();
  return () => {
    document.removeEventListener("visibilitychange", follow);
    clearTimeout(timer);
    close();
  };
}

/**
 * Hears of what the archive commits: `GET /api/changes`, waiting.
 *
 * The list only wants to know that something happened, not what: it asks for what comes after a
 * number that is never reached, so that an answer is small, comes with the next commit, and needs
 * no history to be read first.
 */
import { ApiError, getJson, isCancelled } from "./http";

const NEVER_REACHED = Number.MAX_SAFE_INTEGER;
const WAIT_S = 25;
/** A burst of commits is one change to a reader. */
const QUIET_MS = 700;
const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 60_000;

/**
 * Calls `onChange` after commits, and after coming back to the page. Listens only while the page
 * can be seen: every listener holds one of the six connections a browser opens to a server.
 */
export function followChanges(onChange: () => void): () => void {
  let listening: AbortController | undefined;

  const follow = () => {
    listening?.abort();
    listening = undefined;
    if (document.visibilityState === "hidden") return;
    listening = new AbortController();
    void listen(onChange, listening.signal);
  };
  const comeBack = () => {
    if (document.visibilityState !== "hidden") onChange();
    follow();
  };

  document.addEventListener("visibilitychange", comeBack);
  follow();
  return () => {
    document.removeEventListener("visibilitychange", comeBack);
    listening?.abort();
  };
}

async function listen(onChange: () => void, signal: AbortSignal): Promise<void> {
  let pauseMs = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      await getJson(`/api/changes?after=${NEVER_REACHED}&limit=1&wait=${WAIT_S}`, signal);
      await pause(QUIET_MS);
      if (!signal.aborted) onChange();
      pauseMs = FIRST_PAUSE_MS;
    } catch (error) {
      if (isCancelled(error)) return;
      // Asked for wrongly it would be asked for wrongly again.
      if (error instanceof ApiError && error.status >= 400 && error.status < 500) return;
      await pause(pauseMs);
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

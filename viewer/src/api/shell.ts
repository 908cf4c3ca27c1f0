/** Keeps the program itself on this device, so that the page opens without a network. */

const AFTER_MS = 4000;

export function keepShell(): void {
  if (!("serviceWorker" in navigator) || !globalThis.isSecureContext) return;
  // What is looked at comes first. Without a service worker the page works as well, but for the network.
  setTimeout(() => void navigator.serviceWorker.register("/shell-worker.js").catch(() => undefined), AFTER_MS);
}

/** Text to the clipboard, also where browsers keep the asynchronous one from a page: on plain http to another machine. */

/** False where the browser lets nothing be copied; said in words then, by whoever asked. */
export async function copyText(text: string): Promise<boolean> {
  // Undefined outside secure contexts, whatever the types say.
  const clipboard = navigator.clipboard as Clipboard | undefined;
  if (clipboard) {
    const isCopied = await clipboard.writeText(text).then(() => true, () => false);
    if (isCopied) return true;
  }
  return copySelected(text);
}

/** Selects it in a field out of sight, which is there only for that. */
function copySelected(text: string): boolean {
  const before = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.readOnly = true;
  // Wherever the page is scrolled to, it stays there.
  field.style.position = "fixed";
  field.style.top = "0";
  // Behind a dialog that is open nothing can be selected.
  (before?.closest("dialog[open]") ?? document.body).append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  if (before instanceof HTMLElement) before.focus();
  return isCopied;
}

// What all parts of the page share: its elements, its buttons, and how it writes numbers and failures.

/** @throws Error when the page has no such element */
export const byId = <T extends Element>(id: string): T => {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found as unknown as T;
};

/** What went wrong or is awaited, on the page; nothing for an empty text. */
export function notice(text: string): void {
  const box = byId<HTMLElement>('notice');
  box.hidden = text === '';
  box.textContent = text;
}

/** A button that can be pressed in. */
export function button(label: string, pressed: boolean, action: () => void): HTMLButtonElement {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = label;
  made.setAttribute('aria-pressed', String(pressed));
  made.addEventListener('click', action);
  return made;
}

/** A failure as one line. */
export const said = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** A share 0 .. 1 as per cent. */
export const percent = (p: number): string => `${(100 * p).toFixed(p > 0.9995 || p < 0.0005 ? 0 : 1)} %`;

/** A whole number with its thousands apart. Intl does the same, and takes 90 ms of a page's start to load its tables. */
export const grouped = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, ',');

/** The bytes of a file of this site. @throws Error with one line that names it when they do not come */
export async function fetched(url: string): Promise<Uint8Array> {
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new Error(`${url}: ${said(error)}`);
  }
}

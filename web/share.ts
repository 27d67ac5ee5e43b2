// A link that holds the model itself: the file's bytes as base64url behind the #, which browsers never send to a server.

/** Longest file that a link takes: links of 64 KB open everywhere we looked. */
export const LINK_LIMIT = 48 * 1024;
const KEY = '#m=';

/** The page's address with the file in it. */
export function linkOf(bytes: Uint8Array, page: string): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return `${page.split('#', 1)[0]}${KEY}${btoa(text).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')}`;
}

/** Whether an address has a file in it. */
export const isLink = (hash: string): boolean => hash.startsWith(KEY);

/** The file in an address, or null when it has none. @throws Error with one line when what is there is no base64url or too long */
export function bytesOf(hash: string): Uint8Array | null {
  if (!isLink(hash)) return null;
  const text = hash.slice(KEY.length);
  if (text.length > Math.ceil((LINK_LIMIT * 4) / 3)) throw new Error(`the model in the link has more than ${LINK_LIMIT} bytes`);
  if (text.length % 4 === 1) throw new Error('the link is damaged: its end is missing');
  if (!/^[A-Za-z0-9_-]*$/.test(text)) throw new Error('the link is damaged: it holds characters that are no base64url');
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
}

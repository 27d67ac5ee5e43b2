// Bodies of answers, read piece by piece: who answers may be anything, and says how much as it likes.

/**
 * What an answer begins with, at most `limit` bytes, and whether that is all of it; the rest is left unread.
 * @throws (by rejection) what ended the answer early
 */
export async function bytesOf(response: Response, limit: number): Promise<{ readonly bytes: Uint8Array; readonly whole: boolean }> {
  const reader = response.body?.getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const part = (await reader?.read())?.value;
    if (!part) break;
    parts.push(part);
    length += part.length;
    if (length > limit) break;
  }
  const whole = length <= limit;
  if (!whole) reader?.cancel().catch(() => undefined);
  const bytes = new Uint8Array(Math.min(length, limit));
  let at = 0;
  for (const part of parts) {
    bytes.set(part.subarray(0, bytes.length - at), at);
    at += part.length;
  }
  return { bytes, whole };
}

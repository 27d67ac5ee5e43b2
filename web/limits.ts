// What a page may open: of each file decoded masks stay within 32 MB, and the weights of its network, which a link of 80 characters can ask
// for by the hundred million, within 64 MB. A compiled mask takes many times what it takes in a file: of all files together 64 MB stay
// compiled.

export const COMPILED_LIMIT = 64 * 1024 * 1024;

export const LIMITS = { maxFileBytes: 32 * 1024 * 1024, maxWeights: 2 ** 28, maxMaskWeights: 2 ** 24, maxTasks: 4096 } as const;

/** @throws Error for a file that is too large, before it is read */
export function checkFileBytes(name: string, bytes: number): void {
  if (bytes > LIMITS.maxFileBytes) throw new Error(`${name} has ${bytes} bytes, more than the ${LIMITS.maxFileBytes} a page takes`);
}

/** A file on its way, which need not say how large it is. @throws Error (by rejection) as soon as it is too large */
export async function bytesOf({ body }: Response, name: string): Promise<Uint8Array> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  const reader = body?.getReader();
  try {
    for (let part = await reader?.read(); part?.value; part = await reader?.read()) {
      bytes += part.value.length;
      checkFileBytes(`the beginning of ${name}`, bytes);
      parts.push(part.value);
    }
  } finally {
    reader?.cancel().catch(() => undefined);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

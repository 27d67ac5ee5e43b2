// What a page may open: decoded masks stay below 32 MB.

export const LIMITS = { maxFileBytes: 32 * 1024 * 1024, maxWeights: 2 ** 28 } as const;

/** @throws Error for a file that is too large, before it is read */
export function checkFileBytes(name: string, bytes: number): void {
  if (bytes > LIMITS.maxFileBytes) throw new Error(`${name} has ${bytes} bytes, more than the ${LIMITS.maxFileBytes} a page takes`);
}

// What a header of preferences takes: Accept, Accept-Encoding (RFC 9110, 12.5). Weights tell nothing here but whether there is one.

/**
 * Whether one of the names is taken: named, or covered by `any`, and not with a weight of 0; undefined where nothing is said of them.
 * @param names in lower case
 * @param any what stands for every name, where that counts
 */
export function takes(header: string | undefined, names: readonly string[], any?: string): boolean | undefined {
  let covered: boolean | undefined;
  for (const part of (header ?? '').toLowerCase().split(',')) {
    const [name, ...parameters] = part.split(';').map((text) => text.trim());
    const taken = !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
    if (names.includes(name)) return taken;
    if (name === any) covered = taken;
  }
  return covered;
}

// The known name that was most likely meant: a case slip, or a few edits away. Work is bounded: a comparison looks no further than the best
// allowed distance, and stops as soon as it is further away, so ten thousand names cost a few milliseconds.

/** The nearest of the names, at most 3 edits away (fewer for short names); undefined when none is. */
export function nearest(name: string, names: Iterable<string>): string | undefined {
  if (name.length > 128) return undefined;
  const wanted = name.toLowerCase();
  let limit = name.length < 3 ? 1 : name.length < 9 ? 2 : 3;
  let best: string | undefined;
  for (const candidate of names) {
    const distance = editDistance(wanted, candidate.toLowerCase(), limit);
    if (distance > limit) continue;
    best = candidate;
    limit = distance - 1;
    if (limit < 0) break;
  }
  return best;
}

/** The names there are, before them the one that begins with what was given or is spelt much like it. */
export function knownNames(given: string, names: readonly string[]): string {
  const meant = (given && names.find((known) => known.startsWith(given))) || nearest(given, names);
  return `${meant === undefined ? '' : `did you mean ${meant}? `}expected one of ${names.join(', ')}`;
}

/** The same with what was given, for who has not said it. */
export const unknownName = (given: string, names: readonly string[]): string => `${knownNames(given, names)}, got '${given.slice(0, 64)}'`;

/** Levenshtein distance, or some number above `limit` as soon as it must be. */
export function editDistance(a: string, b: string, limit = Number.POSITIVE_INFINITY): number {
  // What both begin and end with costs nothing: names often differ in a number alone.
  let begin = 0;
  while (begin < a.length && begin < b.length && a[begin] === b[begin]) begin++;
  let [m, n] = [a.length - begin, b.length - begin];
  while (m > 0 && n > 0 && a[begin + m - 1] === b[begin + n - 1]) {
    m--;
    n--;
  }
  if (Math.abs(m - n) > limit) return limit + 1;
  const row = Array.from({ length: n + 1 }, (_, j) => j);
  for (let i = 1; i <= m; i++) {
    // Further from the diagonal everything is above the limit, as is what stands there.
    const first = Math.max(1, i - limit);
    const last = Math.min(n, i + limit);
    let diagonal = row[first - 1];
    row[first - 1] = first === 1 ? i : limit + 1;
    let least = row[first - 1];
    for (let j = first; j <= last; j++) {
      const other = a[begin + i - 1] === b[begin + j - 1] ? 0 : 1;
      const distance = Math.min(row[j] + 1, row[j - 1] + 1, diagonal + other);
      diagonal = row[j];
      row[j] = distance;
      least = Math.min(least, distance);
    }
    if (least > limit) return limit + 1;
  }
  return row[n];
}

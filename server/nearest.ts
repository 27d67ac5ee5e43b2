// The known name a client most likely meant: a case slip, or a few edits away. Work is bounded: a comparison stops as soon as it
// is further away than the best allowed distance, so ten thousand names cost a few milliseconds.

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

/** Levenshtein distance, or some number above `limit` as soon as it must be. */
export function editDistance(a: string, b: string, limit = Number.POSITIVE_INFINITY): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    if (Math.min(...next) > limit) return limit + 1;
    row = next;
  }
  return row[b.length];
}

// How sure a counted fraction is: Wilson's interval (1927), which holds near 0 and 1 too.

const Z = 1.959964;

/** "97.5 % (97.0 to 97.9)": right of all, and the interval that has the true fraction in 95 of 100 cases. */
export function wilson(right, all) {
  const p = right / all;
  const middle = (p + Z ** 2 / (2 * all)) / (1 + Z ** 2 / all);
  const half = (Z * Math.sqrt((p * (1 - p)) / all + Z ** 2 / (4 * all ** 2))) / (1 + Z ** 2 / all);
  const percent = (value) => (100 * value).toFixed(1);
  return `${(100 * p).toFixed(2)} % (${percent(middle - half)} to ${percent(middle + half)})`;
}

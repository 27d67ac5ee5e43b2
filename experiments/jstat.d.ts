// The `jstat` package (statistical distributions in JavaScript) ships without type declarations; this is the part used here.

declare module 'jstat' {
  export const studentt: {
    /** Probability that Student's t of `freedom` degrees is at most `t`. */
    cdf(t: number, freedom: number): number;
  };
}

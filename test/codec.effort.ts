// How long the codec's tests try: all the way, or a twentieth where SEEDMASK_SHORT is set, as it is when they run once a mutant.

const SHORT = process.env['SEEDMASK_SHORT'] !== undefined;

/** Cases of a property, or how many of them must have come to something. */
export const runs = (n: number): number => (SHORT ? Math.ceil(n / 20) : n);

/** Whether a test that takes seconds and finds what others find too is left out. */
export const leaveOut = SHORT;

// The masks one can choose from, in the order in which the page shows them: those of a file, and the two that come with every network.

/** A mask of the file by its place, one drawn at random, or none at all. */
export type Choice = number | 'random' | 'bare';

/** All choices of a file with so many tasks. */
export const choicesOf = (tasks: number): Choice[] => [...Array.from({ length: tasks }, (_, i) => i), 'random', 'bare'];

// Files that a visitor asks for load, fail and arrive in any order. A wish is numbered when it is made, before anything is read, and
// counts once its file has opened: what was asked for earlier and comes later is not shown.

export interface Wishes {
  make(): number;
  /** Whether nothing was asked for since. */
  isLast(wish: number): boolean;
  /** Whether the file of a later wish has opened. */
  isLate(wish: number): boolean;
  /** Counts a wish whose file has opened; false where it is late. */
  grant(wish: number): boolean;
  /** Whether the file of the last wish has opened: nothing is on its way, and none has failed since. */
  areGranted(): boolean;
}

export function createWishes(): Wishes {
  let [made, granted] = [0, 0];
  const isLate = (wish: number) => wish < granted;
  return {
    make: () => ++made,
    isLast: (wish) => wish === made,
    isLate,
    grant(wish) {
      if (isLate(wish)) return false;
      granted = wish;
      return true;
    },
    areGranted: () => granted === made,
  };
}

// Texts from outside as part of a line: they break none and move no cursor.

/** A blank for line ends and control characters, with what is blank behind them. */
export const oneLine = (text: string): string => text.replace(/(?:[\p{Cc}\u2028\u2029]\s*)+/gu, ' ');

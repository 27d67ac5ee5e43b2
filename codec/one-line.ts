// Texts from outside as part of a line: they break none, move no cursor and turn no other text around.

/** A blank for line ends, control characters and those that set the direction of text, with what is blank behind them. */
export const oneLine = (text: string): string => text.replace(/(?:[\p{Cc}\u2028-\u202e\u2066-\u2069]\s*)+/gu, ' ');

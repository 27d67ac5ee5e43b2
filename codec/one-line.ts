// Texts from outside as part of a line: they break none, move no cursor and turn no other text around.

/** A blank for line ends, control characters, halves of pairs and those that embed, override or isolate the direction of text, with what is blank behind them. */
export const oneLine = (text: string): string => text.replace(/(?:[\p{Cc}\p{Cs}\u2028-\u202e\u2066-\u2069]\s*)+/gu, ' ');

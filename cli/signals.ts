// Signals: a command that is working ends at once; one that serves drains first, and ends at once on the second signal.

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** What a progress bar may have taken from a terminal: its cursor, and its line wrap. */
const GIVE_BACK = '\u001b[?25h\u001b[?7h\n';

/** A signal during work ends it, and gives a terminal back what a progress bar has taken. Files are whole or absent (files.ts). */
export function exitOnSignal(): void {
  const { stderr } = process;
  process.once('SIGINT', () => {
    if (stderr.isTTY) stderr.write(GIVE_BACK);
    process.exit(130);
  });
  // Elsewhere the system ends it sooner, even in the middle of a long step.
  if (!stderr.isTTY) return;
  process.once('SIGTERM', () => {
    stderr.write(GIVE_BACK);
    process.exit(143);
  });
}

/** Resolves at the first SIGINT or SIGTERM; from then on the next one exits. */
export function untilSignal(): Promise<void> {
  for (const signal of SIGNALS) process.removeAllListeners(signal);
  return new Promise((resolve) => {
    for (const signal of SIGNALS) {
      process.once(signal, () => {
        for (const again of SIGNALS) process.once(again, () => process.exit(130));
        resolve();
      });
    }
  });
}

// What every protocol does with a request for a prediction: find the version, read the body, make rows of it, have them classified
// within the client's deadline, name the labels, write the answer. Protocols differ in how rows come and answers look, and bring that.
//
// A row whose largest probability stays below the abstain threshold gets no label: the server says that it does not know.

import { z } from 'zod';
import { SeedmaskError } from '../../codec/errors.js';
import { type Answer, textList } from '../answer.js';
import { takesNumbers } from '../repository/catalogue.js';
import type { Version, Wanted } from '../repository/store.js';
import { checkPixels, type Rows } from '../requests/rows.js';
import { checked, decimal } from '../requests/schemas.js';
import type { Call, Service } from '../routes.js';
import type { Classified } from '../running/classify.js';

/** A request, decoded. */
export interface Asked<Extra> {
  readonly rows: Rows;
  /** Milliseconds from its arrival after which nobody wants the answer; the header X-Timeout-Ms holds where this is absent. */
  readonly timeoutMs?: number;
  /** Least probability of a label, 0 .. 1; the server's own holds where this is absent. */
  readonly abstain?: number;
  /** What the answer must know of the request. */
  readonly extra: Extra;
}

/** Answers with the names of their labels, null where the server abstains. */
export interface Judged extends Classified {
  readonly names: readonly (string | null)[];
}

/** What a protocol brings. */
export interface Protocol<Extra> {
  readonly decode: (body: Uint8Array, version: Version) => Asked<Extra> | Promise<Asked<Extra>>;
  /** Bytes that a row of the answer may take, by the labels of the task. */
  readonly rowBytes: (labels: readonly string[], extra: Extra) => number;
  readonly encode: (judged: Judged, extra: Extra, version: Version) => Answer | Promise<Answer>;
}

/** Which version a request means, where the path does not say. */
export const VersionQuery = z.object({
  version: z.string().min(1, 'a version, or left away').optional().describe('a version of the task; default: the highest'),
  label: z.string().min(1, 'a version label, or left away').optional().describe('a version label of the task, instead of a version'),
});
/** Headers of every route that classifies. */
export const TIMEOUT = { 'X-Timeout-Ms': 'milliseconds after which nobody wants the answer' };

/** Milliseconds of the header X-Timeout-Ms; undefined where there is none. @throws SeedmaskError bad-request */
export function timeoutOf({ headers }: Call): number | undefined {
  const given = headers['x-timeout-ms'];
  return given === undefined ? undefined : checked(TimeoutHeader, given, 'X-Timeout-Ms');
}
const TimeoutHeader = decimal(z.number('a number of milliseconds').nonnegative('a number of milliseconds'));

/** What the query or the body says, which may not both say it. @throws SeedmaskError bad-request */
export function saidOnce<T>(name: string, inQuery: T | undefined, inBody: T | undefined): T | undefined {
  if (inQuery === undefined || inBody === undefined) return inQuery ?? inBody;
  throw new SeedmaskError('bad-request', { field: `?/${name}`, expected: 'absent where the body has one', got: String(inQuery) });
}

/** Answers one request for the task `name`. Throws SeedmaskError by rejection. */
export async function infer<Extra>(call: Call, service: Service, name: string, wanted: Wanted, protocol: Protocol<Extra>): Promise<Answer> {
  const version = service.store.version(name, wanted, call.caller.allows);
  const limit = timeoutOf(call);
  // Of what is answered, the time in which its body comes is the client's.
  let began = call.arrived;
  try {
    const refusal = service.scheduler.noRoom(version, call.caller.name);
    if (refusal) throw refusal;
    const body = await call.body();
    began = performance.now();
    const asked = protocol.decode(body, version);
    const { rows, timeoutMs = limit, abstain = service.abstain, extra } = asked instanceof Promise ? await asked : asked;
    if (!takesNumbers(version)) checkPixels(rows);
    call.reserve(answerBytes(rows.count, version.task.labels.length, protocol.rowBytes(version.task.labels, extra)));
    const decoded = performance.now();
    const deadline = timeoutMs === undefined ? undefined : call.arrived + timeoutMs;
    const classified = await service.scheduler.classify(version, rows, { deadline, gone: call.gone, key: call.caller.name });
    const judged = performance.now();
    const names = namesOf(classified, abstain);
    const { labels, best, probabilities } = classified;
    const encoded = protocol.encode({ rows: rows.count, labels, best, probabilities, names }, extra, version);
    const answer = encoded instanceof Promise ? await encoded : encoded;
    const abstained = abstain > 0 ? names.filter((label) => label === null).length : 0;
    service.statistics.answered(version, { rows: rows.count, began, decoded, judged, ended: performance.now() });
    service.meters.classified(name, rows.count, abstained);
    return answer;
  } catch (error) {
    service.statistics.failed(version, performance.now() - began);
    throw error;
  }
}

/** Bytes that the answer to a request may have, by what its rows, its labels and its protocol let expect. */
const ANSWER_LIMIT = 64 * 1024 * 1024;
/** Bytes of a probability as text, with what stands around it. */
export const VALUE_BYTES = 28;
/** Bytes of the longest label. */
export const longest = (labels: readonly string[]): number => labels.reduce((most, label) => Math.max(most, Buffer.byteLength(label)), 0);

/** Bytes that an answer may have, or its probabilities while it is made, where those have more. @throws SeedmaskError over-limit */
function answerBytes(rows: number, classes: number, rowBytes: number): number {
  const bytes = Math.max(4 * classes, rowBytes);
  const most = Math.max(1, Math.floor(ANSWER_LIMIT / bytes));
  if (rows <= most) return rows * bytes;
  const field = `number of rows, each answered with ${classes} probabilities,`;
  throw new SeedmaskError('over-limit', { field, expected: most, got: rows, hint: 'Send the rest in further requests.' });
}

function namesOf({ rows, labels, best, probabilities }: Classified, abstain: number): (string | null)[] {
  const n = labels.length;
  const names: (string | null)[] = [];
  for (let row = 0; row < rows; row++) names.push(probabilities[row * n + best[row]] < abstain ? null : labels[best[row]]);
  return names;
}

/** Rows whose answers are written at once: more of them take turns with other requests. */
export const WRITTEN_AT_ONCE = 256;

/** The probabilities of a row as JSON has them: finite, and not -0. */
export function listText({ labels, probabilities }: Classified, row: number): string {
  const n = labels.length;
  let text = `[${probabilities[row * n]}`;
  for (let at = row * n + 1; at < (row + 1) * n; at++) text += `,${probabilities[at]}`;
  return `${text}]`;
}

/** A JSON answer around something of each row. */
export function rowsAnswer(rows: number, open: string, textOf: (row: number) => string, close: string): Answer | Promise<Answer> {
  if (rows > WRITTEN_AT_ONCE) return textList(open, each(rows, textOf), close);
  let body = open + textOf(0);
  for (let row = 1; row < rows; row++) body += `,${textOf(row)}`;
  return { status: 200, type: 'application/json', body: body + close };
}

function* each(rows: number, textOf: (row: number) => string): Iterable<string> {
  for (let row = 0; row < rows; row++) yield textOf(row);
}

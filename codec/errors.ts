// Every way Seedmask can refuse, in one closed table: code, HTTP status, and a sentence with what was found and what is expected.
// The codec, the command line and the server throw nothing else on purpose; each code has a test with the input that provokes it.

import { oneLine } from './one-line.js';

/** code -> [HTTP status, sentence]. {field}, {expected} and {got} are filled in from the details. */
export const ERRORS = {
  // ---- bytes of a model file ----
  'not-a-model-file': [422, 'not a Seedmask model file: begins with {got}, expected {expected}'],
  'unknown-version': [422, 'model file version {got} is not known here, expected {expected}'],
  'unknown-flag': [422, 'model file sets unknown critical flags {got}; this reader knows {expected}'],
  truncated: [422, 'model file is cut short: {field} needs {expected} bytes, {got} are there'],
  'trailing-bytes': [422, 'model file has {got} bytes, its lengths add up to {expected}'],
  'bad-checksum': [422, '{field} is damaged: its CRC32C is {got}, the file says {expected}'],
  'bad-header': [422, 'model file header: {field} must be {expected}, got {got}'],
  'not-canonical': [422, 'model file header is not in its one canonical form: {field} re-encodes differently at byte {got}'],
  'unknown-scheme': [422, 'mask scheme {got} of {field} is not known here, expected one of {expected}'],
  'bad-payload': [422, 'mask payload of {field} does not decode: {got}, expected {expected}'],
  'wrong-generator': [422, 'the first weights of the network have CRC32C {got}, the file says {expected}: the weight generators differ'],
  'over-limit': [413, '{field} is {got}, the limit is {expected}'],
  'bad-task': [400, '{field} must be {expected}, got {got}'],
  'bad-base': [422, '{field} needs {expected}, got {got}'],
  // ---- checkpoints ----
  'bad-tensors': [422, 'safetensors file: {field} must be {expected}, got {got}'],
  'bad-checkpoint': [422, '{field} must be {expected}, got {got}'],
  'no-export': [422, '{field} cannot be exported: it has {got}, supported are {expected}'],
  'bad-run': [409, '{field} holds another run: {got}, this one has {expected}'],
  'broken-run': [422, '{field} is damaged: {got}, expected {expected}'],
  // ---- a folder of model files ----
  'bad-store': [422, '{field} must be {expected}, got {got}'],
  'bad-model-file': [422, '{field} cannot be served: {got}'],
  'unreadable-file': [503, '{field} cannot be read: {got}'],
  'task-clash': [409, 'two files hold {field}: {got}'],
  'cannot-pull': [502, 'cannot pull {field}: {got}'],
  'wrong-content': [422, 'what {field} gives has the content id {got}, not {expected}'],
  // ---- requests to the server ----
  'unknown-route': [404, 'no such route: {got}'],
  'wrong-method': [405, '{field} does not answer {got}, only {expected}'],
  'unknown-task': [404, 'no task named {got}'],
  'unknown-task-version': [404, 'task {field} has no version {got}, only {expected}'],
  'unknown-task-label': [404, 'task {field} has no version label {got}, only {expected}'],
  'admin-closed': [403, '{got} is closed: this server has no admin key'],
  'no-key': [401, 'this route needs an API key'],
  'unknown-key': [401, 'the API key is not known here'],
  'not-admin': [403, 'the key of {got} is no admin key'],
  'forbidden-task': [403, 'this API key may not use the task {got}, only {expected}'],
  'key-limit': [429, 'the key of {field} has made its {expected}'],
  'bad-keys': [422, '{field} must be {expected}'],
  'unknown-network': [404, 'no network with the id {got}'],
  'few-tasks': [409, 'to tell tasks apart takes {expected} of them at least, got {got}'],
  'unknown-content': [404, '{field} has the content id {got}, not {expected}'],
  'bad-range': [416, 'the range {got} lies outside the {expected} bytes'],
  'unmet-condition': [412, 'the file is not as {field} wants it: {got}'],
  'no-http': [400, 'what came is no HTTP request: {got}'],
  'large-head': [431, 'the head of the request is larger than {expected}'],
  'slow-request': [408, 'the request did not come to its end in time'],
  'malformed-v1': [400, 'Malformed request: {got}'],
  draining: [503, 'the server is shutting down'],
  starting: [503, 'the server is not ready yet: {got}'],
  unwell: [503, 'the server does not answer its own question'],
  'unloaded-task': [503, 'task {field} is not loaded: {got}'],
  overloaded: [503, 'too much at once: {got}, the limit is {expected}'],
  'lost-worker': [503, 'the thread that worked on {field} was lost: {got}'],
  'over-key-limit': [429, 'key {field} has {got} under way, its limit is {expected}'],
  deadline: [504, 'no answer within the deadline: {got}'],
  'client-gone': [499, 'the client has closed the connection'],
  'no-body': [400, 'the request has no body, expected {expected}'],
  'broken-body': [400, 'the body could not be read: {got}'],
  'large-body': [413, 'the body is larger than {expected}'],
  'unknown-encoding': [415, 'Content-Encoding {got} is not known here, expected {expected}'],
  'unknown-body': [415, 'the body is {got}, expected {expected}'],
  'bad-json': [400, 'the body is not valid JSON: {got}'],
  'bad-msgpack': [400, 'the body is not valid msgpack: {got}'],
  'deep-body': [400, 'the body nests deeper than {expected} levels'],
  'bad-image': [400, 'the PNG image has {field} {got}, expected {expected}'],
  'bad-request': [400, '{field} must be {expected}, got {got}'],
  'bad-shape': [400, '{field} has shape {got}, expected {expected}'],
  'bad-value': [400, '{field} is {got}, expected {expected}'],
  // ---- command line ----
  'no-file': [404, 'cannot read {field}: {got}'],
  'cannot-write': [500, 'cannot write {field}: {got}'],
  'bad-option': [400, '{field} must be {expected}, got {got}'],
  'no-dataset': [404, 'no data set in {field}: {got}, expected {expected}'],
  'which-task': [400, '{field} holds several tasks: {got}'],
  'no-tasks': [400, '{field} holds a network and no task, expected {expected}'],
  'other-network': [409, '{field} holds masks of another network than {expected}: {got}'],
  'missed-target': [422, '{field} {expected} is not reached: the {got}'],
  'cannot-listen': [500, 'cannot listen on {field}: {got}'],
  // ---- experiments ----
  'no-package': [501, '{field} needs the npm package {got}, which is not installed here'],
  'no-queue': [503, 'cannot work on the queue at {field}: {got}'],
  'bad-cell': [422, '{field} is not what Seedmask put there: {got}'],
  'cell-failed': [500, '{field} failed: {got}'],
  internal: [500, 'the server failed on this request'],
} as const satisfies Record<string, readonly [number, string]>;

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorDetails {
  /** Where: a header field, a JSON pointer, an option. */
  readonly field?: string;
  readonly expected?: unknown;
  readonly got?: unknown;
  /** What to do about it. */
  readonly hint?: string;
  /** Whole seconds after which the same request may succeed: the Retry-After header of a 503 or 429. */
  readonly retryAfter?: number;
}

/** An expected failure: one clear line as `message`, and its parts for machines. `file` is the file it is about, when several are open. */
export class SeedmaskError extends Error {
  override readonly name = 'SeedmaskError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly details: ErrorDetails;

  readonly file: string | undefined;

  constructor(code: ErrorCode, details: ErrorDetails = {}, file?: string) {
    const [status, sentence] = ERRORS[code];
    const text = sentence.replace(/\{(field|expected|got)\}/g, (_, name: 'field' | 'expected' | 'got') => show(details[name]));
    super(oneLine(`${file === undefined ? '' : `${file}: `}${text}${details.hint ? `. ${details.hint}` : ''}`));
    this.code = code;
    this.status = status;
    this.details = details;
    this.file = file;
  }
}

/** Values from outside are shown, but never more than a line of them; of bytes how many there are. */
function show(value: unknown): string {
  const text = oneLine(typeof value === 'object' ? textOf(value) : String(value));
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

function textOf(value: object | null): string {
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  try {
    return JSON.stringify(value);
  } catch {
    // Lists in lists without end.
    return 'more than a line';
  }
}

// The server as a library: open a store, make an app or a handler, listen.

export { createApp } from './app.js';
export type { BatchEvent, RequestEvent, SchedulerListener } from './events.js';
export { hashOf, type KeyRecord, readAdminKey, readKeys } from './gate.js';
export { createHandler, type Handler } from './handler.js';
export { type Listening, type ListenOptions, listen } from './listen.js';
export { Mirror, type MirrorOptions, type Synced } from './mirror.js';
export type { Scheduler, Wish } from './scheduler.js';
export type { ServerOptions } from './service.js';
export {
  type Entry,
  openStore,
  type ServedTask,
  type State,
  Store,
  type StoreEvent,
  type StoreOptions,
  type Version,
  type Wanted,
} from './store.js';
export { Threads, type ThreadsOptions } from './threads.js';

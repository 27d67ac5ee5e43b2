// The server as a library: open a store, make an app or a handler, listen.

export { createApp } from './app.js';
export { hashOf, type KeyRecord, readAdminKey, readKeys } from './gate.js';
export { createHandler, type Handler } from './handler.js';
export { type Listening, type ListenOptions, listen } from './listen.js';
export { Mirror, type MirrorOptions, type Synced } from './repository/mirror.js';
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
} from './repository/store.js';
export type { BatchEvent, RequestEvent, SchedulerListener } from './running/events.js';
export type { Scheduler, Wish } from './running/scheduler.js';
export { Threads, type ThreadsOptions } from './running/threads.js';
export type { ServerOptions } from './service.js';

// The server as a library: open a store, make an app or a handler, listen.

export { createApp, type ServerOptions } from './app.js';
export { createHandler, type Handler } from './handler.js';
export { type Listening, type ListenOptions, listen } from './listen.js';
export { openStore, type ServedTask, Store, type StoreOptions, type Version, type Wanted } from './store.js';

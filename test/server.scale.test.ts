// Replicas as deploy/ has them: nginx in front of two, one killed under load, nothing lost; tasks go where their names send them; and
// every path, port and flag in the manifests is one that the server has.

import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { freePort, hasNginx, Relay, Replica, startNginx } from '../bench/fleet.mjs';
import { createClient } from '../client/index.js';
import { type Model, writeModel } from '../codec/index.js';
import { makeCommand } from '../dist/cli/commands/serve.js';
import { createService } from '../server/service.js';
import { engine, folder, get, oneTask, post, raw, sampleStore, tinyNetwork } from './server.material.js';

const ROOT = join(import.meta.dirname, '..');
const MAIN = join(ROOT, 'dist', 'cli', 'main.js');
const text = (name: string) => readFileSync(join(ROOT, 'deploy', name), 'utf8');
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const NGINX = hasNginx();
if (!NGINX) console.warn('nginx is not installed: what is tested behind it is skipped');

describe.skipIf(!NGINX && !process.env['CI'])('two replicas behind nginx', () => {
  const network = tinyNetwork();
  const kept = (i: number): Model => oneTask(network, ['a', 'b', 'c'], { mask: [Uint8Array.of((1 << i) & 255, (1 << i) >> 8)] });
  const TASKS = Array.from({ length: 12 }, (_, i) => `t${i}`);

  async function fleet() {
    const models = folder(Object.fromEntries(TASKS.map((name, i) => [`${name}.smk`, writeModel(kept(i))])));
    const temporary = await mkdtemp(join(tmpdir(), 'seedmask-nginx-'));
    ends.push(() => [models, temporary].map((root) => rmSync(root, { recursive: true, force: true })));
    const replicas = await Promise.all([0, 1].map(async () => new Replica(await freePort(), [models, '--poll', '0']).start()));
    ends.push(() => Promise.all(replicas.map((replica) => replica.end('SIGKILL'))));
    const nginx = await startNginx(
      replicas.map(({ port }) => port),
      temporary,
    );
    ends.push(() => nginx.stop());
    return { replicas, nginx };
  }
  /** Requests that a replica has answered, task by task. */
  const answered = async ({ url }: Replica) => {
    const { model_stats } = (await get(`${url}/v2/models/stats`)).json as { model_stats: { name: string; inference_count: number }[] };
    return new Map(model_stats.map(({ name, inference_count }) => [name, inference_count]));
  };

  test('each task has one replica, by whichever protocol it is asked', async () => {
    const { replicas, nginx } = await fleet();
    const client = createClient({ url: nginx.url });
    for (const name of TASKS) {
      for (let i = 0; i < 3; i++) await client.classify(name, new Uint8Array(4));
      await fetch(`${nginx.url}/v1/models/${name}:predict`, { method: 'POST', body: '{"instances": [[1, 2, 3, 4]]}' });
      const inputs = [{ name: 'pixels', shape: [1, 4], datatype: 'UINT8', data: [1, 2, 3, 4] }];
      await fetch(`${nginx.url}/v2/models/${name}/versions/1/infer`, { method: 'POST', body: JSON.stringify({ inputs }) });
    }
    const [a, b] = await Promise.all(replicas.map(answered));
    expect(TASKS.map((name) => [a.get(name) ?? 0, b.get(name) ?? 0].sort())).toEqual(TASKS.map(() => [0, 5]));
    // Both have some: by chance alone once in 2,048.
    expect(Math.min(...[a, b].map((of) => TASKS.filter((name) => of.get(name)).length))).toBeGreaterThan(0);
    const closed = await post(`${nginx.url}/v2/repository/models/t0/unload`, '');
    expect([closed.status, closed.type, closed.json.code]).toEqual([403, 'application/json', 'admin-closed']);
  }, 60_000);

  test('what nginx refuses itself is JSON, as from the server: too large a body or head, and nobody there', async () => {
    const { replicas, nginx } = await fleet();
    const head = `POST /tasks/t0/classify HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${2 ** 24 + 1}\r\n\r\n`;
    const [large, own] = await Promise.all([nginx.url, replicas[0].url].map(async (at) => (await raw(at, head)).split('\r\n\r\n')));
    expect(large[0]).toMatch(/^HTTP\/1\.1 413 [\s\S]*Content-Type: application\/json/);
    const { error, code, field, expected, hint, status } = JSON.parse(own[1]);
    expect(JSON.parse(large[1])).toEqual({ error, code, field, expected, hint, status });
    // A request line and a header that either takes, and ones that neither does.
    const asked = (length: number) => `GET /tasks?next=${'x'.repeat(length)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    const said = (length: number) => `GET /tasks HTTP/1.1\r\nHost: x\r\nX-Said: ${'x'.repeat(length)}\r\nConnection: close\r\n\r\n`;
    for (const [text, begins] of [
      [asked(12_000), /^HTTP\/1\.1 200/],
      [said(12_000), /^HTTP\/1\.1 200/],
      [asked(20_000), /^HTTP\/1\.1 431[\s\S]*Content-Type: application\/json/],
      [said(20_000), /^HTTP\/1\.1 431[\s\S]*Content-Type: application\/json/],
    ] as const) {
      const [far, near] = await Promise.all([nginx.url, replicas[0].url].map(async (at) => (await raw(at, text)).split('\r\n\r\n')));
      expect(far[0]).toMatch(begins);
      const { error, code, expected, status } = JSON.parse(near[1]);
      if (status) expect(JSON.parse(far[1])).toEqual({ error, code, expected, status });
    }
    // What a replica would refuse as well, by the same codes.
    for (const [text, status, code] of [
      ['GET /tasks HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'no-http'],
      ['\0\0\r\n\r\n', 400, 'no-http'],
      ['POST /tasks/t0/classify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n', 400, 'no-http'],
      ['GET / HTTP/9.9\r\n\r\n', 400, 'no-http'],
      ['TRACE /tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 405, 'wrong-method'],
    ] as const) {
      const [head, body] = (await raw(nginx.url, text)).split('\r\n\r\n');
      expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*Content-Type: application/json`));
      expect(JSON.parse(body)).toMatchObject({ error: expect.any(String), code, status });
    }
    // HTTP/1.0 needs no Host, and what a replica refuses stays its own.
    expect(await raw(nginx.url, 'GET /v2/health/live HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
    const wrong = await get(`${nginx.url}/tasks`, { method: 'DELETE' });
    expect([wrong.status, wrong.json.code]).toEqual([405, 'wrong-method']);
    await Promise.all(replicas.map((replica) => replica.end('SIGKILL')));
    const nobody = await post(`${nginx.url}/tasks/t0/classify`, new Uint8Array(4));
    expect([nobody.status, nobody.type, nobody.json.code, nobody.headers.get('retry-after')]).toEqual([
      503,
      'application/json',
      'starting',
      '1',
    ]);
    const refused = await createClient({ url: nginx.url, retries: 0 })
      .classify('t0', new Uint8Array(4))
      .catch((reason: unknown) => reason);
    expect(refused).toMatchObject({ status: 503, code: 'starting' });
  }, 60_000);

  test('one is killed under load: no request is lost; it comes back and is used again', async () => {
    const { replicas, nginx } = await fleet();
    const client = createClient({ url: nginx.url, retries: 0 });
    const [right] = await Promise.all([Promise.all(TASKS.map((name) => client.classify(name, Uint8Array.of(0, 255, 10, 3))))]);
    const before = await answered(replicas[0]);
    const [own] = TASKS.filter((name) => before.get(name));
    let going = true;
    let done = 0;
    const clients = Array.from({ length: 8 }, async (_, k) => {
      for (let i = k; going; i++) {
        const at = i % TASKS.length;
        // retries: 0: what nginx does not save is lost, and fails the test.
        expect(await client.classify(TASKS[at], Uint8Array.of(0, 255, 10, 3))).toEqual(right[at]);
        done++;
      }
    });
    const more = async (n: number) => {
      const from = done;
      await Promise.race([expect.poll(() => done, { timeout: 30_000 }).toBeGreaterThan(from + n), Promise.all(clients)]);
    };
    await more(200);
    for (let round = 0; round < 3; round++) {
      await replicas[0].end('SIGKILL');
      await more(200);
      await replicas[0].start();
      await more(200);
    }
    going = false;
    await Promise.all(clients);
    expect((await answered(replicas[0])).get(own)).toBeGreaterThan(0);
  }, 60_000);

  test('one drains under load: no request is lost, and it exits with 0', async () => {
    const { replicas, nginx } = await fleet();
    const client = createClient({ url: nginx.url, retries: 0 });
    let going = true;
    let done = 0;
    const clients = Array.from({ length: 8 }, async (_, k) => {
      for (let i = k; going; i++) {
        await client.classify(TASKS[i % TASKS.length], new Uint8Array(4));
        done++;
      }
    });
    await expect.poll(() => done, { timeout: 30_000 }).toBeGreaterThan(200);
    expect(await replicas[1].end('SIGTERM')).toEqual([0, null]);
    const from = done;
    await expect.poll(() => done, { timeout: 30_000 }).toBeGreaterThan(from + 200);
    going = false;
    await Promise.all(clients);
    await replicas[1].start();
  }, 60_000);
});

describe('a replica whose origin stalls', () => {
  test('starts with what it has pulled before, and has what is new as soon as the origin goes on', async () => {
    const models = folder({ 'old.smk': writeModel(oneTask(tinyNetwork())) });
    const cache = await mkdtemp(join(tmpdir(), 'seedmask-cache-'));
    ends.push(() => [models, cache].map((root) => rmSync(root, { recursive: true, force: true })));
    const origin = await new Replica(await freePort(), [models, '--poll', '0.1']).start();
    ends.push(() => origin.end('SIGKILL'));
    const relay = await new Relay().start(origin.port);
    ends.push(() => relay.stop!());
    const replica = await new Replica(await freePort(), [relay.url, '--cache', cache, '--poll', '0.1']).start();
    expect(await replica.end('SIGTERM')).toEqual([0, null]);
    writeFileSync(join(models, 'new.smk'), writeModel(oneTask(tinyNetwork())));
    relay.silent = true;
    await replica.start();
    ends.push(() => replica.end('SIGKILL'));
    const status = async (task: string) => (await post(`${replica.url}/tasks/${task}/classify`, new Uint8Array(4))).status;
    expect([await status('old'), await status('new')]).toEqual([200, 404]);
    relay.silent = false;
    await expect.poll(() => status('new'), { timeout: 60_000 }).toBe(200);
  }, 120_000);
});

// ---- the manifests ----

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string | number };
  readonly periodSeconds?: number;
  readonly failureThreshold?: number;
}
interface Container {
  readonly args: string[];
  readonly env?: { readonly name: string }[];
  readonly ports: { readonly name?: string; readonly containerPort: number }[];
  readonly startupProbe?: Probe;
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
  readonly resources: { readonly limits: { readonly memory: string } };
  readonly securityContext: object;
  readonly volumeMounts?: { readonly name: string; readonly mountPath: string }[];
}
const documents = (name: string) =>
  parseAllDocuments(text(name)).map((document) => {
    if ('errors' in document) expect(document.errors).toEqual([]);
    return document.toJS();
  });
const [deployment, service, budget, scaler] = documents('kubernetes.yaml');
const [runtime, inference] = documents('kserve.yaml');
const pod = deployment.spec.template.spec;
const containers: [string, Container][] = [
  ['kubernetes.yaml', pod.containers[0]],
  ['kserve.yaml', runtime.spec.containers[0]],
];
/** The command of `seedmask serve` after these arguments; throws for a flag or a value that it does not take. */
function parsed(args: readonly string[]) {
  expect(args[0]).toBe('serve');
  const command = makeCommand()
    .exitOverride()
    .action(() => undefined);
  command.parse([...args.slice(1)], { from: 'user' });
  return { path: command.args[0], options: command.opts() };
}
const dockerfile = text('Dockerfile');
const words = (instruction: string): string[] => JSON.parse(new RegExp(`^${instruction} (\\[.*\\])$`, 'm').exec(dockerfile)?.[1] ?? 'null');

describe('manifests', () => {
  test.each(containers)(
    '%s: flags, probes and ports are the server’s',
    async (_, { args, ports, startupProbe, readinessProbe, livenessProbe }) => {
      const { options } = parsed(args);
      // What the action itself refuses: of these arguments nothing but a folder that is not there.
      const { stderr } = spawnSync(process.execPath, [MAIN, 'serve', join(ROOT, 'no-such-folder'), ...args.slice(2)], { encoding: 'utf8' });
      expect(stderr).toMatch(/^seedmask: .*no-such-folder must be .*, got nothing there\n$/);
      expect(ports.map(({ containerPort }) => containerPort)).toEqual([options['port']]);
      expect(options['host']).toBe('0.0.0.0');
      const { routes } = createService({ engine, store: await sampleStore() });
      for (const { httpGet } of [startupProbe ?? readinessProbe, readinessProbe, livenessProbe]) {
        expect(routes.filter(({ method, path, access }) => method === 'GET' && path === httpGet.path && access === 'open')).toHaveLength(1);
        expect([ports[0].name, ports[0].containerPort]).toContain(httpGet.port);
      }
      // A server that drains is not ready, and alive: nothing restarts it.
      expect([readinessProbe.httpGet.path, livenessProbe.httpGet.path]).toEqual(['/v2/health/ready', '/v2/health/live']);
    },
  );

  test('a replica is given the time that its end takes, and is out of the service before it closes', () => {
    const { args, readinessProbe } = containers[0][1];
    const delay = parsed(args).options['drainDelay'];
    // listen's drainLimit is 10 s.
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(delay + 10);
    expect(delay).toBeGreaterThan((readinessProbe.periodSeconds ?? 10) * (readinessProbe.failureThreshold ?? 3));
  });

  test('a replica may take the memory that its own bounds add up to, and half a gigabyte more', () => {
    const source = (path: string) => readFileSync(join(ROOT, path), 'utf8');
    const bounds = [
      ['cli/commands/serve.ts', /^const INTAKE = (\d+) \* 1024 \* 1024;$/m],
      ['server/outbox.ts', /constructor\(limit = (\d+) \* 1024 \* 1024\)/],
      ['server/running/room.ts', /queueBytes \?\? (\d+) \* 1024 \* 1024;/],
      ['server/service.ts', /^const COMPILED_LIMIT = (\d+) \* 1024 \* 1024;$/m],
      ['server/running/thread.ts', /^const COMPILED_LIMIT = (\d+) \* 1024 \* 1024;$/m],
      ['server/running/threads.ts', /^const READING_LIMIT = (\d+) \* 1024 \* 1024;$/m],
      ['server/running/finder.ts', /BYTES_LIMIT = (\d+) \* 1024 \* 1024;$/m],
    ] as const;
    const sum = bounds.reduce((all, [path, bound]) => all + Number(bound.exec(source(path))?.[1]), 0);
    expect(text('kubernetes.yaml')).toContain(`${sum.toLocaleString('en')} MiB`);
    for (const [, { args, resources }] of containers) {
      expect(parsed(args).options['threads']).toBe(1);
      expect(Number(/^(\d+)Gi$/.exec(resources.limits.memory)?.[1]) * 1024).toBeGreaterThan(sum + 512);
    }
  });

  test('names, selectors, volumes and environment fit together', () => {
    const { labels } = deployment.spec.template.metadata;
    for (const selector of [deployment.spec.selector.matchLabels, service.spec.selector, budget.spec.selector.matchLabels]) {
      expect(labels).toMatchObject(selector);
    }
    expect(service.spec.ports[0].targetPort).toBe(containers[0][1].ports[0].name);
    expect(scaler.spec.scaleTargetRef).toEqual({
      apiVersion: deployment.apiVersion,
      kind: deployment.kind,
      name: deployment.metadata.name,
    });
    expect(scaler.spec.minReplicas).toBeGreaterThan(budget.spec.minAvailable);
    const [, { args, env, volumeMounts = [], securityContext }] = containers[0];
    expect(volumeMounts.map(({ name }) => name)).toEqual(pod.volumes.map(({ name }: { name: string }) => name));
    expect(volumeMounts.map(({ mountPath }) => mountPath)).toContain(parsed(args).options['cache']);
    expect(securityContext).toMatchObject({ readOnlyRootFilesystem: true, allowPrivilegeEscalation: false });
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: Number(/^USER (\d+)$/m.exec(dockerfile)?.[1]) });
    const sources = ['access.ts', 'pull.ts'].map((name) => readFileSync(join(ROOT, 'cli', name), 'utf8')).join('\n');
    for (const { name } of env ?? []) expect(sources).toContain(name);
    expect(text('kubernetes.yaml')).toContain('/metrics');
  });

  test('KServe: the service names the runtime and a format and protocol of it', () => {
    const { model } = inference.spec.predictor;
    expect(model.runtime).toBe(runtime.metadata.name);
    const formats: { name: string; version: string }[] = runtime.spec.supportedModelFormats;
    expect(formats.map(({ name, version }) => ({ name, version }))).toContainEqual(model.modelFormat);
    expect(runtime.spec.protocolVersions).toContain(model.protocolVersion);
    expect(runtime.spec.containers[0].name).toBe('kserve-container');
    expect(parsed(runtime.spec.containers[0].args).path).toBe('/mnt/models');
  });

  test('Dockerfile: what it copies is there or built, its command is accepted, and its health check asks the right port', () => {
    expect(words('ENTRYPOINT')).toEqual(['node', 'dist/cli/main.js']);
    expect(parsed(words('CMD'))).toMatchObject({ path: 'models/trained', options: { host: '0.0.0.0', port: 8080 } });
    const [, , script] = JSON.parse(/HEALTHCHECK[^\n]*\\\n +CMD (\[.*\])$/m.exec(dockerfile)![1]) as string[];
    expect(script).toContain("'http://127.0.0.1:8080/v2/health/ready'");
    for (const [, from] of dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)) {
      for (const path of from.split(' '))
        expect(() => readFileSync(join(ROOT, path, path === '.' || path.includes('/') ? 'README.md' : ''))).not.toThrow();
    }
    const ignored = text('Dockerfile.dockerignore').trim().split('\n');
    for (const path of ['src', 'server', 'cli', 'web', 'models', 'package-lock.json']) expect(ignored).not.toContain(path);
    // What is built there is not taken from here.
    const built = readFileSync(join(ROOT, '.gitignore'), 'utf8').match(/^.*\.ts$/gm);
    expect(built).toHaveLength(3);
    expect(ignored).toEqual(expect.arrayContaining([...built!]));
  });
});

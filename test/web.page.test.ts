// The page and the runtime in a real browser, served by the command line as a visitor would: answers equal those of this process, and
// what goes wrong is said on the page. Needs Chromium (Debian: apt-get install chromium) and the built page; without, skipped aloud, but
// for CI, which has both.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import express from 'express';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadDataset } from '../cli/datasets/load.js';
import { readModel, writeModel } from '../codec/index.js';
import type { Engine } from '../src/engine/engine.js';
import { createWasmEngine } from '../src/engine/wasm.js';

const ROOT = join(import.meta.dirname, '..');
const BUILT = join(ROOT, 'dist', 'web');
/** As .ci/run looks for it. */
const CHROMIUM = ['chromium', 'chromium-browser', 'google-chrome']
  .map((name) => spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim())
  .find((path) => path !== '');
const here = CHROMIUM !== undefined && existsSync(join(BUILT, 'index.html'));
if (!here) console.warn('web.page: skipped, Chromium or the built page is not here (apt-get install chromium; npm run build)');

/** Where screenshots go that somebody wants to look at. */
const SHOTS = process.env['SEEDMASK_SCREENSHOTS'];

/** Milliseconds for a test, and for what a page waits for: the machine may be busy with others. */
const PATIENT = 180_000;

describe.skipIf(!here && !process.env['CI'])('in Chromium', { timeout: PATIENT }, () => {
  let browser: Browser;
  let engine: Engine;
  let child: ReturnType<typeof spawn>;
  let url: string;
  let isolated: Server;
  const digits = loadDataset('mnist').test;

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
    engine = await createWasmEngine({ threads: 1 });
    child = spawn(process.execPath, [join(ROOT, 'dist/cli/main.js'), 'serve', '--web', '--port', '0', '--json', '--log', 'silent']);
    url = await new Promise<string>((resolve) => child.stdout!.once('data', (data) => resolve(JSON.parse(String(data)).url)));
    // The same files with the headers that let a page share memory between threads.
    const app = express();
    app.use((_, res, next) => {
      res.set({ 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' });
      next();
    });
    app.use(express.static(BUILT));
    isolated = createServer(app);
    await new Promise<void>((resolve) => isolated.listen(0, '127.0.0.1', resolve));
  }, PATIENT);
  afterAll(async () => {
    await browser?.close();
    child?.kill();
    isolated?.close();
    engine?.close();
  });

  const modelFile = (name: string) => readFileSync(join(BUILT, 'models', `${name}.smk`));

  async function blank(): Promise<Page> {
    const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
    page.setDefaultTimeout(PATIENT - 10_000);
    return page;
  }

  /** A page that has answered; what it logs as an error fails the test that opened it. */
  async function opened(address = url): Promise<{ page: Page; errors: string[] }> {
    const page = await blank();
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    await page.goto(address);
    await page.waitForFunction(() => document.querySelectorAll('#bars li').length > 0);
    return { page, errors };
  }

  /** What this process answers to a row of pixels. */
  function answered(name: string, id: string, pixels: Uint8Array): string {
    const { network, tasks } = readModel(modelFile(name));
    const task = tasks.find((one) => one.id === id)!;
    const classifier = engine.classifier(network, { mask: task.mask, transform: task.transform });
    const logits = classifier.logits(pixels, 1).slice(0, task.labels.length);
    classifier.free();
    return task.labels[logits.indexOf(Math.max(...logits))];
  }

  /** Holds back what the page asks for until the function that is returned is called. */
  async function heldBack(page: Page, address: string): Promise<() => void> {
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    await page.route(address, async (route) => {
      await released;
      await route.continue();
    });
    return release;
  }

  const tasksFile = async (page: Page) => {
    await page.getByRole('button', { name: 'Many masks on one network' }).click();
    await page.waitForFunction(
      () => document.querySelectorAll('#masks button').length === 8 && !document.getElementById('masks')!.textContent!.includes('…'),
    );
  };

  test('answers every test digit of the page as this process does', async () => {
    const { page, errors } = await opened();
    for (let digit = 0; digit < 10; digit++) {
      await page.getByRole('button', { name: `Test digit ${digit}` }).click();
      const row = digits.labels.indexOf(digit);
      const expected = answered('digits', '', digits.images.subarray(row * 784, (row + 1) * 784));
      await page.waitForFunction((label) => document.getElementById('answer')!.textContent === label, expected);
    }
    expect(errors).toEqual([]);
    await page.close();
  });

  test('a drawn stroke is classified while it grows, by mouse and by keyboard', async () => {
    const { page, errors } = await opened();
    await page.getByRole('button', { name: 'Clear' }).click();
    const box = (await page.locator('#pad').boundingBox())!;
    const to = (x: number, y: number) => page.mouse.move(box.x + x * box.width, box.y + y * box.height, { steps: 6 });
    const drawn = () => page.evaluate(() => (document.getElementById('pad') as HTMLCanvasElement).toDataURL());
    const empty = await drawn();
    await to(0.5, 0.15);
    await page.mouse.down({ button: 'right' });
    await to(0.5, 0.5);
    await page.mouse.up({ button: 'right' });
    expect(await drawn()).toBe(empty);
    // A line that goes on beyond the pad is that to its edge: what nobody sees makes no digit small.
    const fed = () => page.evaluate(() => (document.getElementById('fed') as HTMLCanvasElement).toDataURL());
    const angle = async (end: number) => {
      await page.getByRole('button', { name: 'Clear' }).click();
      await to(0.2, 0.15);
      await page.mouse.down();
      await to(0.7, 0.15);
      await page.mouse.move(box.x + 0.7 * box.width, box.y + end * box.height);
      await page.mouse.up();
    };
    await angle(1.2);
    const [edge, seen] = [await fed(), await drawn()];
    await angle(0.6);
    expect(await fed()).not.toBe(edge);
    await angle(1.9);
    await expect.poll(fed, { timeout: 10_000 }).toBe(edge);
    expect(await drawn()).toBe(seen);
    await page.getByRole('button', { name: 'Clear' }).click();
    await to(0.5, 0.15);
    await page.mouse.down();
    await to(0.5, 0.85);
    await page.mouse.up();
    await page.waitForFunction(() => document.getElementById('answer')!.textContent === '1');
    await page.locator('#pad').focus();
    await page.keyboard.press('Delete');
    // A 7: across, then down.
    for (let i = 0; i < 8; i++) await page.keyboard.press('ArrowLeft');
    for (let i = 0; i < 10; i++) await page.keyboard.press('ArrowUp');
    await page.keyboard.press(' ');
    for (let i = 0; i < 16; i++) await page.keyboard.press('ArrowRight');
    for (let i = 0; i < 20; i++) await page.keyboard.press(i % 2 ? 'ArrowDown' : 'ArrowLeft');
    for (let i = 0; i < 10; i++) await page.keyboard.press('ArrowDown');
    await page.waitForFunction(() => document.getElementById('answer')!.textContent === '7');
    expect(errors).toEqual([]);
    await page.close();
  });

  test('one finger draws: a second, or clearing under way, changes no stroke', async () => {
    const { page, errors } = await opened();
    // A phone: the pad and all that is said of it stand on one screen.
    await page.setViewportSize({ width: 360, height: 740 });
    const top = (await page.locator('#pad').boundingBox())!.y;
    const bars = (await page.locator('#bars').boundingBox())!;
    expect(bars.y + bars.height - top).toBeLessThan(740);
    const touch = await page.context().newCDPSession(page);
    const box = (await page.locator('#pad').boundingBox())!;
    const at = (x: number, y: number, id = 0) => ({ x: box.x + x * box.width, y: box.y + y * box.height, id });
    const send = (type: 'touchStart' | 'touchMove' | 'touchEnd', ...touchPoints: ReturnType<typeof at>[]) =>
      touch.send('Input.dispatchTouchEvent', { type, touchPoints });
    const drawn = () => page.evaluate(() => (document.getElementById('pad') as HTMLCanvasElement).toDataURL());
    /** A line downwards, with other fingers beside it. */
    const line = async (...others: ReturnType<typeof at>[]) => {
      await page.locator('#pad').press('Delete');
      await send('touchStart', at(0.5, 0.1));
      if (others.length > 0) await send('touchStart', at(0.5, 0.1), ...others);
      for (let i = 1; i <= 4; i++)
        await send('touchMove', at(0.5, 0.1 + 0.2 * i), ...others.map((other) => ({ ...other, x: other.x - 2 * i })));
      await send('touchEnd');
      return drawn();
    };
    expect(await line(at(0.9, 0.9, 1))).toBe(await line());
    await page.locator('#pad').press('Delete');
    const empty = await drawn();
    await send('touchStart', at(0.5, 0.1));
    await page.locator('#pad').press('Delete');
    await send('touchMove', at(0.5, 0.5));
    await send('touchEnd');
    expect(await drawn()).toBe(empty);
    expect(errors).toEqual([]);
    await page.close();
  });

  test('the same network succeeds or fails by its mask and by the pixels fed in', async () => {
    const { page, errors } = await opened();
    await tasksFile(page);
    await page.getByRole('button', { name: 'Test digit 3' }).click();
    const says = (name: string) => page.locator('#masks button', { hasText: name }).locator('.says').textContent();
    /** Waits until a mask says a label. */
    const label = (name: string, expected: string) =>
      page
        .locator('#masks button', { hasText: name })
        .locator('.says', { hasText: new RegExp(`^${expected} ·`) })
        .waitFor();
    const row = digits.labels.indexOf(3);
    const pixels = digits.images.subarray(row * 784, (row + 1) * 784);
    await label('digits', answered('tasks', 'digits', pixels));
    await label('odd-or-even', answered('tasks', 'odd-or-even', pixels));
    // What is recorded of a mask is said, and the unit shown is one that keeps inputs, until a visitor selects one.
    expect(await page.locator('#task-note').textContent()).toContain('It gets 98.10 % of 10,000 test digits right.');
    for (const name of ['odd-or-even', 'digits']) {
      const before = await page.locator('#unit-caption').textContent();
      await page.locator('#masks button', { hasText: name }).click();
      await page.waitForFunction((text) => document.getElementById('unit-caption')!.textContent !== text, before);
      expect(await page.locator('#unit-caption').textContent()).toMatch(/^Unit \d+ keeps [1-9]/);
    }
    // Bars begin at one place, however long their names are.
    await page.locator('#masks button', { hasText: 'under-five' }).click();
    await page.waitForFunction(() => /under five/.test(document.getElementById('bars')!.textContent!));
    const begins = () => [...document.querySelectorAll('#bars .bar')].map((bar) => bar.getBoundingClientRect().left);
    expect(new Set(await page.evaluate(begins)).size).toBe(1);
    const upright = await says('shuffled-pixels-1');
    await page.getByRole('radio', { name: 'shuffled-pixels-1' }).check();
    await label('shuffled-pixels-1', '3');
    expect(await says('shuffled-pixels-1')).not.toBe(upright);
    expect(errors).toEqual([]);
    await page.close();
  });

  test('a mask that has not answered yet stands over no answer of another, and is asked', async () => {
    const { page } = await opened();
    await page.evaluate(() => {
      const post = Worker.prototype.postMessage;
      Worker.prototype.postMessage = function (this: Worker, message: { path?: string[] }, ...rest: unknown[]) {
        if (message.path?.[0] === 'everywhere') return;
        if (message.path?.[0] === 'classify') Reflect.set(globalThis, 'release', () => post.apply(this, [message, ...rest] as never));
        else post.apply(this, [message, ...rest] as never);
      } as typeof post;
    });
    const released = () => page.evaluate(() => Reflect.get(globalThis, 'release')());
    const bars = () => page.locator('#bars li').count();
    await page.getByRole('button', { name: 'Many masks on one network' }).click();
    await page.locator('#masks button', { hasText: 'odd-or-even' }).waitFor();
    await released();
    await page.locator('#bars li').first().waitFor();
    await page.locator('#masks button', { hasText: 'odd-or-even' }).click();
    expect([await page.locator('#answer').textContent(), await bars()]).toEqual(['', 0]);
    await released();
    await page.locator('#bars li').first().waitFor();
    expect(await bars()).toBe(2);
    await page.close();
  });

  test('a failure for one file leaves no mask of the next unasked', async () => {
    const { page } = await opened();
    const answered = () => page.waitForFunction(() => !document.getElementById('masks')!.textContent!.includes('…'));
    await answered();
    // The first that asks all masks waits, and fails once another file is shown.
    await page.evaluate(() => {
      const post = Worker.prototype.postMessage;
      Worker.prototype.postMessage = function (this: Worker, message: { path?: string[]; id?: string }, ...rest: unknown[]) {
        const { path, id } = message;
        if (path?.[0] !== 'everywhere') return post.apply(this, [message, ...rest] as never);
        Worker.prototype.postMessage = post;
        const value = { isError: true, value: { message: 'out of memory', name: 'Error', stack: '' } };
        const reply = { id, type: 'HANDLER', name: 'throw', value };
        Reflect.set(globalThis, 'fail', () => this.dispatchEvent(new MessageEvent('message', { data: reply })));
      } as typeof post;
    });
    await page.getByRole('button', { name: 'Test digit 1' }).click();
    await page.getByRole('button', { name: 'Many masks on one network' }).click();
    await page.locator('#masks button', { hasText: 'odd-or-even' }).waitFor();
    await page.waitForTimeout(1000);
    expect(await page.locator('#masks').textContent()).toContain('…');
    await page.evaluate(() => Reflect.get(globalThis, 'fail')());
    await answered();
    expect(await page.locator('#notice').isVisible()).toBe(false);
    await page.close();
  });

  test('a damaged file is refused in one line, and the page goes on', async () => {
    const { page } = await opened();
    const bytes = modelFile('digits');
    bytes[bytes.length >> 1] ^= 1;
    await page.setInputFiles('#pick', { name: 'broken.smk', mimeType: 'application/octet-stream', buffer: bytes });
    await page.waitForFunction(() => /CRC/.test(document.getElementById('notice')!.textContent ?? ''));
    await page.setInputFiles('#pick', {
      name: 'mine.smk',
      mimeType: 'application/octet-stream',
      buffer: readFileSync(join(ROOT, 'models/trained/mnist.smk')),
    });
    await page.waitForFunction(
      () => document.getElementById('notice')!.hidden && document.getElementById('files')!.textContent!.includes('mine'),
    );
    expect(await page.locator('#scale').textContent()).toContain('1,064,800 bytes');
    // A task without a name goes by its file's, as what feeds pixels in too.
    const { network, tasks } = readModel(modelFile('tasks'));
    const shuffled = tasks.find(({ id }) => id === 'shuffled-pixels-1')!;
    const alone = Buffer.from(writeModel({ network, tasks: [{ ...shuffled, id: '' }] }));
    await page.setInputFiles('#pick', { name: 'shuffled.smk', mimeType: 'application/octet-stream', buffer: alone });
    await page.getByRole('radio', { name: 'shuffled', exact: true }).waitFor();
    // A file of a name of the site stands beside that one; one that is too large is not read.
    await page.setInputFiles('#pick', {
      name: 'digits.smk',
      mimeType: 'application/octet-stream',
      buffer: readFileSync(join(ROOT, 'models/trained/mnist.smk')),
    });
    await page.getByRole('button', { name: 'digits of yours', exact: true }).waitFor();
    await page.evaluate(() => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([new Uint8Array(33 * 1024 * 1024)], 'large.smk'));
      document.dispatchEvent(new DragEvent('drop', { dataTransfer }));
    });
    await page.waitForFunction(() => /large.smk has 34603008 bytes/.test(document.getElementById('notice')!.textContent ?? ''));
    expect(await page.evaluate(() => document.getElementById('notice')!.getBoundingClientRect().top >= 0)).toBe(true);
    // Of many files the latest stay, and the page goes on with them.
    for (let i = 0; i < 10; i++) {
      await page.setInputFiles('#pick', { name: `file ${i}.smk`, mimeType: 'application/octet-stream', buffer: modelFile('digits') });
      await page.getByRole('button', { name: `file ${i}`, exact: true, pressed: true }).waitFor();
    }
    expect(await page.locator('#files button').allTextContents()).toHaveLength(2 + 8);
    await page.getByRole('button', { name: 'file 3', exact: true }).click();
    await page.getByRole('button', { name: 'file 3', exact: true, pressed: true }).waitFor();
    await page.waitForFunction(() => !document.getElementById('masks')!.textContent!.includes('…'));
    expect(await page.locator('#notice').isVisible()).toBe(false);
    await page.close();
  });

  test('the file that was asked for last is shown, whichever comes first', async () => {
    const { page, errors } = await opened();
    const comes = await heldBack(page, '**/models/tasks.smk');
    await page.getByRole('button', { name: 'Many masks on one network' }).click();
    await page.waitForFunction(() => /^Opening tasks/.test(document.getElementById('notice')!.textContent ?? ''));
    await page.setInputFiles('#pick', { name: 'mine.smk', mimeType: 'application/octet-stream', buffer: modelFile('digits') });
    await page.getByRole('button', { name: 'mine', exact: true, pressed: true }).waitFor();
    const arrived = page.waitForResponse('**/models/tasks.smk');
    comes();
    await (await arrived).finished();
    await page.waitForTimeout(1000);
    expect(await page.getByRole('button', { name: 'mine', exact: true, pressed: true }).isVisible()).toBe(true);
    expect(await page.locator('#save').getAttribute('download')).toBe('mine.smk');
    expect(await page.locator('#masks button').count()).toBe(3);
    // It was kept: asked for again, it is there without another request.
    await page.unroute('**/models/tasks.smk');
    await page.route('**/models/tasks.smk', (route) => route.abort());
    await tasksFile(page);
    expect(errors).toEqual([]);
    await page.close();
  });

  test('what is asked for counts from then on, and only if its file opens', async () => {
    const page = await blank();
    const comes = await heldBack(page, '**/models/digits.smk');
    await page.goto(url);
    await page.locator('#files button').first().waitFor();
    await page.setInputFiles('#pick', { name: 'broken.smk', mimeType: 'application/octet-stream', buffer: modelFile('digits').fill(0, 9) });
    const refused = page.locator('#notice', { hasText: /./ });
    await refused.waitFor();
    const said = await refused.textContent();
    comes();
    await page.getByRole('button', { name: 'Digits, on a convolutional network', pressed: true }).waitFor();
    expect(await page.locator('#notice').textContent()).toBe(said);
    // A dropped file that takes long to read was asked for when it was dropped.
    await page.evaluate(() => {
      const read = File.prototype.arrayBuffer;
      File.prototype.arrayBuffer = async function () {
        await new Promise((resolve) => Reflect.set(globalThis, 'release', resolve));
        return read.call(this);
      };
    });
    await page.setInputFiles('#pick', { name: 'slow.smk', mimeType: 'application/octet-stream', buffer: modelFile('digits') });
    await tasksFile(page);
    await page.evaluate(() => Reflect.get(globalThis, 'release')());
    await page.getByRole('button', { name: 'slow', exact: true }).waitFor();
    expect(await page.getByRole('button', { name: 'Many masks on one network', pressed: true }).isVisible()).toBe(true);
    await page.close();
  });

  test('the first file, asked for again before it has come, stays open', async () => {
    const page = await blank();
    const comes = await heldBack(page, '**/models/digits.smk');
    await page.goto(url);
    const first = page.getByRole('button', { name: 'Digits, on a convolutional network' });
    await first.click();
    comes();
    await page.waitForFunction(() => document.querySelectorAll('#masks button .says').length === 3);
    await page.getByRole('button', { name: 'Test digit 1' }).click();
    await page.waitForFunction(() => document.getElementById('answer')!.textContent === '1');
    await first.click();
    await page.getByRole('button', { name: 'Test digit 2' }).click();
    await page.waitForFunction(() => document.getElementById('answer')!.textContent === '2');
    expect(await page.locator('#notice').isVisible()).toBe(false);
    // By keyboard: the button that was pressed keeps the focus.
    await page.getByRole('button', { name: 'Many masks on one network' }).press('Enter');
    await page.getByRole('button', { name: 'Many masks on one network', pressed: true }).waitFor();
    expect(await page.evaluate(() => document.activeElement!.textContent)).toBe('Many masks on one network');
    await page.close();
  });

  test('a file of the site that was asked for twice keeps what was chosen in it, and Back keeps a file that no link brought', async () => {
    const { page, errors } = await opened();
    const comes: (() => void)[] = [];
    await page.route('**/models/tasks.smk', async (route) => {
      await new Promise<void>((resolve) => comes.push(resolve));
      await route.continue();
    });
    const tasks = page.getByRole('button', { name: 'Many masks on one network' });
    await tasks.click();
    await tasks.click();
    await expect.poll(() => comes.length, { timeout: 10_000 }).toBe(2);
    comes[0]();
    await page.getByRole('button', { name: 'Many masks on one network', pressed: true }).waitFor();
    const second = page.locator('#masks button').nth(1);
    await second.click();
    const arrived = page.waitForResponse('**/models/tasks.smk');
    comes[1]();
    await (await arrived).finished();
    await page.waitForTimeout(1000);
    expect(await second.getAttribute('aria-pressed')).toBe('true');
    await page.setInputFiles('#pick', { name: 'mine.smk', mimeType: 'application/octet-stream', buffer: modelFile('digits') });
    const mine = page.getByRole('button', { name: 'mine', exact: true, pressed: true });
    await mine.waitFor();
    await page.evaluate(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }));
    await page.locator('a[href="#masks-title"]').first().click();
    await page.getByRole('button', { name: 'Copy a link' }).click();
    await page.waitForFunction(() => location.hash.startsWith('#m='));
    await page.goBack();
    await page.waitForTimeout(1000);
    expect(await page.evaluate(() => location.hash)).toBe('');
    expect(await mine.isVisible()).toBe(true);
    expect(errors).toEqual([]);
    await page.close();
  });

  test('without a clipboard the link is in the address bar; a trainer or digits that cannot be loaded are said', async () => {
    const { page } = await opened();
    await page.evaluate(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }));
    await page.getByRole('button', { name: 'Copy a link' }).click();
    await page.waitForFunction(() => /is now in the address bar/.test(document.getElementById('shared')!.textContent!));
    await page.route('**/trainer*', (route) => route.abort());
    await page.getByRole('button', { name: 'Train' }).click();
    await page.waitForFunction(() => /trainer could not be loaded/.test(document.getElementById('training')!.textContent!));
    expect(await page.getByRole('button', { name: 'Train' }).isEnabled()).toBe(true);
    await page.unroute('**/trainer*');
    await page.route('**/data/mnist/*', (route) => route.fulfill({ status: 404 }));
    await page.getByRole('button', { name: 'Train' }).click();
    await page.waitForFunction(() => /404.*: seedmask data get mnist, then: /.test(document.getElementById('training')!.textContent!));
    await page.close();
  });

  test('a thread that fails before the script of the page has come is said', async () => {
    const page = await blank();
    const comes = await heldBack(page, '**/assets/index-*.js');
    await page.route('**/assets/worker-*.js', (route) => route.abort());
    const failed = page.waitForEvent('requestfailed');
    await page.goto(url, { waitUntil: 'commit' });
    await failed;
    await page.waitForTimeout(1000);
    comes();
    await page.waitForFunction(() => /could not be loaded/.test(document.getElementById('notice')!.textContent ?? ''));
    await page.close();
  });

  test('a link holds the model itself', async () => {
    const { page } = await opened();
    await page.getByRole('button', { name: 'Copy a link' }).click();
    await page.waitForFunction(() => location.hash.startsWith('#m='));
    const link = page.url();
    const size = await page.locator('#scale strong').textContent();
    await page.close();
    const { page: second, errors } = await opened(link);
    expect(await second.locator('#files').textContent()).toContain('from the link');
    expect(await second.locator('#scale strong').textContent()).toBe(size);
    expect(errors).toEqual([]);
    await second.close();
    const third = await blank();
    await third.goto(`${url}/#m=%%%`);
    await third.waitForFunction(() => /link is damaged/.test(document.getElementById('notice')!.textContent ?? ''));
    // The page works all the same, and takes another link without being loaded again.
    await third.waitForFunction(() => document.querySelectorAll('#bars li').length > 0);
    await third.evaluate((hash) => {
      location.hash = hash;
    }, new URL(link).hash);
    await third.waitForFunction(() => document.getElementById('files')!.textContent!.includes('from the link'));
    expect(await third.locator('#notice').isVisible()).toBe(false);
    await third.close();
    // A place on the page is no model and takes none away; back from a link there is the first.
    const fourth = await blank();
    const comes = await heldBack(fourth, '**/assets/worker-*.js');
    await fourth.goto(link);
    await fourth.locator('#files button').first().waitFor();
    await fourth.getByRole('link', { name: 'Swap the mask' }).click();
    comes();
    const fromLink = fourth.getByRole('button', { name: 'from the link', exact: true, pressed: true });
    await fromLink.waitFor();
    await fourth.evaluate((hash) => {
      history.replaceState(null, '', location.pathname);
      location.hash = hash;
    }, new URL(link).hash);
    await fromLink.waitFor();
    await fourth.goBack();
    await fourth.getByRole('button', { name: 'Digits, on a convolutional network', pressed: true }).waitFor();
    await fourth.close();
  });

  test('trains a mask that classifies, and says a line a pass', async () => {
    const { page, errors } = await opened();
    await page.locator('input[name=epochs]').fill('2');
    await page.evaluate(() => {
      const lines: string[] = [];
      Reflect.set(globalThis, 'lines', lines);
      const training = document.getElementById('training')!;
      new MutationObserver(() => lines.push(training.textContent ?? '')).observe(training, { childList: true });
    });
    await page.getByRole('button', { name: 'Train' }).press('Enter');
    await page.waitForFunction(() => /^Step \d+ of \d+, \d+ a second$/.test(document.getElementById('pace')!.textContent ?? ''));
    expect(await page.evaluate(() => document.activeElement!.textContent)).toBe('Train');
    expect(await page.getByRole('button', { name: 'Train' }).isEnabled()).toBe(false);
    await page.waitForFunction(() => /^Done/.test(document.getElementById('training')!.textContent ?? ''));
    const right = (pass: number) => new RegExp(`^Pass ${pass} of 2: [\\d.]+ % of validation digits right$`);
    const lines = await page.evaluate(() => Reflect.get(globalThis, 'lines') as string[]);
    expect(lines).toEqual([
      'Fetching the digits…',
      'Training…',
      ...[1, 2].map((pass) => expect.stringMatching(right(pass))),
      expect.stringMatching(/^Done: /),
    ]); // prettier-ignore
    expect(await page.evaluate(() => document.activeElement!.textContent)).toBe('Train');
    const [, accuracy] = /Done: ([\d.]+) %/.exec((await page.locator('#training').textContent())!)!;
    expect(Number(accuracy)).toBeGreaterThan(90);
    await page.waitForFunction(() => document.getElementById('files')!.textContent!.includes('seed 1'));
    expect(errors).toEqual([]);
    await page.close();
  });

  test('training is stopped when a visitor says so, and may begin again', async () => {
    const { page, errors } = await opened();
    await page.locator('input[name=epochs]').fill('50');
    const stop = page.getByRole('button', { name: 'Stop' });
    for (let time = 0; time < 2; time++) {
      expect(await stop.isVisible()).toBe(false);
      const threads = page.workers().length;
      await page.getByRole('button', { name: 'Train' }).press('Enter');
      await page.waitForFunction(() => /^Step/.test(document.getElementById('pace')!.textContent ?? ''));
      expect(page.workers()).toHaveLength(threads + 1);
      await stop.press('Enter');
      await page.waitForFunction(() => /^Stopped/.test(document.getElementById('training')!.textContent ?? ''));
      await expect.poll(() => page.workers().length, { timeout: 10_000 }).toBe(threads);
      expect(await page.evaluate(() => document.activeElement!.textContent)).toBe('Train');
      expect(await page.getByRole('button', { name: 'Train' }).isEnabled()).toBe(true);
      expect(await page.locator('#pace').textContent()).toBe('');
    }
    expect(errors).toEqual([]);
    await page.close();
  });

  test('the runtime gives the logits of this process for 1,000 images, in a worker, without one, and with threads', async () => {
    const images = digits.images.subarray(0, 784 * 1000);
    const { port } = isolated.address() as AddressInfo;
    for (const [base, options, shared] of [
      [url, {}, false],
      [url, { worker: false }, false],
      [`http://127.0.0.1:${port}`, { threads: 2 }, true],
    ] as const) {
      const page = await blank();
      await page.goto(`${base}/size.html`);
      expect(await page.evaluate(() => globalThis.crossOriginIsolated)).toBe(shared);
      const content = `import * as seedmask from '${base}/seedmask.js'; globalThis.seedmask = seedmask;`;
      await page.addScriptTag({ type: 'module', content });
      await page.waitForFunction(() => 'seedmask' in globalThis);
      for (const [name, id] of [
        ['digits', ''],
        ['tasks', 'shuffled-pixels-1'],
      ]) {
        const found = await page.evaluate(
          async ({ base, name, id, options, bytes }) => {
            const { open } = Reflect.get(globalThis, 'seedmask') as typeof import('../web/runtime.js');
            const model = await open(`${base}/models/${name}.smk`, options);
            const values = Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0));
            const logits: ArrayLike<number> = await model.logits(values, values.length / 784, id);
            model.close();
            return Array.from(logits);
          },
          { base, name, id, options, bytes: Buffer.from(images).toString('base64') },
        );
        const { network, tasks } = readModel(modelFile(name));
        const task = tasks.find((one) => one.id === id)!;
        const classifier = engine.classifier(network, { mask: task.mask, transform: task.transform });
        expect(found).toEqual(Array.from(classifier.logits(images, 1000)));
        classifier.free();
      }
      await page.close();
    }
  });

  test('the runtime: what was not answered fails when it is closed, any number of threads starts, a view sends its own bytes', async () => {
    const page = await blank();
    const { port } = isolated.address() as AddressInfo;
    const base = `http://127.0.0.1:${port}`;
    await page.goto(`${base}/size.html`);
    const content = `import * as seedmask from '${base}/seedmask.js'; globalThis.seedmask = seedmask;`;
    await page.addScriptTag({ type: 'module', content });
    await page.waitForFunction(() => 'seedmask' in globalThis);
    const found = await page.evaluate(async (file) => {
      const { open } = Reflect.get(globalThis, 'seedmask') as typeof import('../web/runtime.js');
      const said: string[] = [];
      const digits = new Uint8Array(784 * 2).fill(0, 784).fill(200, 800, 1200);
      for (const options of [...[1.5, Number.NaN, 0, -1].map((threads) => ({ threads })), { worker: false }]) {
        const model = await open(file, options);
        const { label } = await model.classify(digits.subarray(784));
        said.push(String(label === (await model.classify(digits.slice(784))).label));
        const lost = [model.classify(digits.subarray(0, 784)), model.logits(digits, 2)];
        model.close();
        lost.push(model.classify(digits.subarray(0, 784)));
        for (const one of await Promise.allSettled(lost)) said.push(one.status === 'rejected' ? one.reason.message : one.status);
      }
      const sent: number[] = [];
      const post = Worker.prototype.postMessage;
      Worker.prototype.postMessage = function (this: Worker, message: { given: unknown[] }) {
        for (const value of message.given) if (value instanceof Uint8Array) sent.push(value.buffer.byteLength);
        post.call(this, message);
      } as typeof post;
      const model = await open(file);
      sent.length = 0;
      await model.classify(digits.subarray(784));
      await model.classify(digits.slice(784));
      return { said, sent };
    }, `${base}/models/digits.smk`);
    expect(found.said).toEqual(Array.from({ length: 5 }, () => ['true', ...Array(3).fill('the model is closed')]).flat());
    expect(found.sent).toEqual([784, 784]);
    await page.close();
  });

  test('axe finds nothing serious, light or dark, wide or narrow', async () => {
    const { page } = await opened();
    await tasksFile(page);
    const source = readFileSync(join(ROOT, 'node_modules/axe-core/axe.min.js'), 'utf8');
    for (const address of ['', '/size.html']) {
      if (address) await page.goto(url + address);
      await page.evaluate(source);
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        for (const width of [1200, 360]) {
          await page.setViewportSize({ width, height: 900 });
          if (SHOTS) {
            mkdirSync(SHOTS, { recursive: true });
            await page.screenshot({ path: join(SHOTS, `${address.slice(1, 5) || 'page'}-${colorScheme}-${width}.png`), fullPage: true });
          }
          const found: string[] = await page.evaluate(async () => {
            const axe = Reflect.get(globalThis, 'axe') as {
              run(): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }>;
            };
            const { violations } = await axe.run();
            return violations
              .filter(({ impact }) => impact === 'serious' || impact === 'critical')
              .map(({ id, nodes }) => `${id}: ${nodes[0].html}`);
          });
          expect(found).toEqual([]);
          expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
          expect(await page.evaluate(() => [...document.querySelectorAll('.wide')].every((e) => e.scrollWidth <= e.clientWidth))).toBe(
            true,
          );
        }
      }
    }
    await page.close();
  });

  test('a visitor loads little: the page with its first model, compressed', async () => {
    const page = await blank();
    const loaded = new Map<string, Buffer>();
    page.on('response', async (response) => loaded.set(response.url(), await response.body()));
    const foreign: string[] = [];
    page.on('request', (request) => request.url().startsWith(url) || request.url().startsWith('data:') || foreign.push(request.url()));
    await page.goto(url);
    await page.waitForFunction(() => document.querySelectorAll('#bars li').length > 0);
    await page.waitForLoadState('networkidle');
    const bytes = [...loaded.values()].reduce((sum, body) => sum + gzipSync(body, { level: 9 }).length, 0);
    expect(foreign).toEqual([]);
    // What undoes deflate, the trainer with all that writes files, and threads come when they are needed.
    expect([...loaded.keys()].filter((address) => /inflate|trainer|kernels/.test(address))).toEqual([]);
    expect(bytes).toBeLessThan(90 * 1024);
    await page.close();
  });
});

test.skipIf(!existsSync(join(BUILT, 'seedmask.js')) && !process.env['CI'])(
  'what a page loads to decode, regenerate and classify has at most 40 KB, compressed',
  () => {
    const texts = new Map<string, string>();
    const load = (name: string): void => {
      if (texts.has(name)) return;
      const text = readFileSync(join(BUILT, name), 'utf8');
      texts.set(name, text);
      for (const [, next] of text.matchAll(/(?:from|import)\s*["'`]\.\/([^"'`]+)["'`]/g)) load(next);
    };
    load('seedmask.js');
    const bytes = [...texts.values()].reduce((sum, text) => sum + gzipSync(text, { level: 9 }).length, 0);
    expect(bytes).toBeLessThanOrEqual(40 * 1024);
  },
);

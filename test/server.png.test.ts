// PNG images of every colour type and depth, each line filtered in another way, written by Python with the rows that they are: what
// decodePng makes of them is the same to the byte. And what may ask for memory is refused before any is taken.

import { execFileSync } from 'node:child_process';
import { deflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { decodePng, hasColours } from '../server/requests/png.js';
import { chunk, png } from './server.material.js';

const WRITER = `
import base64, json, random, struct, zlib
random.seed(3)
W, H = 11, 7
chunk = lambda name, data: struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))

def filtered(lines, step):
    out, above = b'', bytes(len(lines[0]))
    for y, line in enumerate(lines):
        kind, coded = y % 5, bytearray()
        for i, value in enumerate(line):
            a, b, c = line[i - step] if i >= step else 0, above[i], above[i - step] if i >= step else 0
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            coded.append((value - [0, a, b, (a + b) // 2, paeth][kind]) & 255)
        out, above = out + bytes([kind]) + bytes(coded), line
    return out

images = []
for kind, samples, depths in ((0, 1, (1, 2, 4, 8, 16)), (2, 3, (8, 16)), (3, 1, (1, 2, 4, 8)), (4, 2, (8, 16)), (6, 4, (8, 16))):
    for depth in depths:
        most = 2 ** depth - 1
        palette = [tuple(random.randrange(256) for _ in range(4)) for _ in range(most + 1)]
        pixels = [[[random.randint(0, most) for _ in range(samples)] for _ in range(W)] for _ in range(H)]
        clear = pixels[0][0]
        lines, rgb, grey = [], [], []
        for row in pixels:
            bits = ''.join(format(sample, '0%db' % depth) for pixel in row for sample in pixel)
            bits += '0' * (-len(bits) % 8)
            lines.append(bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8)))
            for pixel in row:
                level = [(2 * 255 * sample + most) // (2 * most) for sample in pixel]
                *colour, alpha = {0: level * 3 + [255], 2: level + [255], 3: list(palette[pixel[0]]), 4: level[:1] * 3 + level[1:], 6: level}[kind]
                if kind in (0, 2) and pixel == clear: alpha = 0
                colour = [(value * alpha + 127) // 255 for value in colour]
                rgb += colour
                grey.append((299 * colour[0] + 587 * colour[1] + 114 * colour[2] + 500) // 1000)
        file = b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', W, H, depth, kind, 0, 0, 0))
        if kind == 3: file += chunk(b'PLTE', bytes(v for entry in palette for v in entry[:3])) + chunk(b'tRNS', bytes(entry[3] for entry in palette))
        if kind in (0, 2): file += chunk(b'tRNS', struct.pack('>%dH' % samples, *clear))
        file += chunk(b'IDAT', zlib.compress(filtered(lines, max(1, samples * depth // 8)))) + chunk(b'IEND', b'')
        images.append({'kind': kind, 'depth': depth, 'file': base64.b64encode(file).decode(), 'rgb': rgb, 'grey': grey})
print(json.dumps(images))
`;
interface Written {
  readonly kind: number;
  readonly depth: number;
  readonly file: string;
  readonly rgb: number[];
  readonly grey: number[];
}
const images = JSON.parse(execFileSync('/usr/bin/python3', ['-c', WRITER], { encoding: 'utf8' })) as Written[];

test.each(images)('colour type $kind, $depth bits: the pixels that Python wrote', ({ kind, file, rgb, grey }) => {
  const bytes = new Uint8Array(Buffer.from(file, 'base64'));
  expect([...decodePng(bytes, [7, 11, 3])]).toEqual(rgb);
  expect([...decodePng(bytes, [7, 11, 1])]).toEqual(grey);
  expect(hasColours(bytes)).toBe(kind === 2 || kind === 3 || kind === 6);
});

test('a palette is one of 256 colours at most, and of colours where one of them is', () => {
  const header = Buffer.from([0, 0, 0, 2, 0, 0, 0, 2, 8, 3, 0, 0, 0]);
  const signature = png(1, 1, () => [0, 0, 0, 255]).subarray(0, 8);
  const pixels = chunk('IDAT', deflateSync(Buffer.from([0, 0, 1, 0, 1, 0])));
  const clear = chunk('tRNS', Uint8Array.of(0));
  const image = (...palettes: number[][]) =>
    Buffer.concat([
      signature,
      chunk('IHDR', header),
      ...palettes.map((entries) => chunk('PLTE', Uint8Array.from(entries))),
      pixels,
      chunk('IEND', new Uint8Array()),
    ]);
  const greys = image([9, 9, 9, 200, 200, 200]);
  expect([hasColours(greys), [...decodePng(greys, [2, 2, 1])]]).toEqual([false, [9, 200, 200, 9]]);
  expect(hasColours(image([9, 9, 9, 200, 201, 200]))).toBe(true);
  const refused = (bytes: Uint8Array) => expect(() => decodePng(bytes, [2, 2, 3]));
  refused(image(new Array(771).fill(0))).toThrow(/a palette of more than 256 colours, expected a whole PNG file/);
  refused(image([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6])).toThrow(/a second PLTE chunk/);
  refused(Buffer.concat([greys.subarray(0, 33), clear, clear, greys.subarray(33)])).toThrow(/a second tRNS chunk/);
  refused(image([1, 2, 3])).toThrow(/index 1 not in palette/);
  refused(image()).toThrow(/palette not found/);
});

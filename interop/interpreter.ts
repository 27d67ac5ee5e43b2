// The interpreter of c.ts, in C99. One pass over the kept weights of a layer: the next distance, the sign, and an addition or
// subtraction at every place of the output that the weight reaches (one for dense layers). Integers only, so any order is exact.

export const INTERPRETER = `/* kept 0: a 2x2 pool when kernel is 0. Dense layers are 1x1 kernels over one pixel. */
typedef struct {
  uint32_t kept, begin;
  uint8_t kernel, before, rice, relu;
  uint16_t stream;
  uint16_t h, w;
  uint32_t c;
  uint16_t oh, ow;
  uint32_t units;
} seedmask_layer;
static const seedmask_layer seedmask_layers[SEEDMASK_LAYERS] = {
LAYER_ROWS
};

/* Philox4x32-10 (Salmon et al. 2011), the block of sign words that was needed last. */
typedef struct { uint32_t block, words[4]; } seedmask_signs;

static void seedmask_philox(uint32_t block, uint32_t stream, uint32_t *x) {
  uint32_t k0 = SEEDMASK_KEY_LOW, k1 = SEEDMASK_KEY_HIGH;
  int round;
  x[0] = block; x[1] = 0; x[2] = stream; x[3] = SEEDMASK_PACKED;
  for (round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)0xd2511f53u * x[0], p1 = (uint64_t)0xcd9e8d57u * x[2];
    x[0] = (uint32_t)(p1 >> 32) ^ x[1] ^ k0;
    x[2] = (uint32_t)(p0 >> 32) ^ x[3] ^ k1;
    x[1] = (uint32_t)p1;
    x[3] = (uint32_t)p0;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
}

static int seedmask_positive(seedmask_signs *signs, uint32_t weight, uint32_t stream) {
  uint32_t word = SEEDMASK_PACKED ? weight >> 5 : weight, bit = SEEDMASK_PACKED ? weight & 31 : 31;
  if (signs->block != word >> 2) seedmask_philox(signs->block = word >> 2, stream, signs->words);
  return signs->words[word & 3] >> bit & 1;
}

static uint32_t seedmask_bit(uint32_t at) { return seedmask_mask[at >> 3] >> (at & 7) & 1; }

/* in: bytes for the first layer, values for the others. */
static void seedmask_weights(const seedmask_layer *l, const uint8_t *bytes, const int32_t *values, int32_t *out) {
  seedmask_signs signs = {0xffffffffu, {0, 0, 0, 0}};
  uint32_t at = l->begin, n, next = 0, fan_in = l->c * l->kernel * l->kernel, i, size = l->oh * l->ow * l->units;
  for (i = 0; i < size; i++) out[i] = 0;
  for (n = 0; n < l->kept; n++) {
    uint32_t gap = 0, weight, unit, tap, channel, b;
    int32_t ky, kx, y, x;
    int positive;
    while (seedmask_bit(at++)) gap++;
    gap <<= l->rice;
    for (b = 0; b < l->rice; b++) gap |= seedmask_bit(at++) << b;
    weight = next + gap;
    next = weight + 1;
    positive = seedmask_positive(&signs, weight, l->stream);
    unit = weight / fan_in;
    tap = weight % fan_in / l->c;
    channel = weight % l->c;
    ky = (int32_t)(tap / l->kernel) - l->before;
    kx = (int32_t)(tap % l->kernel) - l->before;
    for (y = 0; y < l->oh; y++) {
      if (y + ky < 0 || y + ky >= l->h) continue;
      for (x = 0; x < l->ow; x++) {
        uint32_t from;
        int32_t value;
        if (x + kx < 0 || x + kx >= l->w) continue;
        from = (uint32_t)((y + ky) * l->w + x + kx) * l->c + channel;
        value = bytes ? bytes[from] : values[from];
        out[(uint32_t)(y * l->ow + x) * l->units + unit] += positive ? value : -value;
      }
    }
  }
  if (l->relu) for (i = 0; i < size; i++) if (out[i] < 0) out[i] = 0;
}

static void seedmask_pool(const seedmask_layer *l, const uint8_t *bytes, const int32_t *values, int32_t *out) {
  uint32_t y, x, c, k;
  for (y = 0; y < l->oh; y++) for (x = 0; x < l->ow; x++) for (c = 0; c < l->c; c++) {
    int32_t best = INT32_MIN;
    for (k = 0; k < 4; k++) {
      uint32_t from = ((2 * y + (k >> 1)) * l->w + 2 * x + (k & 1)) * l->c + c;
      int32_t value = bytes ? bytes[from] : values[from];
      if (value > best) best = value;
    }
    out[(y * l->ow + x) * l->units + c] = best;
  }
}

static int seedmask_classify(const uint8_t *input, int32_t *logits) {
  static int32_t even[SEEDMASK_EVEN], odd[SEEDMASK_ODD];
  const int32_t *values = 0;
  int i, best = 0;
  for (i = 0; i < SEEDMASK_LAYERS; i++) {
    const seedmask_layer *l = &seedmask_layers[i];
    int32_t *out = i == SEEDMASK_LAYERS - 1 ? logits : i & 1 ? odd : even;
    if (l->kernel) seedmask_weights(l, i ? 0 : input, values, out);
    else seedmask_pool(l, i ? 0 : input, values, out);
    values = out;
  }
  for (i = 1; i < SEEDMASK_LABELS; i++) if (logits[i] > logits[best]) best = i;
  return best;
}
`;

// What stands between a block's matrix products, in one pass each: the product's bias is added on the way.
// `bias` may be missing. Rows go in parts of fixed size, by which biases' gradients are added up: their numbers
// do not depend on how many threads there are.
#include "vectors.h"

#define PART 32  // rows of a part

typedef struct {
  const REAL *values, *bias, *residual, *of_out;
  REAL *out, *of_values, *of_bias;
  REAL *sums;  // (parts, width) of which `of_bias` is made
  int64_t rows, width, level, threads;
  uint64_t seed;
} Pointwise;

enum { GELU, DROP };

// x / (1 + e^-2u) with u = sqrt(2 / pi) (x + 0.044715 x^3), which is GELU with a tanh (Hendrycks and Gimpel
// 2016); e^80 is large enough to be all of a sum
#define FIRST ((REAL)-1.5957691216057308)
#define THIRD ((REAL)-0.07135481627260025)
INLINE vec gate(vec x) {
  vec power = x * (all(FIRST) + all(THIRD) * x * x);
  power = pick(power > all(80), all(80), power);
  return all(1) / (all(1) + exponential(power));
}

INLINE vec gelu_slope(vec x) {
  const vec open = gate(x);
  return open - x * open * (all(1) - open) * (all(FIRST) + all(3 * THIRD) * x * x);
}

// `count` numbers, which are fewer than a vector's at the end of a row
INLINE vec load_some(const REAL *at, const int count) {
  if (count == LANES) return load(at);
  vec values = {0};
  memcpy(&values, at, count * sizeof(REAL));
  return values;
}

INLINE void store_some(REAL *at, vec values, const int count) { memcpy(at, &values, count * sizeof(REAL)); }

INLINE void forward_some(const Pointwise p, Drop drop, int64_t row, int64_t column, const int kind,
                         const int count) {
  const int64_t at = row * p.width + column;
  vec out = load_some(p.values + at, count);
  if (p.bias) out += load_some(p.bias + column, count);
  if (kind == GELU) out *= gate(out);
  if (kind == DROP && drop.level) out *= keeping(drop, column);
  if (kind == DROP) out += load_some(p.residual + at, count);
  store_some(p.out + at, out, count);
}

INLINE void backward_some(const Pointwise p, Drop drop, int64_t row, int64_t column, REAL *sums,
                          const int kind, const int count) {
  const int64_t at = row * p.width + column;
  vec gradient = load_some(p.of_out + at, count);
  if (kind == GELU) {
    vec x = load_some(p.values + at, count);
    if (p.bias) x += load_some(p.bias + column, count);
    gradient *= gelu_slope(x);
  }
  if (kind == DROP && drop.level) gradient *= keeping(drop, column);
  store_some(p.of_values + at, gradient, count);
  if (p.of_bias) store_some(sums + column, load_some(sums + column, count) + gradient, count);
}

INLINE int64_t part_end(const Pointwise p, int64_t part) {
  return (part + 1) * PART < p.rows ? (part + 1) * PART : p.rows;
}

// what is asked is copied: a store through a pointer could else change it
INLINE void forward_part(const Pointwise p, int64_t part, const int kind) {
  for (int64_t row = part * PART; row < part_end(p, part); row++) {
    const Drop drop = drop_of(p.seed, row, p.level);
    int64_t column = 0;
    for (; column + LANES <= p.width; column += LANES) forward_some(p, drop, row, column, kind, LANES);
    if (column < p.width) forward_some(p, drop, row, column, kind, (int)(p.width - column));
  }
}

INLINE void backward_part(const Pointwise p, int64_t part, const int kind) {
  REAL *sums = p.sums + part * p.width;
  if (p.of_bias) memset(sums, 0, p.width * sizeof(REAL));
  for (int64_t row = part * PART; row < part_end(p, part); row++) {
    const Drop drop = drop_of(p.seed, row, p.level);
    int64_t column = 0;
    for (; column + LANES <= p.width; column += LANES) backward_some(p, drop, row, column, sums, kind, LANES);
    if (column < p.width) backward_some(p, drop, row, column, sums, kind, (int)(p.width - column));
  }
}

static void gelu_forward_part(const Pointwise *p, int64_t part) { forward_part(*p, part, GELU); }
static void gelu_backward_part(const Pointwise *p, int64_t part) { backward_part(*p, part, GELU); }
static void drop_forward_part(const Pointwise *p, int64_t part) { forward_part(*p, part, DROP); }
static void drop_backward_part(const Pointwise *p, int64_t part) { backward_part(*p, part, DROP); }

static void each_part(const Pointwise *p, void (*work)(const Pointwise *, int64_t)) {
  const int64_t parts = (p->rows + PART - 1) / PART;
#pragma omp parallel for schedule(static) num_threads(p->threads)
  for (int64_t part = 0; part < parts; part++) work(p, part);
  if (!p->of_bias) return;
  memset(p->of_bias, 0, p->width * sizeof(REAL));
  for (int64_t at = 0; at < parts * p->width; at++) p->of_bias[at % p->width] += p->sums[at];
}

void gelu_forward(const Pointwise *p) { each_part(p, gelu_forward_part); }
void gelu_backward(const Pointwise *p) { each_part(p, gelu_backward_part); }
void add_dropped_forward(const Pointwise *p) { each_part(p, drop_forward_part); }
void add_dropped_backward(const Pointwise *p) { each_part(p, drop_backward_part); }

// Vectors of the widest registers that the processor has, by the compiler's own extension: no word here is
// of one processor. REAL is float or double.
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
#define BYTES 64
#define COLUMNS 4
#elif defined(__AVX__)
#define BYTES 32
#define COLUMNS 2
#else
#define BYTES 16
#define COLUMNS 2
#endif
#define LANES ((int)(BYTES / sizeof(REAL)))
// a loop that is written out once for each number of rows
#define INLINE static inline __attribute__((always_inline))

typedef REAL vec __attribute__((vector_size(BYTES)));
typedef REAL loose __attribute__((vector_size(BYTES), aligned(sizeof(REAL)), may_alias));
#ifdef DOUBLE
typedef int64_t integer;
#define SQUARE_ROOT sqrt
#else
typedef int32_t integer;
#define SQUARE_ROOT sqrtf
typedef uint32_t words __attribute__((vector_size(BYTES)));
#endif
typedef integer ints __attribute__((vector_size(BYTES)));

INLINE vec load(const REAL *at) { return *(const loose *)at; }
INLINE void store(REAL *at, vec values) { *(loose *)at = values; }
INLINE vec all(REAL value) { return value - (vec){0}; }
INLINE vec pick(ints which, vec yes, vec no) { return (vec)((which & (ints)yes) | (~which & (ints)no)); }
INLINE int filled_up(int count) { return (count + LANES - 1) / LANES * LANES; }

INLINE ints numbers_from(int first) {
  static const integer counted[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  ints numbers;
  memcpy(&numbers, counted, BYTES);
  return numbers + first;
}

// half of the lanes at a time: a chain of all of them would be waited for
INLINE REAL total(vec values) {
  for (int half = LANES / 2; half; half /= 2) values += __builtin_shuffle(values, numbers_from(0) ^ half);
  return values[0];
}

INLINE REAL largest(vec values) {
  for (int half = LANES / 2; half; half /= 2) {
    const vec others = __builtin_shuffle(values, numbers_from(0) ^ half);
    values = pick(others > values, others, values);
  }
  return values[0];
}

#ifdef DOUBLE
INLINE vec exponential(vec x) {
  for (int lane = 0; lane < LANES; lane++) x[lane] = exp(x[lane]);
  return x;
}
#else
// 2^n e^r with |r| <= ln 2 / 2 and e^r by its series to the 7th power: the last bit may be wrong.
// For x up to 88; what is less than -87 is as -87, which is 0 beside 1. What is no number stays none.
INLINE vec exponential(vec x) {
  const REAL nearest = 12582912;  // 1.5 x 2^23: added to it, a number is rounded to a whole one
  x = pick(x < all(-87), all(-87), x);
  vec n = x * all(1.44269504f) + all(nearest);
  ints exponent = (ints)n << 23;
  n -= all(nearest);
  vec r = x - n * all(0.693145752f) - n * all(1.42860677e-6f);
  vec power = all(1.98412698e-4f);
  power = power * r + all(1.38888889e-3f);
  power = power * r + all(8.33333333e-3f);
  power = power * r + all(4.16666667e-2f);
  power = power * r + all(1.66666667e-1f);
  power = power * r + all(0.5f);
  power = power * r + all(1);
  power = power * r + all(1);
  return pick(x == x, (vec)((ints)power + exponent), x);
}
#endif

// Dropout: 16 bits of a keyed hash of a value's number decide whether it is kept, so that the backward need
// not be told which were.
typedef struct {
  uint32_t first, second, level;
  REAL scale;
} Drop;

// splitmix64 (Steele, Lea and Flood 2014)
INLINE uint64_t mixed(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// `level` in 65536 are kept; 0: nothing is dropped
INLINE Drop drop_of(uint64_t seed, uint64_t item, uint32_t level) {
  uint64_t key = mixed(seed ^ mixed(item));
  return (Drop){(uint32_t)key, (uint32_t)(key >> 32), level, level ? (REAL)65536 / level : 1};
}

#define HASH(x, drop)                                                          \
  do {                                                                         \
    x ^= drop.first, x ^= x >> 16, x *= 0x7feb352du, x ^= x >> 15;             \
    x ^= drop.second, x *= 0x846ca68bu, x ^= x >> 16, x *= 0x9e3779b1u;        \
    x >>= 16;                                                                  \
  } while (0)

// what values number `first` and following are multiplied by
INLINE vec keeping(Drop drop, uint32_t first) {
#ifdef DOUBLE
  vec kept;
  for (int lane = 0; lane < LANES; lane++) {
    uint32_t x = first + lane;
    HASH(x, drop);
    kept[lane] = x < drop.level ? drop.scale : 0;
  }
  return kept;
#else
  words x = (words)numbers_from(0) + first;
  HASH(x, drop);
  return pick((ints)x < (int)drop.level, all(drop.scale), all(0));
#endif
}

// Causal softmax attention of texts that lie one after the other, and its gradient: one head of one text at a
// time, whose scores never leave the cache. Queries, keys and values are read where they lie.
#include "vectors.h"

#define ROWS 4   // queries that meet the keys at once: as many sums as registers hold
#define BAND 16  // queries whose gradients are added to keys and values at once

// `token` is how many numbers lie between a text's token and the next
typedef struct {
  REAL *at;
  int64_t token;
} States;

typedef struct {
  States query, key, value, out, of_query, of_key, of_value, of_out;
  REAL *logsums;          // (query tokens, heads) the logarithm of the sum that shares are divided by
  const int64_t *starts;  // (texts + 1) of each text's tokens
  const int64_t *asks;    // (texts + 1) of each text's queries: they stand at its end
  int64_t from_last;      // whether all of a text's queries stand at its last token
  int64_t texts, heads, key_heads, width, window, level, threads;
  uint64_t seed;
  double scaling;
} Attention;

// One head of one text.
typedef struct {
  const Attention *of;
  States query, key, value, out, of_query, of_key, of_value, of_out;
  REAL *logsums;
  int length, asked, padded, width;
  int first, step;  // the place of the first query among the keys, and how far it is to the next one's
  Drop drop;
} Head;

INLINE States part(States states, int64_t token, int64_t head, int64_t width) {
  return (States){states.at ? states.at + token * states.token + head * width : 0, states.token};
}

static Head head_of(const Attention *a, int64_t text, int64_t head) {
  const int64_t key = a->starts[text], query = a->asks[text], d = a->width;
  const int64_t shared = head / (a->heads / a->key_heads);
  const int length = a->starts[text + 1] - key, asked = a->asks[text + 1] - query;
  return (Head){a,
                part(a->query, query, head, d),
                part(a->key, key, shared, d),
                part(a->value, key, shared, d),
                part(a->out, query, head, d),
                part(a->of_query, query, head, d),
                part(a->of_key, key, shared, d),
                part(a->of_value, key, shared, d),
                part(a->of_out, query, head, d),
                a->logsums + query * a->heads + head,
                length,
                asked,
                filled_up(length),
                d,
                length - (a->from_last ? 1 : asked),
                !a->from_last,
                drop_of(a->seed, text * a->heads + head, a->level)};
}

// where a query stands among the keys
INLINE int place_of(const Head *h, int row) { return h->first + row * h->step; }

INLINE REAL *row_of(States states, int64_t row) { return states.at + row * states.token; }
INLINE States at_row(States states, int64_t row) { return (States){row_of(states, row), states.token}; }
INLINE States at_column(States states, int column) { return (States){states.at + column, states.token}; }

// the first key that the query at `place` sees
INLINE int first_seen(const Head *h, int place) {
  return h->of->window && place >= h->of->window ? place - h->of->window + 1 : 0;
}

// The products below are of `padded` numbers a row of scores; sizes are given one by one, as a store through
// a pointer could else change them.

// (length, width) rows -> (width, padded) columns
static void turn(States from, int length, int padded, int width, REAL *to) {
  for (int row = 0; row < length; row++)
    for (int d = 0; d < width; d++) to[d * padded + row] = row_of(from, row)[d];
  for (int d = 0; d < width; d++)
    for (int row = length; row < padded; row++) to[d * padded + row] = 0;
}

// scores[r][j] = rows[r] . columns[j]
INLINE void meet_some(States rows, const REAL *columns, int padded, int width, REAL *scores, const int count,
                      const int wide) {
  vec sums[ROWS][COLUMNS] = {0};
  for (int d = 0; d < width; d++, columns += padded) {
    vec column[COLUMNS];
    for (int n = 0; n < wide; n++) column[n] = load(columns + n * LANES);
    for (int r = 0; r < count; r++)
      for (int n = 0; n < wide; n++) sums[r][n] += all(row_of(rows, r)[d]) * column[n];
  }
  for (int r = 0; r < count; r++)
    for (int n = 0; n < wide; n++) store(scores + r * padded + n * LANES, sums[r][n]);
}

INLINE void meet_rows(States rows, const REAL *columns, int first, int end, int padded, int width,
                      REAL *scores, const int count) {
  for (; first + COLUMNS * LANES <= end; first += COLUMNS * LANES)
    meet_some(rows, columns + first, padded, width, scores + first, count, COLUMNS);
  for (; first + 2 * LANES <= end; first += 2 * LANES)
    meet_some(rows, columns + first, padded, width, scores + first, count, 2);
  if (first < end) meet_some(rows, columns + first, padded, width, scores + first, count, 1);
}

// out[r] = sum over j of shares[r][j] states[j]
INLINE void mix_some(const REAL *shares, States states, int first, int end, int padded, States out,
                     const int count, const int wide) {
  vec sums[ROWS][COLUMNS] = {0};
  for (int j = first; j < end; j++) {
    vec state[COLUMNS];
    for (int n = 0; n < wide; n++) state[n] = load(row_of(states, j) + n * LANES);
    for (int r = 0; r < count; r++)
      for (int n = 0; n < wide; n++) sums[r][n] += all(shares[r * padded + j]) * state[n];
  }
  for (int r = 0; r < count; r++)
    for (int n = 0; n < wide; n++) store(row_of(out, r) + n * LANES, sums[r][n]);
}

INLINE void mix_rows(const REAL *shares, States states, int first, int end, int padded, int width, States out,
                     const int count) {
  int d = 0;
  for (; d + COLUMNS * LANES <= width; d += COLUMNS * LANES)
    mix_some(shares, at_column(states, d), first, end, padded, at_column(out, d), count, COLUMNS);
  for (; d < width; d += LANES)
    mix_some(shares, at_column(states, d), first, end, padded, at_column(out, d), count, 1);
}

// with the number of rows known to the compiler, their sums stay in registers
#define OF_ROWS(count, work) \
  switch (count) {           \
    case 4: work(4); break;  \
    case 3: work(3); break;  \
    case 2: work(2); break;  \
    default: work(1);        \
  }

static void meet(States rows, const REAL *columns, int first, int end, int padded, int width, REAL *scores,
                 int count) {
#define MEET(n) meet_rows(rows, columns, first, end, padded, width, scores, n)
  OF_ROWS(count, MEET)
}

static void mix(const REAL *shares, States states, int first, int end, int padded, int width, States out,
                int count) {
#define MIX(n) mix_rows(shares, states, first, end, padded, width, out, n)
  OF_ROWS(count, MIX)
}

// states[j] += sum over r of shares[r][j] rows[r]
INLINE void spread_some(const REAL *shares, States rows, int count, int padded, States states, const int keys,
                        const int wide) {
  vec sums[ROWS][COLUMNS];
  for (int k = 0; k < keys; k++)
    for (int n = 0; n < wide; n++) sums[k][n] = load(row_of(states, k) + n * LANES);
  for (int r = 0; r < count; r++) {
    vec row[COLUMNS];
    for (int n = 0; n < wide; n++) row[n] = load(row_of(rows, r) + n * LANES);
    for (int k = 0; k < keys; k++)
      for (int n = 0; n < wide; n++) sums[k][n] += all(shares[r * padded + k]) * row[n];
  }
  for (int k = 0; k < keys; k++)
    for (int n = 0; n < wide; n++) store(row_of(states, k) + n * LANES, sums[k][n]);
}

static void spread(const REAL *shares, States rows, int count, int first, int end, int padded, int width,
                   States states) {
  for (int d = 0; d < width;) {
    const int wide = d + COLUMNS * LANES <= width ? COLUMNS : 1;
    const States from = at_column(rows, d), to = at_column(states, d);
    int j = first;
    for (; wide == COLUMNS && j + ROWS <= end; j += ROWS)
      spread_some(shares + j, from, count, padded, at_row(to, j), ROWS, COLUMNS);
    for (; j < end; j++)
      if (wide == COLUMNS)
        spread_some(shares + j, from, count, padded, at_row(to, j), 1, COLUMNS);
      else
        spread_some(shares + j, from, count, padded, at_row(to, j), 1, 1);
    d += wide * LANES;
  }
}

// one query's scores -> its shares, of which some are dropped; returns the logarithm of their sum
static REAL share(const Head *h, REAL *scores, int row, int first, int end) {
  const int place = place_of(h, row), from = first_seen(h, place), padded = h->padded;
  const vec scaling = all(h->of->scaling);
  const Drop drop = h->drop;
  vec most = all(-INFINITY), sum = {0};
  for (int j = first; j < end; j += LANES) {
    const ints at = numbers_from(j);
    const vec score = pick((at <= place) & (at >= from), load(scores + j) * scaling, all(-INFINITY));
    store(scores + j, score);
    most = pick(score > most, score, most);
  }
  const REAL top = largest(most);
  for (int j = first; j < end; j += LANES) {
    const ints at = numbers_from(j);
    const vec power = pick((at <= place) & (at >= from), exponential(load(scores + j) - all(top)), all(0));
    sum += power;
    store(scores + j, power);
  }
  const REAL whole = total(sum);
  for (int j = first; j < end; j += LANES) {
    vec kept = load(scores + j) * all(1 / whole);
    if (drop.level) kept *= keeping(drop, (uint32_t)(h->length - h->asked + row) * padded + j);
    store(scores + j, kept);
  }
  return top + (REAL)log(whole);
}

static void forward(const Head *h, REAL *scratch) {
  const int padded = h->padded, width = h->width;
  REAL *keys = scratch, *scores = scratch + width * padded;
  turn(h->key, h->length, padded, width, keys);
  for (int row = 0; row < h->asked; row += ROWS) {
    const int count = h->asked - row < ROWS ? h->asked - row : ROWS, end = place_of(h, row + count - 1) + 1;
    const int first = first_seen(h, place_of(h, row)) / LANES * LANES, last = filled_up(end);
    meet(at_row(h->query, row), keys, first, last, padded, width, scores, count);
    for (int r = 0; r < count; r++)
      h->logsums[(row + r) * h->of->heads] = share(h, scores + r * padded, row + r, first, last);
    mix(scores, h->value, first, end, padded, width, at_row(h->out, row), count);
  }
}

// one query's scores, and its output's gradient times the values -> kept shares, and the scores' gradient
static void slope(const Head *h, int row, REAL *scores, REAL *slopes, int first, int end) {
  const int place = place_of(h, row), from = first_seen(h, place), padded = h->padded, width = h->width;
  const Drop drop = h->drop;
  const REAL *out = row_of(h->out, row), *of_out = row_of(h->of_out, row);
  const vec logsum = all(h->logsums[row * h->of->heads]), scaling = all(h->of->scaling);
  vec product = {0};
  for (int d = 0; d < width; d += LANES) product += load(out + d) * load(of_out + d);
  const vec mean = all(total(product));
  for (int j = first; j < end; j += LANES) {
    const ints at = numbers_from(j);
    const vec power = exponential(load(scores + j) * scaling - logsum);
    const vec one = pick((at <= place) & (at >= from), power, all(0));
    const vec kept = drop.level ? one * keeping(drop, (uint32_t)(h->length - h->asked + row) * padded + j) : one;
    store(scores + j, kept);
    store(slopes + j, (kept * load(slopes + j) - one * mean) * scaling);
  }
}

static void backward(const Head *h, REAL *scratch) {
  const int padded = h->padded, width = h->width;
  REAL *keys = scratch, *values = keys + width * padded;
  REAL *scores = values + width * padded, *slopes = scores + BAND * padded;
  turn(h->key, h->length, padded, width, keys);
  turn(h->value, h->length, padded, width, values);
  for (int begin = 0; begin < h->asked; begin += BAND) {
    const int band = h->asked - begin < BAND ? h->asked - begin : BAND;
    // what the band's last query sees: all of its queries' scores are read below
    const int end = place_of(h, begin + band - 1) + 1, last = filled_up(end);
    const int first = first_seen(h, place_of(h, begin)) / LANES * LANES;
    for (int row = begin; row < begin + band; row += ROWS) {
      const int count = begin + band - row < ROWS ? begin + band - row : ROWS;
      REAL *score = scores + (row - begin) * padded, *of_score = slopes + (row - begin) * padded;
      meet(at_row(h->query, row), keys, first, last, padded, width, score, count);
      meet(at_row(h->of_out, row), values, first, last, padded, width, of_score, count);
      for (int r = 0; r < count; r++)
        slope(h, row + r, score + r * padded, of_score + r * padded, first, last);
      mix(of_score, h->key, first, place_of(h, row + count - 1) + 1, padded, width, at_row(h->of_query, row), count);
    }
    spread(scores, at_row(h->of_out, begin), band, first, end, padded, width, h->of_value);
    spread(slopes, at_row(h->query, begin), band, first, end, padded, width, h->of_key);
  }
}

static void clear(const Attention *a, States states, int64_t text, int64_t head) {
  for (int64_t token = a->starts[text]; token < a->starts[text + 1]; token++)
    memset(part(states, token, head, a->width).at, 0, a->width * sizeof(REAL));
}

static int64_t longest(const Attention *a) {
  int64_t most = 0;
  for (int64_t text = 0; text < a->texts; text++) {
    const int64_t length = a->starts[text + 1] - a->starts[text];
    most = length > most ? length : most;
  }
  return filled_up(most);
}

// Both return 0, or 1 where there is no memory.
#define OF_EACH(items, numbers, work)                                              \
  int failed = 0;                                                                  \
  _Pragma("omp parallel num_threads(a->threads) reduction(| : failed)") {          \
    void *memory = 0;                                                              \
    if (posix_memalign(&memory, BYTES, (numbers) * sizeof(REAL))) failed = 1;      \
    REAL *scratch = failed ? 0 : memory;                                           \
    _Pragma("omp for schedule(dynamic, 1)") for (int64_t item = 0; item < (items); \
                                                 item++) if (scratch) work;        \
    free(scratch);                                                                 \
  }                                                                                \
  return failed

static void forward_item(const Attention *a, int64_t item, REAL *scratch) {
  const Head head = head_of(a, item / a->heads, item % a->heads);
  forward(&head, scratch);
}

// heads that share their keys add to the same gradients
static void backward_item(const Attention *a, int64_t item, REAL *scratch) {
  const int64_t text = item / a->key_heads, shared = item % a->key_heads, sharing = a->heads / a->key_heads;
  clear(a, a->of_key, text, shared);
  clear(a, a->of_value, text, shared);
  for (int64_t head = shared * sharing; head < (shared + 1) * sharing; head++) {
    const Head of = head_of(a, text, head);
    backward(&of, scratch);
  }
}

int attention_forward(const Attention *a) {
  OF_EACH(a->texts * a->heads, longest(a) * (a->width + ROWS), forward_item(a, item, scratch));
}

int attention_backward(const Attention *a) {
  OF_EACH(a->texts * a->key_heads, longest(a) * 2 * (a->width + BAND), backward_item(a, item, scratch));
}

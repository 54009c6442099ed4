// AdamW's step over all weights, and the sum of their gradients' squares, in one pass each.
#include "vectors.h"

#define PART 16384  // numbers of a part: what is added up does not depend on how many threads there are

// One weight: what is there at its numbers, and what its group and its number of steps make of them.
typedef struct {
  REAL *weight, *gradient, *mean, *square;
  int64_t count;
  double decay;  // what is left of the weight
  double rate;   // the learning rate by the correction of the mean
  double root;   // the square root of the correction of the squares
} Weight;

typedef struct {
  const Weight *weights;
  int64_t count, threads;
  double factor;  // what gradients are multiplied by
  double first, second, epsilon;
} AdamW;

static int64_t parts_of(const Weight *w) { return (w->count + PART - 1) / PART; }

static int64_t part_end(const Weight *w, int64_t part) {
  return (part + 1) * PART < w->count ? (part + 1) * PART : w->count;
}

static void step_part(const AdamW *a, const Weight *w, int64_t part) {
  REAL *restrict weight = w->weight, *restrict mean = w->mean, *restrict square = w->square;
  const REAL *restrict gradient = w->gradient;
  const REAL factor = a->factor, first = 1 - a->first, second = a->second, other = 1 - a->second;
  const REAL epsilon = a->epsilon, decay = w->decay, rate = w->rate, root = 1 / w->root;
  const int64_t end = part_end(w, part);
  for (int64_t i = part * PART; i < end; i++) {
    const REAL g = gradient[i] * factor;
    mean[i] += (g - mean[i]) * first;
    square[i] = square[i] * second + g * g * other;
    weight[i] = weight[i] * decay - rate * mean[i] / (SQUARE_ROOT(square[i]) * root + epsilon);
  }
}

static double squares_of(const Weight *w, int64_t part) {
  const int64_t end = part_end(w, part);
  vec sums = {0};
  int64_t i = part * PART;
  for (; i + LANES <= end; i += LANES) sums += load(w->gradient + i) * load(w->gradient + i);
  double sum = total(sums);
  for (; i < end; i++) sum += (double)w->gradient[i] * w->gradient[i];
  return sum;
}

void adamw_step(const AdamW *a) {
#pragma omp parallel num_threads(a->threads)
  for (int64_t n = 0; n < a->count; n++) {
    const Weight *w = a->weights + n;
#pragma omp for schedule(static) nowait
    for (int64_t part = 0; part < parts_of(w); part++) step_part(a, w, part);
  }
}

// `sums` has room for a number of each part of each weight
double gradient_squares(const AdamW *a, double *sums) {
#pragma omp parallel num_threads(a->threads)
  {
    double *of = sums;
    for (int64_t n = 0; n < a->count; n++) {
      const Weight *w = a->weights + n;
#pragma omp for schedule(static) nowait
      for (int64_t part = 0; part < parts_of(w); part++) of[part] = squares_of(w, part);
      of += parts_of(w);
    }
  }
  double sum = 0;
  for (int64_t n = 0; n < a->count; n++) {
    for (int64_t part = 0; part < parts_of(a->weights + n); part++) sum += *sums++;
  }
  return sum;
}

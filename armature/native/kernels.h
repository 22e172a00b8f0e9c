/* What Python and C agree on: see armature/native/library.py, which mirrors these structures. */

#ifndef ARMATURE_KERNELS_H
#define ARMATURE_KERNELS_H

#include <stdint.h>

#define LANES 16      /* outputs of a packed weight that lie side by side */
#define GROUP_8 64    /* inputs that share a scale: 8-bit weights */
#define GROUP_4 32    /* … 4-bit weights */
#define TILE 8        /* rows that a weight is held for */

/* How a weight lies in memory. */
enum { ROWS, COLUMNS, BITS_8, BITS_4 };

/* What happens to a result: it replaces, is added to, or multiplies what is there. */
enum { PUT, ADD, MULTIPLY };

enum { NO_ACT, GELU, GELU_TANH, RELU, SILU, QUICK_GELU, TANH, SIGMOID, RELU_SQUARED };

/* One linear map. */
typedef struct {
    const void *weight;
    const uint16_t *scale; /* half floats: (panel, group, LANES) */
    const float *bias;
    int64_t stride; /* floats from one row (or column) of the weight to the next */
    int32_t kind, outputs, inputs;
} Map;

/* The parts of a program. */
enum { NORM, LINEAR, QUANTIZE, ROTATE, STORE, ATTEND, RECALL, PLUS };

/* One step of a program; a buffer holds `rows` rows of its own width. */
typedef struct {
    int32_t op, in, out; /* buffers */
    int32_t flag;               /* ADD …; 1: neighbours turn (ROTATE), mean is taken off (NORM) */
    int32_t act;
    int32_t heads, shared, width; /* query heads, key-value heads, numbers of a head */
    int32_t window, layer, wait;  /* wait: others need the result */
    float eps, scale, cap;
    int32_t table; /* which rotations */
    const float *weight, *bias;
    Map map;
} Step;

/* What changes from one run of a program to the next. */
typedef struct {
    int32_t rows, threads, columns, span; /* span: keys in a row of the bias */
    const int32_t *places;                /* (rows, columns) where each token's keys lie */
    const int32_t *totals;                /* (rows,) tokens of each row, the new one included */
    const int32_t *memory;                /* (rows, 2) first key and count of each row's memory */
    const float *bias;                    /* (rows, heads, span), or NULL */
    const float *const *cosines;          /* of each table: (rows, half) */
    const float *const *sines;
    float *const *keys; /* of each layer: (places, shared, width) */
    float *const *values;
    float *const *memory_keys;
    float *const *memory_values;
} Run;

/* A program and its memory. */
typedef struct {
    const Step *steps;
    float *const *buffers;
    const int64_t *widths; /* of each buffer */
    int8_t *bytes;         /* quantized inputs: (rows, widest) */
    float *byte_scales;    /* (rows, groups) */
    int32_t *byte_sums;    /* (rows, groups) */
    int64_t widest;        /* a multiple of GROUP_8 */
    float *scores;         /* (threads, heads · span) */
    int64_t scores_each;
    int32_t count;
} Program;

#endif

/* Steps of decoding as one call: a program of norms, linear maps and attention, run by all cores.
 *
 * The same threads serve as for the arrays that Python computes with, and nothing is allocated.
 */

#include "kernels.h"

#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

/* See `erf` in body.h. */
#define ERF_TERMS                                                                                  \
    {-0.0517505035f, 0.247979596f, -0.409184963f, 0.1856547f,  0.0397563502f,                      \
     0.173140854f,   0.251045346f, 0.28119871f,   0.282159895f}

/* Where a weight lies transposed: so many vectors of outputs, rows and inputs stay in the caches. */
#define STRIP 48
#define TALL 32
#define PART 64

/* Numbers that are compared together with the least of the best. */
#define CHUNK 256

#if defined(__clang__)
#define MIX(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MIX(a, b, ...) __builtin_shuffle(a, b, (ivec){__VA_ARGS__})
#endif
/* Of two vectors: the first halves of all stretches of 16, 8, 4, 2 numbers, and the second ones. */
#define LOW_8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define HIGH_8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define LOW_4 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27
#define HIGH_4 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31
#define LOW_2 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29
#define HIGH_2 2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31
#define LOW_1 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define HIGH_1 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31

#define NAME(x) plain_##x
#include "body.h"
#undef NAME

#if defined(__x86_64__) && defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#define NAME(x) middle_##x
#include "body.h"
#undef NAME
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma,f16c,prefer-vector-width=512")
#define VNNI
#define NAME(x) wide_##x
#include "body.h"
#undef NAME
#undef VNNI
#pragma GCC pop_options
#endif

/* The kernels of one set of instructions. */
typedef struct {
    void (*step)(const Step *, const Program *, const Run *, int, int);
    void (*log_softmax)(float *, int64_t);
    void (*best)(const float *, int64_t, int, float *, int64_t *);
} Kernels;

/* Which instructions the processor has: 0 any, 1 AVX2, 2 AVX-512 with VNNI. */
int armature_level(void) {
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
    return 0;
}

static int level = -1;

/* Use the kernels of a lower level, to compare them; -1: the best. */
void armature_use(int wanted) { level = wanted < 0 ? armature_level() : wanted; }

static Kernels kernels(void) {
    if (level < 0) level = armature_level();
#if defined(__x86_64__) && defined(__GNUC__)
    if (level == 2) return (Kernels){wide_step, wide_log_softmax, wide_best};
    if (level == 1) return (Kernels){middle_step, middle_log_softmax, middle_best};
#endif
    return (Kernels){plain_step, plain_log_softmax, plain_best};
}

/* Turn rows of scores into log-probabilities, where they are. */
void armature_log_softmax(float *x, int64_t rows, int64_t width, int threads) {
    const Kernels use = kernels();
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t row = 0; row < rows; row++) use.log_softmax(x + row * width, width);
}

/* Find the `count` largest numbers of each row, largest first, and where they are. */
void armature_best(const float *x, int64_t rows, int64_t width, int count, float *values,
                   int64_t *places, int threads) {
    const Kernels use = kernels();
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t row = 0; row < rows; row++)
        use.best(x + row * width, width, count, values + row * count, places + row * count);
}

/* Ask for large pages for memory that nobody has touched: handing out small ones takes longer than
 * filling them. What the system cannot do, it leaves undone. */
void armature_widen(void *start, int64_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const uintptr_t page = 1 << 21, first = ((uintptr_t)start + page - 1) / page * page;
    const uintptr_t end = ((uintptr_t)start + bytes) / page * page;
    if (end > first) madvise((void *)first, end - first, MADV_HUGEPAGE);
#endif
}

/* Run all steps for all rows. */
void armature_run(const Program *program, const Run *run) {
    const Kernels use = kernels();
#ifdef _OPENMP
#pragma omp parallel num_threads(run->threads)
    {
        const int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        for (int i = 0; i < program->count; i++) {
            use.step(program->steps + i, program, run, thread, threads);
            if (program->steps[i].wait) {
#pragma omp barrier
            }
        }
    }
#else
    for (int i = 0; i < program->count; i++) use.step(program->steps + i, program, run, 0, 1);
#endif
}

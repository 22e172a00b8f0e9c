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

typedef void (*Runner)(const Step *, const Program *, const Run *, int, int);

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

static Runner runner(void) {
    if (level < 0) level = armature_level();
#if defined(__x86_64__) && defined(__GNUC__)
    if (level == 2) return wide_step;
    if (level == 1) return middle_step;
#endif
    return plain_step;
}

/* Run all steps for all rows. */
void armature_run(const Program *program, const Run *run) {
    const Runner one = runner();
#ifdef _OPENMP
#pragma omp parallel num_threads(run->threads)
    {
        const int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        for (int i = 0; i < program->count; i++) {
            one(program->steps + i, program, run, thread, threads);
            if (program->steps[i].wait) {
#pragma omp barrier
            }
        }
    }
#else
    for (int i = 0; i < program->count; i++) one(program->steps + i, program, run, 0, 1);
#endif
}

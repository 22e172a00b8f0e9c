/* The kernels, compiled once for each instruction set: NAME(x) is x with the set's name.
 *
 * A row's result never depends on how many rows there are: every number is summed in one order.
 */

typedef float vec __attribute__((vector_size(64)));
typedef float loose __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(64)));
typedef int8_t bvec __attribute__((vector_size(16)));
typedef int32_t iloose __attribute__((vector_size(64), aligned(1), may_alias));

static inline vec NAME(load)(const float *p) { return *(const loose *)p; }
static inline void NAME(save)(float *p, vec v) { *(loose *)p = v; }
static inline vec NAME(all)(float x) { return (vec){} + x; }

static inline vec NAME(choose)(ivec yes, vec a, vec b) {
    return (vec)((yes & (ivec)a) | (~yes & (ivec)b));
}

static inline vec NAME(larger)(vec a, vec b) { return NAME(choose)(a > b, a, b); }

static inline float NAME(sum)(vec v) {
    float part[LANES];
    NAME(save)(part, v);
    for (int step = LANES / 2; step; step /= 2)
        for (int i = 0; i < step; i++) part[i] += part[i + step];
    return part[0];
}

/* Sum each of LANES vectors, in the order in which `sum` does: `half` the numbers at a time. */
static inline vec NAME(sums)(vec *v) {
#define HALVE(half, first, second)                                                                 \
    for (int i = 0; i < half; i++) v[i] = MIX(v[2 * i], v[2 * i + 1], first) + MIX(v[2 * i], v[2 * i + 1], second);
    HALVE(8, LOW_8, HIGH_8)
    HALVE(4, LOW_4, HIGH_4)
    HALVE(2, LOW_2, HIGH_2)
    HALVE(1, LOW_1, HIGH_1)
#undef HALVE
    return v[0];
}

static inline vec NAME(some)(const float *p, int64_t count) {
    float part[LANES] = {0};
    memcpy(part, p, count * sizeof(float));
    return NAME(load)(part);
}

/* e^x within two units of the last place, from 2^n · 2^f. */
static inline vec NAME(exp)(vec x) {
    const vec low = NAME(all)(-87.0f), high = NAME(all)(88.0f), zero = (vec){};
    ivec tiny = x < low;
    x = NAME(choose)(tiny, low, x);
    x = NAME(choose)(x > high, high, x);
    vec n = x * 1.44269504f + 12582912.0f; /* rounds to whole numbers */
    ivec power = (ivec)n - 0x4B400000;
    n -= 12582912.0f;
    vec r = x - n * 0.693145752f;
    r -= n * 1.42860677e-6f;
    vec p = NAME(all)(1.0f / 5040);
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    p = (vec)((ivec)p + (power << 23));
    return NAME(choose)(tiny, zero, p);
}

static inline vec NAME(tanh)(vec x) { return 1.0f - 2.0f / (NAME(exp)(2.0f * x) + 1.0f); }

/* The error function: 1 − e^(−x²) · t · p(t), t = 1 / (1 + x/2), p by Chebyshev interpolation. */
static inline vec NAME(erf)(vec x) {
    static const float c[] = ERF_TERMS;
    vec size = NAME(choose)(x < (vec){}, -x, x);
    vec t = 1.0f / (1.0f + 0.5f * size), p = NAME(all)(c[0]);
    for (unsigned i = 1; i < sizeof c / sizeof *c; i++) p = p * t + c[i];
    vec y = 1.0f - NAME(exp)(-size * size) * (t * p);
    return NAME(choose)(x < (vec){}, -y, y);
}

static inline vec NAME(act)(vec x, int kind) {
    switch (kind) {
    case GELU: return 0.5f * x * (1.0f + NAME(erf)(x * 0.70710678f));
    case GELU_TANH: return 0.5f * x * (1.0f + NAME(tanh)(0.79788456f * (x + 0.044715f * x * x * x)));
    case RELU: return NAME(choose)(x > (vec){}, x, (vec){});
    case SILU: return x / (1.0f + NAME(exp)(-x));
    case QUICK_GELU: return x / (1.0f + NAME(exp)(-1.702f * x));
    case TANH: return NAME(tanh)(x);
    case SIGMOID: return 1.0f / (1.0f + NAME(exp)(-x));
    case RELU_SQUARED: return NAME(choose)(x > (vec){}, x * x, (vec){});
    default: return x;
    }
}

/* Put `count` finished sums into a row of results. */
static inline void NAME(finish)(float *out, vec y, const float *bias, int count, int flag, int act) {
    float part[LANES];
    if (bias) y += count == LANES ? NAME(load)(bias) : NAME(some)(bias, count);
    if (act) y = NAME(act)(y, act);
    if (count == LANES && flag != PUT) y = flag == ADD ? y + NAME(load)(out) : y * NAME(load)(out);
    if (count == LANES) {
        NAME(save)(out, y);
        return;
    }
    NAME(save)(part, y);
    for (int i = 0; i < count; i++)
        out[i] = flag == PUT ? part[i] : flag == ADD ? part[i] + out[i] : part[i] * out[i];
}

/* How many rows to take together: a power of two. */
static inline int NAME(few)(int left, int most) {
    while (most > left) most /= 2;
    return most;
}

/* `many` rows against the LANES outputs from `first` on; the weight's rows lie one after another. */
static inline void NAME(dots)(const Map *map, const float *x, int64_t wide, int many, int first,
                              int count, vec *y) {
    const int64_t inputs = map->inputs, whole = inputs / LANES * LANES, stride = map->stride;
    const float *w = (const float *)map->weight + first * stride;
    vec all[4][LANES]; /* of each row and output: sums of every LANES-th product */
    if (count < LANES) memset(all, 0, sizeof all);
    for (int n = 0; n < count; n += 4) {
        const int four = count - n < 4 ? count - n : 4;
        const float *a = w + n * stride, *b = a + (four > 1) * stride;
        const float *c = b + (four > 2) * stride, *d = c + (four > 3) * stride;
#define DOTS(MANY)                                                                                 \
    {                                                                                              \
        vec sums[4][MANY];                                                                         \
        for (int m = 0; m < MANY; m++) sums[0][m] = sums[1][m] = sums[2][m] = sums[3][m] = (vec){};\
        for (int64_t k = 0; k < whole; k += LANES) {                                               \
            const vec p = NAME(load)(a + k), q = NAME(load)(b + k);                                \
            const vec r = NAME(load)(c + k), s = NAME(load)(d + k);                                \
            for (int m = 0; m < MANY; m++) {                                                       \
                const vec v = NAME(load)(x + m * wide + k);                                        \
                sums[0][m] += p * v, sums[1][m] += q * v, sums[2][m] += r * v, sums[3][m] += s * v;\
            }                                                                                      \
        }                                                                                          \
        for (int m = 0; m < MANY; m++)                                                             \
            for (int j = 0; j < four; j++) all[m][n + j] = sums[j][m];                             \
    }
        switch (many) {
        case 1: DOTS(1) break;
        case 2: DOTS(2) break;
        default: DOTS(4)
        }
#undef DOTS
    }
    for (int m = 0; m < many; m++) {
        if (whole < inputs) {
            const vec v = NAME(some)(x + m * wide + whole, inputs - whole);
            for (int j = 0; j < count; j++)
                all[m][j] += NAME(some)(w + j * stride + whole, inputs - whole) * v;
        }
        y[m] = NAME(sums)(all[m]);
    }
}

/* Add `deep` products of `many` rows to the sums of some vectors of outputs; return how many. */
#define STRIPE(MANY, VECS)                                                                         \
    {                                                                                              \
        vec part[MANY][VECS];                                                                      \
        for (int m = 0; m < MANY; m++)                                                             \
            for (int j = 0; j < VECS; j++) part[m][j] = (vec){};                                   \
        for (int k = 0; k < deep; k++, w += stride)                                                \
            for (int m = 0; m < MANY; m++)                                                         \
                for (int j = 0; j < VECS; j++)                                                     \
                    part[m][j] += NAME(load)(w + j * LANES) * x[m * wide + k];                     \
        for (int m = 0; m < MANY; m++)                                                             \
            for (int j = 0; j < VECS; j++) sums[m * STRIP + j] += part[m][j];                      \
        return VECS;                                                                               \
    }

static int NAME(stripe)(const float *w, int64_t stride, const float *x, int64_t wide, int many,
                        int left, int deep, vec *sums) {
    switch (many) {
    case 1:
        if (left >= 12) STRIPE(1, 12)
        if (left >= 4) STRIPE(1, 4)
        STRIPE(1, 1)
    case 2:
        if (left >= 12) STRIPE(2, 12)
        if (left >= 4) STRIPE(2, 4)
        STRIPE(2, 1)
    case 4:
        if (left >= 6) STRIPE(4, 6)
        if (left >= 2) STRIPE(4, 2)
        STRIPE(4, 1)
    default:
        if (left >= 3) STRIPE(8, 3)
        STRIPE(8, 1)
    }
}

/* Some rows against the outputs from `first` on, of a weight that lies transposed. */
static void NAME(strip)(const Map *map, const float *x, int64_t wide, int rows, int first, int count,
                        vec (*sums)[STRIP]) {
    const int64_t inputs = map->inputs, stride = map->stride;
    const int whole = count / LANES, ragged = count % LANES;
    memset(sums, 0, rows * sizeof *sums);
    for (int64_t part = 0; part < inputs; part += PART)
        for (int m = 0, many; m < rows; m += many) {
            many = NAME(few)(rows - m, TILE);
            for (int64_t k = part; k < inputs && k < part + PART; k += LANES) {
                const int deep = inputs - k < LANES ? inputs - k : LANES;
                const float *w = (const float *)map->weight + k * stride + first;
                const float *v = x + m * wide + k;
                for (int j = 0; j < whole;)
                    j += NAME(stripe)(w + j * LANES, stride, v, wide, many, whole - j, deep, sums[m] + j);
                for (int i = 0; ragged && i < many; i++) {
                    vec last = (vec){};
                    for (int d = 0; d < deep; d++)
                        last += NAME(some)(w + d * stride + whole * LANES, ragged) * v[i * wide + d];
                    sums[m + i][whole] += last;
                }
            }
        }
}

/* All rows against the outputs from `first` to `last`, of a weight that lies transposed. */
static void NAME(columns)(const Map *map, const float *x, int64_t wide, int rows, int first,
                          int last, float *out, int64_t out_wide, int flag, int act) {
    vec sums[TALL][STRIP];
    for (int n = first; n < last; n += STRIP * LANES)
        for (int m0 = 0; m0 < rows; m0 += TALL) {
            const int count = last - n < STRIP * LANES ? last - n : STRIP * LANES;
            const int many = rows - m0 < TALL ? rows - m0 : TALL;
            NAME(strip)(map, x + m0 * wide, wide, many, n, count, sums);
            for (int m = 0; m < many; m++)
                for (int j = 0; j < count; j += LANES)
                    NAME(finish)(out + (m0 + m) * out_wide + n + j, sums[m][j / LANES],
                                 map->bias ? map->bias + n + j : 0,
                                 count - j < LANES ? count - j : LANES, flag, act);
        }
}

/* Round a row's group of inputs to bytes, symmetrically.
 *
 * lift: what weights were raised by, to be bytes without a sign; the sums take it off again.
 */
static void NAME(round)(const float *x, int64_t count, int group, int lift, int8_t *bytes,
                        float *scale, int32_t *sum) {
    vec v[GROUP_8 / LANES];
    ivec most = (ivec){}, total = (ivec){};
    for (int i = 0; i < group / LANES; i++) {
        const int64_t left = count - i * LANES;
        v[i] = left >= LANES ? NAME(load)(x + i * LANES) : left > 0 ? NAME(some)(x + i * LANES, left) : (vec){};
        const ivec size = (ivec)v[i] & 0x7FFFFFFF; /* in the order of the numbers, and NaN is largest */
        const ivec more = size > most;
        most = (more & size) | (~more & most);
    }
    int32_t parts[LANES], largest = 0, all = 0;
    memcpy(parts, &most, sizeof parts);
    for (int i = 0; i < LANES; i++) largest = parts[i] > largest ? parts[i] : largest;
    float top;
    memcpy(&top, &largest, sizeof top);
    const float inverse = top != 0 ? 127.0f / top : 0;
    for (int i = 0; i < group / LANES; i++) {
        const ivec whole = (ivec)(v[i] * inverse + 12582912.0f) - 0x4B400000; /* the nearest one */
        const bvec narrow = __builtin_convertvector(whole, bvec);
        memcpy(bytes + i * LANES, &narrow, sizeof narrow);
        total += whole;
    }
    memcpy(parts, &total, sizeof parts);
    for (int i = 0; i < LANES; i++) all += parts[i];
    *scale = top / 127.0f;
    *sum = -lift * all;
}

static void NAME(quantize)(const Program *p, const float *x, int64_t wide, int inputs, int group,
                           int rows, int thread, int threads) {
    int groups = (inputs + group - 1) / group;
    const int lift = group == GROUP_8 ? 128 : 8;
    int64_t all = (int64_t)rows * groups, each = p->widest / GROUP_4;
    for (int64_t i = all * thread / threads; i < all * (thread + 1) / threads; i++) {
        int64_t m = i / groups, g = i % groups, left = inputs - g * group;
        NAME(round)(x + m * wide + g * group, left < group ? left : group, group, lift,
                    p->bytes + m * p->widest + g * group, p->byte_scales + m * each + g,
                    p->byte_sums + m * each + g);
    }
}

#ifdef VNNI
#define HALVES(p) ((vec)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(p))))
#else
static inline vec NAME(halves)(const uint16_t *p) {
    float part[LANES];
    for (int i = 0; i < LANES; i++) {
        uint32_t h = p[i], sign = (h & 0x8000u) << 16, rest = h & 0x7FFFu, bits;
        if (rest >= 0x0400) bits = (rest << 13) + 0x38000000u;
        else {
            float small = rest * 5.9604644775390625e-8f;
            memcpy(&bits, &small, 4);
        }
        bits |= sign;
        memcpy(part + i, &bits, 4);
    }
    return NAME(load)(part);
}
#define HALVES(p) NAME(halves)(p)
#endif

/* Four inputs of LANES outputs against four of one row: unsigned times signed bytes, summed. */
static inline ivec NAME(four)(ivec sum, const uint8_t *w, const int8_t *x) {
#ifdef VNNI
    int32_t pack;
    memcpy(&pack, x, 4);
    return (ivec)_mm512_dpbusd_epi32((__m512i)sum, _mm512_loadu_si512(w), _mm512_set1_epi32(pack));
#else
    for (int i = 0; i < LANES; i++)
        sum[i] += w[4 * i] * x[0] + w[4 * i + 1] * x[1] + w[4 * i + 2] * x[2] + w[4 * i + 3] * x[3];
    return sum;
#endif
}

/* One group after another: bytes are multiplied and summed, then the scales are. */
#define GROUPS(MANY, PANELS, GROUP, SIZE, MULTIPLY_BYTES)                                          \
    {                                                                                              \
        vec all[MANY][PANELS];                                                                     \
        for (int m = 0; m < MANY; m++)                                                             \
            for (int j = 0; j < PANELS; j++) all[m][j] = (vec){};                                  \
        for (int64_t g = 0; g < groups; g++, w += SIZE) {                                          \
            ivec part[MANY][PANELS];                                                               \
            for (int m = 0; m < MANY; m++)                                                         \
                for (int j = 0; j < PANELS; j++) part[m][j] = (ivec){} + sums[m * each + g];       \
            const int8_t *v = x + g * GROUP;                                                       \
            MULTIPLY_BYTES(MANY, PANELS, SIZE)                                                     \
            for (int j = 0; j < PANELS; j++) {                                                     \
                const vec scale = HALVES(map->scale + ((first + j) * groups + g) * LANES);         \
                for (int m = 0; m < MANY; m++)                                                     \
                    all[m][j] += __builtin_convertvector(part[m][j], vec) *                        \
                                 (scale * scales[m * each + g]);                                   \
            }                                                                                      \
        }                                                                                          \
        for (int m = 0; m < MANY; m++)                                                             \
            for (int j = 0; j < PANELS; j++) y[j][m] = all[m][j];                                  \
    }

#define BYTES_8(MANY, PANELS, SIZE)                                                                \
    for (int k = 0; k < GROUP_8; k += 4)                                                           \
        for (int m = 0; m < MANY; m++)                                                             \
            for (int j = 0; j < PANELS; j++)                                                       \
                part[m][j] = NAME(four)(part[m][j], w + j * groups * SIZE + k * LANES, v + m * wide + k);

#define BYTES_4(MANY, PANELS, SIZE)                                                                \
    for (int k = 0; k < GROUP_4; k += 8)                                                           \
        for (int j = 0; j < PANELS; j++) {                                                         \
            ivec both = *(const iloose *)(w + j * groups * SIZE + k * LANES / 2);                  \
            ivec low = both & 0x0F0F0F0F, high = (both >> 4) & 0x0F0F0F0F;                         \
            for (int m = 0; m < MANY; m++) {                                                       \
                part[m][j] = NAME(four)(part[m][j], (const uint8_t *)&low, v + m * wide + k);      \
                part[m][j] = NAME(four)(part[m][j], (const uint8_t *)&high, v + m * wide + k + 4); \
            }                                                                                      \
        }

#define GROUPS_8(MANY, PANELS) GROUPS(MANY, PANELS, GROUP_8, GROUP_8 * LANES, BYTES_8)
#define GROUPS_4(MANY, PANELS) GROUPS(MANY, PANELS, GROUP_4, GROUP_4 * LANES / 2, BYTES_4)
#define ROUNDED(GROUPS_OF, PANELS)                                                                 \
    switch (many) {                                                                                \
    case 1: GROUPS_OF(1, PANELS) break;                                                            \
    case 2: GROUPS_OF(2, PANELS) break;                                                            \
    case 4: GROUPS_OF(4, PANELS) break;                                                            \
    default: GROUPS_OF(8, PANELS)                                                                  \
    }

/* `many` rounded rows, from `row` on, against one or two panels of LANES outputs. */
static void NAME(panel)(const Map *map, const Program *p, int row, int many, int64_t first,
                        int panels, vec (*y)[TILE]) {
    const int64_t wide = p->widest, each = p->widest / GROUP_4;
    const int group = map->kind == BITS_8 ? GROUP_8 : GROUP_4;
    const int64_t groups = (map->inputs + group - 1) / group;
    const int8_t *x = p->bytes + row * wide;
    const float *scales = p->byte_scales + row * each;
    const int32_t *sums = p->byte_sums + row * each;
    const uint8_t *w = map->weight;
    if (map->kind == BITS_8) {
        w += first * groups * GROUP_8 * LANES;
        if (panels == 2) ROUNDED(GROUPS_8, 2)
        else ROUNDED(GROUPS_8, 1)
    } else {
        w += first * groups * GROUP_4 * LANES / 2;
        if (panels == 2) ROUNDED(GROUPS_4, 2)
        else ROUNDED(GROUPS_4, 1)
    }
}

/* The outputs of a panel: the last one may have fewer. */
static inline int NAME(width)(const Map *map, int64_t panel) {
    const int64_t left = map->outputs - panel * LANES;
    return left < LANES ? left : LANES;
}

/* This thread's share of a linear map's outputs. */
static void NAME(linear)(const Map *map, const Program *p, const float *x, int64_t wide, int rows,
                         float *out, int64_t out_wide, int flag, int act, int thread, int threads) {
    const int64_t panels = (map->outputs + LANES - 1) / LANES;
    const int64_t begin = panels * thread / threads, end = panels * (thread + 1) / threads;
    if (map->kind == COLUMNS) {
        int last = end * LANES < map->outputs ? end * LANES : map->outputs;
        if (begin < end)
            NAME(columns)(map, x, wide, rows, begin * LANES, last, out, out_wide, flag, act);
        return;
    }
    for (int64_t panel = begin, panels; panel < end; panel += panels) {
        panels = map->kind != ROWS && end - panel > 1 ? 2 : 1;
        for (int m0 = 0, many; m0 < rows; m0 += many) {
            many = NAME(few)(rows - m0, map->kind == ROWS ? 4 : TILE);
            vec y[2][TILE];
            if (map->kind == ROWS)
                NAME(dots)(map, x + m0 * wide, wide, many, panel * LANES,
                           NAME(width)(map, panel), y[0]);
            else
                NAME(panel)(map, p, m0, many, panel, panels, y);
            for (int j = 0; j < panels; j++)
                for (int m = 0; m < many; m++) {
                    const int64_t at = (panel + j) * LANES;
                    NAME(finish)(out + (m0 + m) * out_wide + at, y[j][m],
                                 map->bias ? map->bias + at : 0, NAME(width)(map, panel + j), flag,
                                 act);
                }
        }
    }
}

/* Norm one group of numbers; `flag` says whether their mean is taken off first. */
static void NAME(norm)(const float *x, float *out, int width, const float *weight,
                       const float *bias, float eps, int flag) {
    const int whole = width / LANES * LANES;
    float middle = 0;
    vec total = (vec){};
    if (flag) {
        for (int i = 0; i < whole; i += LANES) total += NAME(load)(x + i);
        if (whole < width) total += NAME(some)(x + whole, width - whole);
        middle = NAME(sum)(total) / width;
        total = (vec){};
    }
    for (int i = 0; i < whole; i += LANES) {
        vec y = NAME(load)(x + i) - middle;
        total += y * y;
    }
    float square = NAME(sum)(total);
    for (int i = whole; i < width; i++) square += (x[i] - middle) * (x[i] - middle);
    const float inverse = 1.0f / sqrtf(square / width + eps);
    for (int i = 0; i < width; i++) {
        float y = (x[i] - middle) * inverse;
        if (weight) y *= weight[i];
        out[i] = bias ? y + bias[i] : y;
    }
}

static void NAME(rotate)(float *x, int heads, int width, const float *cosine, const float *sine,
                         int half, int neighbours) {
    for (int h = 0; h < heads; h++, x += width)
        for (int i = 0; i < half; i++) {
            float *a = neighbours ? x + 2 * i : x + i, *b = neighbours ? a + 1 : a + half;
            float p = *a, q = *b;
            *a = p * cosine[i] - q * sine[i];
            *b = q * cosine[i] + p * sine[i];
        }
}

/* Dot products of up to LANES keys with one query. */
static inline vec NAME(dots_of)(const float *q, const float *const *keys, int count, int width) {
    const int whole = width / LANES * LANES;
    vec sums[LANES];
    for (int n = 0; n < LANES; n++) sums[n] = (vec){};
    for (int n = 0; n < count; n++) {
        vec total = (vec){};
        for (int i = 0; i < whole; i += LANES) total += NAME(load)(q + i) * NAME(load)(keys[n] + i);
        if (whole < width)
            total += NAME(some)(q + whole, width - whole) * NAME(some)(keys[n] + whole, width - whole);
        sums[n] = total;
    }
    return NAME(sums)(sums);
}

/* Mix the values of one row's keys for the query heads of one key-value head.
 *
 * places: where the keys lie; NULL: one after another from `first` on.
 */
static void NAME(attend)(const Step *s, const float *q, const float *keys, const float *values,
                         const int32_t *places, int64_t first, int begin, int end, int head,
                         const float *bias, int64_t span, float *scores, float *out) {
    const int width = s->width, many = s->heads / s->shared, count = end - begin;
    const int64_t step = (int64_t)s->shared * width, room = (count + LANES - 1) / LANES * LANES;
    const int64_t own = (int64_t)head * width;
#define PLACE(i) ((places ? places[begin + (i)] : first + begin + (i)) * step + own)
    for (int i = 0; i < count; i += LANES) {
        const int some = count - i < LANES ? count - i : LANES;
        const float *of[LANES];
        for (int n = 0; n < some; n++) of[n] = keys + PLACE(i + n);
        for (int g = 0; g < many; g++)
            NAME(save)(scores + g * room + i, NAME(dots_of)(q + g * width, of, some, width));
    }
    for (int g = 0; g < many; g++) {
        float *score = scores + g * room, most = -INFINITY;
        for (int i = 0; i < count; i++) {
            float y = score[i] * s->scale;
            if (s->cap > 0) y = tanhf(y / s->cap) * s->cap;
            if (bias) y += bias[(int64_t)g * span + begin + i];
            score[i] = y;
            most = y > most ? y : most;
        }
        for (int64_t i = count; i < room; i++) score[i] = -INFINITY;
        vec sums = (vec){};
        for (int64_t i = 0; i < room; i += LANES) {
            vec e = NAME(exp)(NAME(load)(score + i) - most);
            NAME(save)(score + i, e);
            sums += e;
        }
        const float inverse = 1.0f / NAME(sum)(sums);
        for (int64_t i = 0; i < room; i += LANES) NAME(save)(score + i, NAME(load)(score + i) * inverse);
        float *y = out + g * width;
        int e = 0;
        for (; e + 4 * LANES <= width; e += 4 * LANES) {
            vec mixed[4] = {{0}, {0}, {0}, {0}};
            for (int i = 0; i < count; i++) {
                const float *v = values + PLACE(i) + e;
                for (int j = 0; j < 4; j++) mixed[j] += score[i] * NAME(load)(v + j * LANES);
            }
            for (int j = 0; j < 4; j++) NAME(save)(y + e + j * LANES, mixed[j]);
        }
        if (e < width) memset(y + e, 0, (width - e) * sizeof(float));
        for (int i = 0; e < width && i < count; i++) {
            const float *v = values + PLACE(i);
            for (int k = e; k < width; k++) y[k] += score[i] * v[k];
        }
    }
#undef PLACE
}

static void NAME(attend_rows)(const Step *s, const Program *p, const Run *run, const float *q,
                              int64_t wide, float *out, int64_t out_wide, int thread, int threads) {
    const int many = s->heads / s->shared, tasks = run->rows * s->shared;
    const int recall = s->op == RECALL;
    float *scores = p->scores + thread * p->scores_each;
    for (int t = tasks * thread / threads; t < tasks * (thread + 1) / threads; t++) {
        int m = t / s->shared, head = t % s->shared;
        int end = recall ? run->memory[2 * m + 1] : run->totals[m];
        int begin = !recall && s->window > 0 && end > s->window ? end - s->window : 0;
        int64_t at = (int64_t)head * many;
        const float *bias = recall || !run->bias ? 0 : run->bias + (m * (int64_t)s->heads + at) * run->span;
        NAME(attend)(s, q + m * wide + at * s->width,
                     (recall ? run->memory_keys : run->keys)[s->layer],
                     (recall ? run->memory_values : run->values)[s->layer],
                     recall ? 0 : run->places + (int64_t)m * run->columns,
                     recall ? run->memory[2 * m] : 0, begin, end, head, bias, run->span, scores,
                     out + m * out_wide + at * s->width);
    }
}

/* Turn a row of scores into log-probabilities: x − max − log Σ e^(x − max). */
static void NAME(log_softmax)(float *x, int64_t width) {
    const int64_t whole = width / LANES * LANES;
    const vec low = NAME(all)(-INFINITY);
    vec most = low, last = low;
    for (int64_t i = 0; i < whole; i += LANES) most = NAME(larger)(most, NAME(load)(x + i));
    for (int64_t i = whole; i < width; i++) last[i - whole] = x[i];
    most = NAME(larger)(most, last);
    float top = most[0], part[LANES];
    for (int i = 1; i < LANES; i++) top = most[i] > top ? most[i] : top;
    double total = 0;
    for (int64_t i = 0; i < whole; i += PART * LANES) { /* a part at a time: less is rounded off */
        vec sums = (vec){};
        for (int64_t k = i; k < whole && k < i + PART * LANES; k += LANES)
            sums += NAME(exp)(NAME(load)(x + k) - top);
        total += NAME(sum)(sums);
    }
    NAME(save)(part, NAME(exp)(last - top));
    for (int64_t i = whole; i < width; i++) total += part[i - whole];
    const float rest = log(total);
    for (int64_t i = 0; i < whole; i += LANES) NAME(save)(x + i, NAME(load)(x + i) - top - rest);
    for (int64_t i = whole; i < width; i++) x[i] = x[i] - top - rest;
}

/* Find the `count` largest numbers of a row, largest first; of equal ones those that come first. */
static void NAME(best)(const float *x, int64_t width, int count, float *values, int64_t *places) {
#define TRY(i, filled)                                                                             \
    if ((i) < count || x[i] > values[count - 1]) {                                                 \
        int at = filled;                                                                           \
        for (; at > 0 && values[at - 1] < x[i]; at--)                                              \
            if (at < count) values[at] = values[at - 1], places[at] = places[at - 1];              \
        values[at] = x[i], places[at] = (i);                                                       \
    }
    int64_t i = 0;
    for (; i < count; i++) TRY(i, (int)i)
    while (i < width) {
        if (i + CHUNK <= width) {
            ivec any = (ivec){};
            for (int j = 0; j < CHUNK; j += LANES) any |= NAME(load)(x + i + j) > values[count - 1];
            int64_t pairs[LANES / 2], found = 0;
            memcpy(pairs, &any, sizeof pairs);
            for (int j = 0; j < LANES / 2; j++) found |= pairs[j];
            if (!found) {
                i += CHUNK;
                continue;
            }
        }
        for (int64_t end = i + CHUNK < width ? i + CHUNK : width; i < end; i++) TRY(i, count - 1)
    }
#undef TRY
}

static void NAME(step)(const Step *s, const Program *p, const Run *run, int thread, int threads) {
    const int rows = run->rows;
    float *in = p->buffers[s->in], *out = p->buffers[s->out];
    const int64_t wide = p->widths[s->in], out_wide = p->widths[s->out];
    const int first = rows * thread / threads, last = rows * (thread + 1) / threads;
    switch (s->op) {
    case NORM: /* `heads` groups of `width`; `shared` of them have weights of their own */
        for (int i = s->heads * rows * thread / threads; i < s->heads * rows * (thread + 1) / threads; i++) {
            int m = i / s->heads, h = i % s->heads;
            int64_t own = s->shared > 1 ? (int64_t)h * s->width : 0;
            NAME(norm)(in + m * wide + h * s->width, out + m * out_wide + h * s->width, s->width,
                       s->weight ? s->weight + own : 0, s->bias, s->eps, s->flag);
        }
        break;
    case LINEAR:
        NAME(linear)(&s->map, p, in, wide, rows, out, out_wide, s->flag, s->act, thread, threads);
        break;
    case QUANTIZE:
        NAME(quantize)(p, in, wide, s->width, s->heads, rows, thread, threads);
        break;
    case ROTATE:
        for (int m = first; m < last; m++)
            NAME(rotate)(in + m * wide, s->heads, s->width, run->cosines[s->table] + (int64_t)m * s->shared,
                         run->sines[s->table] + (int64_t)m * s->shared, s->shared, s->flag);
        break;
    case STORE:
        for (int m = first; m < last; m++) {
            int64_t place = run->places[(int64_t)m * run->columns + run->totals[m] - 1];
            float *to = (s->flag ? run->values : run->keys)[s->layer] + place * s->width;
            memcpy(to, in + m * wide, s->width * sizeof(float));
        }
        break;
    case ATTEND:
    case RECALL:
        NAME(attend_rows)(s, p, run, in, wide, out, out_wide, thread, threads);
        break;
    case PLUS:
        for (int m = first; m < last; m++)
            for (int i = 0; i < s->width; i++) out[m * out_wide + i] += in[m * wide + i];
        break;
    }
}

#undef STRIPE
#undef HALVES
#undef GROUPS
#undef BYTES_8
#undef BYTES_4
#undef GROUPS_8
#undef GROUPS_4
#undef ROUNDED

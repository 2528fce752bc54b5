// The scalar and vector types of Metal: half, bfloat, vec<T, n>, and as_type.
#pragma once

#include "runtime.h"

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef unsigned long size_t;
typedef long ptrdiff_t;
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long int64_t;
typedef unsigned long uint64_t;
typedef _Float16 half;

namespace msl {
template <bool>
struct Only {};
template <>
struct Only<true> {
  static constexpr bool value = true;
};
} // namespace msl

// A class, because the compiler's own type does not convert to and from half. As the language has it, only a conversion
// to float is implicit.
struct bfloat {
  ushort bits;
  bfloat() = default;
  MSL_TINY constexpr explicit bfloat(float x) : bits(round(__builtin_bit_cast(uint, x))) {}
  MSL_TINY constexpr explicit bfloat(half x) : bfloat((float)x) {}
  MSL_TINY constexpr explicit bfloat(bool x) : bfloat((float)x) {}
  MSL_TINY constexpr explicit bfloat(char x) : bfloat((float)x) {}
  MSL_TINY constexpr explicit bfloat(int8_t x) : bfloat((float)x) {}
  MSL_TINY constexpr explicit bfloat(uchar x) : bfloat((float)x) {}
  MSL_TINY constexpr explicit bfloat(short x) : bfloat((float)x) {}
  MSL_TINY constexpr explicit bfloat(ushort x) : bfloat((float)x) {}
  MSL_TINY constexpr explicit bfloat(int x) : bfloat((float)x) {}
  MSL_TINY constexpr explicit bfloat(uint x) : bfloat((float)x) {}
  MSL_TINY constexpr explicit bfloat(long x) : bfloat((float)x) {}
  MSL_TINY constexpr explicit bfloat(ulong x) : bfloat((float)x) {}
  MSL_TINY constexpr operator float() const { return __builtin_bit_cast(float, (uint)bits << 16); }
  // To nearest, ties to even; a NaN stays one.
  MSL_TINY static constexpr ushort round(uint x) {
    return (x & 0x7fffffff) > 0x7f800000 ? (ushort)((x >> 16) | 64) : (ushort)((x + 0x7fff + ((x >> 16) & 1)) >> 16);
  }
  MSL_TINY constexpr bfloat operator-() const { return bfloat(-(float)*this); }
  MSL_TINY constexpr bfloat operator+() const { return *this; }
  MSL_TINY bfloat& operator++() { return *this = bfloat((float)*this + 1); }
  MSL_TINY bfloat& operator--() { return *this = bfloat((float)*this - 1); }
#define MSL_BFLOAT(op)                                                                                      \
  MSL_TINY friend constexpr bfloat operator op(bfloat a, bfloat b) { return bfloat((float)a op(float) b); } \
  template <class H, bool = msl::Only<__is_same(H, half)>::value>                                           \
  friend bfloat operator op(bfloat, H) = delete;                                                            \
  template <class H, bool = msl::Only<__is_same(H, half)>::value>                                           \
  friend bfloat operator op(H, bfloat) = delete;                                                            \
  MSL_TINY bfloat& operator op## = (bfloat b) { return *this = *this op b; }
  MSL_BFLOAT(+)
  MSL_BFLOAT(-)
  MSL_BFLOAT(*)
  MSL_BFLOAT(/)
#undef MSL_BFLOAT
};

namespace metal {
template <class T, int N>
struct vec;
}

namespace msl {
template <class T>
struct Scalar {
  static constexpr bool value = false;
};
#define MSL_SCALARS(X) \
  X(bool) X(char) X(signed char) X(uchar) X(short) X(ushort) X(int) X(uint) X(long) X(ulong) X(float) X(half) X(bfloat)
#define MSL_SCALAR(T)                   \
  template <>                           \
  struct Scalar<T> {                    \
    static constexpr bool value = true; \
  };
MSL_SCALARS(MSL_SCALAR)
#undef MSL_SCALAR
template <bool, class T = int>
struct If {};
template <class T>
struct If<true, T> {
  using type = T;
};

template <class T, int N>
struct Storage;
template <class T>
struct alignas(2 * sizeof(T)) Storage<T, 2> {
  union {
    T v[2];
    struct {
      T x, y;
    };
    struct {
      T r, g;
    };
  };
};
template <class T>
struct alignas(4 * sizeof(T)) Storage<T, 3> {
  union {
    T v[3];
    struct {
      T x, y, z;
    };
    struct {
      T r, g, b;
    };
  };
};
template <class T>
struct alignas(4 * sizeof(T)) Storage<T, 4> {
  union {
    T v[4];
    struct {
      T x, y, z, w;
    };
    struct {
      T r, g, b, a;
    };
  };
};

template <class A>
struct Width {
  static constexpr int value = 1;
};
template <class T, int N>
struct Width<metal::vec<T, N>> {
  static constexpr int value = N;
};
MSL_TINY constexpr int sum() { return 0; }
template <class... A>
MSL_TINY constexpr int sum(int first, A... rest) {
  return first + sum(rest...);
}

// `v.zx = ...`: what the rewriter makes of a swizzle that is assigned to.
template <class V, class R, int... I>
struct Swizzle {
  V& target;
  MSL_TINY operator R() const { return R(target.v[I]...); }
  MSL_TINY R operator=(R value) {
    int i = 0;
    (void)(int[]){(target.v[I] = value.v[i++], 0)...};
    return value;
  }
#define MSL_ASSIGN(op) \
  MSL_TINY R operator op## = (R value) { return *this = (R) * this op value; }
  // clang-format off
  MSL_ASSIGN(+) MSL_ASSIGN(-) MSL_ASSIGN(*) MSL_ASSIGN(/) MSL_ASSIGN(%) MSL_ASSIGN(&) MSL_ASSIGN(|) MSL_ASSIGN(^)
  // clang-format on
#undef MSL_ASSIGN
};
} // namespace msl

namespace metal {
using ::bfloat;
using ::half;
using ::size_t;
using ::uchar;
using ::uint;
using ::ulong;
using ::ushort;

// Components .x .y .z .w and .r .g .b .a are members; longer swizzles are rewritten to calls of swizzle<...>().
template <class T, int N>
struct vec : msl::Storage<T, N> {
  using msl::Storage<T, N>::v;
  vec() = default;
  MSL_TINY vec(T s) {
    for (int i = 0; i < N; ++i) v[i] = s;
  }
  template <class A, class = typename msl::If<msl::Scalar<A>::value && !__is_same(A, T)>::type>
  MSL_TINY vec(A s) : vec((T)s) {}
  template <class U>
  MSL_TINY explicit vec(const vec<U, N>& o) {
    for (int i = 0; i < N; ++i) v[i] = (T)o.v[i];
  }
  template <class A, class B, class... More>
  MSL_TINY vec(A a, B b, More... more) {
    static_assert(msl::sum(msl::Width<A>::value, msl::Width<B>::value, msl::Width<More>::value...) == N,
        "the components given are not as many as the vector has");
    int i = 0;
    put(i, a), put(i, b);
    (void)(int[]){0, (put(i, more), 0)...};
  }
  template <class A>
  MSL_TINY void put(int& i, A a) {
    v[i++] = (T)a;
  }
  template <class U, int M>
  MSL_TINY void put(int& i, const vec<U, M>& a) {
    for (int j = 0; j < M; ++j) v[i++] = (T)a.v[j];
  }
  MSL_TINY T& operator[](int i) { return v[i]; }
  MSL_TINY const T& operator[](int i) const { return v[i]; }
  template <int... I>
  MSL_TINY vec<T, sizeof...(I)> swizzle() const {
    return vec<T, sizeof...(I)>(v[I]...);
  }
  template <int... I>
  MSL_TINY msl::Swizzle<vec, vec<T, sizeof...(I)>, I...> swizzle_to() {
    return {*this};
  }

#define MSL_BINARY(op)                                          \
  MSL_TINY friend vec operator op(const vec& a, const vec& b) { \
    vec r;                                                      \
    for (int i = 0; i < N; ++i) r.v[i] = (T)(a.v[i] op b.v[i]); \
    return r;                                                   \
  }                                                             \
  MSL_TINY vec& operator op## = (const vec& b) { return *this = *this op b; }
  // clang-format off
  MSL_BINARY(+) MSL_BINARY(-) MSL_BINARY(*) MSL_BINARY(/) MSL_BINARY(%) MSL_BINARY(&) MSL_BINARY(|) MSL_BINARY(^)
  MSL_BINARY(<<) MSL_BINARY(>>)
  // clang-format on
#undef MSL_BINARY
#define MSL_COMPARE(op)                                                  \
  MSL_TINY friend vec<bool, N> operator op(const vec& a, const vec& b) { \
    vec<bool, N> r;                                                      \
    for (int i = 0; i < N; ++i) r.v[i] = a.v[i] op b.v[i];               \
    return r;                                                            \
  }
      // clang-format off
  // clang-format off
  MSL_COMPARE(==) MSL_COMPARE(!=) MSL_COMPARE(<) MSL_COMPARE(<=) MSL_COMPARE(>) MSL_COMPARE(>=)
  MSL_COMPARE(&&) MSL_COMPARE(||)
  // clang-format on
#undef MSL_COMPARE
              MSL_TINY vec operator-() const {
    vec r;
    for (int i = 0; i < N; ++i) r.v[i] = (T)-v[i];
    return r;
  }
  MSL_TINY vec operator~() const {
    vec r;
    for (int i = 0; i < N; ++i) r.v[i] = (T)~v[i];
    return r;
  }
  MSL_TINY vec<bool, N> operator!() const {
    vec<bool, N> r;
    for (int i = 0; i < N; ++i) r.v[i] = !v[i];
    return r;
  }
  MSL_TINY vec& operator++() { return *this += vec((T)1); }
  MSL_TINY vec& operator--() { return *this -= vec((T)1); }
};

#define MSL_VECTORS(T)    \
  using T##2 = vec<T, 2>; \
  using T##3 = vec<T, 3>; \
  using T##4 = vec<T, 4>;
// clang-format off
MSL_VECTORS(bool) MSL_VECTORS(char) MSL_VECTORS(uchar) MSL_VECTORS(short) MSL_VECTORS(ushort) MSL_VECTORS(int)
MSL_VECTORS(uint) MSL_VECTORS(long) MSL_VECTORS(ulong) MSL_VECTORS(half) MSL_VECTORS(bfloat) MSL_VECTORS(float)
// clang-format on
#undef MSL_VECTORS

        template <class T>
        using uniform = T;
template <class T>
MSL_TINY uniform<T> make_uniform(T x) {
  return x;
}

template <class T, size_t N>
struct array {
  T elements[N];
  MSL_TINY constexpr T& operator[](size_t i) { return elements[i]; }
  MSL_TINY constexpr const T& operator[](size_t i) const { return elements[i]; }
  MSL_TINY constexpr size_t size() const { return N; }
};
} // namespace metal

namespace metal {
template <class To, class From>
MSL_TINY To as_type(const From& from) {
  static_assert(sizeof(To) == sizeof(From), "as_type needs types of one size");
  To to;
  __builtin_memcpy(&to, &from, sizeof(To));
  return to;
}
} // namespace metal
using metal::as_type;

namespace msl {
// Positions and sizes, as whatever integer or vector of them a parameter is.
struct Coordinates {
  uint x, y, z;
  template <class T, class = typename If<Scalar<T>::value>::type>
  operator T() const {
    return (T)x;
  }
  template <class T>
  operator metal::vec<T, 2>() const {
    return metal::vec<T, 2>(x, y);
  }
  template <class T>
  operator metal::vec<T, 3>() const {
    return metal::vec<T, 3>(x, y, z);
  }
};
#define MSL_POSITION(name, ...)       \
  MSL_RAW inline Coordinates name() { \
    Head* h = head();                 \
    Context* c = h->context;          \
    (void)c;                          \
    return Coordinates{__VA_ARGS__};  \
  }
#define MSL_ALL(a) a[0], a[1], a[2]
MSL_POSITION(thread_position_in_grid, MSL_ALL(h->position_in_grid))
MSL_POSITION(thread_position_in_threadgroup, MSL_ALL(h->position_in_threadgroup))
MSL_POSITION(threadgroup_position_in_grid, MSL_ALL(c->group_position))
MSL_POSITION(threads_per_grid, MSL_ALL(c->grid))
MSL_POSITION(threads_per_threadgroup, MSL_ALL(c->group_size))
MSL_POSITION(dispatch_threads_per_threadgroup, MSL_ALL(c->full_group_size))
MSL_POSITION(threadgroups_per_grid, MSL_ALL(c->groups))
MSL_POSITION(grid_size, MSL_ALL(c->grid))
MSL_POSITION(grid_origin, 0, 0, 0)
MSL_POSITION(thread_index_in_threadgroup, h->index_in_threadgroup)
MSL_POSITION(thread_index_in_simdgroup, h->lane)
MSL_POSITION(thread_index_in_quadgroup, h->lane % 4)
MSL_POSITION(simdgroup_index_in_threadgroup, h->simdgroup)
MSL_POSITION(quadgroup_index_in_threadgroup, h->index_in_threadgroup / 4)
MSL_POSITION(threads_per_simdgroup, 32)
MSL_POSITION(thread_execution_width, 32)
#define MSL_THREADS(size) (size[0] * size[1] * size[2])
MSL_POSITION(simdgroups_per_threadgroup, (MSL_THREADS(c->group_size) + 31) / 32)
MSL_POSITION(dispatch_simdgroups_per_threadgroup, (MSL_THREADS(c->full_group_size) + 31) / 32)
MSL_POSITION(quadgroups_per_threadgroup, (MSL_THREADS(c->group_size) + 3) / 4)
MSL_POSITION(dispatch_quadgroups_per_threadgroup, (MSL_THREADS(c->full_group_size) + 3) / 4)
#undef MSL_THREADS
#undef MSL_POSITION
#undef MSL_ALL
} // namespace msl

// Types and functions of single threads: half, bfloat, vectors and swizzles, as_type, a complex number, integers, mathematics.
#include <metal_stdlib>
#include <metal_math>
using namespace metal;

// Literals without a suffix are floats: a double would round differently.
kernel void literals(device float* out [[buffer(0)]], device half* halves [[buffer(1)]]) {
  float x = 16777217.0;
  out[0] = x + 0.1 - x;
  out[1] = 1e-3;
  out[2] = 0x1.8p1;
  out[3] = 3 / 2 + 1.5f;
  halves[0] = 1.5h;
  halves[1] = half(0.1) + 1.0h;
}

template <typename T>
kernel void arithmetic(device const T* a [[buffer(0)]], device const T* b [[buffer(1)]], device T* out [[buffer(2)]],
    device float* wide [[buffer(3)]], uint i [[thread_position_in_grid]]) {
  T x = a[i], y = b[i];
  out[5 * i] = x + y;
  out[5 * i + 1] = x * y;
  out[5 * i + 2] = T(float(x) / float(y));
  T z = -x;
  z += y;
  out[5 * i + 3] = x < y ? z : x - y;
  out[5 * i + 4] = T(exp(float(x)));
  wide[i] = x + float(y); // to float by itself
}
template [[host_name("arithmetic_half")]] [[kernel]] decltype(arithmetic<half>) arithmetic<half>;
template [[host_name("arithmetic_bfloat")]] [[kernel]] decltype(arithmetic<bfloat>) arithmetic<bfloat>;

kernel void vectors(device const float4* a [[buffer(0)]], device float4* out [[buffer(1)]], device int* flags [[buffer(2)]]) {
  float4 v = a[0];
  out[0] = v.wzyx;
  out[1] = float4(v.xy, 10, v.w);
  float4 w = 1.0;
  w.yz = v.zw;
  w.x += 4;
  w.zw *= 2.0f;
  out[2] = w;
  out[3] = v * 2.0f + float4(1, 2, 3, 4);
  float3 c = cross(v.xyz, float3(0, 0, 1));
  out[4] = float4(c, dot(v, v));
  half4 h = half4(v);
  out[5] = float4(h.rgb * h.a, float(h[1]));
  out[6] = select(v, -v, v > float4(2.5f));
  out[7] = min(max(v, 2.0f), float4(3.5f));
  bool4 b = v >= float4(2, 2, 2, 2);
  flags[0] = any(b) && !all(b);
  int2 n = int2(7, -3);
  n.y = n.x % 4;
  n <<= 1;
  flags[1] = n.x;
  flags[2] = n.y;
  uchar4 bytes = as_type<uchar4>(0x01020304u);
  flags[3] = bytes.x * 1000 + bytes.w;
  flags[4] = as_type<int>(1.0f);
  flags[5] = int(sizeof(float3)) * 100 + int(alignof(float2));
}

// A struct with operators, with methods for more than one address space.
struct complex64 {
  float real, imag;
  complex64() = default;
  constexpr complex64(float re, float im) : real(re), imag(im) {}
  float norm() const thread { return real * real + imag * imag; }
  float norm() const device { return real * real + imag * imag; }
};
constexpr complex64 operator+(complex64 a, complex64 b) { return {a.real + b.real, a.imag + b.imag}; }
constexpr complex64 operator*(complex64 a, complex64 b) {
  return {a.real * b.real - a.imag * b.imag, a.real * b.imag + a.imag * b.real};
}
kernel void complex_numbers(device const complex64* a [[buffer(0)]], device complex64* out [[buffer(1)]],
    device float* norms [[buffer(2)]], uint i [[thread_position_in_grid]]) {
  thread const complex64& x = a[i];
  out[i] = x * x + complex64(1, 0);
  norms[i] = a[i].norm();
}

// The same helper for two address spaces.
inline int first(const device int* p) { return p[0]; }
inline int first(const thread int* p) { return p[0]; }
inline int first(constant int* p) { return p[0]; }
// Methods that differ in `const` are two, specialisations for pointers to address spaces one.
struct Pair {
  int values[2];
  thread int& at(int i) thread { return values[i]; }
  int at(int i) const thread { return values[i] + 100; }
};
template <typename T>
struct target {};
template <typename T>
struct target<device T*> {
  using type = remove_cv_t<T>;
};
template <typename T>
struct target<const thread T*> {
  using type = remove_cv_t<T>;
};
template <typename T>
struct target<thread T*> {
  using type = remove_cv_t<T>;
};
constant int offset [[function_constant(7)]];
struct Offsets {
  int offset; // named like the function constant
  int twice(int offset) const thread { return 2 * offset; }
};
kernel void overloads(device const int* a [[buffer(0)]], device int* out [[buffer(1)]], constant int& c [[buffer(2)]]) {
  int local[2] = {5, 6};
  out[0] = first(a) + first(local) + first(&c);
  Pair pair = {{1, 2}};
  pair.at(1) += 10;
  const thread Pair& same = pair;
  out[1] = pair.at(1) * 1000 + same.at(1);
  typename target<thread int*>::type x = offset;
  Offsets fields = {x + 1};
  {
    int offset = 4;
    x += offset;
  }
  out[2] = fields.offset * 100 + fields.twice(x);
}

template <typename T>
kernel void integers(device const T* a [[buffer(0)]], device const T* b [[buffer(1)]], device long* out [[buffer(2)]],
    uint i [[thread_position_in_grid]]) {
  device long* to = out + 10 * i;
  to[0] = long(clz(a[i]));
  to[1] = long(ctz(a[i]));
  to[2] = long(popcount(a[i]));
  to[3] = long(mulhi(a[i], b[i]));
  to[4] = long(rotate(a[i], T(3)));
  to[5] = long(min(a[i], b[i]));
  to[6] = long(max(a[i], b[i]));
  to[7] = long(abs(a[i]));
  to[8] = long(addsat(a[i], b[i]));
  to[9] = long(numeric_limits<T>::max()) - long(numeric_limits<T>::min());
}
template [[host_name("integers_char")]] [[kernel]] decltype(integers<char>) integers<char>;
template [[host_name("integers_ushort")]] [[kernel]] decltype(integers<ushort>) integers<ushort>;
template [[host_name("integers_int")]] [[kernel]] decltype(integers<int>) integers<int>;

kernel void mathematics(device const float* a [[buffer(0)]], device float* out [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  float x = a[i];
  device float* to = out + 16 * i;
  to[0] = metal::precise::exp(x);
  to[1] = fast::log(abs(x) + 1);
  to[2] = sin(x) + cos(x) * tan(x);
  to[3] = sqrt(abs(x)) * rsqrt(x * x + 1);
  to[4] = pow(abs(x), 1.5f);
  to[5] = fma(x, x, 1.0f);
  to[6] = clamp(x, -1.0f, 1.0f);
  to[7] = floor(x) + ceil(x) + rint(x) + trunc(x) + fract(x);
  to[8] = isnan(x / (x - x)) ? 1 : 0;
  to[9] = fmod(x, 0.7f);
  to[10] = copysign(2.0f, x) + sign(x);
  to[11] = max(x, NAN);
  to[12] = tanh(x) + atan2(x, 2.0f) + asinh(x);
  to[13] = isinf(INFINITY) && !isfinite(x * INFINITY) ? 1 : 0;
  to[14] = numeric_limits<float>::infinity() > numeric_limits<float>::max() ? float(numeric_limits<half>::max()) : 0;
  to[15] = is_same_v<decltype(half(1) + half(2)), half> && is_floating_point_v<bfloat> && !is_signed_v<uint> ? 1 : 0;
}

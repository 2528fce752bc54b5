// Names, categories and promotion of the element types.
#include "mlx_core/dtype.h"

namespace mlx::core {

std::string_view name_of(Dtype dtype) {
  constexpr std::string_view names[] = {
      "bool",
      "uint8",
      "uint16",
      "uint32",
      "uint64",
      "int8",
      "int16",
      "int32",
      "int64",
      "float16",
      "bfloat16",
      "float32",
      "float64",
      "complex64",
      "complex128",
  };
  return names[static_cast<int>(dtype.val)];
}

std::string_view name_of(Dtype::Category category) {
  constexpr std::string_view names[] = {
      "complexfloating",
      "floating",
      "inexact",
      "signedinteger",
      "unsignedinteger",
      "integer",
      "number",
      "generic",
  };
  return names[static_cast<int>(category)];
}

namespace {

Dtype promote_integers(Dtype a, Dtype b) {
  if (a.is_signed() == b.is_signed()) {
    return a.val > b.val ? a : b;
  }
  const Dtype i = a.is_signed() ? a : b;
  const Dtype u = a.is_signed() ? b : a;
  if (i.size() > u.size()) {
    return i;
  }
  switch (u.size()) {
    case 1: return int16;
    case 2: return int32;
    case 4: return int64;
    default: return float32; // no integer type holds both uint64 and a negative number
  }
}

Dtype promote_floats(Dtype a, Dtype b) {
  if (a == float64 || b == float64) {
    return float64;
  }
  return a == b ? a : float32; // neither 16-bit type holds the other
}

} // namespace

Dtype promote_types(Dtype a, Dtype b) {
  if (a == b || b.is_bool()) {
    return a;
  }
  if (a.is_bool()) {
    return b;
  }
  if (a.is_complex() || b.is_complex()) {
    // MLX, which has no complex128, gives complex64 for float64 with complex64: that would round to half the digits.
    return a == complex128 || b == complex128 || a == float64 || b == float64 ? complex128 : complex64;
  }
  if (a.is_floating() && b.is_floating()) {
    return promote_floats(a, b);
  }
  if (a.is_floating() || b.is_floating()) {
    return a.is_floating() ? a : b;
  }
  return promote_integers(a, b);
}

Dtype real_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::Val::complex64: return float32;
    case Dtype::Val::complex128: return float64;
    default: return dtype;
  }
}

Dtype complex_of(Dtype dtype) { return dtype != complex64 && dtype.size() >= 8 ? complex128 : complex64; }

Dtype inexact_of(Dtype dtype) { return dtype.is_inexact() ? dtype : float32; }

bool issubdtype(Dtype dtype, Dtype::Category category) {
  if (dtype.is_bool()) {
    return category == Dtype::Category::generic;
  }
  if (dtype.is_complex()) {
    return issubdtype(Dtype::Category::complexfloating, category);
  }
  if (dtype.is_floating()) {
    return issubdtype(Dtype::Category::floating, category);
  }
  return issubdtype(dtype.is_signed() ? Dtype::Category::signedinteger : Dtype::Category::unsignedinteger, category);
}

bool issubdtype(Dtype::Category a, Dtype::Category b) {
  using Category = Dtype::Category;
  while (a != b) {
    switch (a) {
      case Category::complexfloating:
      case Category::floating: a = Category::inexact; break;
      case Category::signedinteger:
      case Category::unsignedinteger: a = Category::integer; break;
      case Category::inexact:
      case Category::integer: a = Category::number; break;
      case Category::number: a = Category::generic; break;
      case Category::generic: return false;
    }
  }
  return true;
}

} // namespace mlx::core

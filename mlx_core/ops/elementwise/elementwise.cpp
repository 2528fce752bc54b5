// The dtype an elementwise op computes in: conversion of its arguments to one that it takes.
#include "mlx_core/ops/binary.h"

namespace mlx::core {

namespace {

// Whether integers and bool are promoted to float32 for this op.
bool promotes_integers(Dtypes set) { return set == Dtypes::inexact || set == Dtypes::floating; }

const char* remedy(Dtypes set, Dtype given) {
  if (given.is_complex()) {
    return "Complex numbers are not accepted; take real(a), imag(a) or abs(a) first.";
  }
  switch (set) {
    case Dtypes::integral: return "Only integers and bool are accepted; convert with astype.";
    case Dtypes::numeric: return "bool is not accepted; use logical_not, or convert with astype.";
    case Dtypes::complex: return "Only complex numbers are accepted; convert with astype.";
    default: return "Convert with astype.";
  }
}

} // namespace

array to_accepted(const OpInfo& info, const array& a) {
  if (accepts(info.accepts, a.dtype())) {
    return a;
  }
  if (promotes_integers(info.accepts) && !a.dtype().is_inexact()) {
    return astype(a, float32);
  }
  fail(info.name, "a has dtype ", a.dtype(), ". ", remedy(info.accepts, a.dtype()));
}

std::pair<array, array> to_common(const OpInfo& info, const array& a, const array& b) {
  Dtype dtype = promote_types(a.dtype(), b.dtype());
  if (promotes_integers(info.accepts)) {
    dtype = inexact_of(dtype);
  }
  if (!accepts(info.accepts, dtype)) {
    fail(info.name, "a has dtype ", a.dtype(), " and b has dtype ", b.dtype(), ". ", remedy(info.accepts, dtype));
  }
  return {astype(a, dtype), astype(b, dtype)};
}

} // namespace mlx::core

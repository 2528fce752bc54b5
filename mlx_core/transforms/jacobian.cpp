// Jacobians: the function runs once, and a batch of unit tangents or cotangents is sent through what it did.
#include "mlx_core/jacobian.h"

#include "mlx_core/ops.h"
#include "mlx_core/ops/index/indexing.h"
#include "mlx_core/transforms/recording.h"

namespace mlx::core {

namespace {

// What goes through a recording, and what comes out of it for one unit vector on its way in.
using Pass = std::function<Tangents(const array& unit)>;

// Element `lane` is `value`, the others are 0.
array unit_at(const array& lane, const array& like, const array& value) {
  array places = position_numbers(like.shape());
  return where(equal(places, lane), value, zeros({}, like.dtype()));
}

array imaginary_unit(Dtype dtype) { return array(complex128_t(0, 1), dtype); }

// For each of `results`, what the pass makes of every unit vector like `in` (times `value`): shape
// in.size, then the result's.
std::vector<array> send_units(
    const Pass& pass, const array& in, const array& value, const std::vector<array>& results, ChunkSize chunk_size) {
  auto dense = [&](const array& unit) {
    Tangents out = pass(unit);
    std::vector<array> full;
    for (size_t i = 0; i < results.size(); ++i) {
      full.push_back(out[i] ? *out[i] : zeros_like(results[i]));
    }
    return full;
  };
  int64_t lanes = in.size();
  std::vector<array> stacked;
  if (lanes == 1) { // needs no batch
    for (const array& result : dense(reshape(astype(value, in.dtype()), in.shape()))) {
      stacked.push_back(expand_dims(result, 0));
    }
    return stacked;
  }
  if (lanes == 0) {
    for (const array& result : results) {
      Shape shape = result.shape();
      shape.insert(shape.begin(), 0);
      stacked.push_back(zeros(shape, result.dtype()));
    }
    return stacked;
  }
  auto lane = [&](const std::vector<array>& at) { return dense(unit_at(at[0], in, value)); };
  array places = position_numbers({lanes});
  return vmap_call(lane, {0}, {places}, [](const std::vector<array>&) { return VmapAxes(); }, chunk_size);
}

Shape joined(const Shape& a, const Shape& b) {
  Shape shape = a;
  for (Dim length : b) {
    shape.push_back(length);
  }
  return shape;
}

// One half of a complex Jacobian, or all of it where `imaginary` stays out.
array combine(const array& along_real, const Tangent& along_imaginary, double sign) {
  if (!along_imaginary) {
    return along_real;
  }
  Dtype dtype = complex_of(along_real.dtype());
  array i = multiply(imaginary_unit(dtype), array(sign, dtype));
  return add(astype(along_real, dtype), multiply(i, astype(*along_imaginary, dtype)));
}

// The Jacobians of all outputs by one primal: real outputs depend on both parts of a complex primal.
std::vector<array> by_primal(const Recording& recording, size_t primal, ChunkSize chunk_size) {
  const array& in = recording.primals()[primal];
  for (const array& output : recording.outputs()) {
    check_shape("jacobian", joined(output.shape(), in.shape()));
  }
  auto push = [&](const array& unit) {
    Tangents tangents(recording.primals().size());
    tangents[primal] = unit;
    return recording.push(tangents);
  };
  const std::vector<array>& outputs = recording.outputs();
  std::vector<array> real_units = send_units(push, in, array(1, in.dtype()), outputs, chunk_size), imaginary_units;
  bool real_output = false;
  for (const array& output : outputs) {
    real_output = real_output || !output.dtype().is_complex();
  }
  if (in.dtype().is_complex() && real_output) {
    imaginary_units = send_units(push, in, imaginary_unit(in.dtype()), outputs, chunk_size);
  }
  std::vector<array> jacobians;
  for (size_t o = 0; o < outputs.size(); ++o) {
    bool both = !imaginary_units.empty() && !outputs[o].dtype().is_complex();
    array columns = combine(real_units[o], both ? Tangent(imaginary_units[o]) : std::nullopt, -1);
    jacobians.push_back(reshape(moveaxis(columns, 0, -1), joined(outputs[o].shape(), in.shape())));
  }
  return jacobians;
}

// The Jacobians of one output by all primals: a vjp conjugates, and real primals see the real part of a complex output.
std::vector<array> of_output(const Recording& recording, size_t output, ChunkSize chunk_size) {
  const array& out = recording.outputs()[output];
  auto pull = [&](const array& unit) {
    Tangents cotangents(recording.outputs().size());
    cotangents[output] = unit;
    return recording.pull(cotangents);
  };
  const std::vector<array>& primals = recording.primals();
  for (const array& primal : primals) {
    check_shape("jacobian", joined(out.shape(), primal.shape()));
  }
  std::vector<array> real_units = send_units(pull, out, array(1, out.dtype()), primals, chunk_size), imaginary_units;
  bool real_primal = false;
  for (const array& primal : primals) {
    real_primal = real_primal || !primal.dtype().is_complex();
  }
  if (out.dtype().is_complex() && real_primal) {
    imaginary_units = send_units(pull, out, imaginary_unit(out.dtype()), primals, chunk_size);
  }
  std::vector<array> jacobians;
  for (size_t i = 0; i < primals.size(); ++i) {
    bool complex = primals[i].dtype().is_complex(), both = !imaginary_units.empty() && !complex;
    array rows = complex ? conjugate(real_units[i])
                         : combine(real_units[i], both ? Tangent(imaginary_units[i]) : std::nullopt, 1);
    jacobians.push_back(reshape(rows, joined(out.shape(), primals[i].shape())));
  }
  return jacobians;
}

int64_t elements(const std::vector<array>& arrays) {
  int64_t count = 0;
  for (const array& a : arrays) {
    count = checked_add(count, a.size());
  }
  return count;
}

std::vector<array> flattened(std::vector<std::vector<array>> jacobians) {
  std::vector<array> flat;
  for (std::vector<array>& row : jacobians) {
    flat.insert(flat.end(), row.begin(), row.end());
  }
  return flat;
}

VectorFunction with_mode(
    const VectorFunction& fun, const std::vector<int>& argnums, JacobianMode mode, ChunkSize chunk_size) {
  if (argnums.empty()) {
    fail("jacobian", "argnums is empty: name at least one argument to differentiate.");
  }
  return [=](const std::vector<array>& args) {
    std::vector<size_t> positions;
    std::vector<array> primals;
    int count = static_cast<int>(args.size());
    for (int n : argnums) {
      if (n < -count || n >= count) {
        fail("jacobian", "argnums has ", n, " but the function was called with ", count, " arguments.");
      }
      positions.push_back(static_cast<size_t>(n < 0 ? n + count : n));
      primals.push_back(args[positions.back()]);
    }
    auto of_primals = [&](const std::vector<array>& in) {
      std::vector<array> all(args);
      for (size_t i = 0; i < positions.size(); ++i) {
        all[positions[i]] = in[i];
      }
      return fun(all);
    };
    return flattened(value_and_jacobian(of_primals, primals, mode, chunk_size).jacobians);
  };
}

ArrayFunction with_mode(const ArrayFunction& fun, JacobianMode mode, ChunkSize chunk_size) {
  VectorFunction wrapped = [fun](const std::vector<array>& in) { return std::vector<array>{fun(in[0])}; };
  return [f = with_mode(wrapped, {0}, mode, chunk_size)](const array& x) { return f({x})[0]; };
}

} // namespace

ValueAndJacobian value_and_jacobian(
    const VectorFunction& fun, const std::vector<array>& primals, JacobianMode mode, ChunkSize chunk_size) {
  for (size_t i = 0; i < primals.size(); ++i) {
    if (!primals[i].dtype().is_inexact()) {
      fail<TypeError>("jacobian", "primal ", i, " has dtype ", primals[i].dtype(),
          "; only floating and complex arrays have derivatives. Cast it with astype first.");
    }
  }
  Recording recording(fun, primals, mode == JacobianMode::reverse);
  const std::vector<array>& outputs = recording.outputs();
  for (size_t o = 0; o < outputs.size(); ++o) {
    if (!outputs[o].dtype().is_inexact()) {
      fail<TypeError>("jacobian", "output ", o, " has dtype ", outputs[o].dtype(),
          "; only floating and complex outputs have Jacobians. Cast it with astype, or leave it out.");
    }
  }
  if (mode == JacobianMode::automatic) {
    mode = elements(primals) <= elements(outputs) ? JacobianMode::forward : JacobianMode::reverse;
  }
  ValueAndJacobian result{outputs, std::vector<std::vector<array>>(outputs.size())};
  if (mode == JacobianMode::reverse) {
    for (size_t o = 0; o < outputs.size(); ++o) {
      result.jacobians[o] = of_output(recording, o, chunk_size);
    }
    return result;
  }
  for (size_t i = 0; i < primals.size(); ++i) {
    std::vector<array> column = by_primal(recording, i, chunk_size);
    for (size_t o = 0; o < outputs.size(); ++o) {
      result.jacobians[o].push_back(column[o]);
    }
  }
  return result;
}

VectorFunction jacfwd(const VectorFunction& fun, const std::vector<int>& argnums, ChunkSize chunk_size) {
  return with_mode(fun, argnums, JacobianMode::forward, chunk_size);
}
VectorFunction jacrev(const VectorFunction& fun, const std::vector<int>& argnums, ChunkSize chunk_size) {
  return with_mode(fun, argnums, JacobianMode::reverse, chunk_size);
}
VectorFunction jacobian(const VectorFunction& fun, const std::vector<int>& argnums, ChunkSize chunk_size) {
  return with_mode(fun, argnums, JacobianMode::automatic, chunk_size);
}
VectorFunction hessian(const VectorFunction& fun, const std::vector<int>& argnums, ChunkSize chunk_size) {
  return jacfwd(jacrev(fun, argnums, chunk_size), argnums, chunk_size);
}

ArrayFunction jacfwd(const ArrayFunction& fun, ChunkSize chunk_size) {
  return with_mode(fun, JacobianMode::forward, chunk_size);
}
ArrayFunction jacrev(const ArrayFunction& fun, ChunkSize chunk_size) {
  return with_mode(fun, JacobianMode::reverse, chunk_size);
}
ArrayFunction jacobian(const ArrayFunction& fun, ChunkSize chunk_size) {
  return with_mode(fun, JacobianMode::automatic, chunk_size);
}
ArrayFunction hessian(const ArrayFunction& fun, ChunkSize chunk_size) {
  return jacfwd(jacrev(fun, chunk_size), chunk_size);
}

} // namespace mlx::core

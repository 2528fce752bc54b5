// Printing: std::cout << array writes what Python prints.
#include <sstream>

#include "check.h"
#include "mlx_core/mlx.h"

namespace {

namespace mx = mlx::core;

template <typename T>
std::string written(const T& value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

} // namespace

TEST(arrays) {
  CHECK(written(mx::array(1.5f)) == "array(1.5, dtype=float32)");
  CHECK(written(mx::array({1, 2, 3})) == "array([1, 2, 3], dtype=int32)");
  CHECK(written(mx::reshape(mx::arange(4), {2, 2})) == "array([[0, 1],\n       [2, 3]], dtype=int32)");
  CHECK(written(mx::arange(10)) == "array([0, 1, 2, ..., 7, 8, 9], dtype=int32)");
  CHECK(written(mx::array({1.0f, 2.0f}) > mx::array(1.5f)) == "array([False, True], dtype=bool)");
  CHECK(written(mx::array(mx::complex64_t(1, -2))) == "array(1-2j, dtype=complex64)");
  CHECK(written(mx::zeros({0})) == "array([], dtype=float32)");
}

TEST(what_belongs_to_arrays) {
  mx::array x = mx::zeros({2, 3});
  CHECK(written(x.shape()) == mx::to_string(x.shape()));
  CHECK(written(x.dtype()) == "float32");
  CHECK(written(mx::Device(mx::Device::cpu)) == mx::to_string(mx::Device(mx::Device::cpu)));
  CHECK(written(mx::default_stream(mx::Device::cpu)) == mx::to_string(mx::default_stream(mx::Device::cpu)));
}

TEST(options) {
  mx::PrintOptions before = mx::get_printoptions();
  mx::set_printoptions({2});
  CHECK(written(mx::array(1.0f)) == "array(1.00, dtype=float32)");
  mx::set_printoptions(before);
  CHECK(written(mx::array(1.0f)) == "array(1, dtype=float32)");
  CHECK_THROWS(std::invalid_argument, mx::set_printoptions({1000}));
}

TEST(inside_transforms) {
  std::string text;
  mx::grad([&](const mx::array& x) {
    text = written(x * mx::array(2.0f));
    return x * x;
  })(mx::array(3.0f));
  CHECK(text == "array(6, dtype=float32)");
  mx::vmap([&](const mx::array& x) {
    text = written(x);
    return x;
  })(mx::array({1.0f, 2.0f}));
  CHECK(text == "array([1, 2], dtype=float32, lanes=(2))" || text == "array([1, 2], dtype=float32, lanes=(2,))");
}

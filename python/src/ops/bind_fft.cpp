// mlx.core.fft: Fourier transforms.
#include "mlx_core/error.h"
#include "mlx_core/ops/fft/fft.h"
#include "python/src/ops/bind_ops.h"
#include "python/src/runtime/bind.h"

namespace mlx::python {

namespace {

namespace fft = core::fft;
using fft::FFTNorm;
using fft::Kind;

FFTNorm norm_of(const char* op, const std::optional<std::string>& norm) {
  if (!norm || *norm == "backward") {
    return FFTNorm::Backward;
  }
  if (*norm == "ortho" || *norm == "forward") {
    return *norm == "ortho" ? FFTNorm::Ortho : FFTNorm::Forward;
  }
  core::fail(op, "norm is \"", *norm, "\"; it should be \"backward\", \"ortho\" or \"forward\".");
}

// As in MLX every argument may be given by position, stream too.
template <typename Function, typename... Arguments>
void def_fft(nb::module_& m, const char* name, Function&& function, const std::string& parameters,
    const Arguments&... arguments) {
  std::string signature = signature_of(name, parameters, "array");
  if (size_t at = signature.find(", *, stream"); at != std::string::npos) {
    signature.replace(at, 3, "");
  }
  m.def(name, std::forward<Function>(function), arguments..., nb::sig(signature.c_str()),
      docstring_of(("fft." + std::string(name)).c_str()).c_str());
}

constexpr const char* one_axis = "a: array, n: int | None = None, axis: int = -1, norm: str = \"backward\"";

void def_one(nb::module_& m, const char* name, fft::Transform transform) {
  def_fft(
      m, name,
      [transform](const array& a, std::optional<core::Dim> n, int axis, const std::optional<std::string>& norm,
          StreamOrDevice s) {
        core::StreamScope on(s);
        return fft::along_axis(transform, a, n, axis, norm_of(transform.op, norm));
      },
      one_axis, "a"_a, "n"_a = nb::none(), "axis"_a = -1, "norm"_a = "backward", "stream"_a = nb::none());
}

void def_several(nb::module_& m, const char* name, fft::Transform transform, bool two) {
  auto call = [transform](const array& a, const std::optional<Shape>& s, const std::optional<Axes>& axes,
                  const std::optional<std::string>& norm, StreamOrDevice stream) {
    core::StreamScope on(stream);
    return fft::along_axes(transform, a, s, axes, norm_of(transform.op, norm));
  };
  std::string parameters = "a: array, s: Sequence[int] | None = None, axes: Sequence[int] | None = " +
                           std::string(two ? "[-2, -1]" : "None") + ", norm: str = \"backward\"";
  if (two) {
    def_fft(m, name, call, parameters, "a"_a, "s"_a = nb::none(), "axes"_a.none() = nb::make_tuple(-2, -1),
        "norm"_a = "backward", "stream"_a = nb::none());
  } else {
    def_fft(m, name, call, parameters, "a"_a, "s"_a = nb::none(), "axes"_a = nb::none(), "norm"_a = "backward",
        "stream"_a = nb::none());
  }
}

void def_shift(nb::module_& m, const char* name, array (*shift)(const array&, const Axes&, StreamOrDevice)) {
  def_fft(
      m, name,
      [shift](const array& a, const std::optional<Axes>& axes, StreamOrDevice s) {
        return shift(a, axes ? *axes : core::all_axes(a.ndim()), s);
      },
      "a: array, axes: None | int | Sequence[int] = None", "a"_a, "axes"_a = nb::none(), "stream"_a = nb::none());
}

void def_frequencies(nb::module_& m, const char* name, array (*frequencies)(int, double, Dtype, StreamOrDevice)) {
  std::string signature = "def " + std::string(name) +
                          "(n: int, d: float = 1.0, stream: StreamOrDevice = None, *, dtype: Dtype | None = None, "
                          "device: StreamOrDevice = None) -> array";
  m.def(
      name,
      [frequencies, name](int n, double d, StreamOrDevice s, std::optional<Dtype> dtype, StreamOrDevice device) {
        return frequencies(n, d, dtype.value_or(core::float32), placed(name, device, s));
      },
      "n"_a, "d"_a = 1.0, "stream"_a = nb::none(), nb::kw_only(), "dtype"_a = nb::none(), "device"_a = nb::none(),
      nb::sig(signature.c_str()), docstring_of(("fft." + std::string(name)).c_str()).c_str());
}

} // namespace

void bind_fft(nb::module_& parent) {
  nb::module_ m = parent.def_submodule("fft", "Fourier transforms.");
  def_one(m, "fft", {"fft.fft", Kind::complex, false});
  def_one(m, "ifft", {"fft.ifft", Kind::complex, true});
  def_one(m, "rfft", {"fft.rfft", Kind::from_real, false});
  def_one(m, "irfft", {"fft.irfft", Kind::to_real, true});
  def_fft(
      m, "hfft",
      [](const array& a, std::optional<core::Dim> n, int axis, const std::optional<std::string>& norm,
          StreamOrDevice s) {
        FFTNorm by = norm_of("fft.hfft", norm);
        return n ? fft::hfft(a, *n, axis, by, s) : fft::hfft(a, axis, by, s);
      },
      one_axis, "a"_a, "n"_a = nb::none(), "axis"_a = -1, "norm"_a = "backward", "stream"_a = nb::none());
  def_fft(
      m, "ihfft",
      [](const array& a, std::optional<core::Dim> n, int axis, const std::optional<std::string>& norm,
          StreamOrDevice s) {
        FFTNorm by = norm_of("fft.ihfft", norm);
        return n ? fft::ihfft(a, *n, axis, by, s) : fft::ihfft(a, axis, by, s);
      },
      one_axis, "a"_a, "n"_a = nb::none(), "axis"_a = -1, "norm"_a = "backward", "stream"_a = nb::none());
  def_several(m, "fft2", {"fft.fft2", Kind::complex, false}, true);
  def_several(m, "ifft2", {"fft.ifft2", Kind::complex, true}, true);
  def_several(m, "rfft2", {"fft.rfft2", Kind::from_real, false}, true);
  def_several(m, "irfft2", {"fft.irfft2", Kind::to_real, true}, true);
  def_several(m, "fftn", {"fft.fftn", Kind::complex, false}, false);
  def_several(m, "ifftn", {"fft.ifftn", Kind::complex, true}, false);
  def_several(m, "rfftn", {"fft.rfftn", Kind::from_real, false}, false);
  def_several(m, "irfftn", {"fft.irfftn", Kind::to_real, true}, false);
  def_frequencies(m, "fftfreq", &fft::fftfreq);
  def_frequencies(m, "rfftfreq", &fft::rfftfreq);
  def_shift(
      m, "fftshift", [](const array& a, const Axes& axes, StreamOrDevice s) { return fft::fftshift(a, axes, s); });
  def_shift(
      m, "ifftshift", [](const array& a, const Axes& axes, StreamOrDevice s) { return fft::ifftshift(a, axes, s); });
  def_fft(
      m, "stft",
      [](const array& x, int n_fft, std::optional<int> hop_length, std::optional<int> win_length,
          const std::optional<array>& window, bool center, const std::string& pad_mode,
          const std::optional<std::string>& norm, std::optional<bool> onesided, StreamOrDevice s) {
        return fft::stft(
            x, n_fft, hop_length, win_length, window, center, pad_mode, norm_of("fft.stft", norm), onesided, s);
      },
      "x: array, n_fft: int = 2048, hop_length: int | None = None, win_length: int | None = None, window: array | None "
      "= None, center: bool = True, pad_mode: str = \"reflect\", norm: str = \"backward\", onesided: bool | None = "
      "None",
      "x"_a, "n_fft"_a = 2048, "hop_length"_a = nb::none(), "win_length"_a = nb::none(), "window"_a = nb::none(),
      "center"_a = true, "pad_mode"_a = "reflect", "norm"_a = "backward", "onesided"_a = nb::none(),
      "stream"_a = nb::none());
  m.def(
      "istft",
      [](const array& stft_matrix, std::optional<int> n_fft, std::optional<int> hop_length,
          std::optional<int> win_length, const std::optional<array>& window, bool center,
          const std::optional<std::string>& norm, std::optional<bool> onesided, std::optional<int> length,
          StreamOrDevice s, bool return_complex) {
        return fft::istft(stft_matrix, n_fft, hop_length, win_length, window, center, norm_of("fft.istft", norm),
            onesided, length, return_complex, s);
      },
      "stft_matrix"_a, "n_fft"_a = nb::none(), "hop_length"_a = nb::none(), "win_length"_a = nb::none(),
      "window"_a = nb::none(), "center"_a = true, "norm"_a = "backward", "onesided"_a = nb::none(),
      "length"_a = nb::none(), "stream"_a = nb::none(), nb::kw_only(), "return_complex"_a = false,
      nb::sig(
          "def istft(stft_matrix: array, n_fft: int | None = None, hop_length: int | None = None, win_length: int | "
          "None = None, window: array | None = None, center: bool = True, norm: str = \"backward\", onesided: bool | "
          "None = None, length: int | None = None, stream: StreamOrDevice = None, *, return_complex: bool = False) "
          "-> array"),
      docstring_of("fft.istft").c_str());
  check_registered();
}

} // namespace mlx::python

// Fourier transforms along one axis, two, or any: their inverses, those of real arrays, frequencies, and short-time
// transforms.
#pragma once

#include <optional>
#include <string>

#include "mlx_core/array.h"

namespace mlx::core::fft {

// Which direction is divided by the length: the inverse one, both by its root, or the forward one.
enum class FFTNorm { Backward, Ortho, Forward };

// Along one axis, cut or padded with zeros to n elements.
array fft(const array& a, Dim n, int axis, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array fft(const array& a, int axis = -1, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array ifft(const array& a, Dim n, int axis, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array ifft(const array& a, int axis = -1, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
// Of n real elements, the n / 2 + 1 outputs of which the others are conjugates; and back, to n real ones.
array rfft(const array& a, Dim n, int axis, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array rfft(const array& a, int axis = -1, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array irfft(const array& a, Dim n, int axis, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array irfft(const array& a, int axis = -1, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
// Of n / 2 + 1 elements whose conjugates the others are, to n real outputs; and back.
array hfft(const array& a, Dim n, int axis, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array hfft(const array& a, int axis = -1, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array ihfft(const array& a, Dim n, int axis, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array ihfft(const array& a, int axis = -1, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});

// Along several axes, of the lengths n; -1 stands for what the axis has. Without axes, along all.
array fftn(const array& a, const Shape& n, const Axes& axes, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array fftn(const array& a, const Axes& axes, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array fftn(const array& a, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array ifftn(const array& a, const Shape& n, const Axes& axes, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array ifftn(const array& a, const Axes& axes, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array ifftn(const array& a, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
// The last of the axes is the real one.
array rfftn(const array& a, const Shape& n, const Axes& axes, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array rfftn(const array& a, const Axes& axes, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array rfftn(const array& a, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array irfftn(const array& a, const Shape& n, const Axes& axes, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array irfftn(const array& a, const Axes& axes, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array irfftn(const array& a, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});

array fft2(const array& a, const Shape& n, const Axes& axes, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array fft2(const array& a, const Axes& axes = {-2, -1}, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array ifft2(const array& a, const Shape& n, const Axes& axes, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array ifft2(const array& a, const Axes& axes = {-2, -1}, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array rfft2(const array& a, const Shape& n, const Axes& axes, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array rfft2(const array& a, const Axes& axes = {-2, -1}, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array irfft2(const array& a, const Shape& n, const Axes& axes, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array irfft2(const array& a, const Axes& axes = {-2, -1}, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});

// The frequencies of the outputs, for samples that are d apart.
array fftfreq(int n, double d = 1.0, Dtype dtype = float32, StreamOrDevice s = {});
array rfftfreq(int n, double d = 1.0, Dtype dtype = float32, StreamOrDevice s = {});
// Frequency 0 moved to the middle, and back.
array fftshift(const array& a, const Axes& axes, StreamOrDevice s = {});
array fftshift(const array& a, StreamOrDevice s = {});
array ifftshift(const array& a, const Axes& axes, StreamOrDevice s = {});
array ifftshift(const array& a, StreamOrDevice s = {});

// Transforms of overlapping frames of the last axis: (..., frequencies, frames).
array stft(const array& x, int n_fft = 2048, std::optional<int> hop_length = {}, std::optional<int> win_length = {},
    const std::optional<array>& window = {}, bool center = true, const std::string& pad_mode = "reflect",
    FFTNorm norm = FFTNorm::Backward, std::optional<bool> onesided = {}, StreamOrDevice s = {});
// The signal whose frames these are, as nearly as there is one. Real, unless return_complex says that it need not be.
array istft(const array& stft_matrix, std::optional<int> n_fft = {}, std::optional<int> hop_length = {},
    std::optional<int> win_length = {}, const std::optional<array>& window = {}, bool center = true,
    FFTNorm norm = FFTNorm::Backward, std::optional<bool> onesided = {}, std::optional<int> length = {},
    bool return_complex = false, StreamOrDevice s = {});

} // namespace mlx::core::fft

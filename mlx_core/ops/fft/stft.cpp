// Short-time Fourier transforms: of overlapping frames, and the signal that has such frames.
#include <limits>
#include <numeric>

#include "mlx_core/error.h"
#include "mlx_core/fft.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/index/indexing.h"
#include "mlx_core/ops/unary.h"

namespace mlx::core::fft {

namespace {

// Frames are made of pieces of the greatest length that divides both theirs and the hop: of so many, each is a slice of
// the signal; where these are more, elements are picked one by one.
constexpr int most_pieces = 32;

struct Frames {
  int length, hop;
  int piece() const { return std::gcd(length, hop); }
  bool in_pieces() const { return length / piece() <= most_pieces; }
  // Elements of a signal that has so many frames.
  Dim span(Dim count) const { return (count - 1) * hop + length; }

  // Where element i of frame f lies: f hop + i.
  array places(Dim count) const {
    Dtype dtype = span(count) < (int64_t{1} << 31) ? int32 : int64;
    auto numbers = [&](Dim n) { return astype(position_numbers({n}), dtype); };
    return add(multiply(reshape(numbers(count), {count, 1}), array(hop, dtype)), numbers(length));
  }

  // (..., t) to (..., count, length), t being span(count) or more.
  array of(const array& x, Dim count) const {
    if (!in_pieces()) {
      return take(x, places(count), -1);
    }
    // Piece p of frame f starts at f hop + p piece.
    std::vector<array> parts;
    for (int p = 0; p < length / piece(); ++p) {
      Dim first = p * piece();
      if (hop == piece()) {
        parts.push_back(rows(x, first, count));
      } else {
        // Every hop / piece-th row of the pieces.
        Dim needed = (count - 1) * (hop / piece()) + 1;
        array all = rows(x, first, needed);
        Shape start(all.shape().size(), 0), stop = all.shape(), strides(all.shape().size(), 1);
        strides[strides.size() - 2] = hop / piece();
        parts.push_back(slice(all, std::move(start), std::move(stop), std::move(strides)));
      }
    }
    return concatenate(parts, -1);
  }

  // (..., count, length) to (..., span(count)): the transpose of of().
  array added(const array& frames) const {
    Dim count = frames.shape(-2), total = span(count);
    Shape shape(frames.shape().begin(), frames.shape().end() - 2);
    Shape flat = shape;
    flat.push_back(count * length);
    shape.push_back(total);
    if (!in_pieces() || hop != piece()) {
      Shape to = flat;
      array at = broadcast_to(reshape(places(count), {count * length}), to);
      return scatter_add_axis(zeros(shape, frames.dtype()), at, reshape(frames, flat), -1);
    }
    int axis = static_cast<int>(shape.size()) - 1;
    std::optional<array> sum;
    for (int p = 0; p < length / hop; ++p) {
      Shape start(frames.shape().size(), 0), stop = frames.shape();
      start.back() = p * hop;
      stop.back() = (p + 1) * hop;
      Shape run = flat;
      run.back() = count * hop;
      array part = reshape(slice(frames, std::move(start), std::move(stop)), run);
      array moved = pad(part, {axis}, {p * hop}, {length - (p + 1) * hop}, array(0, frames.dtype()));
      sum = sum ? add(*sum, moved) : moved;
    }
    return *sum;
  }

 private:
  // `count` rows of a piece each, from element `first` on.
  array rows(const array& x, Dim first, Dim count) const {
    Shape start(x.shape().size(), 0), stop = x.shape();
    start.back() = first;
    stop.back() = first + count * piece();
    array run = slice(x, std::move(start), std::move(stop));
    Shape shape(x.shape().begin(), x.shape().end() - 1);
    shape.push_back(count);
    shape.push_back(piece());
    return reshape(run, std::move(shape));
  }
};

struct Settings {
  Frames frames;
  std::optional<array> window; // of n_fft elements
};

Settings settings(const char* op, int n_fft, std::optional<int> hop_length, std::optional<int> win_length,
    const std::optional<array>& window, Dtype dtype) {
  if (n_fft < 1) {
    fail(op, "n_fft is ", n_fft, "; a frame has at least one element.");
  }
  int hop = hop_length.value_or(std::max(n_fft / 4, 1));
  if (hop < 1) {
    fail(op, "hop_length is ", hop, "; it is the distance of frames, at least 1.");
  }
  if (window && window->ndim() != 1) {
    fail(op, "window has shape ", window->shape(), "; it should have one axis.");
  }
  Dim length = window ? window->shape(0) : Dim(win_length.value_or(n_fft));
  if (win_length && window && !(length == *win_length)) {
    fail(op, "window has ", length, " elements, but win_length is ", *win_length, "; give one of them.");
  }
  if (length < 1 || length > n_fft) {
    fail(op, window ? "window has " : "win_length is ", length, window ? " elements" : "", ", but n_fft is ", n_fft,
        "; a window has at least 1 and at most n_fft elements.");
  }
  Settings out{{n_fft, hop}, {}};
  if (window || !(length == n_fft)) {
    array w = window ? astype(*window, dtype) : ones({length}, dtype);
    Dim before = (n_fft - length) / 2;
    out.window = length == n_fft ? w : pad(w, {0}, {before}, {n_fft - length - before}, array(0, dtype));
  }
  return out;
}

Dtype real_dtype(const array& a) { return a.dtype() == float64 || a.dtype() == complex128 ? float64 : float32; }

constexpr OpInfo stft_info{.name = "fft.stft",
    .summary = "Fourier transforms of overlapping frames of the last axis: (..., frequencies, frames).",
    .accepts = Dtypes::inexact,
    .example = ">>> mx.fft.stft(mx.ones((8,)), n_fft=4, hop_length=2).shape\n(3, 5)",
    .details =
        "hop_length, the distance of frames, is n_fft // 4 unless given. window has one axis of at most n_fft "
        "elements, "
        "and stands in the middle of a frame with zeros around it; without one, win_length ones do, n_fft unless "
        "given. "
        "With center, frame t has element t hop_length in its middle: n_fft // 2 elements are added at both ends, as "
        "pad(mode=pad_mode) does. onesided leaves out frequencies above n_fft // 2, by default of real x, and is no "
        "choice for complex x. norm is as in fft. Raises ValueError for sizes below 1, a window longer than n_fft, and "
        "where no frame fits."};
constexpr OpInfo istft_info{.name = "fft.istft",
    .summary = "The signal whose short-time Fourier transform comes nearest: the inverse of stft.",
    .accepts = Dtypes::inexact,
    .example =
        ">>> x = mx.arange(8.0)\n>>> mx.fft.istft(mx.fft.stft(x, n_fft=4, hop_length=2), hop_length=2)\n"
        "array([0, 1, 2, ..., 5, 6, 7], dtype=float32)",
    .details =
        "Frames are transformed back, multiplied by the window, added where they overlap, and divided by the sum of "
        "the "
        "squares of the windows there; what no window reaches stays 0. n_fft is 2 (frequencies - 1) of a onesided "
        "transform unless given, else their number. With center, n_fft // 2 elements are cut off at both ends. length "
        "cuts the signal or adds zeros. The signal is real; with return_complex and onesided=False it is complex. "
        "Raises ValueError as stft does."};

} // namespace

array stft(const array& x, int n_fft, std::optional<int> hop_length, std::optional<int> win_length,
    const std::optional<array>& window, bool center, const std::string& pad_mode, FFTNorm norm,
    std::optional<bool> onesided, StreamOrDevice s) try {
  StreamScope on(s);
  const char* op = "fft.stft";
  if (x.ndim() < 1) {
    fail(op, "x is a scalar; it needs an axis of samples.");
  }
  Settings set = settings(op, n_fft, hop_length, win_length, window, real_dtype(x));
  bool is_complex = x.dtype().is_complex(), half = onesided.value_or(!is_complex);
  if (half && is_complex) {
    fail(op, "onesided is True, but x is ", x.dtype(),
        ", whose frequencies above n_fft // 2 are its own; leave it out.");
  }
  Dtype dtype = is_complex ? complex_of(real_dtype(x)) : real_dtype(x);
  array signal = astype(x, dtype);
  if (center) {
    int side = n_fft / 2;
    signal = pad(signal, {x.ndim() - 1}, {side}, {side}, array(0, dtype), pad_mode);
  }
  Dim length = signal.shape(-1);
  if (length < n_fft) {
    fail(op, "x has ", x.shape(-1), " samples, fewer than a frame of n_fft = ", n_fft, " elements.");
  }
  array frames = set.frames.of(signal, (length - n_fft) / set.frames.hop + 1);
  if (set.window) {
    frames = multiply(frames, *set.window);
  }
  return swapaxes(half ? rfft(frames, -1, norm) : fft(frames, -1, norm), -1, -2);
} catch (const SizeError& error) {
  error.rethrow_in("fft.stft");
}

array istft(const array& stft_matrix, std::optional<int> n_fft, std::optional<int> hop_length,
    std::optional<int> win_length, const std::optional<array>& window, bool center, FFTNorm norm,
    std::optional<bool> onesided, std::optional<int> length, bool return_complex, StreamOrDevice s) try {
  StreamScope on(s);
  const char* op = "fft.istft";
  const Shape& shape = stft_matrix.shape();
  if (stft_matrix.ndim() < 2) {
    fail(op, "stft_matrix has shape ", shape, "; it should end with axes of frequencies and of frames.");
  }
  Dim bins = stft_matrix.shape(-2), count = stft_matrix.shape(-1);
  bool half = onesided.value_or(true);
  if (half && return_complex) {
    fail(op, "return_complex needs onesided=False: half of the frequencies stand for a real signal.");
  }
  if (bins < 1 || count < 1) {
    fail(op, "stft_matrix has shape ", shape, "; it should have a frequency and a frame at least.");
  }
  Dim own = half ? 2 * (bins - 1) : bins;
  if (!n_fft && own > std::numeric_limits<int>::max()) {
    fail(op, "stft_matrix has ", bins, " frequencies, more than a transform of an int's length; give n_fft.");
  }
  int frame = n_fft ? *n_fft : static_cast<int>(static_cast<int64_t>(own));
  Dtype real_type = real_dtype(stft_matrix);
  Settings set = settings(op, frame, hop_length, win_length, window, real_type);
  if (!(bins == (half ? frame / 2 + 1 : frame))) {
    fail(op, "stft_matrix has ", bins, " frequencies, but a ", half ? "onesided" : "twosided",
        " transform of n_fft = ", frame, " elements has ", half ? frame / 2 + 1 : frame, ".");
  }
  if (length && *length < 0) {
    fail(op, "length is ", *length, "; it is a number of samples.");
  }
  array spectra = swapaxes(stft_matrix, -1, -2);
  array frames = half ? irfft(spectra, frame, -1, norm) : ifft(spectra, -1, norm);
  if (!half && !return_complex) {
    frames = mlx::core::real(frames);
  }
  if (set.window) {
    frames = multiply(frames, *set.window);
  }
  array weight = set.window ? square(*set.window) : ones({frame}, real_type);
  array total = set.frames.added(broadcast_to(weight, {count, frame}));
  array least = multiply(max(total), array(real_type == float64 ? 1e-12 : 1e-6, real_type));
  array reached = greater(total, least);
  array signal = multiply(set.frames.added(frames),
      where(reached, reciprocal(where(reached, total, ones_like(total))), array(0, real_type)));
  Dim first = center ? frame / 2 : 0, last = signal.shape(-1) - (center ? frame / 2 : 0);
  if (length) {
    last = smaller_of(first + *length, center ? signal.shape(-1) : last);
  }
  last = larger_of(first, last);
  Shape start(signal.shape().size(), 0), stop = signal.shape();
  start.back() = first;
  stop.back() = last;
  array cut = slice(signal, std::move(start), std::move(stop));
  if (length) {
    Dim have = cut.shape(-1);
    if (have < *length) {
      cut = pad(cut, {cut.ndim() - 1}, {0}, {*length - have}, array(0, cut.dtype()));
    }
  }
  return cut;
} catch (const SizeError& error) {
  error.rethrow_in("fft.istft");
}

} // namespace mlx::core::fft

namespace mlx::core {

std::span<const OpInfo* const> stft_ops() {
  using namespace fft;
  static constexpr const OpInfo* ops[] = {&stft_info, &istft_info};
  return ops;
}

} // namespace mlx::core

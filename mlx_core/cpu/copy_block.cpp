// Two-dimensional block copies: runs, repeated rows, short rows, strided lines and transposes.
#include "mlx_core/cpu/copy_block.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "mlx_core/cpu/copy_every.h"
#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/interleave.h"
#include "mlx_core/cpu/past_caches.h"
#include "mlx_core/cpu/spread.h"
#include "mlx_core/cpu/transpose_tiles.h"

namespace mlx::core::cpu {
namespace {

template <typename T>
inline T load(const char* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

template <typename T>
inline void store(char* p, T value) {
  std::memcpy(p, &value, sizeof(T));
}

// A run too short for the call to memcpy to pay; the last piece overlaps the one before it.
inline void copy_short_run(const char* src, char* dst, int64_t bytes) {
  auto pieces = [&](auto piece) {
    using T = decltype(piece);
    int64_t i = 0;
    for (; i + static_cast<int64_t>(sizeof(T)) <= bytes; i += sizeof(T)) store(dst + i, load<T>(src + i));
    if (i < bytes) store(dst + bytes - sizeof(T), load<T>(src + bytes - sizeof(T)));
  };
  if (bytes >= 16) return pieces(Item16{});
  if (bytes >= 8) return pieces(uint64_t{});
  if (bytes >= 4) return pieces(uint32_t{});
  for (int64_t i = 0; i < bytes; ++i) dst[i] = src[i];
}

template <typename T>
void splat_line(const char* src, char* dst, int64_t n) {
  T value = load<T>(src);
  if constexpr (sizeof(T) == 1) {
    std::memset(dst, value, static_cast<size_t>(n));
  } else {
    constexpr int64_t per_piece = sizeof(T) < 16 ? 16 / sizeof(T) : 1;
    T repeated[per_piece];
    std::fill_n(repeated, per_piece, value);
    Item16 piece = load<Item16>(reinterpret_cast<const char*>(repeated));
    int64_t i = 0;
    for (; i + 4 * per_piece <= n; i += 4 * per_piece) {
      char* p = dst + i * static_cast<int64_t>(sizeof(T));
      store(p, piece), store(p + 16, piece), store(p + 32, piece), store(p + 48, piece);
    }
    for (; i < n; ++i) store(dst + i * static_cast<int64_t>(sizeof(T)), value);
  }
}

template <typename T>
void strided_line(const char* src, int64_t ss, char* dst, int64_t ds, int64_t n) {
  constexpr int64_t size = sizeof(T);
  if (ss == 0 && ds == size) return splat_line<T>(src, dst, n);
  int64_t i = 0;
  if (ds == size) {
    const int64_t step = ss / size, worth_vectors = step <= 2 ? 16 : 32; // the tables of a step of 3 take their time
    if (ss == step * size && (step == -1 || (step >= 2 && step <= 4)) && n >= worth_vectors) {
      i = copy_every(step, dst, src, n, static_cast<int>(size));
      src += i * ss, dst += i * ds;
    }
    for (; i + 4 <= n; i += 4, src += 4 * ss, dst += 4 * size) {
      T a = load<T>(src), b = load<T>(src + ss), c = load<T>(src + 2 * ss), d = load<T>(src + 3 * ss);
      store(dst, a), store(dst + size, b), store(dst + 2 * size, c), store(dst + 3 * size, d);
    }
  } else if (const int64_t step = ds / size; ss == size && ds == step * size && step >= 2 && step <= 4 && n >= 64) {
    i = store_every(step, dst, src, n, static_cast<int>(size));
    src += i * ss, dst += i * ds;
  }
  for (; i < n; ++i, src += ss, dst += ds) store(dst, load<T>(src));
}

// ---- transposes ----

constexpr int64_t line_bytes = 64;

// `rows` output rows of 64 bytes each from 64 / sizeof(T) input lines, sizeof(T) being 1, 2, 4 or 8: an N x N square of
// elements, N to a 16-byte vector, is transposed by log2(N) rounds of interleaving vector i with vector i + N/2.
template <typename T>
struct Square {
  static constexpr int n = 16 / sizeof(T);
  typedef T Vec __attribute__((vector_size(16)));

  template <bool high, int... I>
  static Vec interleave(Vec a, Vec b, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(a, b, ((I / 2) + (high ? n / 2 : 0) + (I % 2 ? n : 0))...);
  }

  static void transpose(const char* src, int64_t src_line, char* dst, int64_t dst_line) {
    Vec rows[n], next[n];
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) rows[i] = load<Vec>(src + i * src_line);
#pragma GCC unroll 4
    for (int width = 1; width < n; width *= 2) {
#pragma GCC unroll 8
      for (int i = 0; i < n / 2; ++i) {
        next[2 * i] = interleave<false>(rows[i], rows[i + n / 2], std::make_integer_sequence<int, n>{});
        next[2 * i + 1] = interleave<true>(rows[i], rows[i + n / 2], std::make_integer_sequence<int, n>{});
      }
#pragma GCC unroll 16
      for (int i = 0; i < n; ++i) rows[i] = next[i];
    }
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) store(dst + i * dst_line, rows[i]);
  }
};

// dst[r, c] = src[r, c] where the source is contiguous along r and the destination along c, of few rows or columns.
template <typename T>
void transpose_narrow(const char* src, int64_t src_column, char* dst, int64_t dst_row, int64_t rows, int64_t columns) {
  constexpr int64_t size = sizeof(T);
  int64_t whole_rows = 0, whole_columns = 0;
  if constexpr (size <= 4) { // of wider elements two at once are no quicker than one
    constexpr int64_t n = Square<T>::n;
    whole_rows = rows / n * n, whole_columns = columns / n * n;
    for (int64_t c = 0; c < whole_columns; c += n) {
      for (int64_t r = 0; r < whole_rows; r += n) {
        Square<T>::transpose(src + r * size + c * src_column, src_column, dst + r * dst_row + c * size, dst_row);
      }
    }
  }
  for (int64_t r = whole_columns < columns ? 0 : whole_rows; r < rows; ++r) {
    const int64_t first = r < whole_rows ? whole_columns : 0;
    strided_line<T>(
        src + r * size + first * src_column, src_column, dst + r * dst_row + first * size, size, columns - first);
  }
}

// Rows so many bytes apart have their lines in the same few places of the first level of the cache, where they evict
// one another while they are written.
constexpr bool share_places(int64_t row) { return row % 2048 == 0; }

// The same of many rows and columns. Tiles are whole cache lines on both sides; the source's go through a buffer, as
// lines a power of two apart evict one another. So do the destination's where they would, or are stored past the
// caches: some lines of a row at once.
template <typename T>
void transpose_block(
    const char* src, int64_t src_column, char* dst, int64_t dst_row, int64_t rows, int64_t columns, bool past_caches) {
  constexpr int64_t size = sizeof(T), side = line_bytes / size, together = std::min<int64_t>(8, 256 / side);
  alignas(64) char tile[side * line_bytes], result[together * side * line_bytes];
  const bool apart = past_caches || share_places(dst_row);
  const int64_t whole_rows = rows / side * side, whole_columns = columns / side * side;
  const int64_t at_once = apart ? together * side : side;
  static const TransposeTiles in_registers = find_transpose_tiles(size);
  if (in_registers) {
    in_registers(src, src_column, dst, dst_row, whole_rows, whole_columns, past_caches);
  }
  for (int64_t c = 0; c < whole_columns && !in_registers; c += at_once) {
    const int64_t lines = std::min(at_once, whole_columns - c) / side;
    for (int64_t r = 0; r < whole_rows; r += side) {
      const char* from = src + r * size + c * src_column;
      char* target = dst + r * dst_row + c * size;
      char* to = apart ? result : target;
      const int64_t to_row = apart ? together * line_bytes : dst_row;
      for (int64_t line = 0; line < lines; ++line, from += side * src_column, to += line_bytes) {
        for (int64_t i = 0; i < side; ++i) std::memcpy(tile + i * line_bytes, from + i * src_column, line_bytes);
        if constexpr (size < 16) {
          constexpr int64_t n = Square<T>::n;
          for (int64_t i = 0; i < side; i += n) {
            for (int64_t j = 0; j < side; j += n) {
              Square<T>::transpose(tile + j * line_bytes + i * size, line_bytes, to + i * to_row + j * size, to_row);
            }
          }
        } else {
          for (int64_t i = 0; i < side; ++i) {
            for (int64_t j = 0; j < side; ++j)
              store(to + i * to_row + j * size, load<T>(tile + j * line_bytes + i * size));
          }
        }
      }
      for (int64_t i = 0; i < side && apart; ++i) {
        const char* row = result + i * together * line_bytes;
        past_caches
            ? store_lines_past_caches(target + i * dst_row, row, lines)
            : static_cast<void>(std::memcpy(target + i * dst_row, row, static_cast<size_t>(lines * line_bytes)));
      }
    }
  }
  transpose_narrow<T>(src + whole_columns * src_column, src_column, dst + whole_columns * size, dst_row, whole_rows,
      columns - whole_columns);
  transpose_narrow<T>(
      src + whole_rows * size, src_column, dst + whole_rows * dst_row, dst_row, rows - whole_rows, columns);
}

// ---- rows ----

template <size_t bytes>
void copy_runs_of(const char* src, int64_t src_row, char* dst, int64_t dst_row, int64_t rows) {
#pragma GCC unroll 4
  for (int64_t r = 0; r < rows; ++r) std::memcpy(dst + r * dst_row, src + r * src_row, bytes);
}

void copy_runs(const char* src, int64_t src_row, char* dst, int64_t dst_row, int64_t rows, int64_t bytes) {
  switch (bytes) { // of a known size, as of colours, there are no branches
    case 3: return copy_runs_of<3>(src, src_row, dst, dst_row, rows);
    case 6: return copy_runs_of<6>(src, src_row, dst, dst_row, rows);
    case 12: return copy_runs_of<12>(src, src_row, dst, dst_row, rows);
    case 24: return copy_runs_of<24>(src, src_row, dst, dst_row, rows);
    case 32: return copy_runs_of<32>(src, src_row, dst, dst_row, rows);
    case 64: return copy_runs_of<64>(src, src_row, dst, dst_row, rows);
    default: break;
  }
  if (bytes > 64) return copy_rows(rows, bytes, src, src_row, dst, dst_row);
  for (int64_t r = 0; r < rows; ++r) copy_short_run(src + r * src_row, dst + r * dst_row, bytes);
}

// Each of `rows` elements `columns` times: they are brought together first, a cacheful at a time.
void spread_rows(const char* src, int64_t src_row, char* dst, int64_t rows, int64_t columns, int item_size) {
  const SpreadEach each = find_spread_each(item_size);
  if (src_row == item_size) return each(dst, src, rows, columns);
  constexpr int64_t at_once = 256;
  alignas(64) char values[at_once * sizeof(Item16)];
  for (int64_t r = 0; r < rows; r += at_once) {
    const int64_t count = std::min(at_once, rows - r);
    copy_line(src + r * src_row, src_row, values, item_size, count, item_size);
    each(dst + r * columns * item_size, values, count, columns);
  }
}

// The first row of dst is there; repeats it to fill `total` bytes.
void repeat_row(char* dst, int64_t row_bytes, int64_t total) {
  constexpr int64_t in_cache = 16 << 10;
  int64_t done = row_bytes;
  while (done < total) {
    int64_t piece = done <= in_cache ? done : std::max(row_bytes, in_cache / row_bytes * row_bytes);
    piece = std::min(piece, total - done);
    copy_contiguous(dst + done, dst, static_cast<size_t>(piece));
    done += piece;
  }
}

} // namespace

void copy_line(const void* src, int64_t src_stride, void* dst, int64_t dst_stride, int64_t n, int item_size) {
  if (src_stride == item_size && dst_stride == item_size) {
    copy_contiguous(dst, src, static_cast<size_t>(n * item_size));
    return;
  }
  if (src_stride == 0 && dst_stride == item_size) {
    return find_spread(item_size)(dst, src, n);
  }
  with_item(item_size, [&]<class T>(std::type_identity<T>) {
    strided_line<T>(static_cast<const char*>(src), src_stride, static_cast<char*>(dst), dst_stride, n);
  });
}

void copy_block(const void* src_data, int64_t src_row, int64_t src_column, void* dst_data, int64_t dst_row,
    int64_t dst_column, int64_t rows, int64_t columns, int item_size, bool past_caches) {
  auto* src = static_cast<const char*>(src_data);
  auto* dst = static_cast<char*>(dst_data);
  if (columns == 1 || (dst_column != item_size && dst_row == item_size)) {
    std::swap(src_row, src_column), std::swap(dst_row, dst_column), std::swap(rows, columns);
  }
  constexpr int64_t worth_lines = 1024; // bytes of a run, of whose first and last lines others may have a part
  int64_t run = columns * item_size;
  bool dense = dst_column == item_size;
  if (past_caches && dense && src_column == item_size && run >= worth_lines) {
    for (int64_t r = 0; r < rows; ++r) store_past_caches(dst + r * dst_row, src + r * src_row, run);
    return;
  }
  if (rows == 1) return copy_line(src, src_column, dst, dst_column, columns, item_size);
  if (dense && src_row == 0 && dst_row == run) {
    copy_line(src, src_column, dst, dst_column, columns, item_size);
    return repeat_row(dst, run, rows * run);
  }
  if (dense && src_column == item_size) {
    if (run <= 16 && (run & (run - 1)) == 0) {
      return copy_line(src, src_row, dst, dst_row, rows, static_cast<int>(run)); // a row is one wider element
    }
    return copy_runs(src, src_row, dst, dst_row, rows, run);
  }
  if (dense && src_column == 0 && dst_row == run) {
    return spread_rows(src, src_row, dst, rows, columns, item_size);
  }
  if (dense && src_row == item_size && columns <= 4 && dst_row == run) {
    const void* lines[4];
    for (int64_t c = 0; c < columns; ++c) lines[c] = src + c * src_column;
    int64_t done = interleave(columns, dst, lines, rows, item_size);
    src += done * src_row, dst += done * dst_row, rows -= done;
  }
  with_item(item_size, [&]<class T>(std::type_identity<T>) {
    constexpr int64_t side = line_bytes / sizeof(T);
    if (dense && src_row == item_size && rows >= side && columns >= side) {
      const bool whole_lines = (reinterpret_cast<uintptr_t>(dst) | static_cast<uintptr_t>(dst_row)) % line_bytes == 0;
      transpose_block<T>(src, src_column, dst, dst_row, rows, columns, past_caches && whole_lines);
      return;
    }
    if constexpr (sizeof(T) <= 4) { // of wider elements two at once are no quicker than one
      if (dense && src_row == item_size && std::min(rows, columns) >= Square<T>::n) {
        return transpose_narrow<T>(src, src_column, dst, dst_row, rows, columns);
      }
    }
    if (columns < 8 && rows > columns) { // long inner loops, a cacheful of rows at a time
      constexpr int64_t at_once = 512;
      for (int64_t r = 0; r < rows; r += at_once) {
        for (int64_t c = 0; c < columns; ++c) {
          strided_line<T>(src + r * src_row + c * src_column, src_row, dst + r * dst_row + c * dst_column, dst_row,
              std::min(at_once, rows - r));
        }
      }
    } else if (dense && src_column == 0) { // rows with gaps between
      Spread spread = find_spread(item_size);
      for (int64_t r = 0; r < rows; ++r) {
        spread(dst + r * dst_row, src + r * src_row, columns);
      }
    } else {
      for (int64_t r = 0; r < rows; ++r) {
        strided_line<T>(src + r * src_row, src_column, dst + r * dst_row, dst_column, columns);
      }
    }
  });
}

} // namespace mlx::core::cpu

// NumPy's .npz: a ZIP archive with a .npy member for each array.
#include <unordered_set>

#include "mlx_core/io/arrays/elements.h"
#include "mlx_core/io/arrays/formats.h"
#include "mlx_core/io/arrays/zip.h"

namespace mlx::core::io {

ArrayList read_npz(const SourceRef& source, bool map) {
  ArrayList arrays;
  std::unordered_set<std::string> names;
  for (ZipMember& member : read_zip(source)) {
    std::string name = member.name;
    if (name.ends_with(".npy")) {
      name.resize(name.size() - 4);
    } else {
      fail("load", source->name(), ": member '", name, "' is no array: its name does not end in .npy.");
    }
    NpyHeader header = read_npy_header(*member.content);
    int64_t bytes = bytes_in(*member.content, header.shape, header.dtype, "the array");
    if (bytes != member.content->size() - header.end) {
      member.content->refuse("the array of shape ", header.shape, " and dtype ", header.dtype, " takes ", bytes,
          " bytes, and it has ", member.content->size() - header.end);
    }
    arrays.emplace_back(std::move(name), read_npy(std::move(member.content), map));
  }
  return arrays;
}

void write_npz(Writer& out, const ArrayList& arrays, bool compressed, const char* op) {
  std::unordered_set<std::string> names;
  ZipWriter zip(out);
  std::vector<ZipWriter::Member> members;
  for (const auto& [name, a] : arrays) {
    if (name.find('\0') != name.npos) {
      fail(op, "the name of an array in an archive cannot hold a zero byte.");
    }
    if (!names.insert(name).second) {
      fail(op, "two arrays are called '", name, "'.");
    }
    check_axes(op, name, a);
    std::string header = npy_header(a.shape(), a.dtype());
    uint64_t size = header.size() + a.nbytes();
    members.push_back({name + ".npy", size, [header = std::move(header), &a](const ZipWriter::Piece& piece) {
                         piece(header.data(), header.size());
                         for_each_piece(a, piece);
                       }});
  }
  if (compressed) {
    zip.add_compressed(members);
  } else {
    for (const ZipWriter::Member& each : members) zip.add(each.name, each.size, false, each.produce);
  }
  zip.finish();
}

} // namespace mlx::core::io

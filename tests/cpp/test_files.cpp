// Arrays in files, from C++: every format there and back, streams, metadata, and errors.
#include <cstring>
#include <filesystem>
#include <fstream>

#include "check.h"
#include "mlx_core/mlx.h"

using namespace mlx::core;

namespace {

std::string folder() {
  static const std::string path = [] {
    std::string name = (std::filesystem::temp_directory_path() / "mlx-core-test-files-XXXXXX").string();
    return std::string(mkdtemp(name.data()));
  }();
  return path;
}

bool same(const array& a, const array& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && array_equal(a, b).item<bool>();
}

// Keeps what is written.
class Kept final : public io::Writer {
 public:
  std::string bytes;
  void write(const char* from, size_t count) override { bytes.append(from, count); }
  std::string label() const override { return "kept"; }
};
// Gives a few bytes at a time.
class Given final : public io::Reader {
 public:
  explicit Given(std::string bytes) : bytes_(std::move(bytes)) {}
  size_t read(char* to, size_t count) override {
    size_t now = std::min({count, bytes_.size() - at_, size_t{5}});
    std::memcpy(to, bytes_.data() + at_, now);
    at_ += now;
    return now;
  }
  std::string label() const override { return "given"; }

 private:
  std::string bytes_;
  size_t at_ = 0;
};

const array sample = reshape(arange(6), {2, 3});

} // namespace

TEST(npy_there_and_back) {
  std::string path = folder() + "/a";
  for (Dtype dtype : {bool_, uint8, int64, float16, bfloat16, float64, complex64, complex128}) {
    array a = transpose(astype(sample, dtype));
    save(path, a);
    CHECK(same(load(path + ".npy"), a));
    auto out = std::make_shared<Kept>();
    save(out, a);
    save(out, a + a);
    auto in = std::make_shared<Given>(out->bytes);
    CHECK(same(load(in), a));
    CHECK(same(load(in), a + a));
  }
}

TEST(npz_there_and_back) {
  for (bool compressed : {false, true}) {
    save_npz(folder() + "/a.npz", {{"x", sample}, {"y", array(2.5)}}, compressed);
    auto loaded = load_npz(folder() + "/a.npz");
    CHECK(loaded.size() == 2 && same(loaded.at("x"), sample) && same(loaded.at("y"), array(2.5)));
  }
}

TEST(an_archive_of_many) { // more than 16 bits count
  std::unordered_map<std::string, array> arrays;
  for (int i = 0; i < 66000; ++i) {
    arrays.emplace(std::to_string(i), array(i));
  }
  save_npz(folder() + "/many.npz", arrays);
  auto loaded = load_npz(folder() + "/many.npz");
  CHECK(loaded.size() == 66000 && loaded.at("65999").item<int>() == 65999);
}

TEST(safetensors_there_and_back) {
  save_safetensors(folder() + "/a", {{"x", sample}}, {{"key", "value"}});
  auto [arrays, metadata] = load_safetensors(folder() + "/a.safetensors");
  CHECK(same(arrays.at("x"), sample) && metadata.at("key") == "value");
  auto out = std::make_shared<Kept>();
  save_safetensors(out, {{"x", sample}});
  CHECK(same(load_safetensors(std::make_shared<Given>(out->bytes)).first.at("x"), sample));
}

TEST(gguf_there_and_back) {
  GGUFMetaData texts = std::vector<std::string>{"a", "b"};
  save_gguf(folder() + "/a", {{"x", sample}}, {{"text", "t"}, {"texts", texts}, {"number", array(3)}});
  auto [arrays, metadata] = load_gguf(folder() + "/a.gguf");
  CHECK(same(arrays.at("x"), sample) && std::get<std::string>(metadata.at("text")) == "t");
  CHECK(std::get<array>(metadata.at("number")).item<int>() == 3);
  CHECK(std::get<std::vector<std::string>>(metadata.at("texts")) == (std::vector<std::string>{"a", "b"}));
}

TEST(errors) {
  CHECK_THROWS(std::runtime_error, load(folder() + "/missing.npy"));
  CHECK_THROWS(std::runtime_error, save(folder() + "/missing/a", sample));
  std::ofstream(folder() + "/bad.npy") << "nothing";
  CHECK_THROWS(std::invalid_argument, load(folder() + "/bad.npy"));
  CHECK_THROWS(std::invalid_argument, load_safetensors(folder() + "/bad.npy"));
  CHECK_THROWS(std::invalid_argument, load_gguf(folder() + "/bad.npy"));
  CHECK_THROWS(std::invalid_argument, load_npz(folder() + "/bad.npy"));
  std::unordered_map<std::string, array> unsaved{{"x", astype(sample, complex128)}};
  CHECK_THROWS(std::invalid_argument, save_safetensors(folder() + "/bad", unsaved));
}

TEST(fp8) {
  array codes = astype(arange(256), uint8);
  CHECK(same(to_fp8(from_fp8(codes)), codes));
}

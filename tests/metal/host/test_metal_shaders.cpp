// Shaders that are built in as text: this program has a table of its own (shaders/), which goes before the library's.
#include <cstring>
#include <string>

#include "check.h"
#include "mlx_core/gpu/metal_encoder.h"
#include "mlx_core/gpu/metal_shader_text.h"

using namespace mlx::core;

TEST(texts_are_embedded_whole) {
  CHECK_EQ(gpu::shader_files().size(), 4u);
  for (const gpu::ShaderFile& file : gpu::shader_files()) {
    CHECK(file.text.starts_with("// "));
    CHECK(file.text.ends_with("\n"));
  }
  CHECK(gpu::shader_metallib().empty());
}

TEST(includes_are_put_in_place_once) {
  std::string text = gpu::shader_text("doubled.metal");
  size_t first = text.find("float twice");
  CHECK(first != std::string::npos && text.find("float twice", first + 1) == std::string::npos);
  CHECK(text.find("constexpr float offset") < first);
  CHECK(text.find("#pragma once") == std::string::npos);
  CHECK(text.find("\"quotes\", \\ and )MSL\" pass") != std::string::npos);
  CHECK(gpu::with_includes("#include \"metal/parts/offset.h\"\nx\n").find("#line 2 \"generated\"\nx\n") !=
        std::string::npos);
}

TEST(they_run) {
  BufferRef x = gpu::allocate(16);
  for (int i = 0; i < 4; ++i) static_cast<float*>(x->data)[i] = static_cast<float>(i);
  {
    gpu::MetalEncoder encoder(0);
    encoder.set_pipeline(gpu::pipeline("doubled.metal", "doubled"));
    encoder.set_buffer(0, x.get(), 0, gpu::Access::read_write);
    encoder.dispatch_threads({4});
  }
  gpu::event(0).wait();
  CHECK_EQ(static_cast<float*>(x->data)[3], 6.5f);
}

TEST(messages_name_the_file_and_its_line) {
  CHECK_MESSAGE(std::runtime_error, "broken.metal:5", gpu::pipeline("broken.metal", "broken"));
}

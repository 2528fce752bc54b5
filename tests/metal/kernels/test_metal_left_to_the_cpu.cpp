// What a GPU leaves to the host, complete: every kind of request, every body, every dtype. The list is printed, and
// pinned.
#include <map>

#include "mlx_core/gpu/fused_msl.h"
#include "mlx_core/gpu/launch.h"
#include "samples.h"

using namespace samples;

namespace {

View of(Dtype dtype, Sizes sizes) {
  static std::map<std::string, Values> memory; // supports() looks whether there is some
  const Values& values = memory.try_emplace(text_of(dtype), dtype, 24).first->second;
  Strides strides(sizes.begin(), sizes.end());
  int64_t stride = 1;
  for (size_t i = sizes.size(); i-- > 0; stride *= sizes[i]) strides[i] = stride;
  return values.view(sizes, strides);
}
View two(Dtype dtype) { return of(dtype, {3, 4}); }

// Lines of the list, and which kinds have been asked for.
struct List {
  std::string text;
  std::vector<bool> kinds = std::vector<bool>(std::variant_size_v<kernel::Request>);

  static std::string joined(const std::vector<std::string>& names) {
    std::string all;
    for (const std::string& name : names) all += (all.empty() ? "" : " ") + name;
    return all.empty() ? "nothing" : all;
  }

  // The dtypes for which make(dtype) is not supported.
  template <typename Make>
  void add(const std::string& name, Make make) {
    using Kind = std::remove_cvref_t<decltype(make(float32))>;
    kinds[kernel::Request(static_cast<const Kind*>(nullptr)).index()] = true;
    std::vector<std::string> left;
    for (int i = 0; i < dtype_count; ++i) {
      Dtype dtype(static_cast<Dtype::Val>(i));
      if (!gpu::supports(make(dtype))) left.push_back(text_of(dtype));
    }
    text += name + ": " + joined(left) + "\n";
  }
};

bool fused_is_supported(Body body, Dtype from, Dtype to) {
  FusedPlan plan;
  plan.size = 12;
  uint8_t count = body >= Body::select ? 3 : body == Body::make_complex || body >= Body::add ? 2 : 1;
  std::vector<View> sources;
  FusedPlan::Step step{body, from, to, {}, count, count};
  for (uint8_t i = 0; i < count; ++i) {
    Dtype dtype = body == Body::select && i == 0 ? Dtype(bool_) : from;
    step.inputs[i] = i;
    sources.push_back(of(dtype, {12}));
    plan.sources.push_back({FusedPlan::Layout::flat, {}, {}});
    plan.slots.push_back({dtype});
  }
  plan.slots.push_back({to, false, 0});
  plan.steps.push_back(step);
  plan.stages.push_back({0, 1, 0});
  std::vector<View> outputs{of(to, {12})};
  return gpu::supports(kernel::Fused{plan, sources, outputs});
}

bool fold_is_supported(Reduction op, Dtype dtype) {
  FusedPlan plan;
  plan.size = 12;
  plan.row_length = 4;
  Dtype result = op == Reduction::all || op == Reduction::any ? Dtype(bool_) : dtype;
  plan.sources.push_back({FusedPlan::Layout::flat, {}, {}});
  plan.slots = {{dtype}, {result, true, 0}};
  plan.folds.push_back({op, dtype, 0, 1});
  plan.stages.push_back({0, 0, 1});
  std::vector<View> sources{of(dtype, {12})}, outputs{of(result, {3})};
  return gpu::supports(kernel::Fused{plan, sources, outputs});
}

// Of fused plans: for each set of dtypes that are left, the bodies it is left of.
void add_fused(List& list) {
  list.kinds[kernel::Request(static_cast<const kernel::Fused*>(nullptr)).index()] = true;
  std::map<std::string, std::vector<std::string>> bodies;
  for (int b = 0; b < static_cast<int>(Body::count_); ++b) {
    auto body = static_cast<Body>(b);
    if (body == Body::copy) continue;
    std::vector<std::string> left;
    for (int i = 0; i < dtype_count; ++i) {
      Dtype from(static_cast<Dtype::Val>(i)), to = output_dtype(body, from);
      if (is_defined(body, from, to) && !fused_is_supported(body, from, to)) left.push_back(text_of(from));
    }
    bodies[List::joined(left)].push_back(gpu::name_of_body(body));
  }
  for (auto& [left, names] : bodies) list.text += "fused " + List::joined(names) + ": " + left + "\n";
  std::map<std::string, std::vector<std::string>> casts;
  for (int i = 0; i < dtype_count; ++i) {
    Dtype from(static_cast<Dtype::Val>(i));
    std::vector<std::string> left;
    for (int j = 0; j < dtype_count; ++j) {
      Dtype to(static_cast<Dtype::Val>(j));
      CHECK(is_defined(Body::copy, from, to));
      if (!fused_is_supported(Body::copy, from, to)) left.push_back(text_of(to));
    }
    casts[left.size() == dtype_count ? "any" : List::joined(left)].push_back(text_of(from));
  }
  for (auto& [left, names] : casts) list.text += "fused conversion from " + List::joined(names) + ": to " + left + "\n";
  for (Reduction op :
      {Reduction::sum, Reduction::prod, Reduction::min, Reduction::max, Reduction::all, Reduction::any}) {
    std::vector<std::string> left;
    for (int i = 0; i < dtype_count; ++i) {
      Dtype dtype(static_cast<Dtype::Val>(i));
      if (!fold_is_supported(op, dtype)) left.push_back(text_of(dtype));
    }
    list.text += std::string("fused ") + gpu::name_of_reduction(op) + " of rows: " + List::joined(left) + "\n";
  }
}

constexpr const char* modes[] = {"set", "add", "multiply", "maximum", "minimum"};
constexpr const char* scans[] = {"sum", "prod", "max", "min"};
const int64_t both_axes[] = {0, 1}, of_rows[] = {4, 0}, five[] = {5}, one_row[] = {1, 4};

std::string left_to_the_cpu() {
  List list;
  add_fused(list);
  list.add("copy", [](Dtype d) { return kernel::Copy{two(d), two(d)}; });
  View joined; // the one input
  list.add("join", [&](Dtype d) {
    joined = two(d);
    return kernel::Join{{&joined, 1}, 0, two(d)};
  });
  for (bool whole : {true, false}) {
    list.add(whole ? "range of integers" : "range of floats",
        [&](Dtype d) { return kernel::Range{whole, 0, 1, 0, 1, of(d, {5})}; });
  }
  list.add("random bits", [](Dtype d) { return kernel::RandomBits{of(uint32, {2}), of(d, {5})}; });
  for (bool zero_terms : {false, true}) {
    list.add(zero_terms ? "product with zero terms" : "product",
        [&](Dtype d) { return kernel::Product{of(d, {4, 3}), two(d), of(d, {4, 4}), zero_terms}; });
  }
  for (Reduction op :
      {Reduction::sum, Reduction::prod, Reduction::min, Reduction::max, Reduction::all, Reduction::any}) {
    bool truth = op == Reduction::all || op == Reduction::any;
    list.add(std::string("reduce ") + gpu::name_of_reduction(op),
        [&](Dtype d) { return kernel::Reduce{op, two(d), both_axes, of(truth ? Dtype(bool_) : d, {})}; });
  }
  for (bool max : {false, true}) {
    list.add(max ? "arg reduce max" : "arg reduce min",
        [&](Dtype d) { return kernel::ArgReduce{max, two(d), 1, of(uint32, {3})}; });
  }
  for (ScanOp op : {ScanOp::sum, ScanOp::prod, ScanOp::max, ScanOp::min}) {
    list.add(std::string("scan ") + scans[static_cast<size_t>(op)],
        [&](Dtype d) { return kernel::Scan{op, two(d), 1, false, true, two(d)}; });
  }
  list.add("recurrence", [](Dtype d) { return kernel::Recurrence{two(d), two(d), 1, false, two(d)}; });
  View places = of(uint32, {3, 4});
  list.add("sort", [](Dtype d) { return kernel::Sort{two(d), 1, two(d)}; });
  list.add("argsort", [&](Dtype d) { return kernel::ArgSort{two(d), 1, places}; });
  list.add("argpartition", [&](Dtype d) { return kernel::ArgPartition{two(d), 1, 2, 0, places}; });
  list.add("search sorted", [&](Dtype d) { return kernel::SearchSorted{two(d), two(d), of_rows, false, places}; });
  const kernel::Index rows_at{of(int32, {5}), 0};
  list.add("gather", [&](Dtype d) { return kernel::Gather{two(d), {&rows_at, 1}, five, one_row, of(d, {5, 1, 4})}; });
  list.add("gather along", [&](Dtype d) { return kernel::GatherAlong{two(d), places, 0, 3, two(d)}; });
  for (ScatterMode mode :
      {ScatterMode::set, ScatterMode::add, ScatterMode::multiply, ScatterMode::maximum, ScatterMode::minimum}) {
    std::string name = modes[static_cast<size_t>(mode)];
    list.add("scatter " + name,
        [&](Dtype d) { return kernel::Scatter{mode, {&rows_at, 1}, five, one_row, of(d, {5, 1, 4}), two(d)}; });
    list.add("scatter along " + name, [&](Dtype d) { return kernel::ScatterAlong{mode, places, two(d), 0, two(d)}; });
  }
  list.add("fft", [&](Dtype d) { return kernel::Fft{two(d), 1, false, 1, two(d)}; });
  const int64_t ones[] = {1}, zeros[] = {0};
  list.add("convolve", [&](Dtype d) {
    return kernel::Convolve{
        of(d, {1, 4, 3}), of(d, {2, 2, 3}), ones, zeros, ones, ones, 1, false, false, of(d, {1, 3, 2})};
  });
  list.add("linear algebra", [&](Dtype) { return kernel::MatrixWork{{}, {}, {}, ""}; });
  list.add("special functions", [&](Dtype d) { return kernel::Special{SpecialFunction::gamma, {}, {}, two(d)}; });
  list.add("sums of parts", [&](Dtype d) { return kernel::AddParts{{}, {}, two(d)}; });
  CustomKernel users;
  View view; // of the one input of a kernel of the user's
  list.add("a kernel of the user's", [&](Dtype d) {
    view = two(d);
    return kernel::Custom{users, {&view, 1}, {}, 0, {1, 1, 1}, {1, 1, 1}};
  });
  for (size_t kind = 0; kind < list.kinds.size(); ++kind) {
    if (!list.kinds[kind]) check::fail(__FILE__, __LINE__, "request " + std::to_string(kind) + " is not listed");
  }
  return list.text;
}

const char* const pinned = R"(
fused real imag: complex128
fused cube make_complex erf erfinv floor ceil trunc signbit floor_divide remainder arctan2 hypot nextafter copysign share: float64
fused negative abs sign square reciprocal conjugate rint isnan isinf isfinite isposinf isneginf logical_not add subtract multiply divide maximum minimum gap zero_times zero_divide equal not_equal less less_equal greater greater_equal nan_equal logical_and logical_or logical_xor select: float64 complex128
fused sqrt rsqrt exp expm1 log log2 log10 log1p sigmoid exp2 sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh power logaddexp: float64 complex64 complex128
fused bitwise_invert bitwise_and bitwise_or bitwise_xor left_shift right_shift: nothing
fused conversion from float64 complex128: to any
fused conversion from bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 complex64: to float64 complex128
fused sum of rows: float64 complex128
fused prod of rows: float64 complex128
fused min of rows: float64 complex128
fused max of rows: float64 complex128
fused all of rows: float64 complex128
fused any of rows: float64 complex128
copy: nothing
join: nothing
range of integers: float64 complex128
range of floats: float64 complex128
random bits: nothing
product: float64 complex128
product with zero terms: float64 complex128
reduce sum: float64 complex128
reduce prod: float64 complex128
reduce min: float64 complex128
reduce max: float64 complex128
reduce all: float64 complex128
reduce any: float64 complex128
arg reduce min: float64 complex128
arg reduce max: float64 complex128
scan sum: bool float64 complex128
scan prod: float64 complex128
scan max: float64 complex128
scan min: float64 complex128
recurrence: bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float64 complex128
sort: float64 complex128
argsort: float64 complex128
argpartition: float64 complex128
search sorted: float64 complex128
gather: nothing
gather along: nothing
scatter set: nothing
scatter along set: nothing
scatter add: float64 complex128
scatter along add: float64 complex128
scatter multiply: float64 complex128
scatter along multiply: float64 complex128
scatter maximum: float64 complex128
scatter along maximum: float64 complex128
scatter minimum: float64 complex128
scatter along minimum: float64 complex128
fft: bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float64 complex128
convolve: bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float64 complex128
linear algebra: bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64 complex128
special functions: bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64 complex128
sums of parts: bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64 complex128
a kernel of the user's: float64 complex128
)";

} // namespace

TEST(the_list_of_what_is_left_to_the_cpu) {
  std::string list = left_to_the_cpu();
  std::printf("Left to the CPU:\n%s", list.c_str());
  CHECK_EQ("\n" + list, pinned);
}

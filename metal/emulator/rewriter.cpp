// The rewriter: walks the declarations of a shader's text and changes what Metal adds to C++.
#include "rewriter.h"

#include <algorithm>
#include <map>
#include <set>

#include "tokens.h"

namespace mlx::core::metal_emulator {

namespace {

const std::set<std::string, std::less<>> spaces = {"device", "constant", "threadgroup", "thread"};
// What C++ has and Metal has not.
const std::set<std::string, std::less<>> forbidden = {"double", "virtual", "throw", "try", "catch", "dynamic_cast",
    "typeid", "thread_local", "goto", "new", "asm", "wchar_t"};
const std::map<std::string, std::string, std::less<>> opposite = {{"(", ")"}, {"[", "]"}, {"{", "}"}};

class Rewriter {
 public:
  Rewriter(std::string_view text, const std::string& headers) : tokens_(tokenize(text, headers)), t_(tokens_.all) {}

  Rewritten rewrite() {
    declarations(0, t_.size() - 1, {}, false);
    expressions();
    return {print(tokens_), std::move(kernels_), std::move(errors_)};
  }

 private:
  using At = size_t;

  // -- Reading

  // The place behind the bracket that closes the one at `i`.
  At behind(At i) const {
    const std::string& open = t_[i].original;
    const std::string& close = opposite.find(open)->second;
    int depth = 0;
    for (; i + 1 < t_.size(); ++i) {
      if (t_[i].is(open)) ++depth;
      if (t_[i].is(close) && --depth == 0) return i + 1;
    }
    return i;
  }
  bool opens(At i) const { return t_[i].kind == Token::sign && opposite.count(t_[i].original); }
  bool attribute(At i) const { return t_[i].is("[") && t_[i + 1].is("[") && t_[i + 1].before.empty(); }
  // Behind `<...>` that begins at i. Brackets inside are skipped, so `<` in them compares.
  At behind_angle(At i, At end) const {
    for (int depth = 0; i < end; ++i) {
      if (opens(i)) {
        i = behind(i) - 1;
      } else if (t_[i].is("<")) {
        ++depth;
      } else if (t_[i].is(">") && --depth == 0) {
        return i + 1;
      } else if (t_[i].is(";")) {
        break;
      }
    }
    return end;
  }
  std::string source(At from, At to) const {
    std::string result;
    for (At i = from; i < to; ++i) {
      if (!result.empty() && (!t_[i].before.empty() || t_[i].kind == t_[i - 1].kind)) result += ' ';
      result += t_[i].original;
    }
    return result;
  }
  // The same for what differs only in address spaces.
  std::string key(At from, At to) const {
    std::string result;
    for (At i = from; i < to; ++i) {
      bool constant = t_[i].is("constant") || t_[i].is("const");
      if (t_[i].is("constant") && t_[i - 1].is(")")) continue; // of a method
      if (constant ? result.ends_with(" const ") : spaces.count(t_[i].original) != 0) continue;
      result += constant ? std::string("const ") : t_[i].original + ' ';
    }
    return result;
  }
  void erase(At from, At to) {
    for (At i = from; i < to; ++i) t_[i].erase();
  }
  void error(At i, const std::string& what) {
    errors_ += tokens_.files[t_[i].file] + ":" + std::to_string(t_[i].line) + ": error: " + what + "\n";
  }

  // -- Attributes

  struct Attribute {
    std::string name;
    At from = 0, to = 0; // its arguments
  };
  void read_attribute(At i, std::vector<Attribute>& into) const {
    At end = behind(i) - 2;
    for (i += 2; i < end;) {
      if (t_[i].kind != Token::word) {
        ++i;
        continue;
      }
      Attribute one{t_[i].original, 0, 0};
      if (t_[++i].is("(")) {
        At close = behind(i);
        one.from = i + 1;
        one.to = close - 1;
        i = close;
      }
      into.push_back(one);
    }
  }
  // Those between from and to, which are erased.
  std::vector<Attribute> take_attributes(At from, At to) {
    std::vector<Attribute> result;
    for (At i = from; i < to; ++i) {
      if (!attribute(i)) continue;
      At end = behind(i);
      read_attribute(i, result);
      erase(i, end);
      for (At bracket : {i, i + 1, end - 2, end - 1}) t_[bracket].original.clear(); // no attribute any more
      i = end - 1;
    }
    return result;
  }
  static const Attribute* find(const std::vector<Attribute>& all, std::string_view name) {
    auto found = std::find_if(all.begin(), all.end(), [&](const Attribute& a) { return a.name == name; });
    return found == all.end() ? nullptr : &*found;
  }

  // -- Declarations

  void declarations(At i, At end, const std::string& scope, bool in_class) {
    std::set<std::string> seen; // functions of this scope
    while (i < end) {
      i = t_[i].ours ? i + 1 : declaration(i, end, scope, in_class, seen);
    }
  }

  At declaration(At start, At end, const std::string& scope, bool in_class, std::set<std::string>& seen) {
    if (t_[start].is(";")) return start + 1;
    if (in_class && t_[start + 1].is(":")) return start + 2; // public:
    At first = start;                                        // behind `template <...>`
    while (t_[first].is("template") && t_[first + 1].is("<")) first = behind_angle(first + 1, end);
    if (t_[start].is("template") && first == start) return instantiation(start, end, scope);
    if (t_[first].is("namespace") || t_[first].is("extern")) {
      At open = first;
      while (open < end && !t_[open].is("{") && !t_[open].is(";")) ++open;
      if (t_[open].is("{")) {
        At close = behind(open) - 1;
        std::string name = t_[first].is("namespace") && open > first + 1 ? source(first + 1, open) + "::" : "";
        declarations(open + 1, close, scope + name, in_class);
        return close + 1;
      }
    }
    // To the `;` or the body, over everything in brackets.
    At stop = first, parameters = 0, assign = 0, colon = 0;
    for (; stop < end; ++stop) {
      if (t_[stop].is(";")) break;
      if (attribute(stop)) {
        stop = behind(stop) - 1;
      } else if (t_[stop].is("operator") && !parameters) {
        while (stop + 1 < end && !t_[stop + 1].is("(")) ++stop;
        if (t_[stop + 1].is("(") && t_[stop + 2].is(")") && t_[stop + 3].is("(")) stop += 2;
      } else if (t_[stop].is("<") && t_[stop - 1].kind == Token::word && !assign) {
        stop = behind_angle(stop, end) - 1;
      } else if (t_[stop].is("=") && !assign) {
        assign = stop;
      } else if (t_[stop].is("alignas") || t_[stop].is("decltype") || t_[stop].is("__attribute__") ||
                 t_[stop].is("noexcept")) {
        if (t_[stop + 1].is("(")) stop = behind(stop + 1) - 1;
      } else if (t_[stop].is(":") && parameters) {
        colon = stop;
      } else if (t_[stop].is("(") || t_[stop].is("[")) {
        if (t_[stop].is("(") && !assign && !parameters) parameters = stop;
        stop = behind(stop) - 1;
      } else if (t_[stop].is("{")) {
        bool initialises =
            (assign && !parameters) || (colon && (t_[stop - 1].kind == Token::word || t_[stop - 1].is(">")));
        if (!initialises) break;
        stop = behind(stop) - 1;
      }
    }
    if (stop >= end) return end;
    bool type = false;
    for (At i = first; i < stop && !parameters; ++i)
      type = type || t_[i].is("struct") || t_[i].is("class") || t_[i].is("union");
    bool enumeration = t_[first].is("enum");
    if (t_[stop].is("{") && (type || enumeration)) {
      At close = behind(stop) - 1;
      take_attributes(first, stop);
      if (type) declarations(stop + 1, close, scope, true);
      At after = close + 1;
      while (after < end && !t_[after].is(";")) ++after;
      // Specialisations for pointers to each address space are one.
      if (type && !seen.insert("type " + key(start, stop)).second) erase(start, after + 1);
      return after + 1;
    }
    if (t_[stop].is("{") && parameters) {
      At close = behind(stop);
      function(start, first, parameters, stop, close, scope, in_class, seen);
      return close;
    }
    if (!parameters) variable(first, stop, assign, in_class);
    return stop + 1;
  }

  void variable(At first, At stop, At assign, bool in_class) {
    At limit = assign ? assign : stop;
    bool constant = false;
    for (At i = first; i < limit; ++i) constant = constant || t_[i].is("constant");
    if (!t_[first].is("using") && !t_[first].is("typedef")) lint_declarator(first, limit);
    if (!constant || in_class) return;
    std::vector<Attribute> attributes = take_attributes(first, limit);
    At name = limit;
    while (name > first && (t_[name].now.empty() || t_[name].kind != Token::word || name == limit)) --name;
    if (const Attribute* index = find(attributes, "function_constant")) {
      function_constant(first, name, stop, source(index->from, index->to));
      return;
    }
    if (!assign) return;
    // One that is computed from function constants: a function, since its value comes with the kernel.
    bool derived = false;
    for (At i = assign; i < stop; ++i) derived = derived || calls_.count(t_[i].original);
    if (!derived) return;
    std::string identifier = t_[name].original;
    t_[first].now = "inline " + t_[first].now;
    t_[name].now = "msl_constant_" + identifier + "() { return";
    t_[assign].erase();
    t_[stop].now = "; }";
    calls_[identifier] = name;
  }

  void function_constant(At first, At name, At stop, const std::string& index) {
    std::string identifier = t_[name].original;
    std::string type;
    for (At i = first; i < name; ++i) {
      bool qualifier = t_[i].is("constant") || t_[i].is("const") || t_[i].is("static") || t_[i].is("constexpr");
      if (!qualifier) type += t_[i].original + ' ';
      t_[i].erase();
    }
    std::string tag = "msl_tag_" + identifier;
    bool optional = false;
    for (At i = 0; i + 2 < t_.size(); ++i) {
      optional = optional || (t_[i].is("is_function_constant_defined") && t_[i + 2].is(identifier));
    }
    t_[name].now = "struct " + tag + " { static constexpr int index() { return (" + index +
                   "); } static constexpr const char* name() { return \"" + identifier +
                   "\"; } static constexpr bool optional = " + (optional ? "true" : "false") + "; }; inline " + type +
                   "msl_constant_" + identifier + "() { return ::msl::constant_value<" + tag + ", " + type +
                   ">(); } inline bool msl_defined_" + identifier + "() { return ::msl::constant_defined<" + tag +
                   ", " + type + ">(); }";
    t_[stop].erase();
    calls_[identifier] = name;
  }

  // `template [[host_name("add_float")]] [[kernel]] decltype(add<float>) add<float>;` or with the whole signature.
  At instantiation(At start, At end, const std::string& scope) {
    At stop = start;
    while (stop < end && !t_[stop].is(";")) stop = opens(stop) ? behind(stop) : stop + 1;
    std::vector<Attribute> attributes = take_attributes(start, stop);
    At from = start + 1;
    while (from < stop && (t_[from].now.empty() || t_[from].is("kernel"))) ++from;
    At to = stop;
    if (t_[from].is("decltype")) {
      from = behind(from + 1);
    } else if (t_[from].is("void")) {
      ++from;
      for (to = from; to < stop && !t_[to].is("("); ++to) {
        if (t_[to].is("<")) to = behind_angle(to, stop) - 1;
      }
    } else {
      return stop + 1; // of a class, or of a function that is no kernel
    }
    const Attribute* host_name = find(attributes, "host_name");
    bool arguments = false;
    for (At i = from; i < to; ++i) arguments = arguments || t_[i].is("<");
    if (!arguments)
      error(start, "an explicit instantiation of a kernel names its template arguments: decltype(f<T>) f<T>");
    std::string name;
    for (At i = host_name ? host_name->from : 0; host_name && i < host_name->to; ++i) {
      const std::string& part = t_[i].original;
      if (t_[i].kind == Token::text) name += part.substr(1, part.size() - 2);
    }
    std::string expression = scope + source(from, to);
    kernels_.push_back({host_name ? name : expression, expression, tokens_.files[t_[start].file], t_[start].line});
    erase(start, stop + 1);
    return stop + 1;
  }

  // -- Functions

  void function(At start, At first, At parameters, At open, At close, const std::string& scope, bool in_class,
      std::set<std::string>& seen) {
    bool kernel = false;
    for (At i = first; i < parameters; ++i) {
      if (t_[i].is("kernel")) {
        kernel = true;
        t_[i].erase();
      }
    }
    std::string full_key = key(start, open);
    At name = parameters - 1;
    std::vector<Attribute> attributes = take_attributes(first, parameters);
    kernel = kernel || find(attributes, "kernel");
    At end_of_parameters = behind(parameters);
    std::vector<Attribute> late = take_attributes(end_of_parameters, open);
    attributes.insert(attributes.end(), late.begin(), late.end());
    if (kernel) {
      kernel_parameters(parameters + 1, end_of_parameters - 1);
      if (start == first) {
        kernels_.push_back({t_[name].original, scope + t_[name].original, tokens_.files[t_[name].file], t_[name].line});
      }
      if (const Attribute* limit = find(attributes, "max_total_threads_per_threadgroup")) {
        t_[open].now = "{ ::msl::max_threads<(" + source(limit->from, limit->to) + ")>();";
      }
    } else {
      each_parameter(parameters + 1, end_of_parameters - 1, [&](At from, At to) { lint_declarator(from, to); });
      take_attributes(parameters, end_of_parameters);
    }
    if (start == first && !in_class && !t_[name].is(")")) t_[first].now = "inline " + t_[first].now;
    body(open + 1, close - 1);
    find_shadows(parameters, end_of_parameters, open, close);
    // Overloads that differ in address spaces alone are one function here: the first stays, others get names of their
    // own, so that they are still compiled, where that can be done.
    if (!seen.insert(full_key).second) {
      bool plain = t_[name].kind == Token::word && !in_class;
      for (At i = first; i < name; ++i) plain = plain && !t_[i].is("operator");
      if (plain) {
        t_[name].now = "msl_overload_" + std::to_string(name) + "_" + t_[name].original;
      } else {
        erase(start, close);
      }
    }
  }

  // A word that declares a name: one follows another.
  bool declares(At i) const {
    static const std::set<std::string, std::less<>> not_types = {"return", "else", "case", "sizeof", "const"};
    bool after_type = t_[i - 1].kind == Token::word && !not_types.count(t_[i - 1].original);
    static const std::set<std::string, std::less<>> ends = {"=", ";", ",", ")", "[", "{", "("};
    return after_type && ends.count(t_[i + 1].original);
  }
  // Parameters and variables that have the name of a function constant stay what they are.
  void find_shadows(At parameters, At end_of_parameters, At open, At close) {
    auto shadow = [&](At i, At from, At to) { shadows_[t_[i].original].push_back({from, to}); };
    each_parameter(parameters + 1, end_of_parameters - 1, [&](At i, At to) {
      At name = to;
      for (At j = i; j < to && !t_[j].is("="); ++j) {
        if (t_[j].kind == Token::word && !t_[j].now.empty()) name = j;
      }
      if (name != to && calls_.count(t_[name].original)) shadow(name, parameters, close);
    });
    for (At i = open + 1; i < close; ++i) {
      if (t_[i].kind != Token::word || !calls_.count(t_[i].original) || !declares(i)) continue;
      At block = i; // its end
      for (int depth = 0; block < close && depth >= 0; ++block)
        depth += int(t_[block].is("{")) - int(t_[block].is("}"));
      shadow(i, i, block);
    }
  }
  bool shadowed(At i) const {
    auto found = shadows_.find(t_[i].original);
    return declares(i) ||
           (found != shadows_.end() && std::any_of(found->second.begin(), found->second.end(),
                                           [&](auto range) { return i >= range.first && i < range.second; }));
  }

  template <class F>
  void each_parameter(At from, At end, F f) {
    for (At i = from; i < end;) {
      At to = i;
      for (; to < end && !t_[to].is(","); ++to) {
        if (opens(to))
          to = behind(to) - 1;
        else if (t_[to].is("<") && t_[to - 1].kind == Token::word)
          to = behind_angle(to, end) - 1;
      }
      if (to > i) f(i, to);
      i = to + 1;
    }
  }

  void kernel_parameters(At from, At end) {
    int next_buffer = 0, next_threadgroup = 0;
    each_parameter(from, end, [&](At i, At to) {
      std::vector<Attribute> attributes = take_attributes(i, to);
      bool pointer = false, reference = false, threadgroup = false, memory = false;
      At last = i;
      for (At j = i; j < to; ++j) {
        pointer = pointer || t_[j].is("*");
        reference = reference || t_[j].is("&");
        threadgroup = threadgroup || t_[j].is("threadgroup");
        memory = memory || t_[j].is("device") || t_[j].is("constant") || t_[j].is("threadgroup");
        if (!t_[j].now.empty()) last = j;
      }
      std::string shape = pointer ? "pointer" : "reference";
      std::string value;
      if ((pointer || reference) && !memory) {
        error(i, "a kernel's parameter that points has an address space: device, constant or threadgroup");
        return;
      }
      for (const Attribute& a : attributes) {
        std::string arguments = "(" + source(a.from, a.to) + ")";
        if (a.name == "buffer") {
          value = "::msl::buffer_" + shape + arguments;
        } else if (a.name == "threadgroup") {
          value = "::msl::threadgroup_" + shape + arguments;
        } else if (!pointer && !reference) {
          value = "::msl::" + a.name + "()";
        }
      }
      if (value.empty() && threadgroup) {
        value = "::msl::threadgroup_" + shape + "(" + std::to_string(next_threadgroup++) + ")";
      } else if (value.empty() && memory) {
        value = "::msl::buffer_" + shape + "(" + std::to_string(next_buffer++) + ")";
      } else if (value.empty()) {
        error(i, "the kernel's parameter '" + source(i, to) + "' has no attribute that says what it is");
      }
      if (!value.empty()) t_[last].now += " = " + value;
    });
  }

  // A declaration of a pointer or a reference, as far as its name, says where it points to.
  void lint_declarator(At from, At to) {
    bool points = false, space = false;
    for (At i = from; i < to; ++i) {
      if (t_[i].is("=") || t_[i].is("decltype")) break;
      if (t_[i].is("<")) {
        i = behind_angle(i, to) - 1;
        continue;
      }
      points = points || t_[i].is("*") || t_[i].is("&");
      space = space || spaces.count(t_[i].original);
      if (t_[i].is("(") || t_[i].is("&&")) return;
    }
    if (points && !space)
      error(from, "'" + source(from, to) + "' has no address space: device, constant, threadgroup or thread");
  }

  void body(At from, At end) {
    for (At i = from; i < end; ++i) {
      const Token& before = t_[i - 1];
      bool statement = before.is(";") || before.is("{") || before.is("}");
      if (statement && t_[i].is("threadgroup") && threadgroup_variable(i, end)) continue;
      if (statement && t_[i].kind == Token::word) lint_statement(i, end);
    }
  }

  // `threadgroup T x[N];`, not a pointer to it.
  bool threadgroup_variable(At start, At end) {
    At stop = start, dimensions = 0;
    for (; stop < end && !t_[stop].is(";"); ++stop) {
      if (t_[stop].is("*") || t_[stop].is("&") || t_[stop].is("=")) return false;
      if (t_[stop].is("<")) {
        stop = behind_angle(stop, end) - 1;
      } else if (t_[stop].is("[")) {
        if (!dimensions) dimensions = stop;
        stop = behind(stop) - 1;
      } else if (t_[stop].is(",")) {
        error(start, "one threadgroup variable is declared in a line");
      }
    }
    if (!dimensions) dimensions = stop;
    At name = dimensions - 1;
    std::string type = source(start + 1, name), identifier = t_[name].original;
    std::string extent = source(dimensions, stop), n = std::to_string(start);
    for (At i = start; i < dimensions; ++i) t_[i].erase();
    for (At i = dimensions; i < stop; ++i) t_[i].erase();
    t_[start].now = "struct msl_tag_" + n + " { static constexpr const char* name() { return \"" + identifier +
                    "\"; } }; using msl_type_" + n + " = " + type + " " + extent + "; msl_type_" + n + "& " +
                    identifier + " = ::msl::threadgroup_variable<msl_tag_" + n + ", msl_type_" + n + ">()";
    return true;
  }

  // `T* p = ...` and `auto& r = ...` at the beginning of a statement.
  void lint_statement(At start, At end) {
    At i = start;
    while (t_[i].is("const") || t_[i].is("typename") || t_[i].is("volatile")) ++i;
    if (t_[i].kind != Token::word || t_[i].is("return") || t_[i].is("delete") || t_[i].is("case") || t_[i].is("else"))
      return;
    for (++i; i < end && (t_[i].is("::") || t_[i].is("<"));) {
      i = t_[i].is("<") ? behind_angle(i, end) : i + 2;
    }
    while (t_[i].is("const")) ++i;
    if (!(t_[i].is("*") || t_[i].is("&")) || t_[i + 1].kind != Token::word) return;
    if (spaces.count(t_[start].original) || spaces.count(t_[i - 1].original)) return;
    At name = i + 1;
    while (t_[name].is("const") || t_[name].is("restrict")) ++name;
    if (t_[name + 1].is("=") || t_[name + 1].is(";")) {
      error(start, "'" + source(start, name + 1) + "' has no address space: device, constant, threadgroup or thread");
    }
  }

  // -- What changes wherever it stands

  void expressions() {
    for (At i = 0; i + 1 < t_.size(); ++i) {
      Token& token = t_[i];
      if (token.ours || token.now.empty()) continue;
      if (attribute(i)) {
        erase(i, behind(i));
      } else if (token.kind == Token::number) {
        number(token);
      } else if (token.kind == Token::word) {
        word(i);
      }
    }
  }

  void number(Token& token) {
    const std::string& text = token.original;
    bool hex = text.starts_with("0x") || text.starts_with("0X");
    bool real = text.find('.') != std::string::npos || text.find_first_of(hex ? "pP" : "eE") != std::string::npos;
    char last = text.back();
    if (last == 'h' || last == 'H') {
      token.now = text.substr(0, text.size() - 1) + "f16";
    } else if (!hex && text.size() > 2 && (text.ends_with("bf") || text.ends_with("BF"))) {
      token.now = "::bfloat(" + text.substr(0, text.size() - 2) + "f)";
    } else if (real && last != 'f' && last != 'F') {
      token.now = text + "f";
    }
  }

  void word(At i) {
    Token& token = t_[i];
    bool member = i > 0 && (t_[i - 1].is(".") || t_[i - 1].is("->"));
    if (member) {
      swizzle(i);
      return;
    }
    if (token.is("constant")) {
      bool twice = t_[i - 1].is("const") || t_[i + 1].is("const") || t_[i + 1].is("constexpr") ||
                   t_[i - 1].is("constexpr") || t_[i - 1].is(")");
      token.now.replace(token.now.find("constant"), 8, twice ? "" : "const");
    } else if (spaces.count(token.original)) {
      size_t at = token.now.find(token.original);
      if (token.now.starts_with("struct msl_tag_")) return;
      token.now.replace(at, token.original.size(), "");
    } else if (token.is("coherent") && t_[i + 1].is("(")) {
      erase(i, behind(i + 1));
    } else if (token.is("is_function_constant_defined") && t_[i + 1].is("(")) {
      token.now = "msl_defined_" + t_[i + 2].original;
      t_[i + 2].erase();
    } else if (auto called = calls_.find(token.original);
        called != calls_.end() && i > called->second && !shadowed(i)) {
      token.now = "msl_constant_" + token.original + "()";
    } else if (forbidden.count(token.original)) {
      error(i, "'" + token.original + "' is not in Metal");
    }
  }

  void swizzle(At i) {
    const std::string& name = t_[i].original;
    if (name.size() < 2 || name.size() > 4 || t_[i + 1].is("(")) return;
    for (std::string_view letters : {"xyzw", "rgba"}) {
      if (name.find_first_not_of(letters) != std::string::npos) continue;
      std::string indices;
      for (char c : name) indices += (indices.empty() ? "" : ", ") + std::to_string(letters.find(c));
      const std::string& next = t_[i + 1].original;
      bool assigned = next == "=" || (next.size() >= 2 && next.back() == '=' && next != "==" && next != "!=" &&
                                         next != "<=" && next != ">=");
      t_[i].now = "template swizzle" + std::string(assigned ? "_to" : "") + "<" + indices + ">()";
    }
  }

  Tokens tokens_;
  std::vector<Token>& t_;
  std::vector<KernelName> kernels_;
  std::map<std::string, At, std::less<>> calls_; // constants that became functions, and where
  std::map<std::string, std::vector<std::pair<At, At>>, std::less<>> shadows_;
  std::string errors_;
};

} // namespace

Rewritten rewrite(std::string_view preprocessed, const std::string& headers_folder) {
  return Rewriter(preprocessed, headers_folder).rewrite();
}

} // namespace mlx::core::metal_emulator

// The C++ tests' own tiny framework: TEST(name) { CHECK(...); CHECK_EQ(a, b); CHECK_THROWS(Error, expression); }
// Every test_*.cpp is one program; it runs its tests in order, or those whose names contain its first argument.
#pragma once

#include <concepts>
#include <sstream>
#include <string>

namespace check {

using Body = void (*)();
bool add(const char* name, Body body);

// Counts a failure and prints it; the test goes on.
void fail(const char* file, int line, const std::string& what);

template <typename T>
std::string show(const T& value) {
  if constexpr (requires(std::ostream& out) { out << value; }) {
    std::ostringstream out;
    out.precision(17);
    out << value;
    return out.str();
  } else {
    return "(value)";
  }
}

template <typename A, typename B>
void equal(const char* file, int line, const char* text, const A& a, const B& b) {
  if (!(a == b)) {
    fail(file, line, std::string(text) + ": " + show(a) + " is not " + show(b));
  }
}

template <typename Error, typename Body>
void throws(const char* file, int line, const char* text, const char* message, Body body) {
  try {
    body();
  } catch (const Error& error) {
    if (std::string(error.what()).find(message) == std::string::npos) {
      fail(file, line, std::string(text) + " threw \"" + error.what() + "\", which lacks \"" + message + "\"");
    }
    return;
  } catch (const std::exception& error) {
    fail(file, line, std::string(text) + " threw another exception: " + error.what());
    return;
  }
  fail(file, line, std::string(text) + " did not throw");
}

} // namespace check

#define TEST(name)                                                 \
  static void test_##name();                                       \
  static const bool added_##name = check::add(#name, test_##name); \
  static void test_##name()
#define CHECK(condition) ((condition) ? void() : check::fail(__FILE__, __LINE__, #condition))
#define CHECK_EQ(a, b) check::equal(__FILE__, __LINE__, #a " == " #b, a, b)
#define CHECK_THROWS(Error, expression) \
  check::throws<Error>(__FILE__, __LINE__, #expression, "", [&] { (void)(expression); })
// The message must contain the given text.
#define CHECK_MESSAGE(Error, text, expression) \
  check::throws<Error>(__FILE__, __LINE__, #expression, text, [&] { (void)(expression); })

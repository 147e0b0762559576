#ifndef LIMBECK_TESTS_SUPPORT_GOLDEN_HPP
#define LIMBECK_TESTS_SUPPORT_GOLDEN_HPP

/// @file
/// Reads tests/golden/losses.txt (its format is in the README beside it). Needs the standard library only.

#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <istream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace limbeck_test {

/// One loss with its parameters, at one temperature, on one set of rows. Matrices are rows x classes, row by row.
struct golden_case {
  std::string loss;                ///< as the type is called: "forward_kl", "dkd"
  std::string data;                ///< the rows' name: "small", "letters", "wide", "masked", "hot"
  double temperature = 1;          ///< divides the logits of both sides
  int power = 0;                   ///< of T, by which `mean` is scaled, and nothing else here
  std::vector<double> parameters;  ///< in the order of the type's members
  std::size_t rows = 0, classes = 0;
  std::vector<int> labels;
  std::vector<double> student, teacher;  ///< logits, exact in float; -inf where a class is masked
  std::vector<double> values;            ///< a row each, not scaled by T^power
  double mean = 0;                       ///< T^power times the mean of the values
  std::vector<double> gradient;          ///< of the sum of the values, with respect to the student's logits

  /// "dkd(0.5, 2) at T = 4 on small", for messages.
  std::string title() const {
    std::string text = loss + "(";
    for (std::size_t i = 0; i < parameters.size(); ++i) text += (i ? ", " : "") + brief(parameters[i]);
    return text + ") at T = " + brief(temperature) + " on " + data;
  }

 private:
  static std::string brief(double x) {
    std::string text = std::to_string(x);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
    return text;
  }
};

/// The same numbers in the scalar type under test.
template <class T>
std::vector<T> as(const std::vector<double>& numbers) {
  std::vector<T> result;
  result.reserve(numbers.size());
  for (const double x : numbers) result.push_back(static_cast<T>(x));
  return result;
}

namespace detail {

class golden_reader {
 public:
  explicit golden_reader(std::istream& in) : in_(in) {}

  std::string word() {
    std::string token;
    if (!(in_ >> token)) throw std::runtime_error("golden file: it ends early");
    return token;
  }
  void expect(std::string_view what) {
    const std::string token = word();
    if (token != what) fail("'" + std::string(what) + "'", token);
  }
  /// Through strtod: operator>> reads no "-inf", and std::stod throws at subnormal numbers.
  double number() {
    const std::string token = word();
    char* end = nullptr;
    const double value = std::strtod(token.c_str(), &end);
    if (end != token.c_str() + token.size()) fail("a number", token);
    return value;
  }
  std::vector<double> numbers(std::size_t count) {
    std::vector<double> result(count);
    for (double& x : result) x = number();
    return result;
  }
  template <class Integer>
  Integer integer() {
    return static_cast<Integer>(number());
  }

 private:
  [[noreturn]] static void fail(const std::string& wanted, const std::string& found) {
    throw std::runtime_error("golden file: " + wanted + " expected, '" + found + "' found");
  }
  std::istream& in_;
};

}  // namespace detail

/// Every case of the file, in its order.
inline std::vector<golden_case> read_golden(std::istream& in) {
  detail::golden_reader read(in);
  std::map<std::string, golden_case> data;  // rows, classes, labels and logits only
  std::vector<golden_case> cases;
  for (;;) {
    const std::string block = read.word();
    if (block == "data") {
      golden_case d;
      d.data = read.word();
      read.expect("rows");
      d.rows = read.integer<std::size_t>();
      read.expect("classes");
      d.classes = read.integer<std::size_t>();
      read.expect("labels");
      for (std::size_t r = 0; r < d.rows; ++r) d.labels.push_back(read.integer<int>());
      read.expect("student");
      d.student = read.numbers(d.rows * d.classes);
      read.expect("teacher");
      d.teacher = read.numbers(d.rows * d.classes);
      data[d.data] = d;
    } else if (block == "case") {
      const std::string loss = read.word();
      read.expect("T");
      const double temperature = read.number();
      read.expect("power");
      const int power = read.integer<int>();
      read.expect("parameters");
      const std::vector<double> parameters = read.numbers(read.integer<std::size_t>());
      read.expect("data");
      golden_case c = data.at(read.word());
      c.loss = loss;
      c.temperature = temperature;
      c.power = power;
      c.parameters = parameters;
      read.expect("values");
      c.values = read.numbers(c.rows);
      read.expect("mean");
      c.mean = read.number();
      read.expect("gradient");
      c.gradient = read.numbers(c.rows * c.classes);
      cases.push_back(c);
    } else if (block == "end") {
      if (read.integer<std::size_t>() != cases.size()) throw std::runtime_error("golden file: cases are missing");
      return cases;
    } else {
      throw std::runtime_error("golden file: unknown block '" + block + "'");
    }
  }
}

inline std::vector<golden_case> read_golden(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw std::runtime_error("golden file: cannot open " + path);
  return read_golden(in);
}

}  // namespace limbeck_test

#endif  // LIMBECK_TESTS_SUPPORT_GOLDEN_HPP

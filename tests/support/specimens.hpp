#ifndef LIMBECK_TESTS_SUPPORT_SPECIMENS_HPP
#define LIMBECK_TESTS_SUPPORT_SPECIMENS_HPP

// Every loss of the library behind one type, beside its definition: what is true of all is tested once, without
// templates. unit/loss/specimens_*.cpp instantiate each loss once for float and once for double.

#include "batch.hpp"
#include "reference.hpp"

#include <functional>
#include <string>
#include <vector>

namespace limbeck_test {

/// What a call gave, no factor T^k, nothing averaged: the loss of each row and the gradient of their sum.
template <class T>
struct outcome {
  double loss = 0;
  std::vector<T> values, gradient;
};

struct specimen {
  std::string name;  // as in the golden file
  std::vector<double> parameters;
  bool zero_at_agreement;  // 0 where student and teacher agree
  bool own_temperature;
  std::function<outcome<float>(const batch<float>&, double)> in_float;
  std::function<outcome<double>(const batch<double>&, double)> in_double;
  reference_loss reference;
  bool shifts_count = false;    // a shift of a row is not nothing
  bool takes_one_class = false;
  bool bounded = true;          // torture.hpp knows what is promised of rows of every kind
  bool of_features = false;     // -inf is a fault, not a masked class

  std::string title() const {
    std::string s = name + "(";
    for (const double p : parameters) s += (s.back() == '(' ? "" : ", ") + std::to_string(p);
    return s + ")";
  }
  outcome<float> operator()(const batch<float>& b, double t) const { return in_float(b, t); }
  outcome<double> operator()(const batch<double>& b, double t) const { return in_double(b, t); }
  template <class T>
  reference_row expected(const batch<T>& b, std::size_t r, double t) const {
    return reference(row_of(&b.student[r * b.classes], &b.teacher[r * b.classes], b.classes,
                            static_cast<std::size_t>(b.labels[r]), t, t));
  }
};

std::vector<specimen> label_specimens();
std::vector<specimen> kl_specimens();
std::vector<specimen> mixture_specimens();
std::vector<specimen> other_specimens();
std::vector<specimen> decoupled_specimens();
std::vector<specimen> bernoulli_specimens();
std::vector<specimen> ranked_specimens();
std::vector<specimen> regression_specimens();
/// More alphas, near 0 and 1 and beyond: not among all_specimens.
std::vector<specimen> alpha_specimens();

inline const std::vector<specimen>& all_specimens() {
  static const auto all = [] {
    std::vector<specimen> list;
    for (auto* part : {label_specimens, kl_specimens, mixture_specimens, other_specimens, decoupled_specimens,
                       bernoulli_specimens, ranked_specimens, regression_specimens})
      for (auto& s : part()) list.push_back(s);
    return list;
  }();
  return all;
}

}  // namespace limbeck_test

#endif

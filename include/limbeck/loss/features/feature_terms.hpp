#ifndef LIMBECK_LOSS_FEATURES_FEATURE_TERMS_HPP
#define LIMBECK_LOSS_FEATURES_FEATURE_TERMS_HPP

/// @file
/// Losses that are a sum over features, each with a term of its own: one loop for all of them.

#include <limbeck/loss/support.hpp>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// What one feature adds to the loss, and its derivative by the student's.
template <class T>
struct feature_term {
  T value, slope;
};

/// The terms f(c, s, t) of a row.
template <class T, class F>
struct feature_terms_of_row {
  rows<const T> s, t;
  rows<T> gradient;
  row_shares shares;
  T scale;
  F f;

  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t r) const {
    const double share = shares(r);
    const T by = static_cast<T>(share) * scale;
    return share * sum_own<T, double>(team, s.classes, [&](std::size_t c) {
      const T a = s(r, c), b = t(r, c);
      const feature_term<T> term = f(c, a, b);
      if (gradient.data) gradient(r, c) += by * term.slope;
      return static_cast<double>(term.value + ((a - a) + (b - b)));  // what no comparison sees: NaN, and infinities
    });
  }
};

/// The mean over the samples of the sum of f over the features.
template <class T, class Memory, class F>
batch_number<Memory> mean_of_feature_terms(const batch<T, Memory>& x, const F& f) {
  if (x.samples() == 0) return 0;
  return finite(x, 1, x.sum_rows(x.student.classes, feature_terms_of_row<T, F>{
      x.student, x.teacher, x.gradient, shares_of(x), x.scale, f}));
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif

#ifndef LIMBECK_LOSS_CRITICS_REVERSED_HPP
#define LIMBECK_LOSS_CRITICS_REVERSED_HPP

/// @file
/// A gradient that goes on with its sign turned.

#include <limbeck/diffusion/formula.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// -lambda g; made by `reversed`.
template <class Source, schedule S>
struct reversed_gradient : detail::formula<reversed_gradient<Source, S>, Source> {
  S lambda;  ///< at least 0

  /// @cond
  template <class T, class R>
  struct reader {
    T by;
    R of;
    template <class Here>
    LIMBECK_INLINE typename Here::number read(const Here& here) const {
      return typename Here::number(by) * here(of);
    }
  };
  template <class Row, class T>
  LIMBECK_HOST_DEVICE auto open(const Row& r, std::span<T> memory_) const {
    return made(static_cast<T>(-detail::at_progress(lambda, r)), this->sources.open(r, memory_).first);
  }
  auto settled(double at) const {
    const auto inner = this->sources.settled(at);
    return reversed_gradient<std::remove_cvref_t<decltype(inner.first)>, constant>{{inner}, constant(lambda(at))};
  }

 private:
  template <class T, class R>
  LIMBECK_HOST_DEVICE static reader<T, R> made(T by, const R& of) {
    return {by, of};
  }
  /// @endcond
};

/// Gradient reversal: -lambda g, what a feature extractor gets of the gradient g that a critic of its features has by them. The critic
/// itself gets g.
///
/// `fill(reversed(g, dann_schedule{}), to_features, progress(x))`, or added to other losses of the features:
/// `task + columns * specified_gradient{}`, whose teacher is `reversed(g, 0.1)`. g is held fixed. O(samples x columns), in one pass.
/// @param g tensor or target, samples x columns
/// @param lambda at least 0, a constant or a schedule
/// @throws value_error where a constant lambda is negative or not finite.
///
/// Ganin and Lempitsky, Unsupervised Domain Adaptation by Backpropagation, 2015, arXiv:1409.7495.
template <class X, number N = double>
auto reversed(X&& g, const N& lambda = 1) {
  auto s = as_schedule(lambda);
  detail::check_constant("lambda", s, 0, (std::numeric_limits<double>::max)(), "a finite number of at least 0");
  const auto source = detail::as_target(std::forward<X>(g));
  return reversed_gradient<std::remove_cvref_t<decltype(source)>, decltype(s)>{{detail::list_of(source)}, s};
}

/// lambda = 2/(1 + exp(-gamma x)) - 1 at progress x: from 0, when the critic knows nothing, to nearly 1.
///
/// Ganin et al., Domain-Adversarial Training of Neural Networks, 2016, arXiv:1505.07818, with gamma = 10.
struct dann_schedule {
  using limbeck_schedule = void;
  double gamma = 10;  ///< how soon
  double operator()(double x) const { return std::tanh(gamma * x / 2); }
  std::string describe() const { return "dann_schedule(" + detail::digits(gamma) + ")"; }
};

LIMBECK_END_NAMESPACE

#endif

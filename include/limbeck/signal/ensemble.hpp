#ifndef LIMBECK_SIGNAL_ENSEMBLE_HPP
#define LIMBECK_SIGNAL_ENSEMBLE_HPP

/// @file
/// Signals of an ensemble: how far several teachers disagree on a row.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/engine/math.hpp>
#include <limbeck/signal/expression.hpp>

#include <array>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// p_k(c) of K teachers at every class of a row, in packs: `rule.add(p)` for each, then `rule.value(K)`.
template <class Rule, class T, std::size_t K>
struct disagreement {
  std::array<rows<const T>, K> teachers;

  double operator()(std::size_t r) const {
    T maximum[K];
    double inverse_z[K];
    for (std::size_t k = 0; k < K; ++k) {
      maximum[k] = teachers[k](r, 0);
      for (std::size_t c = 1; c < teachers[k].classes; ++c) maximum[k] = larger_of(maximum[k], teachers[k](r, c));
      double z = 0;
      each_class(r, [&](std::size_t c, auto lanes) {
        using L = decltype(lanes);
        z += static_cast<double>(L::sum(exponential<L>(k, r, c, maximum[k]).v));
      });
      inverse_z[k] = 1 / z;
    }
    double total = 0;
    each_class(r, [&](std::size_t c, auto lanes) {
      using L = decltype(lanes);
      pack<L> p[K];
      for (std::size_t k = 0; k < K; ++k)
        p[k] = exponential<L>(k, r, c, maximum[k]) * pack<L>(static_cast<T>(inverse_z[k]));
      total += static_cast<double>(L::sum(Rule::template at_class<K>(p).v));
    });
    return total;
  }

 private:
  static T larger_of(T a, T b) { return b < a ? a : b; }  // keeps NaN
  /// body(first class, lanes): whole packs where classes are neighbours, then one by one.
  template <class Body>
  void each_class(std::size_t, Body&& body) const {
    using L = host_lanes<T>;
    bool packed = true;
    for (const auto& t : teachers) packed = packed && t.class_stride == 1;
    constexpr auto lanes = static_cast<std::size_t>(L::count);
    const std::size_t classes = teachers[0].classes;
    std::size_t c = 0;
    for (; packed && c + lanes <= classes; c += lanes) body(c, L{});
    for (; c < classes; ++c) body(c, scalar_lanes<T>{});
  }
  template <class L>
  pack<L> exponential(std::size_t k, std::size_t r, std::size_t c, T maximum) const {
    const T& x = teachers[k](r, c);
    return exp2_negative((pack<L>::from(L::load(&x)) - pack<L>(maximum)) * pack<L>(static_cast<T>(log2e)));
  }
};

struct variance_rule {
  template <std::size_t K, class X>
  static X at_class(const X* p) {
    const X share(static_cast<typename X::scalar>(1.0 / K));
    X mean_p(0), squares(0);
    for (std::size_t k = 0; k < K; ++k) mean_p += share * p[k];
    for (std::size_t k = 0; k < K; ++k) squares += share * (p[k] - mean_p) * (p[k] - mean_p);
    return squares;
  }
};
struct information_rule {
  template <std::size_t K, class X>
  static X at_class(const X* p) {
    const X share(static_cast<typename X::scalar>(1.0 / K)), tiny(static_cast<typename X::scalar>(1e-37));
    X mean_p(0), information(0);
    for (std::size_t k = 0; k < K; ++k) mean_p += share * p[k];
    const X log_mean = log_positive(larger(tiny, mean_p));
    for (std::size_t k = 0; k < K; ++k) information += share * p[k] * (log_positive(larger(tiny, p[k])) - log_mean);
    return information;
  }
};

template <class Rule, class First, class... Rest>
auto disagreement_of(const First& first, const Rest&... rest) {
  static_assert(tensor<First> && (tensor<Rest> && ...),
                "limbeck: a signal of an ensemble reads tensors of floats (is their backend's header included?)");
  using T = typename tensor_traits<First>::scalar;
  static_assert((std::is_same_v<T, typename tensor_traits<Rest>::scalar> && ...),
                "limbeck: the teachers of an ensemble hold one scalar type; float goes with float, double with double");
  static_assert(std::is_same_v<typename tensor_traits<First>::sweep, host_rows> &&
                    (std::is_same_v<typename tensor_traits<Rest>::sweep, host_rows> && ...),
                "limbeck: a signal of an ensemble is read on the host");
  using D = disagreement<Rule, T, 1 + sizeof...(Rest)>;
  const D d{{rows<const T>(tensor_traits<First>::view(first)), rows<const T>(tensor_traits<Rest>::view(rest))...}};
  for (const auto& t : d.teachers)
    if (t.samples != d.teachers[0].samples || t.classes != d.teachers[0].classes || t.classes == 0)
      throw_shape("a teacher of the ensemble", t.samples, t.classes, d.teachers[0].samples,
                  d.teachers[0].classes ? d.teachers[0].classes : 1);
  return by_row(d, d.teachers[0].samples);
}

}  // namespace detail

/// The variance over an ensemble, sum_c (1/K) sum_k (p_k(c) - mean_k p_k(c))^2, p_k = softmax of teacher k at T = 1: 0 where
/// all agree, at most 1 - 1/K. The tensors (samples x classes, all of one shape) outlive the signal. Two passes over the
/// K rows, K exponentials a class and pass; on the host. @throws shape_error where the shapes differ.
template <class... Teachers>
auto ensemble_variance(Teachers&&... teachers) {
  (detail::require_kept<Teachers>(), ...);
  return detail::disagreement_of<detail::variance_rule>(teachers...);
}

/// What the teachers' disagreement says of the label: H(mean_k p_k) - mean_k H(p_k), in nats, 0 to log K. Houlsby et al.,
/// Bayesian Active Learning for Classification and Preference Learning (BALD), 2011, arXiv:1112.5745. As
/// `ensemble_variance` in all else.
template <class... Teachers>
auto mutual_information(Teachers&&... teachers) {
  (detail::require_kept<Teachers>(), ...);
  return detail::disagreement_of<detail::information_rule>(teachers...);
}

LIMBECK_END_NAMESPACE

#endif

#ifndef LIMBECK_DIFFUSION_WEIGHTED_DIFFERENCE_HPP
#define LIMBECK_DIFFUSION_WEIGHTED_DIFFERENCE_HPP

/// @file
/// What the gradients of distribution matching have in common: the difference of two predictions, times a number of the row. It
/// is exactly 0 where the two agree.

#include <limbeck/diffusion/formula.hpp>
#include <limbeck/diffusion/prediction.hpp>

#include <concepts>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// A weight of a level of noise: w(level), a double. A small copyable function; on a device, one that the device can call.
template <class W>
concept level_weight = std::is_trivially_copyable_v<W> && requires(const W& w, const noise_level& at) {
  { w(at) } -> std::convertible_to<double>;
};

/// 1 at every level.
struct uniform_weight {
  /// At a level.
  LIMBECK_HOST_DEVICE double operator()(const noise_level&) const { return 1; }
};
/// s^2, the w(t) of score distillation: Poole, Jain, Barron and Mildenhall, DreamFusion: Text-to-3D using 2D Diffusion, 2022,
/// arXiv:2209.14988.
struct variance_weight {
  /// At a level.
  LIMBECK_HOST_DEVICE double operator()(const noise_level& at) const { return at.noise * at.noise; }
};
/// a/s, with which a difference of noise is the gradient of KL(noised generated || noised data) itself, by the clean sample:
/// a (score of generated - score of data).
struct kl_weight {
  /// At a level.
  LIMBECK_HOST_DEVICE double operator()(const noise_level& at) const { return at.signal / at.noise; }
};

namespace detail {

/// by (a - b).
template <class T, class A, class B>
struct difference_reader {
  T by;
  A a;
  B b;
  template <class Here>
  LIMBECK_INLINE typename Here::number read(const Here& here) const {
    return typename Here::number(by) * (here(a) - here(b));
  }
};
template <class T, class A, class B>
LIMBECK_HOST_DEVICE difference_reader<T, A, B> difference_of(T by, const A& a, const B& b) {
  return {by, a, b};
}

}  // namespace detail

/// w (a - b) with a number w of the row; made by the functions of this folder.
template <class Numbers, class A, class B>
struct weighted_difference : detail::formula<weighted_difference<Numbers, A, B>, A, B> {
  Numbers numbers;  ///< the weight of a row: `numbers(row, progress)`, a double

  /// @cond
  template <class Row, class T>
  LIMBECK_HOST_DEVICE auto open(const Row& r, std::span<T> memory_) const {
    const auto of = this->sources.open(r, memory_);
    return detail::difference_of(static_cast<T>(numbers(r.index, r.progress)), of.first, of.rest.first);
  }
  auto settled(double at) const { return settled_with(this->sources.settled(at)); }

 private:
  template <class First, class Second>
  auto settled_with(const detail::source_list<First, Second>& s) const {
    return weighted_difference<Numbers, First, Second>{{s}, numbers};
  }
  /// @endcond
};

namespace detail {

/// The noise that a prediction of this kind says is this number times the prediction, and a number times x_t: so a difference of two
/// predictions at one x_t is one of noise.
template <class Kind>
LIMBECK_HOST_DEVICE double noise_in(const Kind& kind, const noise_level& at, const noise_level& slope) {
  return by_forms(kind.form(at, slope), at, {0, 1}).v[0];
}
template <class Kind, class Levels, class Weight>
struct noise_difference {
  static_assert(level_weight<Weight>, "limbeck: a weight of levels is a small copyable function of a noise_level that gives a number, as kl_weight{}");
  Kind kind;
  Levels at;
  Weight weight;
  LIMBECK_HOST_DEVICE double operator()(std::size_t row, double) const {
    const noise_level l = at(row);
    return static_cast<double>(weight(l)) * noise_in(kind, l, at.slope(row));
  }
};
/// numbers (a - b) of tensors and targets of one shape.
template <class Numbers, class A, class B>
auto weighted(const char* who, const Numbers& numbers, A&& a, B&& b) {
  const auto first = as_target(std::forward<A>(a));
  const auto second = as_target(std::forward<B>(b));
  check_sources(who, first, second);
  return weighted_difference<Numbers, std::remove_const_t<decltype(first)>, std::remove_const_t<decltype(second)>>{
      {list_of(first, second)}, numbers};
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif

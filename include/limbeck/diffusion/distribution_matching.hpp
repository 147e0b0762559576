#ifndef LIMBECK_DIFFUSION_DISTRIBUTION_MATCHING_HPP
#define LIMBECK_DIFFUSION_DISTRIBUTION_MATCHING_HPP

/// @file
/// The gradient of distribution matching.

#include <limbeck/diffusion/weighted_difference.hpp>

#include <limits>

LIMBECK_BEGIN_NAMESPACE

/// (fake - real) / mean |x - real|; made by `distribution_matching`.
template <class Student, class Real, class Fake>
struct distribution_matching_gradient : detail::formula<distribution_matching_gradient<Student, Real, Fake>, Student, Real, Fake> {
  double floor;  ///< of the divisor

  /// @cond
  template <class Row, class T>
  LIMBECK_HOST_DEVICE auto open(const Row& r, std::span<T> memory_) const {
    const auto of = this->sources.open(r, memory_);
    const auto& x = of.first;
    const auto& real = of.rest.first;
    const std::size_t n = r.out.size();
    const double distance = detail::sum_formula<T>(r.team, n, [&](const auto& here) LIMBECK_LAMBDA_INLINE { return abs(here(x) - here(real)); }) /
                            static_cast<double>(n);
    const double least = distance > floor ? distance : floor;
    const T by = !(distance - distance == 0) ? std::numeric_limits<T>::quiet_NaN() : least > 0 ? static_cast<T>(1 / least) : T(0);
    return detail::difference_of(by, of.rest.rest.first, real);
  }
  auto settled(double at) const { return settled_with(this->sources.settled(at)); }

 private:
  template <class... S>
  auto settled_with(const detail::source_list<S...>& s) const {
    return distribution_matching_gradient<S...>{{s}, floor};
  }
  /// @endcond
};

/// What `distribution_matching` takes beside the scores.
struct distribution_matching_options {
  double floor = 0;  ///< the least that is divided by, at least 0
};

/// The gradient by generated samples x of KL(generated || data), of each row divided by the mean of |x - real|: (fake - real)/that.
///
/// The loss that reads it is `specified_gradient`: `objective(x, distribution_matching(x, real, fake), into(g))`. x, real and
/// fake are held fixed: no gradient goes through the denoisers.
/// @param options as above
/// @param x the samples that the generator gave, samples x dimensions
/// @param real the clean sample that the teacher makes of x noised (`to_clean` of its prediction)
/// @param fake that of the denoiser of generated samples
/// A row with x = real is 0 where `floor` is 0; one whose distance is not finite is NaN, which the call that reads it reports. O(samples x dimensions), two passes over a row.
/// @throws shape_error where shapes differ; value_error where the floor is negative or not finite.
///
/// Yin et al., One-step Diffusion with Distribution Matching Distillation, 2023, arXiv:2311.18828, eq. 7 and 8, and Improved
/// Distribution Matching Distillation (DMD2), 2024, arXiv:2405.14867, with their codes' weight.
template <class X, class Real, class Fake>
auto distribution_matching(X&& x, Real&& real, Fake&& fake, const distribution_matching_options& options = {}) {
  if (!(options.floor >= 0 && options.floor < 1e300))
    raise<value_error>("limbeck: floor of distribution_matching is " + detail::show(options.floor) + ", expected a finite number of at least 0");
  const auto s = detail::as_target(std::forward<X>(x));
  const auto r = detail::as_target(std::forward<Real>(real));
  const auto f = detail::as_target(std::forward<Fake>(fake));
  detail::check_sources("a prediction of distribution_matching", s, r, f);
  return distribution_matching_gradient<decltype(detail::as_target(x)), decltype(detail::as_target(real)), decltype(detail::as_target(fake))>{
      {detail::list_of(s, r, f)}, options.floor};
}

LIMBECK_END_NAMESPACE

#endif

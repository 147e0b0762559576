#ifndef LIMBECK_TESTS_SUPPORT_FORMULA_CASES_HPP
#define LIMBECK_TESTS_SUPPORT_FORMULA_CASES_HPP

// The same formulas over device memory and over plain memory, no test framework: see target_cases.hpp. A formula that joins
// the library joins a list here by one line.

#include "target_cases.hpp"

#include <limbeck/diffusion.hpp>

namespace limbeck_test {

/// f(name, formula) for samples with noise and for every prediction as another.
struct noise_formulas {
  template <class Side, class F>
  void operator()(const Side& s, F&& f) const {
    const auto straight = lk::levels(lk::rectified{}, s.times());
    f("noised, rectified", lk::noised(s.a(), s.b(), straight));
    f("noised, one time", lk::noised(s.a(), s.b(), lk::levels(lk::rectified{}, 0.4)));
    f("noised, preserving", lk::noised(s.a(), s.b(), lk::levels(lk::variance_preserving{}, s.times())));
    f("noised, edm", lk::noised(s.a(), s.b(), lk::levels(lk::edm{}, s.times())));
    f("noised, trigonometric", lk::noised(s.a(), s.b(), lk::levels(lk::trigonometric{.deviation = 0.5}, s.times())));
    f("noised, of a target", lk::noised(lk::interpolated(s.a(), lk::linear(0.2, 0.8)), s.b(), straight));
    f("velocity to clean", lk::to_clean(lk::predicts_velocity{}, s.a(), s.b(), straight));
    f("score to noise", lk::to_noise(lk::predicts_score{}, s.a(), s.b(), straight));
    f("v to f", lk::converted(lk::predicts_v{}, lk::predicts_f{}, s.a(), s.b(), lk::levels(lk::variance_preserving{}, s.times())));
    f("clean to velocity", lk::converted(lk::predicts_clean{}, lk::predicts_velocity{}, s.a(), s.b(), lk::levels(lk::trigonometric{}, s.times())));
    const auto noisy = lk::noised(s.a(), s.b(), straight);
    f("of formulas", lk::to_clean(lk::predicts_noise{}, lk::to_noise(lk::predicts_velocity{}, s.d(), noisy, straight), noisy, straight));
  }
};
/// And for the gradients of distribution matching.
struct matching_formulas {
  template <class Side, class F>
  void operator()(const Side& s, F&& f) const {
    const auto straight = lk::levels(lk::rectified{}, s.times());
    f("distribution matching", lk::distribution_matching(s.a(), s.b(), s.d()));
    f("with a floor", lk::distribution_matching(s.a(), s.b(), s.d(), {.floor = 3}));
    f("of the samples", lk::distribution_matching(s.b(), s.b(), s.d()));
    const auto noisy = lk::noised(s.a(), s.b(), straight);
    const auto clean = [&](const auto& velocity) { return lk::to_clean(lk::predicts_velocity{}, velocity, noisy, straight); };
    f("of velocities", lk::distribution_matching(s.a(), clean(s.d()), clean(s.student())));
    f("of targets", lk::distribution_matching(lk::interpolated(s.a(), lk::linear(0.2, 0.8)), lk::mean_of_logits(s.b(), s.d()), s.student()));
  }
};

/// And for its relatives.
struct score_formulas {
  template <class Side, class F>
  void operator()(const Side& s, F&& f) const {
    const auto straight = lk::levels(lk::rectified{}, s.times());
    const auto early = lk::levels(lk::rectified{}, 0.01);
    f("variational score", lk::variational_score(lk::predicts_velocity{}, s.a(), s.b(), straight, lk::kl_weight{}));
    f("score distillation", lk::score_distillation(s.a(), s.b(), straight));
    f("delta score", lk::delta_score(lk::predicts_clean{}, s.a(), s.b(), s.d(), s.student(), lk::levels(lk::residual_shifting{}, s.times())));
    f("shifted noised", lk::shifted_noised(s.a(), s.b(), s.d(), lk::levels(lk::residual_shifting{}, s.times())));
    f("denoising target", lk::denoising_target(lk::predicts_v{}, s.a(), s.b(), straight));
    f("phased target", lk::phased_target(lk::predicts_velocity{}, s.a(), s.b(), early, straight));
    f("phased matching", lk::phased_matching(lk::predicts_velocity{}, s.a(), s.b(), early, straight));
    f("sum", lk::variational_score(lk::predicts_noise{}, s.a(), s.b(), straight) + 0.5 * lk::distribution_matching(s.a(), s.b(), s.d()) + s.d());
    f("blended", lk::distribution_matching(s.a(), lk::blended(s.student(), s.b(), s.a()), s.d()));
    f("of targets", lk::variational_score(lk::predicts_noise{}, lk::interpolated(s.a(), lk::linear(0.2, 0.8)), s.b(), straight));
  }
};

/// The rows of a formula by the gradient of a call that reads it.
inline constexpr auto by_objective = [](const auto& side, const auto& t, double at) {
  using Side = std::remove_cvref_t<decltype(side)>;
  using T = typename Side::scalar;
  const std::size_t n = t.samples(), c = t.classes();
  const auto call = lk::objective{lk::specified_gradient{}};
  std::vector<T> rows;
  if constexpr (std::is_same_v<typename Side::memory, lk::host_rows>) {
    rows.resize(n * c);
    call(side.student(), t, lk::progress(at), lk::into(lk::rows<T>(rows.data(), n, c)));
  } else {
    thrust::device_vector<T> there(n * c);
    call(side.student(), t, lk::progress(at), lk::into(lk::on_device(there, n, c)), side.ws);
    rows = to_host(there);
  }
  for (T& x : rows) x *= static_cast<T>(n * c);
  return rows;
};

}  // namespace limbeck_test

#endif

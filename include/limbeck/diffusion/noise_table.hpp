#ifndef LIMBECK_DIFFUSION_NOISE_TABLE_HPP
#define LIMBECK_DIFFUSION_NOISE_TABLE_HPP

/// @file
/// Paths by a table, as DDPM and Stable Diffusion have them: n steps, each with its alpha-bar.

#include <limbeck/diffusion/path.hpp>

#include <cmath>
#include <cstddef>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// A path that preserves variance, by a table of alpha-bar, the squared signal: at time i, an integer from 0, signal =
/// sqrt(table[i]), noise = sqrt(1 - table[i]). Between two integers the logarithm of signal/noise is linear, so the slope is finite
/// everywhere; at an integer it is that of the interval behind it, at the last that before it.
class noise_table {
 public:
  /// @param alpha_bar a vector of float or double on the host, kept by view: at least two numbers between 0 and 1, each less than the
  ///        one before; a table that ends at 0 ("zero terminal SNR") has no slope there and is refused
  /// @throws shape_error where there are fewer than two, value_error naming the first that is not as said
  template <class V>
    requires(!std::is_same_v<std::remove_cvref_t<V>, noise_table>)
  explicit noise_table(V&& alpha_bar) : table_(detail::view_vector(alpha_bar)) {
    static_assert(std::is_floating_point_v<detail::vector_element_t<V>>, "limbeck: the table of a noise_table is a vector of float or double");
    detail::require_kept<V>();
    if (table_.size() < 2) detail::throw_length("alpha_bar", table_.size(), 2, "at least");
    for (std::size_t i = 0; i < table_.size(); ++i) {
      const double above = i == 0 ? 1 : table_.number(i - 1), x = table_.number(i);
      if (!(x > 0 && x < above))
        raise<value_error>("limbeck: alpha_bar[" + std::to_string(i) + "] is " + detail::show(x) + ", expected a number above 0 and below " +
                           detail::show(above));
    }
  }
  /// At time t.
  LIMBECK_HOST_DEVICE noise_level level(double t) const {
    const std::size_t i = interval(t);
    const double share = t - static_cast<double>(i);
    const double squared = share == 0 ? table_.number(i) : share == 1 ? table_.number(i + 1) : 1 / (1 + std::exp(-between(i, share)));
    return {std::sqrt(squared), std::sqrt(1 - squared)};
  }
  /// By t.
  LIMBECK_HOST_DEVICE noise_level slope(double t) const {
    const noise_level at = level(t);
    const std::size_t i = interval(t);
    const double rate = 0.5 * (log_ratio(i + 1) - log_ratio(i));
    return {at.signal * at.noise * at.noise * rate, -at.noise * at.signal * at.signal * rate};
  }
  static constexpr double first() { return 0; }  ///< the least noise, which is not none
  LIMBECK_HOST_DEVICE double last() const { return static_cast<double>(table_.size() - 1); }  ///< the most

  /// log(table[i]/(1 - table[i])), the log signal-to-noise ratio of a step.
  LIMBECK_HOST_DEVICE double log_ratio(std::size_t i) const { return std::log(table_.number(i)) - std::log1p(-table_.number(i)); }

 private:
  LIMBECK_HOST_DEVICE std::size_t interval(double t) const {
    const double end = last() - 1, low = t < 0 ? 0 : t > end ? end : t;
    return static_cast<std::size_t>(low);
  }
  LIMBECK_HOST_DEVICE double between(std::size_t i, double share) const {
    return (1 - share) * log_ratio(i) + share * log_ratio(i + 1);
  }
  any_vector table_;
};

namespace detail {
inline void check_steps(const char* who, std::size_t steps) {
  if (steps < 2) raise<value_error>(std::string("limbeck: steps of ") + who + " is " + std::to_string(steps) + ", expected at least 2");
}
inline void check_betas(const char* who, double first, double last) {
  if (!(first > 0 && first <= last && last < 1))
    raise<value_error>(std::string("limbeck: betas of ") + who + " go from " + show(first) + " to " + show(last) +
                       ", expected numbers between 0 and 1 that do not fall");
}
/// The products of 1 - beta.
template <class Beta>
std::vector<double> alpha_bar_of(std::size_t steps, const Beta& beta) {
  std::vector<double> table(steps);
  double product_ = 1;
  for (std::size_t i = 0; i < steps; ++i) table[i] = product_ *= 1 - beta(i);
  return table;
}
}  // namespace detail

/// alpha-bar of DDPM, a table for `noise_table`: products of 1 - beta, beta linear from @p first to @p last over @p steps.
/// @throws value_error where there are fewer than two steps or a beta is not between 0 and 1.
///
/// Ho, Jain and Abbeel, Denoising Diffusion Probabilistic Models, 2020, arXiv:2006.11239.
inline std::vector<double> linear_betas(std::size_t steps = 1000, double first = 1e-4, double last = 0.02) {
  detail::check_steps("linear_betas", steps), detail::check_betas("linear_betas", first, last);
  return detail::alpha_bar_of(
      steps, [&](std::size_t i) { return first + (last - first) * static_cast<double>(i) / static_cast<double>(steps - 1); });
}
/// alpha-bar of Stable Diffusion: the same with the root of beta linear.
/// @throws value_error as `linear_betas`.
///
/// Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models, 2022, arXiv:2112.10752, by the numbers of its code.
inline std::vector<double> scaled_linear_betas(std::size_t steps = 1000, double first = 0.00085, double last = 0.012) {
  detail::check_steps("scaled_linear_betas", steps), detail::check_betas("scaled_linear_betas", first, last);
  return detail::alpha_bar_of(steps, [a = std::sqrt(first), b = std::sqrt(last), n = static_cast<double>(steps - 1)](std::size_t i) {
    const double root = a + (b - a) * static_cast<double>(i) / n;
    return root * root;
  });
}
/// alpha-bar of the cosine schedule: f(i + 1)/f(0), f(i) = cos^2((i/steps + offset)/(1 + offset) pi/2), with no beta above @p largest.
/// @throws value_error where there are fewer than two steps, the offset is not positive or @p largest not between 0 and 1.
///
/// Nichol and Dhariwal, Improved Denoising Diffusion Probabilistic Models, 2021, arXiv:2102.09672, eq. 17.
inline std::vector<double> cosine_betas(std::size_t steps = 1000, double offset = 0.008, double largest = 0.999) {
  detail::check_steps("cosine_betas", steps);
  if (!(offset > 0 && offset < 1e300))
    raise<value_error>("limbeck: offset of cosine_betas is " + detail::show(offset) + ", expected a finite positive number");
  if (!(largest > 0 && largest < 1))
    raise<value_error>("limbeck: largest of cosine_betas is " + detail::show(largest) + ", expected a number between 0 and 1");
  const auto f = [&](std::size_t i) {
    const double c = std::cos((static_cast<double>(i) / static_cast<double>(steps) + offset) / (1 + offset) * std::numbers::pi / 2);
    return c * c;
  };
  return detail::alpha_bar_of(steps, [&](std::size_t i) {
    const double beta = 1 - f(i + 1) / f(i);
    return beta < largest ? beta : largest;
  });
}

LIMBECK_END_NAMESPACE

#endif

#ifndef LIMBECK_LOSS_RELATIONS_PAIR_LOGISTIC_HPP
#define LIMBECK_LOSS_RELATIONS_PAIR_LOGISTIC_HPP

/// @file
/// PCME++: whether two Gaussian embeddings belong together, as a logistic regression on their distance.

#include <limbeck/core/errors.hpp>
#include <limbeck/loss/support.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// Of a row of means and log variances: |mean|^2 + the sum of the variances, and its divergence from the unit Gaussian.
template <class T>
struct gaussian_row {
  rows<const T> x;
  double *sizes, *divergences;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    const std::size_t d = x.classes / 2;
    team_array<double, 2> sums{};
    for_own<T>(team, d, [&](std::size_t c) {
      const double mean = static_cast<double>(x(r, c)), log = static_cast<double>(x(r, d + c)), variance = std::exp(log);
      sums.v[0] += mean * mean + variance;
      sums.v[1] += 0.5 * (mean * mean + variance - 1 - log);
    });
    sums = team.sum(sums);
    if (team.rank() == 0) sizes[r] = sums.v[0], divergences[r] = sums.v[1];
  }
};
/// Inner products of means become distances, and the diagonal is kept.
template <class T>
struct gaussian_distances_row {
  rows<T> products;
  const double *sizes, *others;
  double* own;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    for_own<T>(team, products.classes, [&](std::size_t j) {
      const double d = sizes[i] + others[j] - 2 * static_cast<double>(products(i, j));
      products(i, j) = static_cast<T>(d);
      if (i == j) own[i] = static_cast<double>(static_cast<T>(d));
    });
  }
};
/// The part of a row of distances in the loss; they become the slopes, and so do the numbers of the line.
template <class T>
struct match_row {
  rows<T> distances;
  const T* line;                            ///< scale, shift
  const double *own, *divergence, *other;   ///< distances of matched pairs; divergences of both sides
  double pseudo, bottleneck, factor;        ///< factor: 1/pairs
  double *by_scale, *by_shift;

  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t i) const {
    const double scale = static_cast<double>(line[0]), shift = static_cast<double>(line[1]);
    const auto logit = [&](double distance) { return shift - scale * distance; };
    team_array<double, 3> sums{};
    for_own<T>(team, distances.classes, [&](std::size_t j) {
      const double d = static_cast<double>(distances(i, j)), z = logit(d);
      const double matched = (i == j ? 2 : 0) + pseudo * ((z >= logit(own[i]) ? 1 : 0) + (z >= logit(own[j]) ? 1 : 0));
      const double size = std::exp(-std::fabs(z)), all = 2 + 2 * pseudo;
      const double slope = factor * (all * (z < 0 ? size : 1) / (1 + size) - matched);
      sums.v[0] += factor * (all * ((z > 0 ? z : 0 * z) + std::log1p(size)) - z * matched);
      sums.v[1] -= slope * d;
      sums.v[2] += slope;
      distances(i, j) = static_cast<T>(-scale * slope);
    });
    sums = team.sum(sums);
    if (team.rank() == 0) by_scale[i] = sums.v[1], by_shift[i] = sums.v[2];
    return sums.v[0] + bottleneck * (divergence[i] + other[i]);
  }
};
/// What the distances and the divergence make of a row, but for the products with the other side's means.
template <class T>
struct pull_back_gaussian_row {
  rows<const T> x;
  rows<T> slopes;  ///< by the distances, this side's rows first
  rows<T> gradient;
  double bottleneck, scale;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    const std::size_t d = x.classes / 2;
    const double total = sum_own<T, double>(team, slopes.classes, [&](std::size_t j) { return static_cast<double>(slopes(r, j)); });
    for_own<T>(team, d, [&](std::size_t c) {
      const double mean = static_cast<double>(x(r, c)), variance = std::exp(static_cast<double>(x(r, d + c)));
      gradient(r, c) += static_cast<T>(scale * (2 * total + bottleneck) * mean);
      gradient(r, d + c) += static_cast<T>(scale * (total * variance + 0.5 * bottleneck * (variance - 1)));
    });
  }
};
/// Adds to the gradient of the line, unless the loss has turned out not to be finite.
template <class T>
struct pull_back_line {
  T* gradient;
  const double *by_scale, *by_shift, *loss;
  double scale;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    if (*loss - *loss != 0 || team.rank() != 0) return;
    gradient[0] += static_cast<T>(scale * *by_scale);
    gradient[1] += static_cast<T>(scale * *by_shift);
  }
};

}  // namespace detail

/// The line of `pair_logistic`: logit = shift - scale distance, both learned. Belongs to the caller, as a `projection` does:
/// optimise `parameters()` with `gradients()`, and zero these between steps. With `device_memory` for @p Memory it lives on a
/// device, beside the features.
template <class T, class Memory = host_rows>
class match_line {
  using place = batch_memory<Memory>;
  using storage = typename place::template storage<T>;

 public:
  /// Starts there. @throws value_error unless both are finite.
  explicit match_line(double scale = 5, double shift = 5) : line_(2), gradients_(2) {
    if (scale - scale != 0 || shift - shift != 0)
      raise<value_error>("limbeck: match_line starts at scale " + detail::show(scale) + " and shift " + detail::show(shift) +
                         ", expected finite numbers");
    line_[0] = static_cast<T>(scale), line_[1] = static_cast<T>(shift);
    place::clear(gradients_);
  }
  /// What a distance is multiplied by, its sign turned; of one on a device, waits for it.
  double scale() const { return static_cast<double>(static_cast<T>(line_[0])); }
  /// The logit of a distance of 0; of one on a device, waits for it.
  double shift() const { return static_cast<double>(static_cast<T>(line_[1])); }
  /// Scale and shift.
  auto parameters() { return std::array{place::view(line_)}; }
  /// Their gradients.
  auto gradients() { return std::array{place::view(gradients_)}; }
  /// Sets the gradients to 0.
  template <class... Workspace>
  void zero_gradients(const Workspace&... ws) {
    place::clear(gradients_, ws...);
  }
  /// Saves or restores both.
  template <class Archive>
  void serialize(Archive& archive) {
    place::serialize(archive, "line", line_);
  }

  /// @cond
  const T* numbers() const { return place::address(line_); }
  T* slopes() { return place::address(gradients_); }
  /// @endcond

 private:
  storage line_, gradients_;
};

/// Settings of `pair_logistic`, with the authors' values.
struct pair_logistic_settings {
  double pseudo_positives = 0.1;  ///< alpha, weight of the loss that takes pairs nearer than the matched one for matched; 0 or more
  double bottleneck = 1e-4;       ///< beta, weight of the divergences from the unit Gaussian; 0 or more
};

/// What `pair_logistic` returns.
template <class T, class Memory = host_rows>
struct pair_logistic_loss {
  using limbeck_loss = batchwise;
  using scalar = T;
  using memory = Memory;  ///< of the line
  static constexpr bool any_width = true, into_teacher = true;
  match_line<T, Memory>* line;  ///< the caller's
  pair_logistic_settings settings;  ///< as given

  /// The line.
  template <class F>
  void visit_learned(const F& f) const {
    f(*line);
  }
  /// @throws shape_error, value_error as `pair_logistic` says.
  template <class U>
  batch_number<Memory> operator()(const batch<U, Memory>& x) const {
    static_assert(std::is_same_v<U, T>,
                  "limbeck: the line of pair_logistic has another scalar type than the features; give match_line<float> float "
                  "features and match_line<double> double");
    if constexpr (std::is_same_v<U, T>) return run(x);
    return 0;
  }

 private:
  batch_number<Memory> run(const batch<T, Memory>& x) const {
    detail::check_widths(x, "pair_logistic");
    const std::size_t n = x.samples(), width = x.student.classes, d = width / 2;
    if (width % 2 != 0)
      raise<shape_error>("limbeck: student has " + std::to_string(width) +
                         " columns, but pair_logistic takes a mean and a log variance of each dimension");
    if (n == 0 || d == 0) return 0;
    const auto take = [&] { return x.memory.template take<double>(n); };
    const std::span<double> sizes = take(), others = take(), divergence = take(), other = take(), own = take();
    x.each_row(n, width, detail::gaussian_row<T>{x.student, sizes.data(), divergence.data()});
    x.each_row(n, width, detail::gaussian_row<T>{x.teacher, others.data(), other.data()});
    const rows<const T> means = half(x.student), other_means = half(x.teacher);
    const rows<T> slopes = detail::take_matrix(x, n, n);
    x.multiply(T(1), means, other_means.transposed(), T(0), slopes);
    x.each_row(n, n, detail::gaussian_distances_row<T>{slopes, sizes.data(), others.data(), own.data()});
    const std::span<double> by_scale = take(), by_shift = take();
    const double count = static_cast<double>(n), bottleneck = settings.bottleneck / (count * static_cast<double>(d));
    const double* const value = x.sum_rows(n, detail::match_row<T>{
        slopes, line->numbers(), own.data(), divergence.data(), other.data(), settings.pseudo_positives, bottleneck,
        1 / (count * count), by_scale.data(), by_shift.data()});
    const batch_number<Memory> result = detail::finite(x, 1, value);

    const double scale = static_cast<double>(x.scale);
    const auto back = [&](const rows<const T>& side, const rows<const T>& across, const rows<T>& by, const rows<T>& gradient) {
      x.multiply(static_cast<T>(-2 * scale), by, across, T(1), half(gradient));
      x.each_row(n, n, detail::pull_back_gaussian_row<T>{side, by, gradient, bottleneck, scale});
    };
    if (x.wants_gradient()) back(x.student, other_means, slopes, x.gradient);
    if (x.wants_teacher_gradient()) back(x.teacher, means, slopes.transposed(), x.teacher_gradient);
    if (x.wants_gradient() || x.wants_teacher_gradient()) {
      const double *const of_scale = x.add_up(by_scale), *const of_shift = x.add_up(by_shift);
      x.each_row(1, 1, detail::pull_back_line<T>{line->slopes(), of_scale, of_shift, value, scale});
    }
    return result;
  }
  /// The means of a side.
  template <class U>
  static rows<U> half(const rows<U>& x) {
    return {x.data, x.samples, x.classes / 2, x.sample_stride, x.class_stride};
  }
};

/// PCME++: a row is a Gaussian, its means and then the logarithms of its variances. With d_ij = |mean_i - mean'_j|^2 + the sums of
/// both variances, the mean squared distance of draws of row i of the student and row j of the teacher, and the logit
/// z_ij = shift - scale d_ij, twice the mean over all n^2 pairs of the binary cross-entropy of z_ij and whether i = j; plus alpha
/// times that mean with all pairs of a row matched whose logit is at least its own, and with all of a column; plus beta
/// times the mean over rows and dimensions of KL from the unit Gaussian, of both sides.
///
/// Which pairs are taken for matched is held fixed. Both sides learn (`into_teacher`), and @p line, to whose gradients a call
/// that wants one adds; it must outlive the objective and have the features' scalar type. A side of plain embeddings has the
/// log variance -100; with all variances near 0 it is a logistic loss of squared distances, as SigLIP's of cosines is. The
/// authors leave a divergence above 10^4 out; here it counts. Three products of n^2 x width, one matrix of n^2.
/// @throws shape_error where the widths differ or are odd; value_error where a feature is not finite, or a setting negative.
///
/// Chun, Improved Probabilistic Image-Text Representations, 2023, arXiv:2305.18171, by the authors' `ClosedFormSampledDistanceLoss`.
template <class T, class Memory>
pair_logistic_loss<T, Memory> pair_logistic(match_line<T, Memory>& line, const pair_logistic_settings& settings = {}) {
  if (!(settings.pseudo_positives >= 0) || !(settings.bottleneck >= 0))
    raise<value_error>("limbeck: pair_logistic_settings has pseudo_positives " + detail::show(settings.pseudo_positives) +
                       " and bottleneck " + detail::show(settings.bottleneck) + ", expected 0 or more");
  return {&line, settings};
}
/// @cond
template <class T, class Memory>
pair_logistic_loss<T, Memory> pair_logistic(const match_line<T, Memory>&&, const pair_logistic_settings& = {}) = delete;
/// @endcond

LIMBECK_END_NAMESPACE

#endif

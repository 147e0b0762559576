#ifndef LIMBECK_TARGET_PROTOTYPES_HPP
#define LIMBECK_TARGET_PROTOTYPES_HPP

/// @file
/// Prototypes: a vector of features for each class, and how like to each of them a row is.

#include <limbeck/loss/relations/distances.hpp>
#include <limbeck/ranks/order_statistics.hpp>
#include <limbeck/target/row_functions.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// What a row of features has of a prototype.
enum class likeness {
  cosine,           ///< cos(x, P)
  squared_distance  ///< -||x - P||^2
};

/// How likenesses become logits.
struct likeness_settings {
  double temperature = 0.1;             ///< they are divided by it; positive
  likeness measure = likeness::cosine;  ///< which
};

/// @cond
namespace detail {

/// Logits of rows of features by the rows of a matrix, of which one that is all 0 stands for no class.
template <class T>
struct likeness_to {
  rows<const T> prototypes;
  T inverse;  // of the temperature
  likeness measure;

  /// @p z = likeness of @p x to each prototype over T, -inf where there is none. A thread takes whole classes.
  LIMBECK_CALLS_ANY
  template <class Team>
  LIMBECK_HOST_DEVICE void logits(const Team& team, const T* x, T* z) const {
    const std::size_t width = prototypes.classes;
    const double square = product(team, x, x, width);
    for_own<T>(team, prototypes.samples, [&](std::size_t c) {
      const T* const p = prototypes.row(c);
      if (all_zero(p, width)) {
        z[c] = -infinite<T>;
      } else if (measure == likeness::cosine) {  // of a row of 0 with everything: 0
        const double own = product(p, p, width);
        z[c] = square == 0 ? T(0) : static_cast<T>(product(x, p, width) / std::sqrt(square) / std::sqrt(own)) * inverse;
      } else {
        z[c] = -inverse * apart<Team>(x, p, width);
      }
    });
  }
  /// Adds the slope by @p x to @p gradient, of the slope by @p z, which logits() gave.
  LIMBECK_CALLS_ANY
  template <class Team>
  LIMBECK_HOST_DEVICE void pull_back(const Team& team, const T* x, const T* z, const T* slope, T* gradient) const {
    const std::size_t width = prototypes.classes;
    const bool cosine = measure == likeness::cosine;
    const double square = product(team, x, x, width);
    if (cosine && square == 0) return;
    double along = 0;  // sum of slope z, or of slope
    for (std::size_t c = 0; c < prototypes.samples; ++c) {
      if (!(z[c] > -infinite<T>)) continue;
      const T* const p = prototypes.row(c);
      double by = static_cast<double>(inverse) * static_cast<double>(slope[c]);
      if (cosine) {
        along += static_cast<double>(slope[c]) * static_cast<double>(z[c]);
        by = by / std::sqrt(square) / std::sqrt(product(team, p, p, width));
      } else {
        along += by *= 2;
      }
      add(team, gradient, by, p, width);
    }
    add(team, gradient, cosine ? -along / square : -along, x, width);
  }

 private:
  // In double, where the squares of all floats are numbers other than 0.
  LIMBECK_HOST_DEVICE static double product(const T* a, const T* b, std::size_t n) {
    double sums[4] = {};  // side by side, so that the compiler takes them in packs
    std::size_t i = 0;
    for (; i + 4 <= n; i += 4)
      for (std::size_t l = 0; l < 4; ++l) sums[l] += static_cast<double>(a[i + l]) * static_cast<double>(b[i + l]);
    for (; i < n; ++i) sums[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
  }
  LIMBECK_CALLS_ANY
  template <class Team>
  LIMBECK_HOST_DEVICE static double product(const Team& team, const T* a, const T* b, std::size_t n) {
    if constexpr (Team::alone) {
      return product(a, b, n);
    } else {
      return sum_own<T, double>(team, n, [&](std::size_t i) { return static_cast<double>(a[i]) * static_cast<double>(b[i]); });
    }
  }
  LIMBECK_CALLS_ANY
  template <class Team>
  LIMBECK_HOST_DEVICE static void add(const Team& team, T* y, double by, const T* x, std::size_t n) {
    for_own<T>(team, n, [&](std::size_t i) { y[i] += static_cast<T>(by * static_cast<double>(x[i])); });
  }
  LIMBECK_HOST_DEVICE static bool all_zero(const T* p, std::size_t n) {
    std::size_t i = 0;
    while (i < n && p[i] == T(0)) ++i;
    return i == n;
  }
  // By one thread: packs on the host.
  LIMBECK_CALLS_ANY
  template <class Team>
  LIMBECK_HOST_DEVICE static T apart(const T* a, const T* b, std::size_t n) {
    if constexpr (Team::alone) {
      return squared_distance(a, b, n);
    } else {
      T total = 0;
      for (std::size_t i = 0; i < n; ++i) total += (a[i] - b[i]) * (a[i] - b[i]);
      return total;
    }
  }
};

/// @throws value_error, shape_error
template <class T>
likeness_to<T> make_likeness(const rows<const T>& prototypes, const likeness_settings& how) {
  if (!(how.temperature > 0 && std::isfinite(how.temperature)))
    raise<value_error>("limbeck: temperature is " + show(how.temperature) + ", expected a positive number");
  if (prototypes.class_stride != 1)
    raise<shape_error>("limbeck: the numbers of a prototype are " + std::to_string(prototypes.class_stride) +
                       " elements apart, expected them side by side");
  return {prototypes, static_cast<T>(1 / how.temperature), how.measure};
}
/// @throws shape_error
template <class T>
void check_features(const rows<const T>& features, std::size_t width) {
  if (features.classes != width) throw_shape("features", features.samples, features.classes, features.samples, width);
}

}  // namespace detail
/// @endcond

/// The likeness of rows of features to prototypes; made by `like_prototypes`.
template <class T, class Memory = host_rows>
struct prototype_target {
  using limbeck_target = void;
  using scalar = T;
  using memory = Memory;  ///< of features and prototypes
  static constexpr std::size_t scratch_rows = 0;
  rows<const T> features;       ///< samples x width
  detail::likeness_to<T> like;  ///< to classes x width
  std::size_t samples() const { return features.samples; }
  std::size_t classes() const { return like.prototypes.samples; }
  template <class Row>
  LIMBECK_HOST_DEVICE void fill(const Row& r) const {
    like.logits(r.team, features.row(r.index), r.out.data());
  }
};

/// Features as a teacher: z_c = cos(x, P_c)/T, or -||x - P_c||^2/T, logits whose softmax says to which class a row
/// belongs by what it is like. On the device too.
///
/// A prototype that is all 0 is of a class that was never seen, and masked. A row of features that is 0 is as like to
/// every class. The T is one of its own: the temperature of a term divides what comes out. Cosines are taken in double,
/// for lengths whose squares are numbers of double. O(classes x width) a row.
/// @param features tensor of samples x width, such as a teacher's
/// @param vectors tensor of classes x width in the same memory, such as `prototypes::means()`; both outlive the target,
///   and the numbers of a row stand side by side
/// @param how temperature and likeness
/// @throws shape_error where the widths differ or a row is spread, value_error where T is not positive. A feature that
///   is not finite is reported by the call, as a NaN of the teacher.
template <class X, class P>
auto like_prototypes(X&& features, P&& vectors, likeness_settings how = {}) {
  detail::require_kept<X>();
  detail::require_kept<P>();
  using of_x = tensor_traits<std::remove_cvref_t<X>>;
  using of_p = tensor_traits<std::remove_cvref_t<P>>;
  using T = typename of_x::scalar;
  static_assert(std::is_same_v<std::remove_const_t<typename decltype(of_x::view(features))::element>, T> &&
                    std::is_same_v<std::remove_const_t<typename decltype(of_p::view(vectors))::element>, T>,
                "limbeck: like_prototypes takes features and prototypes of float or double");
  static_assert(
      std::is_same_v<T, typename of_p::scalar>,
      "limbeck: features and prototypes hold different scalar types; float goes with float, double with double");
  static_assert(std::is_same_v<typename of_x::sweep, typename of_p::sweep>,
                "limbeck: the prototypes live in another memory (host or device) than the features");
  const rows<const T> x = of_x::view(features);
  const auto like = detail::make_likeness<T>(of_p::view(vectors), how);
  detail::check_features(x, like.prototypes.classes);
  if (x.class_stride != 1)
    raise<shape_error>("limbeck: the numbers of a row of features are " + std::to_string(x.class_stride) +
                       " elements apart, expected them side by side");
  return prototype_target<T, typename of_x::sweep>{x, like};
}

/// Settings of `prototypes`.
struct prototype_settings {
  double decay = 0.9;  ///< what a mean keeps of itself at an update, in [0, 1): 0 forgets all but the last batch
  bool unit_features = false;  ///< divide each row of features by its length first
};

/// Prototypes: the mean of the features of each class, moving: P_c <- decay P_c + (1 - decay) mean of the batch's rows
/// of class c. The first rows of a class set it, and a class that a batch lacks stays.
///
/// Feed it all labelled rows at once, decay 0, for the class means of Snell et al., Prototypical Networks, 2017,
/// arXiv:1703.05175; batch by batch for a mean that follows a network which learns. `means()` is a tensor of classes x
/// width: `like_prototypes` makes a teacher of it, `likeness_map` a head for `through`, `prototype_margin`
/// pseudo-labels and weights. It belongs to the caller. On the host: a device holds a copy of `means()`. No update
/// allocates. O(rows x width) each.
template <class T>
class prototypes {
 public:
  /// @throws shape_error where a size is 0, value_error where decay is not in [0, 1).
  prototypes(std::size_t classes, std::size_t width, prototype_settings settings = {})
      : settings_(settings),
        classes_(classes),
        width_(width),
        means_(classes * width),
        batch_(classes * (width + 2)),
        seen_(classes) {
    if (classes == 0 || width == 0)
      raise<shape_error>("limbeck: prototypes has " + std::to_string(classes) + " classes of " + std::to_string(width) +
                         " features, expected at least 1 of both");
    if (!(settings.decay >= 0 && settings.decay < 1))
      raise<value_error>("limbeck: decay is " + detail::show(settings.decay) + ", expected a number in [0, 1)");
  }
  std::size_t classes() const { return classes_; }  ///< as given
  std::size_t width() const { return width_; }      ///< of the features
  /// How many rows class @p c has had.
  std::uint64_t count(std::size_t c) const { return seen_.at(c); }
  /// P, classes x width; 0 where a class has had no row. The view is of the object's memory, and follows it.
  rows<const T> means() const { return {means_.data(), classes_, width_}; }

  /// Moves the means by the rows of @p features, samples x width, of the classes @p labels, one a row; -100 is no
  /// class, and its row is passed over.
  /// @throws shape_error where sizes differ, value_error where a label is no class or a feature is not finite (or is a
  /// row of 0 that
  ///   has to be divided by its length), or a sum overflows; the state stays as it was.
  template <tensor X, class Labels>
  void update(const X& features, const Labels& labels) {
    move(one_rank{}, view_of(features), detail::view_vector(labels), {});
  }
  /// The same with a weight for each row, finite and not negative: means are sum w x / sum w, and rows of weight 0 are
  /// passed over.
  template <tensor X, class Labels, class Weights>
    requires(!communicator<X>)
  void update(const X& features, const Labels& labels, const Weights& weights) {
    move(one_rank{}, view_of(features), detail::view_vector(labels), detail::view_vector(weights));
  }
  /// Moves the means of all ranks by the rows of all ranks, each with any number of its own: the means stay the same on each. The sums
  /// of the ranks are added in their order, in double, so that the same number of ranks gives the same bits, and another number the
  /// same means up to the rounding of sums. Sends classes x (width + 2) doubles as all_reduce_sum() does.
  /// @throws (on all ranks) as update(), and value_error where the sizes of the objects differ.
  template <communicator C, tensor X, class Labels>
  void update(const C& comm, const X& features, const Labels& labels) {
    move(comm, view_of(features), detail::view_vector(labels), {});
  }
  /// The same with a weight for each row.
  template <communicator C, tensor X, class Labels, class Weights>
  void update(const C& comm, const X& features, const Labels& labels, const Weights& weights) {
    move(comm, view_of(features), detail::view_vector(labels), detail::view_vector(weights));
  }
  /// Saves or restores means and counts. Their number is fixed.
  template <class Archive>
  void serialize(Archive& archive) {
    std::span<T> m(means_);
    std::span<std::uint64_t> n(seen_);
    archive("means", m);
    archive("counts", n);
  }

 private:
  template <class X>
  static rows<const T> view_of(const X& features) {
    static_assert(
        std::is_same_v<typename tensor_traits<X>::scalar, T>,
        "limbeck: prototypes and features hold different scalar types; float goes with float, double with double");
    detail::require_host<X>();
    return tensor_traits<X>::view(features);
  }
  /// The factor of row @p r: 0 where it is passed over.
  double factor(const rows<const T>& x, const any_vector& labels, const any_vector& weights, std::size_t r) const {
    const std::int64_t label = labels.integer(r);
    if (label == -100) return 0;
    if (label < 0 || label >= static_cast<std::int64_t>(classes_))
      raise<value_error>("limbeck: label " + std::to_string(label) + " in row " + std::to_string(r) +
                         ", expected 0 to " + std::to_string(classes_ - 1) + ", or -100 for none");
    const double w = weights.empty() ? 1 : weights.number(r);
    if (!(w >= 0 && std::isfinite(w)))
      raise<value_error>("limbeck: weights is " + detail::show(w) + " at row " + std::to_string(r) +
                         ", expected a finite number that is not negative");
    double square = 0;
    for (std::size_t j = 0; j < width_; ++j) {
      const auto value = static_cast<double>(x(r, j));
      if (!std::isfinite(value)) detail::throw_not_finite("features", value, r, j);
      square += value * value;
    }
    if (w == 0 || !settings_.unit_features) return w;
    if (!(square > 0 && std::isfinite(square)))
      raise<value_error>("limbeck: features at row " + std::to_string(r) + " have the length " +
                         detail::show(std::sqrt(square)) + " and no direction");
    return w / std::sqrt(square);
  }
  // Of a batch, one behind the other, as ranks add them: weighed features, weights and numbers of rows.
  double* sums_of(std::size_t c) { return batch_.data() + c * width_; }
  double& mass_of(std::size_t c) { return batch_[classes_ * width_ + c]; }
  double& rows_of(std::size_t c) { return batch_[classes_ * (width_ + 1) + c]; }
  /// @throws value_error where a sum of the batch has overflowed
  void check_sums(std::size_t c) {
    bool finite = std::isfinite(mass_of(c));
    for (std::size_t k = 0; k < width_; ++k) finite = finite && std::isfinite(sums_of(c)[k]);
    if (!finite)
      raise<value_error>("limbeck: the sums of the weights and of the weighted features of class " + std::to_string(c) +
                         " are not finite, expected smaller weights or features");
  }
  void add_rows(const rows<const T>& x, const any_vector& labels, const any_vector& weights) {
    detail::check_features(x, width_);
    if (labels.size() != x.samples) detail::throw_length("labels", labels.size(), x.samples);
    if (!weights.empty() && weights.size() != x.samples) detail::throw_length("weights", weights.size(), x.samples);
    std::fill(batch_.begin(), batch_.end(), 0.0);
    for (std::size_t r = 0; r < x.samples; ++r) {
      const double by = factor(x, labels, weights, r);
      if (by == 0) continue;
      const auto c = static_cast<std::size_t>(labels.integer(r));
      mass_of(c) += weights.empty() ? 1 : weights.number(r);
      rows_of(c) += 1;
      for (std::size_t j = 0; j < width_; ++j) sums_of(c)[j] += by * static_cast<double>(x(r, j));
    }
  }
  template <class C>
  void move(const C& comm, const rows<const T>& x, const any_vector& labels, const any_vector& weights) {
    if constexpr (std::is_same_v<C, one_rank>) {
      add_rows(x, labels, weights);
    } else {
      agree(comm, [&] { add_rows(x, labels, weights); });
      detail::require_alike(comm, static_cast<double>(classes_), "the number of classes");
      detail::require_alike(comm, static_cast<double>(width_), "the width of the features");
      all_reduce_sum(comm, std::span<double>(batch_));
    }
    for (std::size_t c = 0; c < classes_; ++c) check_sums(c);
    for (std::size_t c = 0; c < classes_; ++c) {
      if (mass_of(c) == 0) continue;
      const double keep = seen_[c] > 0 ? settings_.decay : 0;
      for (std::size_t k = 0; k < width_; ++k)
        means_[c * width_ + k] =
            static_cast<T>(keep * static_cast<double>(means_[c * width_ + k]) + (1 - keep) * sums_of(c)[k] / mass_of(c));
      seen_[c] += static_cast<std::uint64_t>(rows_of(c));
    }
  }

  prototype_settings settings_;
  std::size_t classes_, width_;
  std::vector<T> means_;
  std::vector<double> batch_;
  std::vector<std::uint64_t> seen_;
};

/// Of each row of features the class whose prototype is likest by the cosine, and by how much it leads: largest cosine
/// - second largest. The first is a pseudo-label, the second its weight, which is 0 between two classes:
/// `given(margins) * cross_entropy{}` with the labels. Among equals the lowest class.
///
/// WAD's weight (Du et al., Semi-Supervised Learning via Weight-aware Distillation under Class Distribution Mismatch,
/// 2023, arXiv:2308.11874) as the authors' code has it: w = s_1 (1 - s_2/s_1). Their prototypes are means over all
/// labelled rows in the features of a contrastive teacher. On the host, for what it writes is read there. O(rows x
/// classes x width).
/// @param features tensor of samples x width
/// @param vectors tensor of classes x width, at least two that are not 0; see like_prototypes()
/// @param labels,margins one a row, written
/// @throws as like_prototypes(), shape_error where lengths differ, value_error where a feature is not finite or there
///   are no two classes.
template <tensor X, tensor P, detail::sized_memory Labels, detail::sized_memory Margins>
void prototype_margin(const X& features, const P& vectors, Labels&& labels, Margins&& margins) {
  detail::require_host<X, P>();
  const auto target =
      like_prototypes(tensor_traits<X>::view(features), tensor_traits<P>::view(vectors), {.temperature = 1});
  using T = typename decltype(target)::scalar;
  const std::size_t n = target.samples();
  const auto labels_out = detail::vector_memory(labels);
  const auto margins_out = detail::vector_memory(margins);
  if (labels_out.size != n) detail::throw_length("labels", labels_out.size, n);
  if (margins_out.size != n) detail::throw_length("margins", margins_out.size, n);
  std::vector<T> z(target.classes());
  for (std::size_t r = 0; r < n; ++r) {
    const T* const x = target.features.row(r);
    for (std::size_t j = 0; j < target.features.classes; ++j)
      if (!std::isfinite(x[j])) detail::throw_not_finite("features", static_cast<double>(x[j]), r, j);
    target.like.logits(detail::single_team{}, x, z.data());
    std::size_t best = 0;
    T first = -detail::infinite<T>, second = first;
    for (std::size_t c = 0; c < z.size(); ++c) {
      if (z[c] > first) {
        second = first, first = z[c], best = c;
      } else if (z[c] > second) {
        second = z[c];
      }
    }
    if (second == -detail::infinite<T>)
      raise<value_error>("limbeck: a margin needs the prototypes of two classes, and there are fewer");
    detail::put(labels_out, r, best);
    detail::put(margins_out, r, first - second);
  }
}

LIMBECK_END_NAMESPACE

#endif

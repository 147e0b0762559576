#ifndef LIMBECK_TARGET_ZIPF_LABELS_HPP
#define LIMBECK_TARGET_ZIPF_LABELS_HPP

/// @file
/// Customised soft labels without a teacher (USKD): ranks instead of probabilities.

#include <limbeck/core/executor.hpp>
#include <limbeck/target/row_functions.hpp>

#include <algorithm>
#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

[[noreturn]] inline void throw_no_class(std::int64_t label, std::size_t r, std::size_t classes) {
  raise<value_error>("limbeck: label " + std::to_string(label) + " in row " + std::to_string(r) + ", expected 0 to " +
                     std::to_string(classes - 1));
}

/// Sorts a row that all threads of a team see; all of them see it sorted, too.
template <class Team, class T, class Less>
LIMBECK_HOST_DEVICE void sort_row(const Team& team, std::span<T> x, const Less& less) {
  if constexpr (in_packs<Team>) {
    std::sort(x.begin(), x.end(), less);
  } else {
    // Batcher's bitonic sort, all of whose exchanges put the smaller one in front: what stands behind the end is never moved
    const std::size_t n = x.size();
    const auto exchange = [&](std::size_t flipped) {
      for (std::size_t i = team.rank(); i < n; i += team.size()) {
        const std::size_t j = i ^ flipped;
        if (j <= i || j >= n || !less(x[j], x[i])) continue;
        const T a = x[i];
        x[i] = x[j];
        x[j] = a;
      }
      team.wait();
    };
    for (std::size_t length = 2; length / 2 < n; length *= 2) {
      exchange(length - 1);
      for (std::size_t step = length / 4; step > 0; step /= 2) exchange(step);
    }
  }
}

}  // namespace detail

/// Zipf's law over the classes that are not the label; made by `zipf_labels`.
template <class Source>
struct zipf_target : detail::one_source<Source> {
  static constexpr bool needs_labels = true, needs_student = true;
  static constexpr std::size_t scratch_rows = 2 + Source::scratch_rows;
  /// @cond
  auto settled(double at) const {
    auto inner = detail::settled(this->source, at);
    return zipf_target<decltype(inner)>{{inner}};
  }
  /// @endcond

  template <class Row>
  LIMBECK_HOST_DEVICE void fill(const Row& r) const {
    using T = typename Source::scalar;
    const std::size_t n = r.out.size();
    if (!r.student.data || r.label < 0 || static_cast<std::size_t>(r.label) >= n) return detail::spoil(r);
    const auto y = static_cast<std::size_t>(r.label);
    const std::span<T> score = r.memory.first(n), e = r.memory.subspan(n, n);
    detail::fill_from(this->source, r, 2);
    detail::for_own<T>(r.team, n, [&](std::size_t c) { score[c] = T(0); });
    const auto add = [&](const T* z) {  // p_i/(1 - p_y), the sum over the others taken as such
      const auto s = detail::exponentials_of(r.team, z, n, T(1), e.data());
      if (!s.proper()) return false;
      T others = 0;
      detail::for_own<T>(r.team, n, [&](std::size_t c) {
        if (c != y) others += e[c];
      });
      others = detail::sum_over(r.team, others);
      detail::for_own<T>(r.team, n, [&](std::size_t c) { score[c] += e[c] / (others + T(1e-6) * s.sum); });
      return true;
    };
    bool good = add(r.out.data());
    if (good) {
      detail::for_own<T>(r.team, n, [&](std::size_t c) { r.out[c] = r.student(r.index, c); });
      good = add(r.out.data());
    }
    if (!good) return detail::spoil(r);
    // positions by sorting (score, class); e holds the order as numbers, so nothing is allocated
    detail::for_own<T>(r.team, n, [&](std::size_t c) { e[c] = static_cast<T>(c); });
    r.team.wait();
    detail::sort_row(r.team, e, [&](T a, T b) {
      const T x = score[static_cast<std::size_t>(a)], z = score[static_cast<std::size_t>(b)];
      return x > z || (x == z && a < b);
    });
    for (std::size_t i = r.team.rank(); i < n; i += r.team.size()) {
      const auto c = static_cast<std::size_t>(e[i]);
      r.out[c] = c == y ? -detail::infinite<T> : -std::log(static_cast<T>(i + 1));
    }
    r.team.wait();
  }
};

/// USKD's non-target labels: class i gets 1/position, normalised over the classes that are not the label y, where the
/// position is that of w_i/(1 - w_y + 1e-6) + s_i/(1 - s_y + 1e-6) in falling order, the label counted; w = softmax of
/// a weak head on a middle layer, s = softmax of the student, both held fixed. The label itself is masked. Ties: the
/// lower class.
///
/// `on<non_target>(soft_cross_entropy{})` at temperature 1 on it is USKD's L_non; its target part is a cross-entropy
/// with the row weights of `uskd_row_weights`, not a target; its weak head is trained by `cross_entropy{.smoothing =
/// 0.1}`. The published whole: L_t + 0.1 L_non + 0.005 L_weak. Yang et al., From Knowledge Distillation to
/// Self-Knowledge Distillation, 2023, arXiv:2303.13005. The authors' code ranks by log softmax(s)/(1 - log s_y) on the
/// student's side; here it is the probability, as w is there. At most 2^24 classes in float.
/// @param weak tensor or target: the weak head's logits
template <class X>
auto zipf_labels(X&& weak) {
  return zipf_target<detail::target_of<X>>{{detail::as_target(std::forward<X>(weak))}};
}

/// USKD's weight of each row in the cross-entropy of the label: s_y^2 + 1 - mean over the batch of s_y^2, s = softmax
/// of the student, held fixed. It relates rows to each other and so is no target: `given(weights) * cross_entropy{}` is
/// L_t.
///
/// Weights average to 1 and are never negative: rows that a student misses, while it is sure of all others, weigh
/// little. Yang et al., 2023, arXiv:2303.13005, and the authors' code (labels that are mixed are not offered).
/// @param student tensor of logits, samples x classes
/// @param labels one a row
/// @param out one number a row
/// @throws shape_error where lengths differ, value_error where a label is no class or a row has no softmax.
template <tensor X, class Labels, detail::sized_memory Out>
void uskd_row_weights(const X& student, const Labels& labels, Out&& out) {
  detail::require_host<X>();
  using T = typename tensor_traits<X>::scalar;
  const rows<const T> view = tensor_traits<X>::view(student);
  const any_vector y = detail::view_vector(labels);
  if (y.size() != view.samples) detail::throw_length("labels", y.size(), view.samples);
  const auto to = detail::vector_memory(out);
  if (to.size != view.samples) detail::throw_length("out", to.size, view.samples);
  std::vector<T> row(view.classes);
  std::vector<double> squares(view.samples);
  double mean_square = 0;
  for (std::size_t r = 0; r < view.samples; ++r) {
    const std::int64_t label = y.integer(r);
    if (label < 0 || static_cast<std::size_t>(label) >= view.classes)
      detail::throw_no_class(label, r, view.classes);
    for (std::size_t c = 0; c < view.classes; ++c) row[c] = view(r, c);
    const double surprise = detail::surprise_of(row.data(), row.size(), static_cast<std::size_t>(label));
    if (surprise != surprise) detail::throw_no_softmax("student", r);
    squares[r] = std::exp(-2 * surprise);
    mean_square += squares[r];
  }
  for (std::size_t r = 0; r < view.samples; ++r)
    detail::put(to, r, squares[r] + 1 - mean_square / static_cast<double>(view.samples));
}

LIMBECK_END_NAMESPACE

#endif

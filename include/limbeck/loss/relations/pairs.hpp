#ifndef LIMBECK_LOSS_RELATIONS_PAIRS_HPP
#define LIMBECK_LOSS_RELATIONS_PAIRS_HPP

/// @file
/// Who is what to whom: which candidates a contrastive loss pulls towards an anchor, which it pushes away, which it does not
/// see. A type with `needs_labels` and `roles_of(batch)`, which gives a functor `role(anchor, candidate)`.

#include <limbeck/core/errors.hpp>
#include <limbeck/loss/support.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// What a candidate is to an anchor.
enum class pair_role : unsigned char {
  ignored = 0,   ///< not seen
  negative = 1,  ///< to be told apart
  positive = 2   ///< to be near
};

namespace detail {

/// The row of the same number is the positive, all others are negatives.
struct own_row {
  static constexpr bool only_own = true;
  LIMBECK_HOST_DEVICE pair_role role(std::size_t i, std::size_t j) const {
    return i == j ? pair_role::positive : pair_role::negative;
  }
};
/// Labels as numbers of one type.
struct list_labels {
  any_vector labels;
  std::int64_t* out;
  std::size_t n;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    for_own<std::int64_t>(team, n, [&](std::size_t i) { out[i] = labels.integer(i); });
  }
};
template <class Batch>
const std::int64_t* labels_of(const Batch& x) {
  const std::size_t n = x.samples();
  std::int64_t* const out = x.memory.template take<std::int64_t>(n).data();
  x.each_row(1, n, list_labels{x.labels, out, n});
  return out;
}

/// By labels: those of the anchor's class are @p same, but for its own row, those of others are negatives.
struct by_label {
  static constexpr bool only_own = false;
  const std::int64_t* labels;
  pair_role same;
  LIMBECK_HOST_DEVICE pair_role role(std::size_t i, std::size_t j) const {
    if (i == j) return pair_role::positive;
    return labels[i] == labels[j] ? same : pair_role::negative;
  }
};
/// By a matrix over the rows of the call, those that do not count among them.
struct by_matrix {
  static constexpr bool only_own = false;
  rows<const unsigned char> roles;
  const std::size_t* call_rows;
  LIMBECK_HOST_DEVICE pair_role role(std::size_t i, std::size_t j) const {
    return static_cast<pair_role>(call_rows ? roles(call_rows[i], call_rows[j]) : roles(i, j));
  }
};
/// Candidates as anchors.
template <class Roles>
struct turned_roles {
  static constexpr bool only_own = Roles::only_own;
  Roles roles;
  LIMBECK_HOST_DEVICE pair_role role(std::size_t i, std::size_t j) const { return roles.role(j, i); }
};

/// Of a row of logits: the mean over its positives of log sum exp(all that are not ignored) - logit; 0 where it has none. The
/// logits become the slopes.
template <class T, class Roles>
struct contrast_row {
  rows<T> logits;
  Roles roles;

  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t i) const {
    T* const a = logits.row(i);
    const std::size_t n = logits.classes;
    double positives = 1, wanted = 0;  // how many, and the sum of their logits
    if constexpr (Roles::only_own) {
      wanted = static_cast<double>(a[i]);
    } else {
      team_array<double, 2> seen{};
      for_own<T>(team, n, [&](std::size_t j) {
        const pair_role role = roles.role(i, j);
        const double logit = static_cast<double>(a[j]);
        seen.v[0] += role == pair_role::positive;
        seen.v[1] += role == pair_role::positive ? logit : 0 * logit;  // NaN stays, though it be ignored
        if (role > pair_role::positive) seen.v[1] = std::numeric_limits<double>::quiet_NaN();  // no role
        if (role == pair_role::ignored) a[j] = std::numeric_limits<T>::lowest();
      });
      seen = team.sum(seen);
      positives = seen.v[0], wanted = seen.v[1];
      team.wait();
    }
    const T top = largest(team, a, n);
    team.wait();  // all have read the logits, which their owners overwrite
    const T total = exponentials(team, a, n, top);
    if (positives == 0) {
      for_own<T>(team, n, [&](std::size_t j) { a[j] = T(0); });
      return wanted;
    }
    if constexpr (Roles::only_own) {
      for_own<T>(team, n, [&](std::size_t j) { a[j] /= total; });
      team.wait();
      if (team.rank() == 0) a[i] -= T(1);
    } else {
      const T share = static_cast<T>(1 / positives);
      for_own<T>(team, n, [&](std::size_t j) {
        const pair_role role = roles.role(i, j);
        a[j] = role == pair_role::ignored ? T(0) : a[j] / total - (role == pair_role::positive ? share : T(0));
      });
    }
    return std::log(static_cast<double>(total)) - (wanted / positives - static_cast<double>(top));
  }
};

}  // namespace detail

/// The positive of a row is that of the other side with the same number, all others are negatives: what contrastive losses do
/// unless told.
struct all_others {
  static constexpr bool needs_labels = false;
  /// @cond
  template <class Batch>
  detail::own_row roles_of(const Batch&) const {
    return {};
  }
  /// @endcond
};

/// The positive of a row is that of the other side with the same number; rows of other classes are negatives, and the other
/// rows of its own class are not seen. Needs labels.
///
/// As in LinguGKD (Hu et al., Large Language Model Meets Graph Neural Network in Knowledge Distillation, and the authors'
/// `infoNCE_loss`).
struct other_classes {
  static constexpr bool needs_labels = true;
  /// @cond
  template <class Batch>
  detail::by_label roles_of(const Batch& x) const {
    return {detail::labels_of(x), pair_role::ignored};
  }
  /// @endcond
};

/// All rows of the anchor's class are its positives, those of other classes are negatives. Needs labels.
struct same_class {
  static constexpr bool needs_labels = true;
  /// @cond
  template <class Batch>
  detail::by_label roles_of(const Batch& x) const {
    return {detail::labels_of(x), pair_role::positive};
  }
  /// @endcond
};

/// What row j of the teacher is to row i of the student is told by element (i, j) of a matrix: 0 ignored, 1 negative, 2
/// positive. A row without a positive has the loss 0 and counts in the mean.
///
/// The matrix is over all rows of the call, those that do not count among them; it stands in the memory of the features (on a
/// device if they do) and outlives the objective.
/// @throws shape_error unless it is rows x rows of the call; value_error where an element between rows that count is above 2 (on a
///   device the value of its row is NaN).
struct pair_mask {
  static constexpr bool needs_labels = false;
  rows<const unsigned char> roles;  ///< of `pair_role`

  /// @cond
  template <class Batch>
  detail::by_matrix roles_of(const Batch& x) const {
    const std::size_t n = x.samples_of_call();
    if (roles.samples != n || roles.classes != n)
      raise<shape_error>("limbeck: pair_mask is " + std::to_string(roles.samples) + " x " + std::to_string(roles.classes) +
                         ", expected " + std::to_string(n) + " x " + std::to_string(n) + ", rows of the call on both sides");
    if constexpr (Batch::on_host) {
      for (std::size_t i = 0; i < x.samples(); ++i)
        for (std::size_t j = 0; j < x.samples(); ++j)
          if (const std::size_t r = x.row_of_call(i), c = x.row_of_call(j); roles(r, c) > 2)
            raise<value_error>("limbeck: pair_mask is " + std::to_string(roles(r, c)) + " at row " + std::to_string(r) + ", column " +
                               std::to_string(c) + ", expected 0 (ignored), 1 (negative) or 2 (positive)");
    }
    return {roles, x.call_rows.empty() ? nullptr : x.call_rows.data()};
  }
  /// @endcond
};

LIMBECK_END_NAMESPACE

#endif

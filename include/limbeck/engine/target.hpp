#ifndef LIMBECK_ENGINE_TARGET_HPP
#define LIMBECK_ENGINE_TARGET_HPP

/// @file
/// Targets: whatever yields a teacher's row. A call takes one in the place of its second tensor, and asks it for rows
/// as its sweep reaches them: a target of three teachers reads three tensors and writes no fourth.
///
/// A target has `using limbeck_target = void;`, `using scalar`, `samples()`, `classes()`,
/// `static constexpr std::size_t scratch_rows` and `void fill(const target_row<scalar>&) const`; where its row depends on
/// the label, `static constexpr bool needs_labels = true`; where on the student, `needs_student = true`. It holds
/// views: the tensors that it is made from outlive it. Targets nest. `fill` runs on the workers of the call and does not
/// throw: what is wrong when the target is made is refused there, what turns out wrong in a row is left in it as NaN, which
/// the call reports.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/core/stored_rows.hpp>
#include <limbeck/core/team.hpp>

#include <cstdint>
#include <span>

LIMBECK_BEGIN_NAMESPACE

/// A row that a target is asked for.
template <class T, class Team = detail::single_team>
struct target_row {
  std::size_t index;          ///< of the row
  std::span<T> out;           ///< one a class, to be written: logits (any shift is the same), -inf for a masked class
  std::span<T> memory;        ///< `scratch_rows` rows of `out.size()` numbers, content unspecified
  stored_rows<const T> student;  ///< all of the student's logits, held fixed; no data where there is no student
  std::int64_t label;         ///< of the row, -1 where there are no labels
  double progress;            ///< of the call, in [0, 1]
  Team team{};                ///< the threads that share the row
};

/// A type that yields teacher rows.
template <class X>
concept target = requires { typename std::remove_cvref_t<X>::limbeck_target; };

/// A tensor as a target: its own rows.
template <class T>
struct tensor_target {
  using limbeck_target = void;
  using scalar = T;
  static constexpr std::size_t scratch_rows = 0;
  stored_rows<const T> view;  ///< of the tensor
  std::size_t samples() const { return view.samples; }
  std::size_t classes() const { return view.classes; }
  void fill(const target_row<T>& r) const {
    for (std::size_t c = 0; c < view.classes; ++c) r.out[c] = view(r.index, c);
  }
};

namespace detail {

/// A tensor or a target, as a target: a tensor is looked at, a target is copied.
template <class X>
auto as_target(X&& x) {
  using Bare = std::remove_cvref_t<X>;
  constexpr bool made = requires { x.as_target(); };
  static_assert(target<Bare> || tensor<Bare> || made,
                "limbeck: this is neither a tensor of floats (is its backend's header included?) nor a target");
  if constexpr (target<Bare>) {
    return Bare(x);
  } else if constexpr (made) {
    return x.as_target();
  } else if constexpr (tensor<Bare>) {
    require_kept<X>();
    static_assert(std::is_same_v<typename tensor_traits<Bare>::sweep, host_rows>,
                  "limbeck: a target reads its tensors on the host, and this one lives on a device; copy it to the host");
    return tensor_target<typename tensor_traits<Bare>::scalar>{tensor_traits<Bare>::view(x)};
  }
}

template <class X>
constexpr bool target_needs_labels() {
  if constexpr (requires { X::needs_labels; }) {
    return X::needs_labels;
  } else {
    return false;
  }
}
template <class X>
constexpr bool target_needs_student() {
  if constexpr (requires { X::needs_student; }) {
    return X::needs_student;
  } else {
    return false;
  }
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif

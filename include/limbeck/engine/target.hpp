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
///
/// A target of device memory says so by `using memory = device_memory;`, is copied to the device by value, and has
/// `template <class Row> LIMBECK_HOST_DEVICE void fill(const Row&) const`: there `r.team` are the threads that share the
/// row, see core/team.hpp. All call it together; each writes its own elements of `out` (`r.each_own(f)`), and may read those at
/// once.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/number.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/core/stored_rows.hpp>
#include <limbeck/core/team.hpp>

#include <cstdint>
#include <span>

LIMBECK_BEGIN_NAMESPACE

/// A row that a target is asked for.
template <class T, class Team = detail::single_team>
struct target_row {
  using scalar = T;       ///< of the row
  using team_type = Team;  ///< of `team`
  std::size_t index;          ///< of the row
  std::span<T> out;           ///< one a class, to be written: logits (any shift is the same), -inf for a masked class
  std::span<T> memory;        ///< `scratch_rows` rows of `out.size()` numbers, content unspecified
  stored_rows<const T> student;  ///< all of the student's logits, held fixed; no data where there is no student
  std::int64_t label;         ///< of the row, -1 where there are no labels
  double progress;            ///< of the call, in [0, 1]
  [[no_unique_address]] Team team{};  ///< the threads that share the row; one on the host

  /// f(c) for each class that this thread writes: all of them on the host.
  template <class F>
  LIMBECK_HOST_DEVICE void each_own(F&& f) const {
    detail::for_own<T>(team, out.size(), f);
  }
};

/// A type that yields teacher rows.
template <class X>
concept target = requires { typename std::remove_cvref_t<X>::limbeck_target; };

/// @cond
namespace detail {

/// A team of several threads, whichever: no function of it is ever called.
struct some_team {
  static constexpr bool alone = false;
  template <class T>
  static constexpr std::size_t width = 1;
  LIMBECK_HOST_DEVICE static std::size_t rank();
  LIMBECK_HOST_DEVICE static std::size_t size();
  template <class A>
  LIMBECK_HOST_DEVICE A sum(const A&) const;
  template <class A>
  LIMBECK_HOST_DEVICE A highest(const A&) const;
  template <class F>
  LIMBECK_HOST_DEVICE auto once(F&& f) const -> decltype(f());
  LIMBECK_HOST_DEVICE static void wait();
};

template <class X>
struct target_memory_of {
  using type = host_rows;
};
template <class X>
  requires requires { typename X::memory; }
struct target_memory_of<X> {
  using type = typename X::memory;
};
/// Whose memory a target reads.
template <class X>
using target_memory = typename target_memory_of<std::remove_cvref_t<X>>::type;

/// A target as a device takes it: schedules are numbers at this @p progress, lists are arrays.
template <class X>
auto settled(const X& t, double progress) {
  if constexpr (requires { t.settled(progress); }) {
    return t.settled(progress);
  } else {
    return t;
  }
}
template <class X>
using settled_t = decltype(detail::settled(std::declval<const std::remove_cvref_t<X>&>(), 0.0));

}  // namespace detail
/// @endcond

/// A target whose `fill` takes a row that several threads share, as a device asks for it.
template <class X>
concept device_target = target<X> && requires(const std::remove_cvref_t<X>& t,
                                              const target_row<typename std::remove_cvref_t<X>::scalar, detail::some_team>& r) {
  t.fill(r);
};

/// A tensor as a target: its own rows.
template <class T, class Memory = host_rows>
struct tensor_target {
  using limbeck_target = void;
  using scalar = T;
  using memory = Memory;  ///< where the tensor lives
  static constexpr std::size_t scratch_rows = 0;
  static constexpr bool by_element = true;  ///< of the same elements of its sources alone
  stored_rows<const T> view;  ///< of the tensor
  std::size_t samples() const { return view.samples; }
  std::size_t classes() const { return view.classes; }
  template <class Row>
  LIMBECK_HOST_DEVICE void fill(const Row& r) const {
    detail::for_own<T>(r.team, view.classes, [&](std::size_t c) { r.out[c] = view(r.index, c); });
  }
};

namespace detail {

/// For functions that read or write their tensors on the host.
template <class... X>
constexpr void require_host() {
  static_assert((std::is_same_v<typename tensor_traits<std::remove_cvref_t<X>>::sweep, host_rows> && ...),
                "limbeck: this function reads its tensors on the host, and one of them lives on a device; copy it to the host");
}

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
    using Traits = tensor_traits<Bare>;
    return tensor_target<typename Traits::scalar, typename Traits::sweep>{Traits::view(x)};
  }
}

/// A target whose row can be read in parts: `open(row, memory)`, once a row, gives back a small reader, and
/// `read(reader, first, count, out)` is static. What reads each element once asks for parts that stay in the first cache.
template <class X>
concept read_in_parts = target<X> && requires(const X& t, const target_row<typename X::scalar>& r, typename X::scalar* out) {
  X::read(t.open(r, r.memory), std::size_t{}, std::size_t{}, out);
};
template <class X>
using reader_of_target = decltype(std::declval<const X&>().open(std::declval<const target_row<typename X::scalar>&>(), std::span<typename X::scalar>{}));
/// The most that a reader may take.
inline constexpr std::size_t bytes_of_reader = 512;

/// Whether each number of a target's row follows from those at the same place of its tensors, so that some classes can be asked
/// for alone.
template <class X>
inline constexpr bool is_by_element = false;
template <class X>
  requires requires { X::by_element; }
inline constexpr bool is_by_element<X> = X::by_element;

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

#ifndef LIMBECK_MAP_THROUGH_HPP
#define LIMBECK_MAP_THROUGH_HPP

/// @file
/// A loss between what maps make of student and teacher: `through(unit_rows{}, l1{})`, `through(p, identity{}, hint{})`.

#include <limbeck/loss/support.hpp>
#include <limbeck/map/columns.hpp>
#include <limbeck/map/map.hpp>
#include <limbeck/objective/inside.hpp>

#include <string>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

template <class M>
inline constexpr bool learns = requires { typename M::scalar; };
template <class A, class B>
using scalar_of_both = typename scalar_held<scalar_of_maps<A, B>>::type;
template <class M>
inline constexpr bool is_identity = std::is_same_v<M, identity>;

template <class T>
struct add_rows_to {
  rows<T> from, to;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    const T* const row = from.row(r);
    add_to_row(team, to, r, [&](std::size_t c) { return row[c]; });
  }
};

/// One side of a call: what it was, and what a map has made of it.
template <class T, class M, class Memory>
class mapped_side {
 public:
  mapped_side(const M& map, const batch<T, Memory>& in, const rows<const T>& from, const rows<T>& gradient, bool wants_gradient)
      : map_(map), in_(in), to_gradient_(gradient) {
    if constexpr (is_identity<M>) {
      mapped = from, slope = gradient;
    } else {
      if (!from.data) return;
      from_ = contiguous(in, from);
      const map_shape shape = shape_of(map, {from.samples, from.classes});
      made_ = take_matrix(in, shape.samples, shape.columns);
      apply_map<M, T>(map, from_, made_, in);
      mapped = made_;
      if (wants_gradient) slope = take_zeros(in, made_.samples, made_.classes);
    }
  }
  /// What the slope says of the tensor, and of what the map learns.
  void pull_back(const batch_number<Memory>& loss) {
    if constexpr (!is_identity<M>) {
      if (!slope.data) return;
      if (!to_gradient_.data || to_gradient_.class_stride == 1)
        return pull_back_map<M, T>(map_, from_, rows<const T>(made_), slope, to_gradient_, in_, loss);
      const rows<T> beside = take_zeros(in_, from_.samples, from_.classes);
      pull_back_map<M, T>(map_, from_, rows<const T>(made_), slope, beside, in_, loss);
      in_.each_row(beside.samples, beside.classes, add_rows_to<T>{beside, to_gradient_});
    }
  }

  rows<const T> mapped;  ///< what the loss sees
  rows<T> slope;         ///< where its gradient goes

 private:
  const M& map_;
  const batch<T, Memory>& in_;
  rows<T> to_gradient_;
  rows<const T> from_;
  rows<T> made_;
};

}  // namespace detail
/// @endcond

/// What `through` returns.
template <class S, class U, class E>
struct through_loss : detail::loss_around<E, detail::scalar_of_both<S, U>>, detail::memory_of_maps<S, U> {
  /// @cond
  using base = detail::loss_around<E, detail::scalar_of_both<S, U>>;
  using own_scalar = typename base::own_scalar;
  static constexpr const char* called = "through";
  static constexpr bool rows_are_kept = detail::keeps_rows<S> && detail::keeps_rows<U>;
  static constexpr bool by_row = detail::inner_traits<E>::by_row && rows_are_kept;
  static constexpr bool relates_rows =
      detail::inner_traits<E>::relates_rows || detail::relates_rows<S> || detail::relates_rows<U>;
  /// @endcond
  S of_student;  ///< the map of the student's rows
  U of_teacher;  ///< the map of the teacher's

  /// @p s, @p u and @p e as given.
  constexpr through_loss(S s, U u, E e) : base(std::move(e)), of_student(std::move(s)), of_teacher(std::move(u)) {
    static_assert(rows_are_kept || !detail::inner_traits<E>::Plan::labels,
                  "limbeck: a map makes other rows than those of the call, whose labels are not theirs");
    static_assert(!detail::learns<U> || base::into_teacher,
                  "limbeck: a map of the teacher learns by the loss's derivative by the teacher, and this loss has none");
  }

  /// What maps and losses learn.
  template <class F>
  void visit_learned(const F& f) const {
    detail::visit_learned_of(of_student, f);
    detail::visit_learned_of(of_teacher, f);
    base::visit_learned(f);
  }
  /// In words.
  std::string describe() const {
    return "through(" + detail::described(of_student) + ", " + detail::described(of_teacher) + ", " + detail::described_inside(this->inner) +
           ")";
  }
  /// @throws what maps and losses throw
  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    static_assert(std::is_void_v<own_scalar> || std::is_same_v<own_scalar, T>,
                  "limbeck: a map of through(map, loss) that learns has another scalar type than the features; give "
                  "projection<float> float features and projection<double> double");
    if constexpr (std::is_void_v<own_scalar> || std::is_same_v<own_scalar, T>) return run(x);
    return 0;
  }

 private:
  template <class T, class Memory>
  batch_number<Memory> run(const batch<T, Memory>& x) const {
    if (x.samples() == 0) return 0;
    if constexpr (batch<T, Memory>::on_host) {
      detail::check_finite(x, x.student, "student");
      if (x.teacher.data) detail::check_finite(x, x.teacher, "teacher");
    }
    detail::mapped_side<T, S, Memory> s(of_student, x, x.student, x.gradient, x.wants_gradient());
    const bool both = x.wants_teacher_gradient() || (detail::learns<U> && x.wants_gradient());
    detail::mapped_side<T, U, Memory> t(of_teacher, x, x.teacher, x.teacher_gradient, both);
    detail::inside<E, T, Memory> losses(this->inner, x);
    if constexpr (rows_are_kept) {
      losses.add({s.mapped, t.mapped, s.slope, t.slope, x.labels, x.weights, x.mean_over, x.call_rows, x.rows_of_call});
    } else {
      losses.add({s.mapped, t.mapped, s.slope, t.slope});
    }
    batch_number<Memory> value = losses.result();
    if constexpr (!batch<T, Memory>::on_host) value.of_logits = false;  // features are finite
    s.pull_back(value);
    t.pull_back(value);
    return value;
  }
};

/// @p loss between what @p of_student makes of the student's rows and what @p of_teacher makes of the teacher's. The loss is of any
/// kind, or a sum of losses with their weights, schedules, temperatures and signals. The gradient comes back through the maps.
///
/// Row weights, masks, labels and micro-batches are those of the call where the maps keep its rows and the losses are of rows;
/// a map whose rows depend on all of the call's, as those of `unit_range`, takes no micro-batches.
/// A map that learns (`through(p, identity{}, loss)`, p a `projection` that lives longer) gets its gradient with the student's, and
/// is stepped and saved by the trainer. Allocates nothing in a warm call: the rows that maps make stand in the workspace.
/// @throws shape_error where a map cannot take the rows, or makes rows that the loss cannot compare; value_error where a feature is
///   not finite, and what the losses throw, whose rows are those that they are shown.
template <class S, class U, class E>
constexpr auto through(S&& of_student, U&& of_teacher, const E& e) {
  static_assert(loss<E>, "limbeck: through(map, loss) and through(of_student, of_teacher, loss) take the loss last");
  using A = detail::map_type<S>;
  using B = detail::map_type<U>;
  return through_loss<A, B, E>(detail::as_map(std::forward<S>(of_student)), detail::as_map(std::forward<U>(of_teacher)), e);
}
/// The same map on both sides. One that learns stands on one side: `through(p, identity{}, loss)`.
template <class M, class E>
constexpr auto through(M&& map, const E& e) {
  static_assert(loss<E>, "limbeck: through(map, loss) and through(of_student, of_teacher, loss) take the loss last");
  using A = detail::map_type<M>;
  static_assert(!detail::learns<A>,
                "limbeck: a map that learns stands on one side: through(p, identity{}, loss) maps the student, through(identity{}, p, "
                "loss) the teacher");
  return through(map, map, e);
}

LIMBECK_END_NAMESPACE

#endif

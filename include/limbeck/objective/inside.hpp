#ifndef LIMBECK_OBJECTIVE_INSIDE_HPP
#define LIMBECK_OBJECTIVE_INSIDE_HPP

/// @file
/// An objective inside a batchwise loss: what shows other tensors than those of the call to losses of any kind. `through` shows what
/// a map makes of them, `grouped`, `by_channel`, `by_position` and `transposed` the same numbers as other rows.

#include <limbeck/loss/support.hpp>
#include <limbeck/objective/learned.hpp>
#include <limbeck/objective/run.hpp>
#include <limbeck/objective/words.hpp>

#include <algorithm>
#include <limits>
#include <span>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// The terms of @p e inside, the gradient of which is taken @p scale times.
template <class E>
auto inner_terms(const E& e, double progress, double scale) {
  return flatten(e, context<>{.progress = progress, .weight = scale});
}

template <class... Term>
constexpr bool terms_go_into_teacher(const hana::tuple<Term...>*) {
  return (takes_teacher_gradient<Term>() && ...);
}

/// What a loss made of another objective declares, by its types.
template <class E>
struct inner_traits {
  using terms = std::remove_cv_t<decltype(inner_terms(std::declval<const E&>(), 0.0, 1.0))>;
  using Plan = typename plan_of<terms>::type;

  template <class... Term>
  static constexpr bool by_row_of(const hana::tuple<Term...>*) {
    return ((!is<typename Term::loss_type, batchwise> || is_by_row<typename Term::loss_type>) && ...);
  }
  static constexpr bool by_row = by_row_of(static_cast<const terms*>(nullptr));
  template <class... Term>
  static constexpr bool relates_rows_of(const hana::tuple<Term...>*) {
    return (detail::relates_rows<typename Term::loss_type> || ...);
  }
  static constexpr bool relates_rows = relates_rows_of(static_cast<const terms*>(nullptr));
  static constexpr bool into_teacher = terms_go_into_teacher(static_cast<const terms*>(nullptr));

  template <class... Term>
  static constexpr bool whole_weighed(const hana::tuple<Term...>*) {
    return ((is<typename Term::loss_type, batchwise> && !std::is_same_v<typename Term::signal_type, no_signal>) || ...);
  }
  static constexpr bool checked() {
    static_assert(!whole_weighed(static_cast<const terms*>(nullptr)),
                  "limbeck: a signal weighs a batchwise loss of the call; inside of through(...) and its like it weighs losses of rows, and "
                  "stands around the whole otherwise");
    static_assert(!has_places<E>(), "limbeck: at<\"name\"> stands around through(...) and its like; inside there is one pair of tensors");
    static_assert(Plan::learned == 0,
                  "limbeck: a learned temperature stands outside of through(...) and its like, whose losses are run by themselves");
    static_assert(!measures_temperatures<E> && !Plan::temperatures_by_row,
                  "limbeck: per_row{} and signals as temperatures stand outside of through(...) and its like; inside a temperature is a "
                  "number, a schedule or standardized(T)");
    static_assert(statistics_of_terms<terms> == 0,
                  "limbeck: median_of, quantile_of, mean_of and share_of stand outside of through(...) and its like, which run their losses by themselves");
    static_assert(!Plan::template uses_domain<masked>,
                  "limbeck: class_mask(m) is of the call's columns; on<masked> has none inside of through(...) and its like");
    return true;
  }
};

/// An objective in words, in one line.
template <class E>
std::string described_inside(const E& e) {
  std::string all;
  for (const term_words& t : words_of(e)) {
    if (!all.empty()) all += " + ";
    for (const std::string* by : {&t.weight, &t.signal})
      if (!by->empty()) all += *by + " * ";
    all += t.loss;
    if (t.student != "1" || t.teacher != "1") all += " at " + t.student + (t.teacher == t.student ? "" : " and " + t.teacher);
  }
  return all;
}

/// The element type of what losses hold, where they hold something.
template <class L>
struct scalar_held {
  using type = void;
};
template <class L>
  requires requires { typename L::scalar; }
struct scalar_held<L> {
  using type = typename L::scalar;
};
template <class... T>
struct first_scalar {
  using type = void;
};
template <class T, class... Rest>
struct first_scalar<T, Rest...> {
  using type = std::conditional_t<std::is_void_v<T>, typename first_scalar<Rest...>::type, T>;
};
template <class Terms>
struct scalar_of_terms;
template <class... Term>
struct scalar_of_terms<hana::tuple<Term...>> : first_scalar<typename scalar_held<typename Term::loss_type>::type...> {};
template <class T>
struct with_scalar {
  using scalar = T;
};
template <>
struct with_scalar<void> {};

/// What all losses around an objective share: what the inner one says of teacher, labels and schedules, and what it learns. @p Own:
/// the element type of what the outer one holds.
template <class E, class Own = void>
struct loss_around : with_scalar<typename first_scalar<Own, typename scalar_of_terms<typename inner_traits<E>::terms>::type>::type> {
  using limbeck_loss = batchwise;
  using inner_type = E;
  using own_scalar = Own;
  static constexpr bool any_width = true;  // said by the inner losses, of what they are shown
  static constexpr bool needs_teacher = inner_traits<E>::Plan::teacher, needs_labels = inner_traits<E>::Plan::labels;
  static constexpr bool into_teacher = inner_traits<E>::into_teacher;
  E inner;
  constexpr explicit loss_around(E e) : inner(std::move(e)) { static_assert(inner_traits<E>::checked()); }
  /// What the inner losses hold.
  template <class F>
  void visit_learned(const F& f) const {
    for_each_learned(inner, f);
  }
};

/// The tensors that an inner objective is shown. The gradients are added to; they have no data where none is wanted.
template <class T>
struct inner_tensors {
  stored_rows<const T> student, teacher;
  stored_rows<T> gradient{}, teacher_gradient{};
  any_vector labels{}, weights{};
  double mean_over = 0;  ///< as in `batch`
  std::span<const std::size_t> call_rows{};  ///< which of the rows that count as one call these are, rising; empty: all
  std::size_t rows_of_call = 0;              ///< how many that has, where these are not all
};

template <class T>
problem<T> inner_problem(const inner_tensors<T>& x, double progress, std::int64_t unlabelled) {
  problem<T> in;
  in.student = x.student;
  in.teacher = x.teacher;
  in.gradient = x.gradient;
  in.teacher_gradient = x.teacher_gradient;
  in.add = in.add_teacher = true;
  in.labels = x.labels;
  in.row_weights = x.weights;
  in.mean_over = x.mean_over;
  in.progress = progress;
  in.ignore_index = (std::numeric_limits<std::int64_t>::min)();  // those rows are gone
  in.unlabelled_index = unlabelled;
  in.weights_are_signals = true;
  if (!x.call_rows.empty()) in.call_rows = x.call_rows.data(), in.rows_of_call = x.rows_of_call;
  return in;
}

/// Sums of losses inside, wherever their memory is; a backend with memory of its own specialises it.
template <class Memory>
class inner_sum;
template <>
class inner_sum<host_rows> {
 public:
  template <class T>
  explicit inner_sum(const batch<T>&) {}
  double result() const { return value_; }

  /// Adds @p factor times a loss on @p x.
  template <class T>
  void add(const batch<T>&, double factor, double loss, const inner_tensors<T>&) {
    value_ += factor * loss;
  }
  /// Adds @p factor times the losses of rows.
  template <class T, class Terms>
  void sweep(const batch<T>& outer, double factor, const problem<T>& in, const Terms& terms, workspace& ws) {
    executor_ref on = outer.on;
    value_ += factor * sweep_for<host_rows>::run<T, host_lanes<T>, sweep_mode<true, false, false>>(in, terms, ws, on).loss;
  }
  /// The teacher's gradient of the losses of rows.
  template <class T, class Terms>
  void sweep_back(const batch<T>& outer, const problem<T>& in, const Terms& terms, workspace& ws) {
    executor_ref on = outer.on;
    sweep_for<host_rows>::measure<T, host_lanes<T>, sweep_mode<true, false, false>>(in, terms, ws, on);
  }

 private:
  double value_ = 0;
};

/// An objective inside a batch: its terms, at the scale of the gradients that are wanted.
template <class E, class T, class Memory>
class inside {
 public:
  inside(const E& e, const batch<T, Memory>& outer)
      : outer_(outer),
        scale_(outer.scale == T(0) ? 1 : static_cast<double>(outer.scale)),  // a loss of weight 0 has a value, too
        terms_(inner_terms(e, outer.progress, scale_)),
        losses_(outer) {}

  /// Adds @p share of the loss on @p x; of gradients as much.
  void add(const inner_tensors<T>& x, double share = 1) {
    if (x.student.samples == 0) return;
    add_rows(x, share);
    add_whole(x, share);
  }
  /// That of the losses of rows.
  void add_rows(inner_tensors<T> x, double share = 1) {
    if constexpr (swept > 0) {
      drop_unwanted(x);
      const auto rows_of = shared(terms_that<is_swept>(terms_), share);
      problem<T> in = inner_problem(x, outer_.progress, outer_.unlabelled);
      check_terms(in, rows_of);
      if (!x.gradient.data) {  // goes nowhere: a second sweep without one would be compiled for calls of value() alone
        in.gradient = take_matrix(outer_, in.samples(), in.classes());
        in.add = false;
      }
      check_problem<Memory>(in, rows_of, true);
      if constexpr (goes_into_teacher && backward > 0)
        if (x.teacher_gradient.data && !batch<T, Memory>::on_host) sweep_back(in, rows_of);  // finds its faults below
      in_rows_shown([&] { losses_.sweep(outer_, 1 / scale_, in, rows_of, memory()); });
      if constexpr (goes_into_teacher && backward > 0)
        if (x.teacher_gradient.data && batch<T, Memory>::on_host) sweep_back(in, rows_of);
    }
  }
  /// That of the losses of the whole.
  void add_whole(inner_tensors<T> x, double share = 1) {
    drop_unwanted(x);
    if (x.teacher.data && x.teacher.samples != x.student.samples)
      throw_shape("teacher", x.teacher.samples, x.teacher.classes, x.student.samples, x.teacher.classes);
    hana::for_each(terms_that<is_whole>(terms_), [&](const auto& term) {
      using Loss = typename std::remove_cvref_t<decltype(term)>::loss_type;
      static_assert(lives_with<Loss, Memory>(),
                    "limbeck: what a loss inside of through(...) or its like holds lives in another memory (host or device) than the student");
      typename batch_memory<Memory>::scratch_type own(memory());
      const double weight = share * term.weight * power(term.student_t, term.power);
      const batch<T, Memory> y{x.student.as_native(), x.teacher.as_native(), x.labels, x.gradient.as_native(), static_cast<T>(weight),
                               term.student_t, term.teacher_t, own, outer_.on, outer_.dense, x.call_rows, x.rows_of_call,
                               x.teacher_gradient.as_native(), x.weights, x.mean_over, outer_.progress, outer_.unlabelled};
      in_rows_shown([&] { losses_.add(outer_, weight / scale_, term.loss(y), x); });
    });
  }
  /// The sum.
  batch_number<Memory> result() const { return losses_.result(); }

 private:
  using terms = typename inner_traits<E>::terms;
  static constexpr std::size_t swept = decltype(hana::length(terms_that<is_swept>(std::declval<const terms&>())))::value;
  static constexpr bool goes_into_teacher = inner_traits<E>::into_teacher;
  static constexpr std::size_t backward = decltype(hana::length(terms_that<is_mirrored>(std::declval<const terms&>())))::value;

  /// Far enough from what the outer call holds: its counted rows stand two steps beside the memory of its terms.
  auto& memory() const { return outer_.memory.source().beside().beside().beside(); }
  /// Rows of which losses inside complain are those that they are shown: nobody takes them for the call's.
  template <class F>
  static void in_rows_shown(const F& run) {
    attempt<row_error>(run, [](const row_error& e) { raise<value_error>(e.what()); });
  }
  void drop_unwanted(inner_tensors<T>& x) const {
    if (outer_.scale == T(0)) x.gradient = x.teacher_gradient = {};
  }
  template <class Terms>
  static Terms shared(Terms some, double share) {
    hana::for_each(some, [&](auto& term) { term.weight *= share; });
    return some;
  }
  template <class Terms>
  void sweep_back(const problem<T>& in, const Terms& rows_of) {
    losses_.sweep_back(outer_, mirrored_problem(in), mirrored_terms(terms_that<is_mirrored>(rows_of)), memory());
  }

  const batch<T, Memory>& outer_;
  double scale_;
  terms terms_;
  inner_sum<Memory> losses_;
};

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif

#ifndef LIMBECK_OBJECTIVE_OBJECTIVE_HPP
#define LIMBECK_OBJECTIVE_OBJECTIVE_HPP

/// @file
/// The call: `objective(student, teacher, labels, progress, into(gradient), workspace, ...)`.
///
/// Checks shapes and settings, reads the terms at this progress, and runs one sweep of the rows. Throws `shape_error`
/// and `value_error`; inputs stay as they were. With `into` and a workspace that has served a call of this size before,
/// nothing is allocated.

#include <limbeck/engine/sweep.hpp>
#include <limbeck/objective/arguments.hpp>
#include <limbeck/objective/expression.hpp>
#include <limbeck/objective/report.hpp>

#include <boost/hana/for_each.hpp>

#include <functional>
#include <tuple>

LIMBECK_BEGIN_NAMESPACE

/// What a call without `into` returns: `auto [loss, gradient] = objective(student, teacher, labels);`
template <class Gradient>
struct evaluation_with_gradient : evaluation {
  Gradient gradient;  ///< with respect to the student's logits, a tensor of its kind
  /// For structured bindings: loss, gradient.
  template <std::size_t Index>
  const auto& get() const {
    if constexpr (Index == 0) {
      return this->loss;
    } else {
      return gradient;
    }
  }
};

namespace detail {

template <class Loss, bool HasTeacher>
constexpr void require_teacher() {
  static_assert(HasTeacher || !needs_teacher<Loss>(),
                "limbeck: this loss compares with a teacher; pass the teacher's logits as the second argument");
}
template <class Loss, class Domain, bool HasLabels, bool HasSoft>
constexpr void require_labels() {
  static_assert(HasLabels || !std::is_same_v<Domain, non_target>,
                "limbeck: on<non_target> needs the labels; pass them after the teacher");
  static_assert(HasLabels || !needs_labels<Loss>() || (HasSoft && takes_soft_labels<Loss>),
                "limbeck: this loss needs labels; pass a vector of integers after the teacher");
}

/// Whether a call returns the derivative with respect to a temperature of this term.
template <class Term, bool RowGradient>
inline constexpr bool wants_temperature =
    sweep_mode<true, false, RowGradient>::template wants<typename Term::student_slot> ||
    sweep_mode<true, false, RowGradient>::template wants<typename Term::teacher_slot>;

/// All that can be said of a call by its types alone.
template <class T, class Plan, class Signature>
struct require_call;
template <class T, class... Term, class Signature>
struct require_call<T, plan<Term...>, Signature> {
  using P = plan<Term...>;
  static constexpr bool checked() {
    (require_teacher<typename Term::loss_type, Signature::teacher>(), ...);
    (require_labels<typename Term::loss_type, typename Term::domain, Signature::labels, Signature::soft_labels>(), ...);
    static_assert(!P::uses_row_temperatures || Signature::template has<input::row_temperatures>,
                  "limbeck: a term stands at_temperature(per_row{}, ...); pass row_temperatures(T)");
    static_assert(P::uses_row_temperatures || !Signature::template has<input::row_temperatures>,
                  "limbeck: row_temperatures(T) is given, but no term stands at_temperature(per_row{}, ...)");
    static_assert(!P::template uses_domain<masked> || Signature::template has<input::class_mask>,
                  "limbeck: a term stands on<masked>; pass class_mask(m)");
    static_assert(P::template uses_domain<masked> || !Signature::template has<input::class_mask>,
                  "limbeck: class_mask(m) is given, but no term stands on<masked>");
    static_assert(P::uses_soft_labels || !Signature::soft_labels,
                  "limbeck: soft_labels(P) is given, but no term takes them; cross_entropy does");
    static_assert(P::learned <= 8, "limbeck: at most 8 learned temperatures in one objective");
    constexpr bool row_gradient = Signature::template temperature_output<T>;
    static_assert(!((is<typename Term::loss_type, labelwise> && needs_teacher<typename Term::loss_type>() &&
                     (wants_temperature<Term, row_gradient>)) ||
                    ...),
                  "limbeck: the target part of dkd and nkd has no gradient with respect to a learned temperature");
    static_assert(!((is<typename Term::loss_type, rowwise> && wants_temperature<Term, row_gradient>) || ...),
                  "limbeck: a rowwise loss has no gradient with respect to a learned temperature");
    return true;
  }
};

template <class T>
bool overlaps(const rows<const T>& a, const rows<const T>& b) {
  const auto ends = [](const rows<const T>& x) {
    const T* low = x.data;
    const T* high = x.data;
    const auto stretch = [&](std::size_t n, std::ptrdiff_t stride) {
      (stride < 0 ? low : high) += stride * (static_cast<std::ptrdiff_t>(n) - 1);
    };
    stretch(x.samples, x.sample_stride);
    stretch(x.classes, x.class_stride);
    return std::pair{low, high + 1};
  };
  if (!a.data || !b.data || !a.samples || !b.samples || !a.classes || !b.classes) return false;
  const auto [a0, a1] = ends(a);
  const auto [b0, b1] = ends(b);
  return std::less<>{}(a0, b1) && std::less<>{}(b0, a1);
}

/// Shapes, before the sweep.
template <class T>
void check_shapes(const problem<T>& in, bool gradient) {
  if (in.classes() == 0 && in.samples() > 0) throw_shape("student", in.samples(), 0, in.samples(), 1);
  const auto same_shape = [&](const char* name, const rows<const T>& x) {
    if (x.samples != in.samples() || x.classes != in.classes())
      throw_shape(name, x.samples, x.classes, in.samples(), in.classes());
  };
  if (in.soft_labels.data) same_shape("soft_labels", in.soft_labels);
  if (gradient) {
    const rows<const T> g = in.gradient;
    same_shape("gradient", g);
    const auto no_overlap = [&](const char* name, const rows<const T>& x) {
      if (overlaps(g, x))
        throw value_error(std::string("limbeck: gradient overlaps ") + name + "; outputs need memory of their own");
    };
    no_overlap("student", in.student);
    no_overlap("teacher", in.teacher);
    no_overlap("soft_labels", in.soft_labels);
  }
}

/// Weights and the normaliser of rows that the host can read, before the sweep.
template <class T>
void weigh_rows(problem<T>& in) {
  const bool alike = !in.row_weights.data() && !in.row_mask.data() && !in.labels.data();
  double weight = alike ? static_cast<double>(in.samples()) : 0;
  bool any = alike && in.samples() > 0;
  for (std::size_t r = 0; !alike && r < in.samples(); ++r) {
    const double w = in.weight(r);
    if (!(w >= 0 && w < 1e300)) throw_fault(in, fault::row_weights, r);
    if (in.valid(r)) weight += w, any = true;
  }
  if (any && weight == 0 && in.reduce == reduction::mean && in.mean_over == 0)
    throw_fault(in, fault::no_weight, 0);
  const double over = in.reduce != reduction::mean ? 1 : in.mean_over > 0 ? in.mean_over : weight;
  in.normalizer = over > 0 ? 1 / over : 0;
}

/// A sweep: where the rows live decides. Backends specialise it for their own kind of memory.
template <class Sweep>
struct sweep_for;
template <>
struct sweep_for<host_rows> {
  template <class T>
  static void prepare(problem<T>& in) {
    weigh_rows(in);
  }
  template <class T, class Lanes, class Mode, class Terms, class Executor>
  static evaluation run(const problem<T>& in, const Terms& terms, workspace& ws, Executor& executor) {
    return host_sweep<T, Lanes, Terms, Mode>(in, terms).run(ws, executor);
  }
  template <class T>
  static double squared_norm(const rows<T>& x) {
    double squares = 0;
    for (std::size_t r = 0; r < x.samples; ++r)
      for (std::size_t c = 0; c < x.classes; ++c) squares += static_cast<double>(x(r, c)) * static_cast<double>(x(r, c));
    return squares;
  }
};

template <class Sweep, class T>
void check_problem(problem<T>& in, bool gradient) {
  check_shapes(in, gradient);
  sweep_for<Sweep>::prepare(in);
}

/// f(terms at this progress, problem, workspace, executor, signature) for the arguments of a call.
template <class Student, class E, class F, class... Args>
auto with_problem(const E& e, F&& f, Student& student, Args&... args) {
  using Bare = std::remove_cvref_t<Student>;
  require_tensor<Bare>();
  (require_argument<std::remove_cvref_t<Args>>(), ...);
  if constexpr (tensor<Bare>) {
    using Traits = tensor_traits<Bare>;
    using T = typename Traits::scalar;
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "limbeck: logits are float or double");
    using Signature = signature<Bare, std::remove_cvref_t<Args>...>;
    static_assert(Signature::tensors <= 2, "limbeck: there is one student and one teacher; further tensors have names");
    problem<T> in;
    using Workspace = workspace_of<typename Traits::sweep>;
    Workspace local;
    Workspace* ws = &local;
    std::size_t seen = 0;
    apply_argument<T, typename Traits::sweep>(in, ws, seen, student);
    (apply_argument<T, typename Traits::sweep>(in, ws, seen, args), ...);
    const auto terms = flatten(e, context<>{.progress = in.progress});
    using Plan = typename plan_of<std::remove_cv_t<decltype(terms)>>::type;
    static_assert(require_call<T, Plan, Signature>::checked());
    return f(terms, in, *ws, executor_of(args...), Signature{});
  }
}

}  // namespace detail

template <class Self>
template <class... Args>
auto callable<Self>::operator()(Args&&... args) const {
  const auto evaluate = [&](const auto& terms, auto& in, auto& ws, auto& executor, auto signature) {
    using Signature = decltype(signature);
    using Traits = typename Signature::student_traits;
    using T = typename Traits::scalar;
    using Mode = detail::sweep_mode<true, Signature::soft_labels, Signature::template temperature_output<T>>;
    const auto run = [&] {
      detail::check_problem<typename Traits::sweep>(in, true);
      return detail::sweep_for<typename Traits::sweep>::template run<T, typename Traits::template lanes<T>, Mode>(
          in, terms, ws, executor);
    };
    if constexpr (Signature::gradient) {
      return run();
    } else {
      static_assert(!Signature::deferred,
                    "limbeck: deferred(result) goes with into(gradient): a gradient that the call makes would be gone "
                    "before the device has written it");
      const auto& student = std::get<0>(std::forward_as_tuple(args...));
      using Gradient = decltype(Traits::gradient_like(student));
      evaluation_with_gradient<Gradient> result{{}, Traits::gradient_like(student)};
      in.gradient = Traits::view_gradient(result.gradient, student);
      static_cast<evaluation&>(result) = run();
      return result;
    }
  };
  return detail::with_problem(static_cast<const Self&>(*this), evaluate, args...);
}

template <class Self>
template <class... Args>
auto callable<Self>::value(Args&&... args) const {
  const auto evaluate = [&](const auto& terms, auto& in, auto& ws, auto& executor, auto signature) {
    using Signature = decltype(signature);
    using Traits = typename Signature::student_traits;
    using T = typename Traits::scalar;
    static_assert(!Signature::gradient, "limbeck: value() writes no gradient; call the objective itself");
    detail::check_problem<typename Traits::sweep>(in, false);
    const auto run = [&] {
      return detail::sweep_for<typename Traits::sweep>::template run<
          T, typename Traits::template lanes<T>, detail::sweep_mode<false, Signature::soft_labels, false>>(in, terms, ws,
                                                                                                           executor);
    };
    if constexpr (std::is_void_v<decltype(run())>) {
      run();
    } else {
      return run().loss;
    }
  };
  return detail::with_problem(static_cast<const Self&>(*this), evaluate, args...);
}

template <class Self>
template <class... Args>
auto callable<Self>::report(Args&&... args) const {
  const auto evaluate = [&](const auto& terms, auto& in, auto& ws, auto& executor, auto signature) {
    using Signature = decltype(signature);
    using Traits = typename Signature::student_traits;
    using T = typename Traits::scalar;
    using Mode = detail::sweep_mode<true, Signature::soft_labels, false>;
    using Sweep = detail::sweep_for<typename Traits::sweep>;
    static_assert(!Signature::deferred, "limbeck: a report reads its numbers at once; leave deferred(result) out");
    const auto& student = std::get<0>(std::forward_as_tuple(args...));
    auto gradient = Traits::gradient_like(student);
    in.gradient = Traits::view_gradient(gradient, student);
    detail::check_problem<typename Traits::sweep>(in, true);
    objective_report out;
    boost::hana::for_each(terms, [&](const auto& term) {
      const auto alone = boost::hana::make_tuple(term);
      const evaluation e =
          Sweep::template run<T, typename Traits::template lanes<T>, Mode>(in, alone, ws, executor);
      out.add(term.name, term.weight, e.loss, Sweep::squared_norm(in.gradient));
    });
    return out;
  };
  return detail::with_problem(static_cast<const Self&>(*this), evaluate, args...);
}

template <class Self>
plan_text callable<Self>::plan(double progress) const {
  return plan_text(detail::flatten(static_cast<const Self&>(*this), detail::context<>{.progress = progress}));
}

LIMBECK_END_NAMESPACE

/// @cond
template <class G>
struct std::tuple_size<limbeck::evaluation_with_gradient<G>> : std::integral_constant<std::size_t, 2> {};
template <class G>
struct std::tuple_element<0, limbeck::evaluation_with_gradient<G>> {
  using type = const double;
};
template <class G>
struct std::tuple_element<1, limbeck::evaluation_with_gradient<G>> {
  using type = const G;
};
/// @endcond

#endif

#ifndef LIMBECK_OBJECTIVE_REQUIREMENTS_HPP
#define LIMBECK_OBJECTIVE_REQUIREMENTS_HPP

/// @file
/// What can be wrong with a call: by its types, as one sentence at compile time; by its shapes, as an exception before
/// the sweep.

#include <limbeck/engine/batch.hpp>
#include <limbeck/engine/statistics.hpp>
#include <limbeck/objective/arguments.hpp>
#include <limbeck/objective/mirrored.hpp>

#include <functional>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class Loss, class Signal, bool HasTeacher>
constexpr void require_teacher() {
  static_assert(HasTeacher || !needs_teacher<Loss>(),
                "limbeck: this loss compares with a teacher; pass the teacher's logits as the second argument");
  static_assert(HasTeacher || !Signal::needs_teacher,
                "limbeck: this signal reads the teacher; pass the teacher's logits as the second argument");
}
template <class Loss, class Domain, class Signal, bool HasLabels, bool HasSoft>
constexpr void require_labels() {
  static_assert(HasLabels || !Signal::needs_labels,
                "limbeck: this signal needs labels; pass a vector of integers after the logits");
  static_assert(HasLabels || !std::is_same_v<Domain, non_target>,
                "limbeck: on<non_target> needs the labels; pass them after the teacher");
  static_assert(HasLabels || !needs_labels<Loss>() || (HasSoft && takes_soft_labels<Loss>),
                "limbeck: this loss needs labels; pass a vector of integers after the teacher");
}

/// A batchwise loss takes a batch of the memory that the rows live in.
template <class Loss, class T, class Memory>
constexpr void require_memory() {
  if constexpr (is<Loss, batchwise> && !std::is_same_v<Memory, host_rows>)
    static_assert(std::is_invocable_v<const Loss&, const batch<T, Memory>&>,
                  "limbeck: this batchwise loss, or what it learns, lives on the host, and these rows on a device");
}
/// Whether a loss can read what it holds where the student lives; most hold nothing.
template <class Loss, class Sweep>
constexpr bool lives_with() {
  if constexpr (requires { typename Loss::memory; }) {
    return std::is_same_v<typename Loss::memory, Sweep>;
  } else {
    return true;
  }
}

/// Whether a call returns the derivative with respect to a temperature of this term.
template <class Term, bool RowGradient>
inline constexpr bool wants_temperature =
    sweep_mode<true, false, RowGradient>::template wants<typename Term::student_slot> ||
    sweep_mode<true, false, RowGradient>::template wants<typename Term::teacher_slot>;

/// All that can be said of a call by its types alone.
template <class T, class Plan, class Signature, bool Measured, bool Scheduled>
struct require_call;
template <class T, class... Term, class Signature, bool Measured, bool Scheduled>
struct require_call<T, plan<Term...>, Signature, Measured, Scheduled> {
  using P = plan<Term...>;
  template <class... Tag>
  static constexpr void require_named(tag_list<Tag...>) {
    (Tag::template require<P, Signature::template has<Tag>, Measured>(), ...);
  }
  static constexpr bool checked() {
    static_assert(!Signature::twice,
                  "limbeck: an argument is given twice (a gradient, labels, weights, progress, a workspace, ...); a call "
                  "has one of each");
    static_assert(!Scheduled || Signature::has_progress,
                  "limbeck: this objective has a schedule; pass lk::progress(step, steps), where the run is");
    constexpr bool fine = Signature::unread_is_fine;
    static_assert(fine || Scheduled || Signature::has_target || !Signature::has_progress,
                  "limbeck: progress is given, but this objective has no schedule that would read it; leave it out, or "
                  "pass unread_is_fine");
    static_assert(fine || !Signature::teacher || P::teacher,
                  "limbeck: a teacher is given, but no term and no signal reads it; leave it out, or pass unread_is_fine "
                  "(one-hot rows and probabilities in the place of labels are soft_labels(P))");
    static_assert(fine || !Signature::labels || P::labels || Signature::target_needs_labels || Signature::says_labels,
                  "limbeck: labels are given, but no term, signal or target reads them; where they only say which rows "
                  "are left out, pass ignore_index(-100)");
    (require_teacher<typename Term::loss_type, typename Term::signal_type, Signature::teacher>(), ...);
    (require_labels<typename Term::loss_type, typename Term::domain, typename Term::signal_type, Signature::labels,
                    Signature::soft_labels>(),
     ...);
    static_assert(Signature::labels || !Signature::target_needs_labels,
                  "limbeck: this target mixes the labels in; pass a vector of integers after it");
    static_assert((Term::signal_type::template lives_in<typename Signature::student_traits::sweep> && ...),
                  "limbeck: given(v) lives in another memory (host or device) than the student");
    static_assert((lives_with<typename Term::loss_type, typename Signature::student_traits::sweep>() && ...),
                  "limbeck: what a loss holds (sparse rows, a projection, variances) lives in another memory (host or device) "
                  "than the student; on_device(store) copies sparse rows, a projection<T, device_memory> lives on a device");
    require_named(named_tags{});
    static_assert(!Signature::teacher_gradient || (P::teacher && !Signature::has_target),
                  "limbeck: into_teacher(g) is the gradient of a teacher's tensor that a loss reads; a target's tensors have none");
    static_assert(!Signature::teacher_gradient || (takes_teacher_gradient<Term>() && ...),
                  "limbeck: into_teacher(g): a term of this objective has no derivative by its teacher; sums over columns have one, "
                  "without a domain, a signal or a deviation as temperature, and batchwise losses that say into_teacher");
    (require_memory<typename Term::loss_type, T, typename Signature::student_traits::sweep>(), ...);
    static_assert(P::learned <= 8, "limbeck: at most 8 learned temperatures in one objective");
    constexpr bool row_gradient = Signature::temperature_output;
    static_assert(!((is<typename Term::loss_type, labelwise> && needs_teacher<typename Term::loss_type>() &&
                     wants_temperature<Term, row_gradient> && !is_deviation<typename Term::student_slot>) ||
                    ...),
                  "limbeck: the target part of dkd and nkd has no gradient with respect to a learned temperature");
    static_assert(!((is<typename Term::loss_type, rowwise> && wants_temperature<Term, row_gradient> &&
                     !is_deviation<typename Term::student_slot> && !is_deviation<typename Term::teacher_slot>) ||
                    ...),
                  "limbeck: a rowwise loss has no gradient with respect to a learned temperature");
    return true;
  }
};

template <class T>
bool overlaps(const stored_rows<T>& a, const stored_rows<const T>& b) {
  const auto ends = [](const auto& x) {
    const auto bytes = static_cast<std::ptrdiff_t>(size_of(x.type));
    const char* low = static_cast<const char*>(static_cast<const void*>(x.data));
    const char* high = low;
    const auto stretch = [&](std::size_t n, std::ptrdiff_t stride) {
      (stride < 0 ? low : high) += stride * (static_cast<std::ptrdiff_t>(n) - 1) * bytes;
    };
    stretch(x.block != 0 ? x.block : x.samples, x.sample_stride);
    if (x.block != 0) stretch(x.samples / x.block, x.block_stride);
    stretch(x.classes, x.class_stride);
    return std::pair{low, high + bytes};
  };
  if (!a.data || !b.data || !a.samples || !b.samples || !a.classes || !b.classes) return false;
  const auto [a0, a1] = ends(a);
  const auto [b0, b1] = ends(b);
  return std::less<>{}(a0, b1) && std::less<>{}(b0, a1);
}

/// Shapes, before the sweep. @p any_width: student and teacher may have different numbers of columns, unless the teacher is
/// made of the student's.
template <class T>
void check_shapes(const problem<T>& in, bool gradient, bool any_width) {
  if (in.classes_of_row() == 0 && in.samples() > 0) throw_shape("student", in.samples(), 0, in.samples(), 1);
  any_width = any_width && !in.target.needs_student;
  const auto teacher_shape = [&](const char* name, std::size_t samples, std::size_t classes) {
    if (samples != in.samples() || (classes != in.classes() && !any_width))
      throw_shape(name, samples, classes, in.samples(), any_width ? classes : in.classes());
  };
  if (in.target.fill) {
    teacher_shape("target", in.target.samples, in.target.classes);
  } else if (in.teacher.data || in.teacher.samples || in.teacher.classes) {
    teacher_shape("teacher", in.teacher.samples, in.teacher.classes);
  }
  const auto same_shape = [&](const char* name, const auto& x) {
    if (x.samples != in.samples() || x.classes != in.classes())
      throw_shape(name, x.samples, x.classes, in.samples(), in.classes());
  };
  if (in.soft_labels.data) same_shape("soft_labels", in.soft_labels);
  if (gradient) {
    const stored_rows<T>& g = in.gradient;
    same_shape("gradient", g);
    const auto no_overlap = [&](const char* name, const stored_rows<const T>& x) {
      if (overlaps(g, x))
        raise<value_error>(std::string("limbeck: gradient overlaps ") + name + "; outputs need memory of their own");
    };
    no_overlap("student", in.student);
    no_overlap("teacher", in.teacher);
    no_overlap("soft_labels", in.soft_labels);
  }
  if (const stored_rows<T>& g = in.teacher_gradient; gradient && g.data) {
    if (g.samples != in.teacher.samples || g.classes != in.teacher.classes)
      throw_shape("teacher gradient", g.samples, g.classes, in.teacher.samples, in.teacher.classes);
    if (overlaps(g, stored_rows<const T>(in.gradient)) || overlaps(g, in.student) || overlaps(g, in.teacher))
      raise<value_error>("limbeck: teacher gradient overlaps student, teacher or gradient; outputs need memory of their own");
  }
}

/// A softmax over one class is 1 whatever the logit: losses of it are 0, and so are their gradients.
template <class T>
void require_two_classes(const problem<T>& in) {
  if (in.classes_of_row() == 1 && in.samples() > 0)
    raise<shape_error>("limbeck: student has shape " + std::to_string(in.samples()) +
                       " x 1, and a softmax over one class is 1 whatever the logit; a head of one logit (binary, "
                       "multi-label, regression) needs a loss of another kind, such as mse");
}

/// Weights and the normaliser of rows that the host can read, before the sweep.
template <class T>
void weigh_rows(problem<T>& in) {
  const bool alike = !in.row_weights.data() && !in.row_mask.data() && !in.class_mask.data() && !in.labels.data();
  double weight = alike ? static_cast<double>(in.samples()) : 0;
  bool any = alike && in.samples() > 0;
  for (std::size_t r = 0; !alike && r < in.samples(); ++r) {
    if (const fault bad = in.bad_weight(r); bad != fault::none) throw_fault(in, bad, r);
    if (in.shown(r)) weight += in.weight(r), any = true;
  }
  if (any && weight == 0 && in.reduce == reduction::mean && in.mean_over == 0)
    throw_fault(in, fault::no_weight, 0);
  const double over = in.reduce != reduction::mean ? 1 : in.mean_over > 0 ? in.mean_over : weight;
  in.normalizer = over > 0 ? 1 / over : 0;
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif

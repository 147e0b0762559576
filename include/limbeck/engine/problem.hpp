#ifndef LIMBECK_ENGINE_PROBLEM_HPP
#define LIMBECK_ENGINE_PROBLEM_HPP

/// @file
/// The arguments of one call, as the sweeps see them: views and numbers, no tensor type left.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/engine/pack.hpp>
#include <limbeck/engine/target.hpp>

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <type_traits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

class communicator_ref;

/// What an objective returns. Converts to its loss.
struct evaluation {
  double loss = 0;          ///< the reduced loss
  double weight = 0;        ///< sum of the weights of the valid rows, which `mean` divides by
  std::size_t rows = 0;     ///< number of valid rows: not masked, not ignored, of a weight that is not 0
  /// d loss / d T of each `learned` temperature, in order of appearance.
  std::array<double, 8> temperature_gradient{};
  /// The loss.
  constexpr operator double() const { return loss; }
};

namespace detail {

enum class reduction { mean, sum, none };

/// What can be wrong with a row; weights and their sum are found by the host before its sweep, by a device inside it.
enum class fault : int {
  none, label, row_temperature, student, teacher, soft_labels, row_weights, row_mask, class_mask, no_weight, signal, value,
  student_number, teacher_number, range,  // of losses between rows
  setting
};

/// Where a fault is and what stands there: all that its message needs.
struct fault_place {
  fault code = fault::none;
  std::size_t row = 0, column = 0;
  bool has_column = false;
  double value = 0;
  std::int64_t label = 0;
  double loss = 0;          // out of the range of float, or double; the largest number is to blame
  bool in_float = false, of_teacher = false;
};

/// A value_error whose message says " at row N", a row of those that the loss was shown.
struct row_error : value_error {
  using value_error::value_error;
};

[[noreturn]] inline void throw_not_finite(const char* argument, double value, std::size_t row, std::size_t column) {
  raise<row_error>(std::string("limbeck: ") + argument + " is " + show(value) + " at row " + std::to_string(row) +
                   ", column " + std::to_string(column) + ", expected " +
                   (value - value == 0 ? "a number of at most 1e30 in float, 1e300 in double" : "a finite number"));
}

/// A target in the place of a teacher's tensor; its type is gone, so that it adds no sweep.
template <class T>
struct target_reference {
  const void* object = nullptr;
  void (*fill)(const void*, const target_row<T>&) = nullptr;
  void (*settle)(const void*, double, void*) = nullptr;  ///< as a device takes it, at a progress, into memory of its size
  void (*open)(const void*, const target_row<T>&, void*) = nullptr;  ///< once a row, where it is read in parts: its reader, into memory
  void (*read)(const void*, std::size_t, std::size_t, T*) = nullptr;  ///< by that reader: so many from a first one
  std::size_t samples = 0, classes = 0, scratch_rows = 0;
  bool needs_student = false;

  target_reference() = default;
  template <class Target>
  explicit target_reference(const Target& t)
      : object(&t), fill([](const void* who, const target_row<T>& r) { static_cast<const Target*>(who)->fill(r); }),
        samples(t.samples()), classes(t.classes()), scratch_rows(Target::scratch_rows),
        needs_student(target_needs_student<Target>()) {
    if constexpr (!std::is_same_v<target_memory<Target>, host_rows>)
      settle = [](const void* who, double progress, void* to) {
        std::construct_at(static_cast<settled_t<Target>*>(to), detail::settled(*static_cast<const Target*>(who), progress));
      };
    if constexpr (read_in_parts<Target>) {
      using Reader = reader_of_target<Target>;
      if constexpr (sizeof(Reader) <= bytes_of_reader && std::is_trivially_copyable_v<Reader>) {
        open = [](const void* who, const target_row<T>& r, void* to) {
          std::construct_at(static_cast<Reader*>(to), static_cast<const Target*>(who)->open(r, r.memory));
        };
        read = [](const void* reader, std::size_t first, std::size_t count, T* out) {
          Target::read(*static_cast<const Reader*>(reader), first, count, out);
        };
      }
    }
  }
};

/// The ranks of a call whose classes are split over them, as a problem knows them.
template <class T>
struct class_ranks {
  const communicator_ref* comm;
  std::size_t most;        ///< classes that a rank has
  std::size_t block_rows;  ///< rows between two exchanges, 0: as many as suit
  void (*add_up)(const communicator_ref&, T*, std::size_t);  ///< of all ranks, element by element
  mutable bool opened = false;       ///< whether the ranks have agreed that the arguments are right
  mutable bool sums_hidden = false;  ///< whether the call asks for a gradient that is a sum over the ranks
};

template <class T>
struct problem {
  stored_rows<const T> student, teacher, soft_labels;
  target_reference<T> target;
  stored_rows<T> gradient, teacher_gradient;
  bool add_teacher = false;  ///< to what stands in the teacher's
  bool add = false;  ///< to what stands in the gradient, instead of overwriting it
  std::size_t gradient_beyond = 0;  ///< columns behind the gradient's last, which become 0
  any_vector labels, row_weights, row_mask, row_temperatures, teacher_row_temperatures, class_mask;
  T* row_losses = nullptr;
  T* row_temperature_gradient = nullptr;
  double* row_signals = nullptr;  ///< a signal that is measured, of each row, as it is compared in the sweep: not rounded to T
  double progress = 0;
  std::int64_t ignore_index = -100;
  std::int64_t unlabelled_index = -100;  // the same as the other: there are no rows without a label
  bool ignore_given = false, unlabelled_given = false;
  reduction reduce = reduction::mean;
  double mean_over = 0;   ///< 0: the weight of this call's own rows
  double normalizer = 1;  ///< 1 / what the sum is divided by
  bool weights_are_signals = false;  ///< row_weights may be negative
  const std::size_t* call_rows = nullptr;  ///< which rows of a call these are, for data of each; null: as they stand
  std::size_t rows_of_call = 0;            ///< how many it has, where call_rows is given
  const class_ranks<T>* over = nullptr;              ///< null: each row is here as a whole
  std::size_t whole_classes = 0, first_class = 0;    ///< of a row over ranks; the first that is here
  std::size_t first_row = 0, end_row = static_cast<std::size_t>(-1);  ///< those that the host's sweep takes; on a device, where in the call row 0 is

  LIMBECK_HOST_DEVICE std::size_t samples() const { return student.samples; }
  LIMBECK_HOST_DEVICE std::size_t classes() const { return student.classes; }
  /// With those that other ranks have.
  LIMBECK_HOST_DEVICE std::size_t classes_of_row() const { return whole_classes ? whole_classes : student.classes; }

  /// Which row of the call row @p r is, for data that a loss or a signal holds of each.
  LIMBECK_HOST_DEVICE std::size_t row_of_call(std::size_t r) const { return call_rows ? call_rows[r] : r; }
  /// How many rows such data has.
  std::size_t samples_of_call() const { return call_rows ? rows_of_call : samples(); }

  /// Neither mask nor label take row @p r out.
  LIMBECK_HOST_DEVICE bool shown(std::size_t r) const {
    return !(row_mask.data() && row_mask.number(r) == 0) && !(labels.data() && labels.integer(r) == ignore_index);
  }
  /// Whether row @p r counts: in values, gradients, means and statistics. Nobody looks at the numbers of one that does not.
  LIMBECK_HOST_DEVICE bool valid(std::size_t r) const { return shown(r) && weight(r) != 0; }
  LIMBECK_HOST_DEVICE double weight(std::size_t r) const { return row_weights.data() ? row_weights.number(r) : 1.0; }
  /// Weight and masks at row @p r; the rows share the mask of the classes out among them.
  LIMBECK_HOST_DEVICE fault bad_weight(std::size_t r) const {
    const double w = weight(r);
    if (!((w >= 0 || weights_are_signals) && w < 1e300 && w > -1e300)) return fault::row_weights;
    if (row_mask.data() && row_mask.number(r) != row_mask.number(r)) return fault::row_mask;
    for (std::size_t c = r; class_mask.data() && c < classes(); c += samples())
      if (class_mask.number(c) != class_mask.number(c)) return fault::class_mask;
    return fault::none;
  }
  /// -1 where there is no label.
  LIMBECK_HOST_DEVICE std::int64_t label(std::size_t r) const { return labelled(r) ? labels.integer(r) : -1; }
  LIMBECK_HOST_DEVICE bool labelled(std::size_t r) const {
    return labels.data() && labels.integer(r) != unlabelled_index;
  }
  /// Whether the label of a valid row is none of the classes.
  LIMBECK_HOST_DEVICE bool bad_label(std::size_t r) const {
    return labelled(r) && !(labels.integer(r) >= 0 && labels.integer(r) < static_cast<std::int64_t>(classes_of_row()));
  }

  /// Once all arguments are there: a label cannot say both that a row is out and that it is in.
  void settle_labels() {
    if (unlabelled_given && unlabelled_index == ignore_index) {
      if (ignore_given)
        raise<value_error>("limbeck: label " + std::to_string(ignore_index) +
                           " is given to ignore_index and to unlabelled; the first takes the row out, the second leaves it in");
      ignore_index = (std::numeric_limits<std::int64_t>::min)();  // the default yields
    }
    labels.end_at(ignore_index);  // the last of a sequence has no next token
  }

  /// Whether there is a teacher, a tensor or a target.
  bool taught() const { return teacher.data || target.fill; }
  /// Of the teacher's rows.
  LIMBECK_HOST_DEVICE std::size_t teacher_classes() const { return target.fill ? target.classes : teacher.classes; }
  /// Row @p r of the target into @p out; @p memory holds `target.scratch_rows` rows.
  void ask_target(std::size_t r, T* out, T* memory) const { target.fill(target.object, row_of_target(r, out, memory)); }
  target_row<T> row_of_target(std::size_t r, T* out, T* memory) const {
    const std::size_t n = target.classes;
    return {r, {out, n}, {memory, n * target.scratch_rows}, student, label(r), progress};
  }
};

/// Masked classes are this far down instead of at -inf, so that their differences are 0 and not NaN; a logit of this or less
/// is a masked class, and none is higher than its negative.
template <class T>
inline constexpr T masked_logit = sizeof(T) == 4 ? T(-1e30) : T(-1e300);

/// Whether all of n numbers lie between -limit and limit, over packs: what most rows are asked, and then nothing more.
template <class T>
bool all_within(const T* x, std::size_t n, T limit) {
  T outside;
  dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
    using L = host_lanes<T, Isa>;
    using X = pack<L>;
    constexpr auto lanes = static_cast<std::size_t>(X::lanes);
    X counts(T(0));
    std::size_t i = 0;
    for (; i + lanes <= n; i += lanes) counts += select(abs(X::from(L::load(x + i))) < X(limit), X(T(0)), X(T(1)));
    outside = L::sum(counts.v);
    for (; i < n; ++i) outside += -limit < x[i] && x[i] < limit ? T(0) : T(1);
  });
  return outside == T(0);
}

/// Looks for what is wrong with row @p r. Called once, after the sweep, so it may take its time.
template <class T>
LIMBECK_HOST_DEVICE fault_place locate_fault(const problem<T>& in, fault code, std::size_t r) {
  fault_place at;
  at.code = code;
  at.row = r;
  const bool no_class = code == fault::student_number || code == fault::teacher_number;  // a feature, of which none is masked
  const bool teacher = code == fault::teacher || code == fault::teacher_number;
  const bool student = code == fault::student || code == fault::student_number;
  const double most = student || teacher ? -static_cast<double>(masked_logit<T>) : (std::numeric_limits<double>::max)();
  const stored_rows<const T>& x = student ? in.student : teacher ? in.teacher : in.soft_labels;
  if (code == fault::value) {  // the largest logit is to blame
    for (std::size_t c = 0; c < in.classes(); ++c) {
      const auto size = static_cast<double>(in.student(r, c) < 0 ? -in.student(r, c) : in.student(r, c));
      if (size <= most && size >= at.value) at.value = size, at.column = c;
    }
  }
  if (code == fault::label) at.label = in.labels.integer(r);
  if (code == fault::row_temperature) {
    const auto bad = [](double t) { return !(t > 0 && t < 1e300); };
    at.of_teacher = !in.row_temperatures.data() || !bad(in.row_temperatures.number(r));
    at.value = (at.of_teacher ? in.teacher_row_temperatures : in.row_temperatures).number(r);
  }
  if (code == fault::row_weights) at.value = in.weight(r);
  if (code == fault::class_mask)
    for (std::size_t c = in.classes(); c-- > 0;)
      if (in.class_mask.number(c) != in.class_mask.number(c)) at.column = in.first_class + c;
  if (student || teacher || code == fault::soft_labels) {
    bool all_masked = true;
    for (std::size_t c = 0; c < x.classes && !at.has_column; ++c) {
      at.value = static_cast<double>(x(r, c));
      at.column = c;
      at.has_column = no_class ? !(at.value <= most && at.value > -most) : !(at.value <= most) || (code == fault::soft_labels && !(at.value >= 0));
      all_masked = all_masked && at.value <= -most;
    }
    if (!at.has_column) at.column = all_masked ? 0 : 1;  // masked in all classes, or in those of a domain
  }
  return at;
}

/// Says it. @p classes and @p ignored are those of the call.
[[noreturn]] inline void throw_fault(const fault_place& p, std::size_t classes, std::int64_t ignored) {
  const std::string at = " at row " + std::to_string(p.row);
  const std::string value = " is " + show(p.value) + at;
  const std::string in_class = ", class " + std::to_string(p.column);
  switch (p.code) {
    case fault::label:
      raise<row_error>("limbeck: labels is " + std::to_string(p.label) + at + ", expected 0 to " +
                       std::to_string(classes - 1) + ", or ignore_index " + std::to_string(ignored));
    case fault::row_temperature:
      raise<row_error>((p.of_teacher ? "limbeck: the teacher's temperature" : "limbeck: row_temperatures") + value +
                       ", expected a positive number");
    case fault::row_weights:
      raise<row_error>("limbeck: row_weights" + value + ", expected a finite number that is not negative");
    case fault::row_mask: raise<row_error>("limbeck: row_mask is nan" + at + ", expected a number, 0 for a row that does not count");
    case fault::class_mask:
      raise<value_error>("limbeck: class_mask is nan at class " + std::to_string(p.column) + ", expected a number, 0 for a class "
                         "that is left out");
    case fault::no_weight:
      raise<value_error>("limbeck: row_weights of the valid rows sum to 0; there is no mean");
    case fault::signal:
      raise<row_error>("limbeck: a signal is not finite" + at + "; it weighs a loss, is a setting of one, or is measured");
    case fault::setting:
      raise<row_error>("limbeck: with: the signal" + at + " is a number that the loss does not take for this setting");
    case fault::value:
      raise<row_error>("limbeck: a loss is nan" + at + ": its arithmetic leaves the range of numbers; the largest finite "
                       "logit of the student has size " + show(p.value) + in_class);
    case fault::student_number: throw_not_finite("student", p.value, p.row, p.column);
    case fault::teacher_number: throw_not_finite("teacher", p.value, p.row, p.column);
    case fault::range:
      raise<row_error>("limbeck: a loss between rows is " + show(p.loss) + ": its squares and products leave the range of " +
                       (p.in_float ? "float" : "double") + "; the largest number, of the " +
                       (p.of_teacher ? "teacher" : "student") + ", has size " + show(p.value) + at + ", column " +
                       std::to_string(p.column));
    case fault::soft_labels:
      if (p.has_column)
        raise<row_error>("limbeck: soft_labels" + value + in_class + "; probabilities are finite and not negative");
      raise<row_error>("limbeck: soft_labels" + at + " has an infinite sum");
    default: break;
  }
  const std::string who = p.code == fault::teacher ? "teacher" : "student";
  if (p.has_column)
    raise<row_error>("limbeck: " + who + value + in_class +
                     (p.value - p.value == 0 ? "; logits are at most 1e30 in float, 1e300 in double"
                                             : "; logits are finite, or -inf for a masked class"));
  raise<row_error>("limbeck: " + who + " is -inf" + at + " in " + (p.column == 0 ? "all " : "all remaining ") +
                   std::to_string(classes) + " classes; a row needs one that is not masked");
}

/// Where it is, in a target's row too, which is asked for once more.
template <class T>
fault_place find_fault(const problem<T>& in, fault code, std::size_t r) {
  if (!((code == fault::teacher || code == fault::teacher_number) && in.target.fill)) return locate_fault(in, code, r);
  std::vector<T> row(in.target.classes), memory(in.target.classes * in.target.scratch_rows);
  in.ask_target(r, row.data(), memory.data());
  problem<T> seen = in;
  seen.teacher = rows<const T>(row.data(), in.samples(), in.target.classes, 0);
  return locate_fault(seen, code, r);
}

template <class T>
[[noreturn]] void throw_fault(const problem<T>& in, fault code, std::size_t r) {
  throw_fault(find_fault(in, code, r), code == fault::teacher && !in.over ? in.teacher_classes() : in.classes_of_row(), in.ignore_index);
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif

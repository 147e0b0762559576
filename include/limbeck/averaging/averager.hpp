#ifndef LIMBECK_AVERAGING_AVERAGER_HPP
#define LIMBECK_AVERAGING_AVERAGER_HPP

/// @file
/// The averager: moves a teacher's parameters towards the student's.

#include <limbeck/averaging/decay.hpp>
#include <limbeck/averaging/parameters.hpp>
#include <limbeck/core/executor.hpp>
#include <limbeck/core/progress.hpp>
#include <limbeck/ranks/reductions.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Which calls of `update` move the teacher: of those after the first @p start, each @p every -th. After a start that
/// is not 0 the first move is a copy. The decay is that of one move: over k steps d becomes d^k.
struct averaging_period {
  std::uint64_t start = 0;  ///< calls that do nothing
  std::uint64_t every = 1;  ///< at least 1
};

/// @cond
namespace detail {
struct finite_argument {};
struct compensated_argument {};
}  // namespace detail
/// @endcond

/// For an averager's constructor: what rounding takes off each number is kept beside it and added to its next step, so that
/// no step is lost, whatever decay and type. One number more for each, float for 16 bits, read and written once a move:
/// `averager(ema{.decay = 0.9999}, weights, {}, compensated)`. On the host.
///
/// Kahan, Pracniques: further remarks on reducing truncation errors, 1965; for weights of 16 bits Zamirai, Zhang, Aberger and
/// De Sa, Revisiting BFloat16 Training, 2020, arXiv:2010.06192, who keep 16 bits of what is taken off, too.
inline constexpr detail::compensated_argument compensated{};

/// For `averager::update`: a student with a parameter that is NaN or infinite, which an average would never forget, is refused
/// before anything moves. One more pass over the parameters; off unless asked for.
inline constexpr detail::finite_argument require_finite{};

/// @cond
namespace detail {
template <class Range>
struct teacher_in_place {
  Range& range;
};
template <class Range>
struct parameters_of<teacher_in_place<Range>, false> {
  using tensor = tensor_of_range_t<Range>;
};
/// Whether a tensor's memory outlives the object.
template <class E>
inline constexpr bool is_view = std::ranges::enable_borrowed_range<E>;
template <class Decay>
constexpr auto as_decay(const Decay& d) {
  if constexpr (number<Decay>) {
    return as_schedule(d);
  } else {
    return d;
  }
}
template <class Decay>
using decay_t = decltype(as_decay(std::declval<Decay>()));
/// check(), agreed on where one of @p arguments is a communicator.
template <class F>
void agree_if_ranks(F check) {
  check();
}
template <class F, class A, class... Arguments>
void agree_if_ranks(F check, const A& argument, const Arguments&... arguments) {
  if constexpr (communicator<A>) {
    agree(argument, check);
  } else {
    agree_if_ranks(check, arguments...);
  }
}
}  // namespace detail
/// @endcond

/// The teacher's own memory, for an averager that is to move it where it stands: `averager(ema{},
/// in_place(parameters))`. It starts from what is there, and the averager keeps views: the memory outlives it (of tensors
/// that are handles, as `in_place(module->parameters())` of LibTorch, the averager holds a copy).
template <parameter_range Range>
auto in_place(Range&& teacher) {
  static_assert(
      std::is_lvalue_reference_v<Range> || detail::is_view<std::remove_cv_t<detail::tensor_of_range_t<Range>>> ||
          detail::shares_memory<detail::tensor_of_range_t<Range>>(),
      "limbeck: in_place keeps views of tensors that end with this expression; name them first, or pass spans");
  return detail::teacher_in_place<std::remove_reference_t<Range>>{teacher};
}

/// teacher <- d teacher + (1 - d) student, where @p Decay gives d; written as teacher + (1 - d)(student - teacher),
/// which is exact where both agree. `averager teacher(ema{.decay = 0.999}, parameters)` deduces the rest.
///
/// @p T is the elements' type: float or double, `float16` or `bfloat16` where such a teacher is `in_place`, or an integer type,
/// which can only be `copied`. A student of 16 bits has a teacher in float, or in float or double `in_place`; one in float may
/// have one in double. Memory is the student's kind: the host's, or with `<limbeck/thrust.hpp>` the device's, on its default
/// stream.
///
/// One read of both and one write a move; nothing is allocated after the first call. A NaN of the student stays in
/// the teacher for good, see `require_finite`. Steps below half a unit in the last place are lost: at d = 0.9999 differences
/// under 6e-4 of the parameter in float, and in bfloat16 all: see `compensated`, or take a wider teacher.
template <class T, class Decay, class Memory = host_rows>
class averager {
  static_assert(decay_rule<Decay>,
                "limbeck: this decay is neither a number nor a rule with `using limbeck_decay = void;` and `double "
                "operator()(std::uint64_t) const`");
  using ops = detail::parameter_memory<Memory>;
  using view = typename ops::template view<T>;
  static constexpr std::size_t chunk = 1 << 16;  // elements a task

 public:
  /// A teacher that begins as a copy of @p student and owns its memory.
  /// @throws shape_error where there is no parameter or one is not contiguous; value_error for a decay or a period out
  /// of range.
  template <class Student>
  averager(Decay decay, const Student& student, averaging_period period = {}) : decay_(decay), period_(period) {
    using U = detail::parameter_t<Student>;
    static_assert(std::is_same_v<T, U> || std::is_same_v<T, arithmetic_of_t<U>>,
                  "limbeck: a teacher that begins as a copy of its student has its type, or float for one of 16 bits");
    const auto from = detail::views_of<const U>(student, "parameter tensor");
    require_settings(detail::total_size(from));
    owned_.resize(detail::total_size(from));
    T* at = ops::data(owned_);
    for (const auto& s : from) {
      teacher_.emplace_back(at, s.size());
      ops::copy(s.data(), at, s.size());
      at += s.size();
    }
    finish();
  }
  /// A teacher in memory of the caller, which holds its start: `in_place(parameters)`.
  /// @throws as above, and value_error where two of its tensors overlap.
  template <class Range>
  averager(Decay decay, detail::teacher_in_place<Range> teacher, averaging_period period = {})
      : decay_(decay), period_(period) {
    using Tensor = detail::tensor_of_range_t<Range>;
    static_assert(!detail::is_constant_tensor<Tensor>(),
                  "limbeck: the teacher's parameters are const; an averager writes to them");
    if constexpr (detail::shares_memory<Tensor>()) handles_ = std::make_shared<std::remove_cv_t<Range>>(teacher.range);
    teacher_ = detail::views_of<T>(teacher.range, "teacher tensor");
    require_settings(detail::total_size(teacher_));
    require_apart({});
    finish();
  }
  /// Either, with sums that lose nothing: see `compensated`.
  template <class Parameters>
  averager(Decay decay, Parameters&& parameters, averaging_period period, detail::compensated_argument)
      : averager(decay, std::forward<Parameters>(parameters), period) {
    static_assert(detail::is_averaged<T>, "limbeck: compensated is for averages of floating-point numbers");
    static_assert(std::is_same_v<Memory, host_rows>, "limbeck: compensated averages are taken on the host");
    rest_.resize(detail::total_size(teacher_));
  }
  averager(const averager&) = delete;
  averager& operator=(const averager&) = delete;
  /// Takes the memory over.
  averager(averager&&) noexcept = default;
  /// Takes the memory over.
  averager& operator=(averager&&) noexcept = default;

  /// Moves the teacher towards @p student; in any order may follow a `progress`, for decays that are schedules, and
  /// `on(executor)`, `require_finite` and a `communicator`. Returns whether this call moved it, which the period decides.
  ///
  /// The communicator is for ranks that hold parts of both: what moves, moves on each rank by itself, and all ranks refuse an update
  /// that one refuses, for a number that is not finite, say (one message of 8 bytes to each).
  /// @throws shape_error where the number of tensors or a size is not the teacher's; value_error where the decay is not
  /// in [0, 1], @p student overlaps the teacher or, with `require_finite`, holds a number that is not. The teacher is then
  /// as it was.
  template <class Student, class... Arguments>
  bool update(const Student& student, const Arguments&... arguments) {
    static_assert(std::is_same_v<detail::parameter_memory_t<Student>, Memory>,
                  "limbeck: student and teacher are not in the same memory; copy one to the other's side");
    constexpr bool has_progress = (std::is_same_v<Arguments, progress> || ...);
    static_assert(has_progress || counted_decay<Decay> || std::is_same_v<Decay, constant>,
                  "limbeck: the decay of this averager is a schedule; say where the run is: update(parameters, "
                  "progress(step, steps))");
    constexpr bool guarded = (std::is_same_v<Arguments, detail::finite_argument> || ...);
    static_assert(((std::is_same_v<Arguments, progress> || std::is_same_v<Arguments, detail::finite_argument> ||
                    communicator<Arguments> || requires(const Arguments& a) { a.run; }) &&
                   ...),
                  "limbeck: update takes parameters, a progress, on(executor), require_finite and a communicator");
    static_assert(!guarded || std::is_same_v<Memory, host_rows>,
                  "limbeck: require_finite looks at parameters on the host; these live on a device");
    const std::uint64_t call = calls_ + 1;
    if (call <= period_.start || (call - period_.start) % period_.every != 0) {
      calls_ = call;
      return false;
    }
    double fraction = 0;
    (read(arguments, fraction), ...);
    double d = 0;
    using U = std::remove_const_t<detail::parameter_t<Student>>;
    static_assert(std::is_same_v<U, T> || (std::is_same_v<U, float> && std::is_same_v<T, double>) ||
                      (detail::is_half<U> && std::is_floating_point_v<T> && std::is_same_v<Memory, host_rows>),
                  "limbeck: student and teacher hold different element types; a teacher in double may follow a student in float, "
                  "and one in float or double a student of 16 bits");
    detail::agree_if_ranks(
        [&] {
          d = updates_ == 0 && period_.start > 0 ? 0 : decay_at(updates_ + 1, fraction);
          incoming_.clear();
          detail::for_each_view<const U>(student, "parameter tensor",
                                         [&](std::span<const U> x) { incoming_.push_back({x.data(), x.size(), sizeof(U)}); });
          detail::require_same_shapes(incoming_, teacher_, "parameters", "as the teacher");
          if constexpr (guarded) detail::check_finite_parameters<U>(student);
          if (incoming_ != student_) {
            require_apart(incoming_);
            student_ = incoming_;
          }
        },
        arguments...);
    apply<U>(d, detail::executor_of(arguments...));
    calls_ = call;
    ++updates_;
    return true;
  }

  /// The teacher's tensors, in the student's order and sizes; flat. Writing to them writes to the teacher.
  const std::vector<view>& parameters() const { return parameters_; }
  /// How often the teacher has moved.
  std::uint64_t updates() const { return updates_; }
  /// How often `update` was called.
  std::uint64_t calls() const { return calls_; }
  /// Saves or restores teacher and counters, and what `compensated` keeps, not the settings.
  /// @throws shape_error where the archive holds another number of tensors.
  template <class Archive>
  void serialize(Archive& archive) {
    std::uint64_t tensors = teacher_.size(), moves = updates_, all = calls_;
    archive("tensors", tensors);
    if (tensors != teacher_.size())
      raise<shape_error>("limbeck: the archive holds " + std::to_string(tensors) + " tensors, the teacher " +
                         std::to_string(teacher_.size()));
    archive("updates", moves);
    archive("calls", all);
    for (std::size_t i = 0; i < teacher_.size(); ++i) ops::serialize(archive, std::to_string(i), teacher_[i]);
    if constexpr (std::is_same_v<Memory, host_rows> && detail::is_averaged<T>)
      if (!rest_.empty()) ops::serialize(archive, "rest", std::span<arithmetic_of_t<T>>(rest_));
    updates_ = moves;
    calls_ = all;
  }

 private:
  struct task {
    std::size_t tensor, first, count, rest;
  };
  /// A tensor of the student, whose element type each call brings along.
  struct incoming {
    const void* data;
    std::size_t count, element;
    std::size_t size() const { return count; }
    bool operator==(const incoming&) const = default;
  };

  static void read(const progress& p, double& fraction) { fraction = p.fraction(); }
  template <class Argument>
  static void read(const Argument&, double&) {}

  double decay_at(std::uint64_t n, double fraction) const {
    double d = 0;
    if constexpr (counted_decay<Decay>) {
      d = decay_(n);
    } else {
      d = decay_(fraction);
    }
    if (!(d >= 0 && d <= 1))
      raise<value_error>("limbeck: decay is " + detail::show(d) + " at update " + std::to_string(n) +
                         ", expected a number in [0, 1]");
    return d;
  }
  void require_settings(std::size_t elements) const {
    static_assert(detail::is_averaged<T> || std::is_same_v<Decay, copied>,
                  "limbeck: integer parameters cannot be averaged; give them an averager of their own with copied{}");
    if (elements == 0) raise<shape_error>("limbeck: the parameters hold no element");
    if (period_.every == 0) raise<value_error>("limbeck: averaging_period::every is 0, expected at least 1");
    decay_at(1, 0);
  }
  /// No tensor of the teacher shares memory with another or with one of @p student.
  void require_apart(const std::vector<incoming>& student) const {
    struct extent {
      const std::byte *first, *last;
      std::size_t index;
      bool is_teacher;
    };
    std::vector<extent> all;
    all.reserve(teacher_.size() + student.size());
    const auto take = [&](const void* data, std::size_t bytes, std::size_t i, bool is_teacher) {
      const auto* first = static_cast<const std::byte*>(data);
      if (bytes > 0) all.push_back({first, first + bytes, i, is_teacher});
    };
    for (std::size_t i = 0; i < teacher_.size(); ++i) take(teacher_[i].data(), teacher_[i].size_bytes(), i, true);
    for (std::size_t i = 0; i < student.size(); ++i) take(student[i].data, student[i].count * student[i].element, i, false);
    std::sort(all.begin(), all.end(), [](const extent& a, const extent& b) { return std::less<>{}(a.first, b.first); });
    // the furthest end so far, of the teacher and of all: tensors of the student may share memory (tied weights)
    const extent *teacher = nullptr, *any = nullptr;
    for (const extent& e : all) {
      const extent* before = e.is_teacher ? any : teacher;
      if (before != nullptr && std::less<>{}(e.first, before->last))
        raise<value_error>("limbeck: " + std::string(e.is_teacher ? "teacher" : "parameter") + " tensor " +
                           std::to_string(e.index) + " overlaps " + (before->is_teacher ? "teacher" : "parameter") +
                           " tensor " + std::to_string(before->index));
      if (e.is_teacher && (teacher == nullptr || std::less<>{}(teacher->last, e.last))) teacher = &e;
      if (any == nullptr || std::less<>{}(any->last, e.last)) any = &e;
    }
  }
  void finish() {
    for (const auto& t : teacher_) parameters_.emplace_back(t.data(), t.size());
    incoming_.reserve(teacher_.size());
    std::size_t before = 0;
    for (std::size_t i = 0; i < teacher_.size(); before += teacher_[i++].size())
      for (std::size_t first = 0; first < teacher_[i].size(); first += chunk)
        tasks_.push_back({i, first, (std::min)(chunk, teacher_[i].size() - first), before + first});
  }
  template <class U, class Executor>
  void apply(double d, Executor& run) {
    if (d == 1) return;
    const auto work = [&](std::size_t index, std::size_t) {
      const task& t = tasks_[index];
      const U* from = static_cast<const U*>(student_[t.tensor].data) + t.first;
      T* to = teacher_[t.tensor].data() + t.first;
      if constexpr (detail::is_averaged<T>) {
        const auto step = static_cast<arithmetic_of_t<T>>(1 - d);
        if constexpr (std::is_same_v<Memory, host_rows>) {
          auto* const rest = rest_.empty() ? nullptr : rest_.data() + t.rest;
          if (d > 0 && rest) return ops::approach_with_rest(from, to, rest, t.count, step);
          if (rest) std::fill_n(rest, t.count, arithmetic_of_t<T>(0));
        }
        if (d > 0) return ops::approach(from, to, t.count, step);
      }
      ops::copy(from, to, t.count);
    };
    run(tasks_.size(), work);
  }

  Decay decay_;
  averaging_period period_;
  typename ops::template storage<T> owned_;
  std::vector<arithmetic_of_t<T>> rest_;  // what rounding has taken off, where that is kept
  std::shared_ptr<const void> handles_;  // of a teacher in place
  std::vector<std::span<T>> teacher_;
  std::vector<view> parameters_;              // the same, for the outside
  std::vector<incoming> student_, incoming_;  // where the student stood last, and stands now
  std::vector<task> tasks_;
  std::uint64_t updates_ = 0, calls_ = 0;
};

/// @cond
template <class Decay, class Student>
averager(Decay, const Student&, averaging_period = {})
    -> averager<arithmetic_of_t<detail::parameter_t<Student>>, detail::decay_t<Decay>, detail::parameter_memory_t<Student>>;
template <class Decay, class Range>
averager(Decay, detail::teacher_in_place<Range>, averaging_period = {})
    -> averager<detail::parameter_t<Range>, detail::decay_t<Decay>, detail::parameter_memory_t<Range>>;
template <class Decay, class Student>
averager(Decay, const Student&, averaging_period, detail::compensated_argument)
    -> averager<arithmetic_of_t<detail::parameter_t<Student>>, detail::decay_t<Decay>, detail::parameter_memory_t<Student>>;
template <class Decay, class Range>
averager(Decay, detail::teacher_in_place<Range>, averaging_period, detail::compensated_argument)
    -> averager<detail::parameter_t<Range>, detail::decay_t<Decay>, detail::parameter_memory_t<Range>>;
/// @endcond

LIMBECK_END_NAMESPACE

#endif

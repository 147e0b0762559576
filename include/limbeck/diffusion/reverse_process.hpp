#ifndef LIMBECK_DIFFUSION_REVERSE_PROCESS_HPP
#define LIMBECK_DIFFUSION_REVERSE_PROCESS_HPP

/// @file
/// Samplers: a grid of times, and a step from each to the next. One loop, on the host; a step is a class of a few lines.

#include <limbeck/diffusion/draw_noise.hpp>
#include <limbeck/diffusion/steps.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {
/// Batches between the steps of a sampler.
template <class T>
struct sampling_memory {
  std::vector<T> x, next, predicted, noise, aside;
  std::vector<double> times;
  void resize(std::size_t samples, std::size_t dimensions) {
    for (auto* v : {&x, &next, &predicted, &noise, &aside}) v->resize(samples * dimensions);
    times.resize(samples);
  }
};
}  // namespace detail

/// What a step is given: samples at a time, a denoiser, noise, and memory for what it makes. It ends with `advance`.
template <class T, noise_path Path, prediction_kind Kind, class Denoiser>
class sampling_step {
 public:
  /// @cond
  using memory_type = detail::sampling_memory<T>;
  sampling_step(const Path& path, const Kind& kind, Denoiser& denoiser, memory_type& memory, std::size_t dimensions, const random_stream& stream,
                std::size_t first)
      : path_(path), kind_(kind), denoiser_(denoiser), memory_(memory), dimensions_(dimensions), stream_(stream), first_(first) {}
  void between(std::size_t step, double from, double to) { step_ = step, draws_ = 0, from_ = from, to_ = to; }
  /// @endcond

  const Kind& kind() const { return kind_; }                      ///< what the denoiser predicts
  const Path& path() const { return path_; }                      ///< on which path
  double from() const { return from_; }                           ///< the time where the samples are
  double to() const { return to_; }                               ///< the time where they go
  auto levels_from() const { return levels(path_, from_); }       ///< as formulas take it
  auto levels_to() const { return levels(path_, to_); }           ///< the same
  rows<const T> x() const { return seen(memory_.x); }             ///< the samples
  /// What the denoiser says of @p noisy at a time; until it is asked again.
  auto answer(const rows<const T>& noisy, double time) {
    memory_.times.assign(memory_.times.size(), time);
    return denoiser_(noisy, std::span<const double>(memory_.times));
  }
  /// What it says of the samples at a time, kept until the next step.
  rows<const T> predicted(double time) {
    const auto p = answer(x(), time);
    fill(detail::as_target(p), written(memory_.predicted));
    return seen(memory_.predicted);
  }
  /// Noise of a deviation, new at each call, until the next one: of a row by its place in the batch and the step.
  rows<const T> noise(double deviation = 1) {
    draw_noise(stream_.split(step_).split(draws_++), written(memory_.noise), first_);
    if (deviation != 1)
      for (T& z : memory_.noise) z = static_cast<T>(deviation * static_cast<double>(z));
    return seen(memory_.noise);
  }
  /// Writes a formula aside, until the next call.
  template <class Formula>
  rows<const T> aside(const Formula& f) {
    fill(f, written(memory_.aside));
    return seen(memory_.aside);
  }
  /// The samples become what a formula says.
  template <class Formula>
  void advance(const Formula& f) {
    fill(f, written(memory_.next));
    std::swap(memory_.x, memory_.next);
  }

 private:
  rows<const T> seen(const std::vector<T>& v) const { return {v.data(), memory_.times.size(), dimensions_}; }
  rows<T> written(std::vector<T>& v) { return {v.data(), memory_.times.size(), dimensions_}; }
  Path path_;
  Kind kind_;
  Denoiser& denoiser_;
  memory_type& memory_;
  std::size_t dimensions_;
  random_stream stream_;
  std::size_t first_, step_ = 0, draws_ = 0;
  double from_ = 0, to_ = 0;
};

/// The step `ddim`: one question a step. DDIM with eta = 0, the ancestral sampler (DDPM's) with 1.
struct ddim_step {
  double eta = 0;  ///< how much of the noise is new, at least 0
  /// One step.
  template <class Step>
  void operator()(Step& s) const {
    const auto p = s.predicted(s.from());
    if (eta == 0) return s.advance(ddim(s.kind(), p, s.x(), s.levels_from(), s.levels_to()));
    s.advance(ddim(s.kind(), p, s.x(), s.levels_from(), s.levels_to(), s.noise(), {.eta = eta}));
  }
};
/// The step `euler` on the probability flow ODE: one question a step.
struct euler_step {
  /// One step.
  template <class Step>
  void operator()(Step& s) const {
    s.advance(euler(s.kind(), s.predicted(s.from()), s.x(), s.levels_from(), s.levels_to()));
  }
};
/// The step `heun` on it: two questions a step, one where it ends at no noise, which is Euler's.
///
/// Karras, Aittala, Aila and Laine, 2022, arXiv:2206.00364, algorithm 1.
struct heun_step {
  /// One step.
  template <class Step>
  void operator()(Step& s) const {
    from(s, s.levels_from());
  }
  /// @cond
  template <class Step, class Levels>
  static void from(Step& s, const Levels& at) {
    const auto p = s.predicted(at.time);
    if (!(s.path().level(s.to()).noise > 0)) return s.advance(euler(s.kind(), p, s.x(), at, s.levels_to()));
    const auto arrived = s.aside(euler(s.kind(), p, s.x(), at, s.levels_to()));
    const auto q = s.answer(arrived, s.to());
    s.advance(heun(s.kind(), p, s.x(), at, s.levels_to(), q, arrived));
  }
  /// @endcond
};
/// EDM's stochastic step, on the path `edm`: where t is in [lowest, highest], noise is added up to t + t min(churn, sqrt 2 - 1); then
/// `heun_step` from there.
///
/// Karras, Aittala, Aila and Laine, 2022, arXiv:2206.00364, algorithm 2.
struct churned_heun_step {
  double churn = 0;        ///< S_churn over the number of steps, at least 0
  double lowest = 0;       ///< S_tmin
  double highest = 1e300;  ///< S_tmax
  double deviation = 1;    ///< of the noise that is added, S_noise
  /// One step.
  template <class Step>
  void operator()(Step& s) const {
    using Path = std::remove_cvref_t<decltype(s.path())>;
    static_assert(std::is_same_v<Path, edm>, "limbeck: churned_heun_step is of the path edm, where time is noise; elsewhere ddim_step{.eta = 1} is stochastic");
    auto at = s.levels_from();
    constexpr double most = std::numbers::sqrt2 - 1;
    if (churn > 0 && s.from() >= lowest && s.from() <= highest) {
      at.time += at.time * (churn < most ? churn : most);
      s.advance(renoised(s.x(), s.noise(deviation), s.levels_from(), at));
    }
    heun_step::from(s, at);
  }
};
/// The step of few-step students: the clean sample that the denoiser says, with new noise at the next level; one question a step.
///
/// Song, Dhariwal, Chen and Sutskever, Consistency Models, 2023, arXiv:2303.01469, algorithm 1.
struct consistency_step {
  /// One step.
  template <class Step>
  void operator()(Step& s) const {
    const auto clean = to_clean(s.kind(), s.predicted(s.from()), s.x(), s.levels_from());
    if (!(s.path().level(s.to()).noise > 0)) return s.advance(clean);
    s.advance(noised(clean, s.noise(), s.levels_to()));
  }
};

/// A sampler; made by `reverse_process`.
template <class T, noise_path Path, prediction_kind Kind, class Step>
class diffusion_sampler {
 public:
  /// @cond
  diffusion_sampler(const Path& path, const Kind& kind, std::vector<double> times, const Step& step)
      : path_(path), kind_(kind), times_(std::move(times)), step_(step) {
    if (times_.size() < 2) detail::throw_length("times of a reverse_process", times_.size(), 2, "at least");
    for (std::size_t i = 0; i < times_.size(); ++i) detail::check_time(path_, times_[i], "time " + std::to_string(i) + " of a reverse_process");
  }
  /// @endcond
  const std::vector<double>& times() const { return times_; }  ///< the grid
  const Path& path() const { return path_; }                   ///< on which path
  const Kind& kind() const { return kind_; }                   ///< what denoisers predict

  /// Where it begins: noise of the first time's deviation, row r by the stream and `first + r`.
  template <class X>
  void start(const random_stream& stream, X&& x, std::size_t first = 0) const {
    const rows<T> to = viewed(x);
    draw_noise(stream.split(starting_stream), to, first);
    const double deviation = path_.level(times_.front()).noise;
    for (std::size_t r = 0; r < to.samples; ++r)
      for (std::size_t c = 0; c < to.classes; ++c) to(r, c) = static_cast<T>(deviation * static_cast<double>(to(r, c)));
  }
  /// Takes the samples @p x, which are at the first time, through all steps to the last.
  ///
  /// @param denoiser a callable of noised rows and their times that returns predictions, a tensor, until it is called again
  /// @param x samples x dimensions on the host; written at the end, and as it was where something throws
  /// @param stream of the steps' noise; not moved on. A row's noise depends on it, the step and the row's place in the whole batch
  /// @param first that place of the first row: a batch in parts has the samples of the whole
  template <class Denoiser, class X>
  void operator()(Denoiser&& denoiser, X&& x, const random_stream& stream = random_stream(0), std::size_t first = 0) {
    using Now = sampling_step<T, Path, Kind, std::remove_reference_t<Denoiser>>;
    static_assert(std::is_invocable_v<Denoiser&, const rows<const T>&, std::span<const double>>,
                  "limbeck: a denoiser is called with rows of noised samples (rows<const T>) and their times (std::span<const double>)");
    const rows<T> samples = viewed(x);
    memory_.resize(samples.samples, samples.classes);
    for (std::size_t r = 0; r < samples.samples; ++r)
      for (std::size_t c = 0; c < samples.classes; ++c) memory_.x[r * samples.classes + c] = samples(r, c);
    Now now(path_, kind_, denoiser, memory_, samples.classes, stream, first);
    for (std::size_t i = 0; i + 1 < times_.size(); ++i) {
      now.between(i, times_[i], times_[i + 1]);
      step_(now);
    }
    for (std::size_t r = 0; r < samples.samples; ++r)
      for (std::size_t c = 0; c < samples.classes; ++c) samples(r, c) = memory_.x[r * samples.classes + c];
  }

 private:
  static constexpr std::uint64_t starting_stream = 0x7374617274;  // no step has so large a number
  template <class X>
  static rows<T> viewed(X& x) {
    detail::require_host<X>();
    static_assert(std::is_same_v<typename tensor_traits<std::remove_cvref_t<X>>::scalar, T>,
                  "limbeck: samples and reverse_process hold different scalar types; float goes with float, double with double");
    return tensor_traits<std::remove_cvref_t<X>>::view(x);
  }
  Path path_;
  Kind kind_;
  std::vector<double> times_;
  Step step_;
  detail::sampling_memory<T> memory_;
};

/// A sampler: `auto sample = reverse_process<float>(rectified{}, predicts_velocity{}, uniform_grid(28), euler_step{});` then
/// `sample.start(stream, x); sample(denoiser, x, stream);`.
///
/// @tparam T float or double, the scalar of the samples
/// @param path,kind the denoiser's path, and what it predicts
/// @param times a grid, from noise to data (the other way is inversion), at least two, each of the path
/// @param step `ddim_step`, `euler_step`, `heun_step`, `consistency_step`, or one of your own: called with a `sampling_step`
/// Memory for five batches, kept between calls. Guidance, conditions, progress and a way out are the denoiser's: it may count its calls, and
/// may throw. @throws shape_error where there are fewer than two times, value_error naming the first that is not one of the path's.
template <class T, noise_path Path, prediction_kind Kind, class Step>
auto reverse_process(const Path& path, const Kind& kind, std::vector<double> times, const Step& step) {
  return diffusion_sampler<T, Path, Kind, Step>(path, kind, std::move(times), step);
}

/// Sampling that a teacher begins and a few-step student ends: the teacher's sampler down to its last time; what the teacher says there is
/// clean gets noise at the student's first time; the student's sampler from there.
///
/// @param of_teacher,of_student samplers, both on one path; made so that it is the student's first times that are left out
/// @param teacher,student denoisers
/// @param x samples at the teacher's first time (`of_teacher.start`), at the end what the student gives
/// @param stream of all noise; @param first the place of the first row in the whole batch
/// As DMOSpeech 2 (code of yl4579/DMOSpeech2), which asks the teacher, guided, at times from noise to 0.93 of the way on `rectified`, by
/// Euler's steps on a grid of `sway_time`, and the student in `consistency_step`s. The noise that its code adds to the teacher's velocity is not here.
template <class T, class Path, class TeacherKind, class StudentKind, class TeacherStep, class StudentStep, class Teacher, class Student, class X>
void teacher_guided_sampling(diffusion_sampler<T, Path, TeacherKind, TeacherStep>& of_teacher, Teacher&& teacher,
                             diffusion_sampler<T, Path, StudentKind, StudentStep>& of_student, Student&& student, X&& x,
                             const random_stream& stream, std::size_t first = 0) {
  auto bridge = reverse_process<T>(of_teacher.path(), of_teacher.kind(), {of_teacher.times().back(), of_student.times().front()}, consistency_step{});
  of_teacher(teacher, x, stream.split(0), first);
  bridge(teacher, x, stream.split(1), first);
  of_student(student, x, stream.split(2), first);
}

LIMBECK_END_NAMESPACE

#endif

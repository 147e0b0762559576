#ifndef LIMBECK_TARGET_INTERPOLATION_HPP
#define LIMBECK_TARGET_INTERPOLATION_HPP

/// @file
/// TAID: a teacher that starts near the student and moves away from it.

#include <limbeck/target/row_functions.hpp>

LIMBECK_BEGIN_NAMESPACE

/// z = (1 - t) s + t z_T of the student's logits s, held fixed, and a teacher's; made by `interpolated`.
template <class Source, schedule S>
struct interpolated_target : detail::one_source<Source> {
  static constexpr bool needs_student = true;
  S t;  ///< share of the teacher
  /// @cond
  auto settled(double at) const {
    auto inner = detail::settled(this->source, at);
    return interpolated_target<decltype(inner), constant>{{inner}, constant(t(at))};
  }
  /// @endcond

  template <class Row>
  LIMBECK_HOST_DEVICE void fill(const Row& r) const {
    using T = typename Source::scalar;
    const double share = detail::at_progress(t, r);
    if (!(share >= 0 && share <= 1) || !r.student.data) return detail::spoil(r);
    detail::fill_from(this->source, r);
    if (share == 1) return;
    const T of_student = static_cast<T>(1 - share), of_teacher = static_cast<T>(share);
    detail::for_own<T>(r.team, r.out.size(), [&](std::size_t c) {
      const T s = r.student(r.index, c);
      r.out[c] = share == 0 ? s : of_student * s + of_teacher * r.out[c];
    });
  }
};

/// The teacher that TAID distils from: softmax((1 - t) s + t z_T), with the student's logits s held fixed.
///
/// @param teacher tensor or target
/// @param t in [0, 1], a constant or a schedule: 0 is the student itself (no gradient from a KL), 1 the teacher. See
/// `taid`
///        for the published controller. A class that either side masks is masked where 0 < t < 1.
/// @throws value_error where a constant t is outside [0, 1].
/// The gradient of the forward KL is (q - softmax(z))/T, as finite differences see it with z held fixed.
/// Shing, Misaki, Bao, Yokoi and Akiba, TAID, 2025, arXiv:2501.16937 (checked against the authors' code, whose loss is
/// the cross-entropy: the same gradient, a value that is larger by the target's entropy).
template <class X, number N>
auto interpolated(X&& teacher, const N& t) {
  auto s = as_schedule(t);
  detail::check_constant("the share of the teacher", s, 0, 1, "a number in [0, 1]");
  return interpolated_target<detail::target_of<X>, decltype(s)>{{detail::as_target(std::forward<X>(teacher))}, std::move(s)};
}

/// Settings of `taid`.
struct taid_options {
  double start = 0.4;    ///< t at first, in [0, 1)
  double end = 1;        ///< t at last, in (0, 1], not below start
  double alpha = 5e-4;   ///< step of the adaptive part, in [0, 1]
  double beta = 0.99;    ///< momentum of the relative change of the loss, in [0, 1)
  bool adaptive = true;  ///< false: t is the line from start to end
};

/// TAID's controller of t: never below a line from start to end, and faster while the loss falls.
///
/// With L_n the loss of step n of N, n counting from 0: the first update only keeps L_0; from then on
/// d = (L_{n-1} - L_n)/(L_{n-1} + 1e-15), m <- beta m + (1 - beta) d, and
/// t <- min(end, max(start + (end - start) n/N, t + alpha sigmoid(m) (1 - t))). The last step has n = N - 1, so the
/// line ends one step short of `end`. The authors' loss is the cross-entropy form; give the value that you minimise.
/// Shing et al., 2025, arXiv:2501.16937, and the authors' code.
class taid {
 public:
  /// @param steps N, at least 1.
  /// @param options see there.
  /// @throws value_error where an option is outside its range.
  explicit taid(std::size_t steps, const taid_options& options = {})
      : options_(options), steps_(steps), t_(options.start) {
    const auto check = [](bool good, const char* name, double x, const char* expected) {
      if (!good)
        raise<value_error>(std::string("limbeck: ") + name + " of taid is " + detail::show(x) + ", expected " +
                           expected);
    };
    check(steps > 0, "steps", 0, "at least 1");
    check(options.start >= 0 && options.start < 1, "start", options.start, "a number in [0, 1)");
    check(options.end > 0 && options.end <= 1 && options.end >= options.start, "end", options.end,
          "a number in (0, 1], not below start");
    check(options.alpha >= 0 && options.alpha <= 1, "alpha", options.alpha, "a number in [0, 1]");
    check(options.beta >= 0 && options.beta < 1, "beta", options.beta, "a number in [0, 1)");
  }
  /// The share of the teacher at the next step.
  double t() const { return t_; }
  /// The target of the next step: `interpolated(teacher, t())`.
  template <class X>
  auto target(X&& teacher) const {
    return interpolated(std::forward<X>(teacher), t_);
  }
  /// To be called after each step with its loss. @throws value_error where it is not finite; the state stays.
  void update(double loss) {
    if (loss - loss != 0)
      raise<value_error>("limbeck: the loss given to taid is " + detail::show(loss) + ", expected a finite number");
    const std::size_t n = step_++;
    if (n > 0) {
      const double change = (previous_ - loss) / (previous_ + 1e-15);
      momentum_ = options_.beta * momentum_ + (1 - options_.beta) * change;
      const double line =
          options_.start + (options_.end - options_.start) * static_cast<double>(n) / static_cast<double>(steps_);
      const double moved = t_ + options_.alpha / (1 + std::exp(-momentum_)) * (1 - t_);
      const double next = options_.adaptive && moved > line ? moved : line;
      t_ = next < options_.end ? next : options_.end;
    }
    previous_ = loss;
  }
  /// Saves or restores the state.
  template <class Archive>
  void serialize(Archive& archive) {
    archive("step", step_);
    archive("t", t_);
    archive("momentum", momentum_);
    archive("previous_loss", previous_);
  }

 private:
  taid_options options_;
  std::size_t steps_, step_ = 0;
  double t_, momentum_ = 0, previous_ = 0;
};

LIMBECK_END_NAMESPACE

#endif

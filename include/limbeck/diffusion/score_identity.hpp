#ifndef LIMBECK_DIFFUSION_SCORE_IDENTITY_HPP
#define LIMBECK_DIFFUSION_SCORE_IDENTITY_HPP

/// @file
/// Score identity distillation: a loss of generated samples and of what two denoisers make of them, with the gradients by all
/// three. Where distribution matching holds both denoisers fixed, here gradients flow through both, into the samples.

#include <limbeck/diffusion/formula.hpp>
#include <limbeck/diffusion/prediction.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// What `score_identity` takes beside tensors.
struct score_identity_options {
  double alpha = 1;     ///< how much of mean (real - fake)^2 is taken off, finite; the authors' codes use 1 and 1.2
  double floor = 1e-5;  ///< the least that the weight divides by, positive
};

/// A weight by the level (a, s) of a row: a^signal/s^noise, at most 1/floor.
///
/// The weightings of the authors' code, on the rectified path, where a = 1 - s: {1, 0} is its 1_minus_sigma, the default; {2, 0}
/// 1_minus_sigma_squared; {0, 1} and {0, 2} 1_over_sigma and 1_over_sigma2; {1, 1} and {2, 2} snr_sqrt and snr. {0, 0} is 1.
struct power_weight {
  double signal = 1;  ///< the power of the signal, at least 0
  double noise = 0;   ///< the power of the noise that is divided by, at least 0
  /// At a level.
  LIMBECK_HOST_DEVICE double operator()(const noise_level& at) const { return std::pow(at.signal, signal) / std::pow(at.noise, noise); }
};

/// @cond
namespace detail {

/// w = 1/max(floor, mean |x - real|).
struct distance_weight {
  double floor;
  template <class T, class Row, class X, class Real>
  LIMBECK_HOST_DEVICE double of(const Row& r, const X& x, const Real& real) const {
    const std::size_t n = r.out.size();
    const double distance =
        sum_formula<T>(r.team, n, [&](const auto& here) LIMBECK_LAMBDA_INLINE { return abs(here(x) - here(real)); }) /
        static_cast<double>(n);
    return 1 / (distance > floor || distance != distance ? distance : floor);
  }
};
template <class Levels>
struct weight_of_level {
  double floor;
  Levels at;
  power_weight power;
  template <class T, class Row, class X, class Real>
  LIMBECK_HOST_DEVICE double of(const Row& r, const X&, const Real&) const {
    const double w = power(at(r.index)), most = 1 / floor;
    return w < most ? w : most;
  }
};

// With a = real - fake and c = fake - x the row is w a ((1 - alpha) a + c): two differences, in which no digit is lost twice.
struct identity_value {
  template <class X>
  LIMBECK_INLINE static X of(const X& a, const X& c, const X& alpha) {
    return a * ((X(1) - alpha) * a + c);
  }
};
struct identity_by_sample {
  template <class X>
  LIMBECK_INLINE static X of(const X& a, const X&, const X&) {
    return -a;
  }
};
struct identity_by_real {
  template <class X>
  LIMBECK_INLINE static X of(const X& a, const X& c, const X& alpha) {
    return X(2) * (X(1) - alpha) * a + c;
  }
};
struct identity_by_fake {
  template <class X>
  LIMBECK_INLINE static X of(const X& a, const X& c, const X& alpha) {
    return (X(2) * alpha - X(1)) * a - c;
  }
};

}  // namespace detail
/// @endcond

/// A row of score identity distillation, its value or one of its gradients; made by `score_identity`.
template <class Part, class Weight, class Student, class Real, class Fake>
struct score_identity_row : detail::formula<score_identity_row<Part, Weight, Student, Real, Fake>, Student, Real, Fake> {
  Weight weight;  ///< of a row
  double alpha;   ///< as given

  /// The gradient by the samples where both predictions are held fixed: w (fake - real).
  auto by_sample() const { return part<detail::identity_by_sample>(); }
  /// The gradient by the teacher's predictions: w ((2 - 2 alpha) (real - fake) + fake - x).
  auto by_real() const { return part<detail::identity_by_real>(); }
  /// The gradient by the other denoiser's predictions: w ((2 alpha - 1) (real - fake) + x - fake).
  auto by_fake() const { return part<detail::identity_by_fake>(); }

  /// @cond
  template <class T, class X, class R, class F>
  struct reader {
    X x;
    R real;
    F fake;
    T by, alpha;
    template <class Here>
    LIMBECK_INLINE typename Here::number read(const Here& here) const {
      using N = typename Here::number;
      const N real_here = here(real), fake_here = here(fake);
      return N(by) * Part::of(real_here - fake_here, fake_here - here(x), N(alpha));
    }
  };
  template <class Row, class T>
  LIMBECK_HOST_DEVICE auto open(const Row& r, std::span<T> memory_) const {
    const auto of = this->sources.open(r, memory_);
    const double w = weight.template of<T>(r, of.first, of.rest.first);
    return made(of.first, of.rest.first, of.rest.rest.first, static_cast<T>(w), static_cast<T>(alpha));
  }
  auto settled(double at) const { return settled_with(this->sources.settled(at)); }

 private:
  template <class Other>
  score_identity_row<Other, Weight, Student, Real, Fake> part() const {
    return {{this->sources}, weight, alpha};
  }
  template <class X, class R, class F, class T>
  LIMBECK_HOST_DEVICE static reader<T, X, R, F> made(const X& x, const R& real, const F& fake, T by, T alpha_) {
    return {x, real, fake, by, alpha_};
  }
  template <class... S>
  auto settled_with(const detail::source_list<S...>& s) const {
    return score_identity_row<Part, Weight, S...>{{s}, weight, alpha};
  }
  /// @endcond
};

/// @cond
namespace detail {
template <class Weight, class S, class R, class F>
score_identity_row<identity_value, Weight, S, R, F> score_identity_of(const score_identity_options& options, const Weight& weight,
                                                                      const S& s, const R& r, const F& f) {
  if (options.alpha - options.alpha != 0)
    raise<value_error>("limbeck: alpha of score_identity is " + show(options.alpha) + ", expected a finite number");
  if (!(options.floor > 0 && options.floor < 1e300))
    raise<value_error>("limbeck: floor of score_identity is " + show(options.floor) + ", expected a positive, finite number");
  check_sources("a prediction of score_identity", s, r, f);
  return {{list_of(s, r, f)}, weight, options.alpha};
}
}  // namespace detail
/// @endcond

/// Score identity distillation (SiD): w (real - fake) ((real - x) - alpha (real - fake)) of each element, and by `by_sample()`,
/// `by_real()`, `by_fake()` its gradients, formulas of their own. Here w = 1/max(floor, mean |x - real|), the mean of the row.
///
/// The weight is held fixed, nothing else: the gradient of a sample x is that of `by_sample()` and what comes back through both
/// denoisers, real(a x + s e) and fake(a x + s e), whose parameters do not move. So real and fake are outputs of the student, and
/// each gradient is read by `specified_gradient` at its own. The authors sum over the elements of a sample: columns times this
/// mean.
/// @param x the samples that the generator gave, samples x dimensions
/// @param real the clean sample that the teacher makes of x noised (`to_clean` of its prediction)
/// @param fake that of the denoiser of generated samples
/// @param options alpha and floor
/// alpha = 1 is w (real - fake)(fake - x); 1/2 is w/2 ((real - x)^2 - (fake - x)^2). The three gradients add up to 0. With real =
/// fake the value and `by_sample()` are 0. O(samples x dimensions), two passes over a row, of a weight by level one.
/// @throws shape_error where shapes differ; value_error where alpha is not finite or the floor not positive.
///
/// Zhou, Zheng, Wang, Yin and Huang, Score identity Distillation, 2024, arXiv:2404.04057, and Zhou, Gu and Wang, Few-Step
/// Diffusion via Score identity Distillation, 2025, arXiv:2505.12674, after the authors' codes.
template <class X, class Real, class Fake>
auto score_identity(X&& x, Real&& real, Fake&& fake, const score_identity_options& options = {}) {
  return detail::score_identity_of(options, detail::distance_weight{options.floor}, detail::as_target(std::forward<X>(x)),
                                   detail::as_target(std::forward<Real>(real)), detail::as_target(std::forward<Fake>(fake)));
}
/// The same with a weight by level: `score_identity(x, real, fake, levels(rectified{}, t), power_weight{.signal = 1})`.
///
/// Such a weight depends on the level alone. Then, with the exact denoiser of the generated samples as fake, the expected loss is
/// (1 - alpha) E[w (real - fake)^2], the Fisher divergence of noised samples from noised data, times a constant of the level; and
/// at alpha = 1/2 the expected gradient is exactly half of that divergence's, the change of the exact denoiser with the generator
/// included, which nobody had to differentiate. At another alpha it is (1 - alpha) of the part through the samples and half of
/// the part through the denoiser.
/// @param x generated samples, samples x dimensions
/// @param real what the teacher says of them
/// @param fake what the fake model says of them
/// @param options as above
/// @param at the levels of the rows, `levels(path, t)`
/// @param power the weight, see `power_weight`
/// @throws as the other; value_error where a power is negative or not finite, shape_error where there is not one time a row.
/// Zhou et al., Score Distillation of Flow Matching Models, 2025, arXiv:2509.25127, after the authors' code.
template <class X, class Real, class Fake, row_levels L>
auto score_identity(X&& x, Real&& real, Fake&& fake, const L& at, const power_weight& power,
                    const score_identity_options& options = {}) {
  for (const double p : {power.signal, power.noise})
    if (!(p >= 0 && p - p == 0))
      raise<value_error>("limbeck: a power of power_weight is " + detail::show(p) + ", expected a finite number of at least 0");
  return detail::checked_levels(
      at, detail::score_identity_of(options, detail::weight_of_level<L>{options.floor, at, power},
                                    detail::as_target(std::forward<X>(x)), detail::as_target(std::forward<Real>(real)),
                                    detail::as_target(std::forward<Fake>(fake))));
}

/// @cond
namespace detail {
/// Where a pack, or one element, is written.
struct put_in_packs {
  std::size_t at, count;
  template <class T, class Lanes>
  LIMBECK_INLINE void operator()(T* out, const pack<Lanes>& v) const {
    store_pack<Lanes>(out + at, count, v);
  }
};
struct put_alone {
  std::size_t at;
  template <class T, class Lanes>
  LIMBECK_INLINE void operator()(T* out, const pack<Lanes>& v) const {
    out[at] = v.v;
  }
};
/// The gradient by the sample, which writes the other two beside it.
template <class Weight, class Student, class Real, class Fake, class T = typename Student::scalar>
struct three_gradients : formula<three_gradients<Weight, Student, Real, Fake>, Student, Real, Fake> {
  Weight weight;
  double alpha;
  rows<T> by_real, by_fake;

  template <class Row>
  LIMBECK_HOST_DEVICE void fill(const Row& r) const {
    const auto of = this->sources.open(r, r.memory);
    const T by = static_cast<T>(weight.template of<T>(r, of.first, of.rest.first)), a = static_cast<T>(alpha);
    T *const to_sample = r.out.data(), *const to_real = by_real.row(r.index), *const to_fake = by_fake.row(r.index);
    const auto both = [&](const auto& here, const auto& put_) LIMBECK_LAMBDA_INLINE {
      using N = typename std::remove_cvref_t<decltype(here)>::number;
      const N real_here = here(of.rest.first), fake_here = here(of.rest.rest.first), w(by), alpha_(a);
      const N gap = real_here - fake_here, rest = fake_here - here(of.first);
      put_(to_sample, w * identity_by_sample::of(gap, rest, alpha_));
      put_(to_real, w * identity_by_real::of(gap, rest, alpha_));
      put_(to_fake, w * identity_by_fake::of(gap, rest, alpha_));
    };
    if constexpr (in_packs<typename Row::team_type>) {
      dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
        using Lanes = host_lanes<T, Isa>;
        for_packs<Lanes>(r.out.size(), [&](std::size_t at, std::size_t count) LIMBECK_LAMBDA_INLINE {
          both(here_in_packs<Lanes>{at, count}, put_in_packs{at, count});
        });
      });
    } else {
      for_own<T>(r.team, r.out.size(), [&](std::size_t i) { both(here_alone<T>{i}, put_alone{i}); });
    }
  }
  auto settled(double at) const { return settled_with(this->sources.settled(at)); }

 private:
  template <class... S>
  auto settled_with(const source_list<S...>& s) const {
    return three_gradients<Weight, S...>{{s}, weight, alpha, by_real, by_fake};
  }
};
}  // namespace detail
/// @endcond

/// Writes all three gradients in one pass over memory: `fill_gradients(identity, by_sample, by_real, by_fake)`, then what `fill`
/// takes.
///
/// As three calls of `fill`, in half to three quarters of their time. Where the columns of `by_real` or `by_fake` do not lie side
/// by side it is three calls.
/// @param identity what `score_identity` returned, kept by view
/// @param by_sample,by_real,by_fake tensors of its shape and type, where its tensors live; none of them is one of these
/// @param more as `fill`: what the targets inside read, progress, a workspace
/// @throws as `fill`; shape_error where one of the three is of another shape.
template <class Weight, class Student, class Real, class Fake, tensor X, tensor R, tensor F, class... More>
void fill_gradients(const score_identity_row<detail::identity_value, Weight, Student, Real, Fake>& identity, X&& by_sample,
                    R&& by_real, F&& by_fake, More&&... more) {
  using T = typename Student::scalar;
  const auto view = [&]<class Out>(const char* name, Out& out) -> rows<T> {
    using Traits = tensor_traits<std::remove_cvref_t<Out>>;
    static_assert(
        std::is_same_v<typename Traits::scalar, T> && std::is_same_v<typename Traits::sweep, detail::target_memory<Student>>,
        "limbeck: the outputs of fill_gradients hold the type of its tensors, in their memory");
    const rows<T> to = Traits::view(out);
    if (to.samples != identity.samples() || to.classes != identity.classes())
      detail::throw_shape(name, to.samples, to.classes, identity.samples(), identity.classes());
    return to;
  };
  (void)view("by_sample", by_sample);
  const rows<T> real = view("by_real", by_real), fake = view("by_fake", by_fake);
  if (real.class_stride == 1 && fake.class_stride == 1) {
    fill(detail::three_gradients<Weight, Student, Real, Fake>{{identity.sources}, identity.weight, identity.alpha, real, fake},
         by_sample, more...);
  } else {
    fill(identity.by_sample(), by_sample, more...);
    fill(identity.by_real(), by_real, more...);
    fill(identity.by_fake(), by_fake, more...);
  }
}

LIMBECK_END_NAMESPACE

#endif

#ifndef LIMBECK_TARGET_SHIFTED_HPP
#define LIMBECK_TARGET_SHIFTED_HPP

/// @file
/// A model moved as tuning moved another.

#include <limbeck/target/row_functions.hpp>

#include <algorithm>
#include <type_traits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// base + alpha (tuned - raw), of logits; made by `shifted`.
template <class Base, class Raw, class Tuned, schedule S>
struct shifted_target : detail::one_source<Base> {
  static_assert(std::is_same_v<typename Base::scalar, typename Raw::scalar> && std::is_same_v<typename Base::scalar, typename Tuned::scalar>,
                "limbeck: the models of shifted hold one scalar type; float goes with float, double with double");
  static_assert(std::is_same_v<detail::target_memory<Base>, detail::target_memory<Raw>> &&
                    std::is_same_v<detail::target_memory<Base>, detail::target_memory<Tuned>>,
                "limbeck: the models of shifted live in different memory (host and device)");
  /// Whether one of them reads labels.
  static constexpr bool needs_labels =
      detail::target_needs_labels<Base>() || detail::target_needs_labels<Raw>() || detail::target_needs_labels<Tuned>();
  /// Whether one of them reads the student.
  static constexpr bool needs_student =
      detail::target_needs_student<Base>() || detail::target_needs_student<Raw>() || detail::target_needs_student<Tuned>();
  /// Rows of memory that a row takes.
  static constexpr std::size_t scratch_rows =
      2 + (std::max)({Base::scratch_rows, Raw::scratch_rows, Tuned::scratch_rows});
  Raw raw;      ///< before tuning
  Tuned tuned;  ///< after it
  S alpha;      ///< at least 0
  /// @cond
  auto settled(double at) const {
    auto b = detail::settled(this->source, at);
    auto r = detail::settled(raw, at);
    auto t = detail::settled(tuned, at);
    return shifted_target<decltype(b), decltype(r), decltype(t), constant>{{b}, r, t, constant(alpha(at))};
  }
  /// @endcond

  template <class Row>
  LIMBECK_HOST_DEVICE void fill(const Row& r) const {
    using T = typename Base::scalar;
    constexpr T infinity = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
    const double share = detail::at_progress(alpha, r);
    if (!(share >= 0 && share < static_cast<double>(infinity))) return detail::spoil(r);
    detail::fill_from(this->source, r, 2);
    if (share == 0) return;
    const std::size_t n = r.out.size();
    const auto rest = r.memory.subspan(2 * n);
    const T* const before = detail::source_row(raw, r, r.memory.subspan(0, n), rest);
    const T* const after = detail::source_row(tuned, r, r.memory.subspan(n, n), rest);
    const T by = static_cast<T>(share);
    detail::for_own<T>(r.team, n, [&](std::size_t c) {
      const T s = r.out[c], a = before[c], b = after[c];
      const bool masked = s == -infinity || a == -infinity || b == -infinity;
      r.out[c] = !(s < infinity && a < infinity && b < infinity) ? nan : masked ? -infinity : s + by * (b - a);
    });
  }
};

/// A model's logits plus what tuning did to those of another: base + alpha (tuned - raw). As a distribution, base
/// (tuned/raw)^alpha, normalised, at every temperature of the term that reads it.
///
/// @param base tensor or target: the model that is to move, as a student before it was trained
/// @param raw the other model before it was tuned, as the raw teacher
/// @param tuned and after
/// @param alpha at least 0, a constant or a schedule: 0 is the base, 1 the whole shift, which is `tuned` itself where
///        base and raw are one
/// A class that any of the three masks is masked (where alpha is not 0); a NaN or +inf of any of them makes its row a NaN's, which the call
/// reports. O(classes) a row, and nothing is copied.
/// @throws shape_error where shapes differ; value_error where a constant alpha is negative or not finite.
///
/// Liu, Han, Wang, Tsvetkov, Choi and Smith, Tuning Language Models by Proxy, 2024, arXiv:2401.08565, which decodes by it with
/// alpha = 1: base the large model, raw and tuned the small ones. Cao et al., Delta Knowledge Distillation for Large Language Models
/// (Delta-KD), 2025, arXiv:2509.14526, distil from a raw student that is moved by the teacher's shift; their operator was not read.
template <class Base, class Raw, class Tuned, number N = double>
auto shifted(Base&& base, Raw&& raw, Tuned&& tuned, const N& alpha = 1) {
  auto a = as_schedule(alpha);
  detail::check_constant("alpha", a, 0, (std::numeric_limits<double>::max)(), "a number of at least 0");
  auto b = detail::as_target(std::forward<Base>(base));
  auto r = detail::as_target(std::forward<Raw>(raw));
  auto t = detail::as_target(std::forward<Tuned>(tuned));
  const auto check = [&](const char* name, const auto& x) {
    if (x.samples() != b.samples() || x.classes() != b.classes())
      detail::throw_shape(name, x.samples(), x.classes(), b.samples(), b.classes());
  };
  check("the raw model of shifted", r), check("the tuned model of shifted", t);
  return shifted_target<decltype(b), decltype(r), decltype(t), decltype(a)>{{b}, r, t, std::move(a)};
}

LIMBECK_END_NAMESPACE

#endif

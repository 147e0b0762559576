#ifndef LIMBECK_TARGET_ENSEMBLE_HPP
#define LIMBECK_TARGET_ENSEMBLE_HPP

/// @file
/// Several teachers as one: `objective(student, lk::mean_of_probabilities(a, b, c), labels)`. What is averaged is the
/// type:
///
/// - `mean_of_probabilities`: the class that one teacher is sure of keeps that teacher's share of the probability;
/// - `mean_of_logits`: one confident teacher outvotes the others, and a class that one of them masks is masked;
/// - `geometric_mean`: the normalised product of powers of the probabilities. With weights that sum to one, as here, it
/// is
///   the same distribution as the mean of the logits at every temperature, because normalisers only shift a row; its
///   row holds log-probabilities, which matters to losses that read logits (`mse`).
///
/// Logits [8, 0, 0] and [0, 4, 0] give 0.87, 0.12, 0.02 by logits and 0.51, 0.48, 0.01 by probabilities.

#include <limbeck/target/teacher_weights.hpp>

#include <utility>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

inline constexpr std::size_t max_teachers = 64, max_listed_on_device = 16;

struct probabilities_rule {};
struct logits_rule {};
struct geometric_rule {};

/// Teachers one behind the other: what a device copies has no std::tuple.
template <class... S>
struct teacher_chain {
  template <class F>
  LIMBECK_HOST_DEVICE bool each(std::size_t, F&&) const {
    return true;
  }
};
template <class First, class... Rest>
struct teacher_chain<First, Rest...> {
  First first;
  teacher_chain<Rest...> rest;
  /// f(k, teacher) in order, until one returns false.
  template <class F>
  LIMBECK_HOST_DEVICE bool each(std::size_t k, F&& f) const {
    return f(k, first) && rest.each(k + 1, f);
  }
};

/// Teachers of several types, their number known to the compiler.
template <class First, class... Rest>
struct teacher_pack {
  using scalar = typename First::scalar;
  using memory = target_memory<First>;
  static_assert((std::is_same_v<typename Rest::scalar, scalar> && ...),
                "limbeck: the teachers of an ensemble hold one scalar type; float goes with float, double with double");
  static_assert((std::is_same_v<target_memory<Rest>, memory> && ...),
                "limbeck: the teachers of an ensemble live in different memory (host and device)");
  static constexpr bool needs_labels = (target_needs_labels<First>() || ... || target_needs_labels<Rest>());
  static constexpr bool needs_student = (target_needs_student<First>() || ... || target_needs_student<Rest>());
  static constexpr std::size_t capacity = 1 + sizeof...(Rest);
  static constexpr std::size_t scratch_rows = (std::max)({First::scratch_rows, Rest::scratch_rows...});
  teacher_chain<First, Rest...> all;
  LIMBECK_HOST_DEVICE std::size_t size() const { return capacity; }
  template <class F>
  LIMBECK_HOST_DEVICE bool each(F&& f) const {
    return all.each(0, f);
  }
  auto settled(double progress) const;
};

inline teacher_chain<> chain_of() { return {}; }
template <class First, class... Rest>
teacher_chain<First, Rest...> chain_of(First first, Rest... rest) {
  return {std::move(first), detail::chain_of(std::move(rest)...)};
}
template <class... S>
teacher_pack<S...> pack_of(teacher_chain<S...> all) {
  return {std::move(all)};
}
inline teacher_chain<> settled_chain(const teacher_chain<>&, double) { return {}; }
template <class First, class... Rest>
teacher_chain<settled_t<First>, settled_t<Rest>...> settled_chain(const teacher_chain<First, Rest...>& all, double progress) {
  return {detail::settled(all.first, progress), detail::settled_chain(all.rest, progress)};
}
template <class First, class... Rest>
auto teacher_pack<First, Rest...>::settled(double progress) const {
  return detail::pack_of(detail::settled_chain(all, progress));
}

/// A few teachers of one type, as a device holds them.
template <class S>
struct teacher_array {
  using scalar = typename S::scalar;
  using memory = target_memory<S>;
  static constexpr bool needs_labels = target_needs_labels<S>(), needs_student = target_needs_student<S>();
  static constexpr std::size_t capacity = max_listed_on_device, scratch_rows = S::scratch_rows;
  S all[capacity];
  std::size_t count;
  LIMBECK_HOST_DEVICE std::size_t size() const { return count; }
  template <class F>
  LIMBECK_HOST_DEVICE bool each(F&& f) const {
    for (std::size_t k = 0; k < count; ++k)
      if (!f(k, all[k])) return false;
    return true;
  }
};

/// Any number of teachers of one type.
template <class S>
struct teacher_list {
  using scalar = typename S::scalar;
  using memory = target_memory<S>;
  static constexpr bool needs_labels = target_needs_labels<S>(), needs_student = target_needs_student<S>();
  static constexpr std::size_t capacity = max_teachers, scratch_rows = S::scratch_rows;
  std::vector<S> all;
  LIMBECK_HOST_DEVICE std::size_t size() const { return all.size(); }
  LIMBECK_CALLS_ANY
  template <class F>
  LIMBECK_HOST_DEVICE bool each(F&& f) const {
    for (std::size_t k = 0; k < all.size(); ++k)
      if (!f(k, all[k])) return false;
    return true;
  }
  /// @throws shape_error where a device has no room for so many.
  teacher_array<settled_t<S>> settled(double progress) const {
    if (all.size() > max_listed_on_device)
      raise<shape_error>("limbeck: the ensemble has a list of " + std::to_string(all.size()) +
                         " teachers, on a device at most " + std::to_string(max_listed_on_device) + "; name them one by one, or nest ensembles");
    return [&]<std::size_t... Index>(std::index_sequence<Index...>) {
      return teacher_array<settled_t<S>>{{detail::settled(all[Index < all.size() ? Index : 0], progress)...}, all.size()};
    }(std::make_index_sequence<max_listed_on_device>{});
  }
};

template <class X>
concept teacher_range = !tensor<X> && !target<X> && requires(const X& x) {
  x.size();
  x.begin();
};
template <class First, class... Rest>
auto gather_teachers(First&& first, Rest&&... rest) {
  if constexpr (sizeof...(Rest) == 0 && teacher_range<std::remove_cvref_t<First>>) {
    using Element = std::remove_cvref_t<decltype(*first.begin())>;
    // the elements of a range that goes away: tensors would go with it, views and targets are copied
    if constexpr (!target<Element> && !std::ranges::enable_borrowed_range<std::remove_cvref_t<First>>)
      require_kept<std::conditional_t<std::is_lvalue_reference_v<First>, Element&, Element>>();
    teacher_list<target_of<Element>> list;
    for (const auto& x : first) list.all.push_back(as_target(x));
    return list;
  } else {
    return pack_of(chain_of(as_target(std::forward<First>(first)), as_target(std::forward<Rest>(rest))...));
  }
}

}  // namespace detail

/// Teachers that are averaged; made by `mean_of_probabilities`, `mean_of_logits` and `geometric_mean`.
template <class Rule, class Teachers, class Weights, schedule Temperature>
class ensemble {
 public:
  using limbeck_target = void;
  using scalar = typename Teachers::scalar;
  using memory = typename Teachers::memory;
  static_assert(!requires { typename Weights::memory; } || std::is_same_v<detail::target_memory<Weights>, memory>,
                "limbeck: the weights of the teachers live in another memory (host or device) than the teachers");
  static constexpr bool needs_labels = Teachers::needs_labels || Weights::needs_labels;
  static constexpr bool needs_student = Teachers::needs_student;
  static constexpr std::size_t scratch_rows = 2 + Teachers::scratch_rows;

  /// @throws shape_error where there are no teachers, more than 64, or teachers of different shapes; what the weights
  /// throw.
  ensemble(Teachers teachers, Weights weights, Temperature t)
      : teachers_(std::move(teachers)), weights_(std::move(weights)), temperature_(std::move(t)) {
    if (teachers_.size() == 0) raise<shape_error>("limbeck: the ensemble has no teacher");
    if (teachers_.size() > detail::max_teachers)
      raise<shape_error>("limbeck: the ensemble has " + std::to_string(teachers_.size()) + " teachers, at most " +
                         std::to_string(detail::max_teachers));
    teachers_.each([&](std::size_t k, const auto& t_k) {
      if (k == 0) samples_ = t_k.samples(), classes_ = t_k.classes();
      if (t_k.samples() != samples_ || t_k.classes() != classes_)
        detail::throw_shape("teacher " + std::to_string(k), t_k.samples(), t_k.classes(), samples_, classes_);
      return true;
    });
    weights_.check(teachers_.size(), samples_);
    detail::check_positive("the ensemble's temperature", temperature_);
  }
  /// The same teachers, weighed: `equal_weights` (the default), `fixed_weights`, `weights_of(matrix)`, `routed(gate,
  /// k)`, `entropy_weights`, `confidence_weights`, or a type of yours with their members.
  template <class W>
  auto weighted(W w) const {
    return ensemble<Rule, Teachers, W, Temperature>(teachers_, std::move(w), temperature_);
  }
  /// For `mean_of_probabilities`: the mean is that of softmax(t_k/T), a constant or a schedule, and has to be the T of
  /// the term that reads the target, so that its softmax at T gives that mean back. Others do not depend on T.
  template <number N>
  auto at_temperature(const N& t) const {
    static_assert(std::is_same_v<Rule, detail::probabilities_rule>,
                  "limbeck: a mean of logits, or a geometric mean, is the same at every temperature; only "
                  "mean_of_probabilities takes one");
    auto s = as_schedule(t);
    return ensemble<Rule, Teachers, Weights, decltype(s)>(teachers_, weights_, std::move(s));
  }
  std::size_t samples() const { return samples_; }
  std::size_t classes() const { return classes_; }

  /// @cond
  auto settled(double at) const {
    auto teachers = teachers_.settled(at);
    auto weights = detail::settled_weights<decltype(teachers)::capacity>(weights_);
    return ensemble<Rule, decltype(teachers), decltype(weights), constant>(std::move(teachers), std::move(weights),
                                                                           constant(temperature_(at)), samples_, classes_);
  }
  /// @endcond

  template <class Row>
  LIMBECK_HOST_DEVICE void fill(const Row& r) const {
    const std::size_t n = r.out.size();
    double storage[Teachers::capacity];
    const std::span<double> w(storage, teachers_.size());
    if (!weigh(r, w)) return detail::spoil(r, worst(r));
    if constexpr (std::is_same_v<Rule, detail::probabilities_rule>) {
      average_probabilities(r, w);
    } else {
      bool first = true;
      each(r, w, [&](std::size_t k, const scalar* z) {
        detail::add_scaled(r.team, z, n, static_cast<scalar>(w[k]), std::exchange(first, false), r.out.data());
        return true;
      });
      if constexpr (std::is_same_v<Rule, detail::geometric_rule>) {
        const auto s = detail::exponentials_of(r.team, r.out.data(), n, scalar(1), nullptr);
        const scalar shift = s.log_sum(1);
        if (s.proper()) detail::for_own<scalar>(r.team, n, [&](std::size_t c) { r.out[c] -= shift; });
      }
    }
  }

 private:
  template <class, class, class, schedule>
  friend class ensemble;
  /// One that has been checked before.
  ensemble(Teachers teachers, Weights weights, Temperature t, std::size_t samples, std::size_t classes)
      : teachers_(std::move(teachers)), weights_(std::move(weights)), temperature_(std::move(t)),
        samples_(samples), classes_(classes) {}

  /// False where a row of a teacher, or a weight, is wrong.
  LIMBECK_CALLS_ANY
  template <class Row>
  LIMBECK_HOST_DEVICE bool weigh(const Row& r, std::span<double> w) const {
    if constexpr (Weights::reads_sources) {
      const bool good = each(r, {}, [&](std::size_t k, const scalar* z) {
        w[k] = statistic(r, z);
        return w[k] == w[k];
      });
      if (!good) return false;
    }
    weights_.weigh(r.index, w);
    for (const double x : w)
      if (x != x) return false;
    return true;
  }
  /// f(k, row) for each teacher that counts, the second row of memory the room for what is not in memory yet.
  template <class Row, class F>
  LIMBECK_HOST_DEVICE bool each(const Row& r, std::span<const double> w, F&& f) const {
    const std::size_t n = r.out.size();
    return teachers_.each([&](std::size_t k, const auto& t) {
      if (!w.empty() && !(w[k] > 0)) return true;
      return f(k, detail::source_row(t, r, r.memory.subspan(n, n), r.memory.subspan(2 * n)));
    });
  }
  LIMBECK_CALLS_ANY
  template <class Row>
  LIMBECK_HOST_DEVICE double statistic(const Row& r, const scalar* z) const {
    if constexpr (requires { weights_.statistic(r.team, z, r.out.size(), r.label); }) {
      return weights_.statistic(r.team, z, r.out.size(), r.label);
    } else {
      static_assert(Row::team_type::alone, "limbeck: these weights of teachers read rows on the host; on a device their "
                                           "statistic takes the team of the row first, see entropy_weights");
      return weights_.statistic(z, r.out.size(), r.label);
    }
  }
  /// -inf where a teacher masks all classes, to be told from NaN.
  template <class Row>
  LIMBECK_HOST_DEVICE scalar worst(const Row& r) const {
    scalar result = 0;
    each(r, {}, [&](std::size_t, const scalar* z) {
      const auto s = detail::exponentials_of(r.team, z, r.out.size(), scalar(1), nullptr);
      if (!s.proper()) result = s.maximum;
      return s.proper();
    });
    return result;
  }
  template <class Row>
  LIMBECK_HOST_DEVICE void average_probabilities(const Row& r, std::span<const double> w) const {
    using T = scalar;
    const std::size_t n = r.out.size();
    const T t = detail::target_temperature(temperature_, r), inverse_t = T(1) / t;
    T* const e = r.memory.data();
    bool first = true;
    T fault = 0;
    const bool good = each(r, w, [&](std::size_t k, const T* z) {
      const auto s = detail::exponentials_of(r.team, z, n, inverse_t, e);
      fault = s.maximum;
      if (!s.proper()) return false;
      detail::add_scaled(r.team, e, n, static_cast<T>(w[k]) / s.sum, std::exchange(first, false), r.out.data());
      return true;
    });
    if (!good) return detail::spoil(r, fault);
    if (detail::row_minimum(r.team, r.out.data(), n) >= detail::tiny_probability<T>)
      return detail::scaled_logarithm(r.team, r.out.data(), n, t, r.out.data());

    // masked, or so improbable that the logarithm is taken by logarithms: those classes again
    detail::for_own<T>(r.team, n, [&](std::size_t c) {
      e[c] = -detail::infinite<T>;
      if (r.out[c] < detail::tiny_probability<T>) r.out[c] = -1;
    });
    each(r, w, [&](std::size_t k, const T* z) {
      const auto s = detail::exponentials_of(r.team, z, n, inverse_t, nullptr);
      const T offset = static_cast<T>(std::log(w[k])) - std::log(s.sum);
      detail::for_own<T>(r.team, n, [&](std::size_t c) {
        if (r.out[c] < 0) e[c] = detail::log_add(e[c], (z[c] - s.maximum) * inverse_t + offset);
      });
      return true;
    });
    T* const logarithms = e + n;
    detail::scaled_logarithm(r.team, r.out.data(), n, t, logarithms);
    detail::for_own<T>(r.team, n, [&](std::size_t c) { r.out[c] = r.out[c] < 0 ? t * e[c] : logarithms[c]; });
  }

  Teachers teachers_;
  Weights weights_;
  Temperature temperature_;
  std::size_t samples_ = 0, classes_ = 0;
};

namespace detail {
template <class Rule, class... X>
auto make_ensemble(X&&... x) {
  auto teachers = gather_teachers(std::forward<X>(x)...);
  return ensemble<Rule, decltype(teachers), equal_weights, constant>(std::move(teachers), {}, constant(1));
}
}  // namespace detail

/// z = T log sum_k w_k softmax(t_k/T): its softmax at T is the mean of the teachers' probabilities. Set T by
/// `.at_temperature(T)` (1 unless told), and let it be the term's; weights by `.weighted(w)` (equal unless told).
///
/// @param teachers tensors or targets of one shape, or one range (vector, span, array) of them. They are viewed, not
/// copied.
/// On a device all live there, and a range holds at most 16.
/// @throws shape_error naming the teacher whose shape differs. A teacher's NaN, or a row that it masks as a whole,
/// comes through, and the call reports it. Cost: one exponential a teacher and class; two in rows where a class is
/// masked.
template <class... X>
auto mean_of_probabilities(X&&... teachers) {
  static_assert(sizeof...(X) > 0, "limbeck: mean_of_probabilities needs at least one teacher");
  return detail::make_ensemble<detail::probabilities_rule>(std::forward<X>(teachers)...);
}
/// z = sum_k w_k t_k. See `mean_of_probabilities` for the parameters. Reads each logit once and takes no exponential.
template <class... X>
auto mean_of_logits(X&&... teachers) {
  static_assert(sizeof...(X) > 0, "limbeck: mean_of_logits needs at least one teacher");
  return detail::make_ensemble<detail::logits_rule>(std::forward<X>(teachers)...);
}
/// z = log of prod_k softmax(t_k)^w_k, normalised. See `mean_of_probabilities` for the parameters.
template <class... X>
auto geometric_mean(X&&... teachers) {
  static_assert(sizeof...(X) > 0, "limbeck: geometric_mean needs at least one teacher");
  return detail::make_ensemble<detail::geometric_rule>(std::forward<X>(teachers)...);
}

LIMBECK_END_NAMESPACE

#endif

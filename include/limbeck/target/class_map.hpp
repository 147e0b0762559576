#ifndef LIMBECK_TARGET_CLASS_MAP_HPP
#define LIMBECK_TARGET_CLASS_MAP_HPP

/// @file
/// A teacher of another vocabulary, whose probabilities a sparse matrix takes to the student's classes.

#include <limbeck/target/row_functions.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// A sparse matrix of the teacher's classes x the student's, by rows: what class i of the teacher gives stands at
/// [offsets[i], offsets[i + 1]). A view.
template <class T>
struct class_map {
  std::size_t classes = 0;                 ///< of the student
  std::span<const std::uint64_t> offsets;  ///< one more than the teacher's classes, rising from 0
  std::span<const std::int32_t> ids;       ///< classes of the student, in any order; of one twice, weights add up
  std::span<const T> weights;              ///< what share of the teacher's class goes there: finite, not negative
};

/// The teacher's probabilities at the student's classes; made by `class_mapped`.
template <class T, schedule S>
struct class_mapped_target {
  using limbeck_target = void;
  using scalar = T;
  static constexpr std::size_t scratch_rows = 0;
  tensor_target<T> teacher;  ///< logits of its own classes
  class_map<T> map;          ///< from them to the student's
  S temperature;             ///< of the term
  std::size_t samples() const { return teacher.samples(); }
  std::size_t classes() const { return map.classes; }
  void fill(const target_row<T>& r) const {
    constexpr std::size_t piece = 256;
    const std::size_t n = teacher.view.classes;
    const T t = detail::target_temperature(temperature, r), scale = static_cast<T>(detail::log2e) / t;
    T numbers[piece], maximum = -detail::infinite<T>;
    const auto each_piece = [&](const auto& f) {
      for (std::size_t first = 0; first < n; first += piece) {
        const std::size_t count = (std::min)(piece, n - first);
        for (std::size_t i = 0; i < count; ++i) numbers[i] = teacher.view(r.index, first + i);
        f(first, count);
      }
    };
    each_piece(
        [&](std::size_t, std::size_t count) { maximum = (std::max)(maximum, detail::row_maximum(numbers, count)); });
    std::fill(r.out.begin(), r.out.end(), T(0));
    double total = 0;
    each_piece([&](std::size_t first, std::size_t count) {
      detail::dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
        using Lanes = host_lanes<T, Isa>;
        using X = pack<Lanes>;
        detail::for_packs<Lanes>(count, [&](std::size_t at, std::size_t k) LIMBECK_LAMBDA_INLINE {
          const X x = detail::load_pack<Lanes>(numbers + at, k, -detail::infinite<T>);
          const X e = detail::exp2_negative((x - X(maximum)) * X(scale));
          // what the teacher does not mask has a probability, however small
          detail::store_pack<Lanes>(numbers + at, k,
                                    select(X(-detail::infinite<T>) < x, larger(X(detail::tiny_probability<T>), e), e));
        });
      });
      for (std::size_t i = 0; i < count; ++i) {
        total += static_cast<double>(numbers[i]);
        const auto last = static_cast<std::size_t>(map.offsets[first + i + 1]);
        for (auto k = static_cast<std::size_t>(map.offsets[first + i]); k < last; ++k)
          r.out[static_cast<std::size_t>(map.ids[k])] += map.weights[k] * numbers[i];
      }
    });
    if (!(total > 0 && total - total == 0)) return detail::spoil(r, maximum);
    for (T& x : r.out) x = t * static_cast<T>(std::log(static_cast<double>(x) / total));  // -inf where nothing comes
  }
};

/// The same matrix by columns: what class j of the student gets stands at [offsets[j], offsets[j + 1]), so that threads add up
/// classes without getting in each other's way. A view, see `device_class_map`.
template <class T, class Memory = host_rows>
struct class_map_by_columns {
  std::size_t teacher_classes = 0;         ///< of the teacher
  std::span<const std::uint64_t> offsets;  ///< one more than the student's classes, rising from 0
  std::span<const std::int32_t> ids;       ///< classes of the teacher
  std::span<const T> weights;              ///< what share of the teacher's class comes here: finite, not negative
};

/// The teacher's probabilities gathered at the student's classes; made by `class_mapped`.
template <class T, schedule S, class Memory>
struct class_gathered_target {
  using limbeck_target = void;
  using scalar = T;
  using memory = Memory;
  static constexpr std::size_t scratch_rows = 0;
  tensor_target<T, Memory> teacher;     ///< logits of its own classes
  class_map_by_columns<T, Memory> map;  ///< from them to the student's
  S temperature;                        ///< of the term
  std::size_t samples() const { return teacher.samples(); }
  std::size_t classes() const { return map.offsets.size() - 1; }
  /// @cond
  auto settled(double at) const {
    return class_gathered_target<T, constant, Memory>{teacher, map, constant(temperature(at))};
  }
  /// @endcond

  template <class Row>
  LIMBECK_HOST_DEVICE void fill(const Row& r) const {
    using X = pack<scalar_lanes<T>>;
    const std::size_t n = teacher.view.classes;
    const T t = detail::target_temperature(temperature, r), scale = static_cast<T>(detail::log2e) / t;
    T top = -detail::infinite<T>;
    detail::for_own<T>(r.team, n, [&](std::size_t i) {
      const T z = teacher.view(r.index, i);
      top = z == z && !(z > top) ? top : z == z ? z : detail::infinite<T>;
    });
    const T maximum = detail::highest_over(r.team, top);
    const auto share = [&](std::size_t i) {  // what the teacher does not mask has a probability, however small
      const T z = teacher.view(r.index, i), e = detail::exp2_negative(X((z - maximum) * scale)).v;
      return z > -detail::infinite<T> && e < detail::tiny_probability<T> ? detail::tiny_probability<T> : e;
    };
    double total = 0;
    detail::for_own<T>(r.team, n, [&](std::size_t i) { total += static_cast<double>(share(i)); });
    total = detail::sum_over(r.team, total);
    if (!(total > 0 && total - total == 0)) return detail::spoil(r, maximum);
    detail::for_own<T>(r.team, r.out.size(), [&](std::size_t j) {
      T p = 0;
      const auto last = static_cast<std::size_t>(map.offsets[j + 1]);
      for (auto k = static_cast<std::size_t>(map.offsets[j]); k < last; ++k)
        p += map.weights[k] * share(static_cast<std::size_t>(map.ids[k]));
      r.out[j] = t * static_cast<T>(std::log(static_cast<double>(p) / total));  // -inf where nothing comes
    });
  }
};

/// @cond
namespace detail {

/// @throws shape_error, value_error where the parts of a map do not fit together, or to @p teacher_classes.
template <class T>
void check_class_map(const class_map<T>& m, std::size_t teacher_classes) {
  if (m.offsets.size() != teacher_classes + 1)
    throw_length("the offsets of the class map", m.offsets.size(), teacher_classes + 1,
                 "one more than the teacher's classes");
  if (m.offsets.front() != 0 || m.offsets.back() != m.ids.size())
    raise<shape_error>("limbeck: the offsets of the class map do not run from 0 to the number of ids, " +
                       std::to_string(m.ids.size()));
  if (m.weights.size() != m.ids.size())
    throw_length("the weights of the class map", m.weights.size(), m.ids.size(), "one an id");
  for (std::size_t i = 0; i < teacher_classes; ++i) {
    const std::string of_class = " of class " + std::to_string(i) + " of the teacher";
    if (m.offsets[i] > m.offsets[i + 1] || m.offsets[i + 1] > m.ids.size())
      raise<shape_error>("limbeck: the offsets of the class map fall, or leave its ids, after that" + of_class);
    for (auto k = static_cast<std::size_t>(m.offsets[i]); k < m.offsets[i + 1]; ++k) {
      if (m.ids[k] < 0 || static_cast<std::size_t>(m.ids[k]) >= m.classes)
        raise<value_error>("limbeck: id " + std::to_string(m.ids[k]) + of_class + " in the class map, expected 0 to " +
                           std::to_string(static_cast<std::int64_t>(m.classes) - 1));
      const auto w = static_cast<double>(m.weights[k]);
      if (!(w >= 0 && w - w == 0))
        raise<value_error>("limbeck: weight " + show(w) + of_class +
                           " in the class map, expected a finite number that is not negative");
    }
  }
}

}  // namespace detail
/// @endcond

/// A teacher of other classes: softmax(z/T)_j proportional to sum_i W_ij p_i, p = softmax(t/T) over its own classes, W
/// a sparse matrix of weights.
///
/// Where the weights of each class of the teacher sum to 1, all its probability arrives; what is lost otherwise is made
/// up by normalising. A class of the student to which nothing leads is masked, so take a loss of forward KL's kind, or
/// weights everywhere. Probabilities below 1e-30 (float; 1e-280 in double) of that of the highest class count as that.
/// O(teacher's classes + weights) a row. The map and the teacher's memory outlive the target.
///
/// @param teacher tensor of logits, samples x classes of its own
/// @param map from these classes to the student's; for a teacher on a device the `view()` of a `device_class_map`
/// @param temperature T, which has to be the term's, a constant or a schedule
/// @throws shape_error, value_error where the map is inconsistent, does not fit the teacher, or T is not positive. A
/// row of
///   which nothing arrives is reported by the call.
template <class X, class T, number N = double>
auto class_mapped(X&& teacher, const class_map<T>& map, const N& temperature = 1) {
  static_assert(!target<X>, "limbeck: class_mapped reads a tensor; fill(target, tensor) first");
  auto source = detail::as_target(std::forward<X>(teacher));
  static_assert(requires { source.view; }, "limbeck: class_mapped reads a tensor; fill(target, tensor) first");
  static_assert(
      std::is_same_v<typename decltype(source)::scalar, T>,
      "limbeck: teacher and class map hold different scalar types; float goes with float, double with double");
  static_assert(std::is_same_v<detail::target_memory<decltype(source)>, host_rows>,
                "limbeck: this class map is the host's and the teacher lives on a device; device_class_map(map) goes with it");
  auto t = as_schedule(temperature);
  detail::check_positive("the temperature of class_mapped", t);
  detail::check_class_map(map, source.classes());
  if constexpr (std::is_same_v<decltype(source), tensor_target<T>>)
    return class_mapped_target<T, decltype(t)>{source, map, std::move(t)};
}
/// The same by the map's columns: a device takes no other. @throws shape_error where it does not fit the teacher.
template <class X, class T, class Memory, number N = double>
auto class_mapped(X&& teacher, const class_map_by_columns<T, Memory>& map, const N& temperature = 1) {
  static_assert(!target<X>, "limbeck: class_mapped reads a tensor; fill(target, tensor) first");
  const auto source = detail::as_target(std::forward<X>(teacher));
  using Source = std::remove_const_t<decltype(source)>;
  static_assert(
      std::is_same_v<typename Source::scalar, T>,
      "limbeck: teacher and class map hold different scalar types; float goes with float, double with double");
  static_assert(std::is_same_v<detail::target_memory<Source>, Memory>,
                "limbeck: the class map lives in another memory (host or device) than the teacher");
  auto t = as_schedule(temperature);
  detail::check_positive("the temperature of class_mapped", t);
  if (map.teacher_classes != source.classes())
    detail::throw_length("the rows of the class map", map.teacher_classes, source.classes(), "one a class of the teacher");
  if constexpr (std::is_same_v<Source, tensor_target<T, Memory>>)
    return class_gathered_target<T, decltype(t), Memory>{source, map, std::move(t)};
}

LIMBECK_END_NAMESPACE

#endif
